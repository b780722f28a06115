"""`python -m benchmarks.soak --kills 200`: the command line, and the table at the end."""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks.soak.server import own_server
from benchmarks.soak.soak import Soak


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--storage", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--trials", type=int, default=40, help="of each study; a new one begins when one has ended")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and kinds of the kills")
    options = parser.parse_args()
    with _server(options.storage) as storage, tempfile.TemporaryDirectory(prefix="hpo-soak-") as folder:
        soak = Soak(Path(folder), options.trials, options.seed, storage, say=partial(print, flush=True))
        soak.run(options.kills)
    print(pd.DataFrame([soak.figures()]).to_string(index=False))
    raise SystemExit(1 if soak.complaints else 0)


@contextlib.contextmanager
def _server(kind: str) -> Iterator[str | None]:
    if kind == "sqlite":
        yield None
        return
    with own_server() as url:
        yield url


if __name__ == "__main__":
    main()
