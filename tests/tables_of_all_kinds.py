"""A table with all kinds of columns."""

import numpy as np
import pandas as pd

N = 200


def all_kinds() -> pd.DataFrame:
    """A table with all kinds of columns, and values missing in most."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": np.arange(N),
            "zip": [f"{code:05d}" for code in rng.integers(0, 400, N)],
            "size a/b": rng.normal(size=N),
            "rooms": rng.integers(1, 9, N),
            "garden": rng.integers(0, 2, N) == 1,
            "town": rng.choice(["Ulm", "NA", "None", "Köln"], N),
            "sold": pd.date_range("1969-01-01", periods=N, freq="37h").strftime("%Y-%m-%d %H:%M:%S"),
            "built": pd.date_range("1900-02-27", periods=N, freq="200D").strftime("%d.%m.%Y"),
        }
    )
    frame["price"] = frame["size a/b"] + frame["garden"] + (frame["town"] == "Ulm")
    frame.loc[3:9, "size a/b"] = np.nan
    frame.loc[5:20, "town"] = np.nan
    frame.loc[30:33, "built"] = np.nan
    return frame
