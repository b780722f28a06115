"""From raw rows, one an epoch, to the figures of the peers' table. Knows nothing of who made the rows.

A row: peer, repeat, trial, epoch (from 1), t (seconds since the command started), val_accuracy, params, samples.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Row = Mapping[str, Any]

MARKS = (0.2, 0.4, 0.6, 0.8, 1.0)
"""Shares of the deadline at which the best score is reported."""


def figures(rows: Sequence[Row], used: Sequence[Row], seconds: float) -> pd.DataFrame:
    """One line for each peer and repeat.

    `used` has a row for each run: peer, repeat, cpu_seconds, peak_memory (bytes). `reached` is the time in seconds
    to the target, the best score that any other library than hpo has at the end of the same repeat; empty where
    it was not reached.
    """
    frame = pd.DataFrame(rows, columns=["peer", "repeat", "trial", "epoch", "t", "val_accuracy", "samples"])
    frame = frame[frame["t"] <= seconds].sort_values("t")
    lines = []
    for run in used:
        mine = frame[(frame["peer"] == run["peer"]) & (frame["repeat"] == run["repeat"])]
        target = _target(frame[frame["repeat"] == run["repeat"]])
        lines.append(
            {
                "peer": run["peer"],
                "repeat": run["repeat"],
                "trials": mine["trial"].nunique(),
                "epochs/min": len(mine) * 60 / seconds,
                "samples/min": mine["samples"].sum() * 60 / seconds,
                **{f"best@{share * seconds:g}s": _best(mine[mine["t"] <= share * seconds]) for share in MARKS},
                "reached": _first(mine, target),
                "cpu_s": run["cpu_seconds"],
                "peak_MiB": run["peak_memory"] / 2**20,
            }
        )
    return pd.DataFrame(lines)


def medians(table: pd.DataFrame) -> pd.DataFrame:
    """The medians over the repeats of each peer, in the order of the table.

    A repeat that did not reach the target counts as later than all others, so that a median may be empty.
    """
    late = table.assign(reached=table["reached"].fillna(float("inf")))
    middle = late.drop(columns="repeat").groupby("peer", sort=False).median()
    return middle.assign(reached=middle["reached"].replace(float("inf"), float("nan")))


def best_so_far(rows: Sequence[Row]) -> dict[Any, tuple[list[float], list[float]]]:
    """For each (peer, repeat) the times of its epochs, and the best score up to each."""
    curves = {}
    frame = pd.DataFrame(rows).sort_values("t")
    for run, mine in frame.groupby(["peer", "repeat"], sort=False):
        curves[run] = (mine["t"].tolist(), mine["val_accuracy"].cummax().tolist())
    return curves


def _target(frame: pd.DataFrame) -> float:
    others = frame[~frame["peer"].str.startswith("hpo")]
    return _best(frame if others.empty else others)


def _best(frame: pd.DataFrame) -> float:
    return float(frame["val_accuracy"].max())


def _first(frame: pd.DataFrame, target: float) -> float:
    return float(frame.loc[frame["val_accuracy"] >= target, "t"].min())
