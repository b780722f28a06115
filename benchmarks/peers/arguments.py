"""The arguments that every peer's script takes."""

import argparse
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.jobs import JOBS, PeerJob


class Arguments(NamedTuple):
    """The arguments of a peer."""

    rows: Path
    """File that gets a line of JSON after each epoch."""
    home: Path
    """Empty folder for everything else that the peer writes."""
    seed: int
    job: PeerJob
    defaults: bool
    """Whether the search begins with the configuration of the search space's defaults, as hpo's does."""


def parse() -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=Path, required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job", type=JOBS.__getitem__, default=JOBS["standard"])
    parser.add_argument("--defaults", action="store_true")
    return Arguments(**vars(parser.parse_args()))
