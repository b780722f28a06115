"""Samples trained a minute, the same configurations by `model.fit`, by bare loops and by hpo.

python -m benchmarks.throughput --repeats 3
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import job
from benchmarks.processes import environment, python
from benchmarks.ways import WAYS, Config, timed

RATIOS = (
    ("hpo2", "fit1"),
    ("hpo2_bfloat16", "fit1"),
    ("hpo2_bfloat16", "hpo2"),
    ("hpo2_mixed_bfloat16", "hpo2"),
    ("ray2", "hpo2"),
    ("hpo2", "fit2"),
    ("hpo2", "hpo1"),
    ("hpo2", "loop2"),
    ("hpo1", "loop1"),
    ("loop2", "loop1"),
)
"""Ratios of the samples trained a minute; each is taken within a repeat."""

_LARGE: tuple[Config, ...] = (
    {"blocks": 2, "filters": 8, "dense": 64, "activation": "relu", "batch_size": 128, "learning_rate": 1e-3,
     "dropout": 0.2},
    {"depth": 2, "width": 1024, "activation": "relu", "batch_size": 128, "learning_rate": 1e-3, "dropout": 0.2},
)  # fmt: skip


def lists(drawn: int = 8) -> dict[str, list[Config]]:
    """`standard`: MLPs drawn from the standard space, always the same, and `wide`: the wider half of them; `large`: a
    small CNN and a wide MLP.

    The slowest come first, since two processes else end far apart.
    """
    rng = np.random.default_rng(0)
    standard = [_draw(rng) for _ in range(drawn)]
    ordered = sorted(standard, key=_cost, reverse=True)
    wide = sorted(standard, key=lambda config: int(config["width"]))[drawn // 2 :]
    return {"standard": ordered, "wide": sorted(wide, key=_cost, reverse=True), "large": list(_LARGE)}


def _cost(config: Config) -> float:
    """Seconds that a sample takes, about: the products of a step at 100 GFLOP/s, and its share of all else in one."""
    width, depth = int(config["width"]), int(config["depth"])
    weights = 784 * width * 2 + width * width * (depth - 1) * 3
    return weights * 2e-11 + 2e-4 / float(config["batch_size"])


def _draw(rng: np.random.Generator) -> Config:
    width, rate = (np.exp(rng.uniform(*np.log(bounds))) for bounds in (job.WIDTH, job.LEARNING_RATE))
    return {
        "depth": int(rng.integers(*job.DEPTH, endpoint=True)),
        "width": int(width),
        "activation": str(rng.choice(job.ACTIVATIONS)),
        "batch_size": int(rng.choice(job.BATCH_SIZES)),
        "learning_rate": float(rate),
        "dropout": float(rng.uniform(*job.DROPOUT)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="the ways take turns")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--drawn", type=int, default=8, help="configurations drawn from the standard space")
    parser.add_argument("--ways", default=",".join(WAYS), help="comma-separated: %(default)s")
    parser.add_argument("--lists", default="standard,large", help="comma-separated, also wide; by default %(default)s")
    parser.add_argument("--out", type=Path, default=None, help="file of JSON for the raw timings")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "BEGAN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, began = options.one
        wanted = {name: configs for name, configs in lists(options.drawn).items() if name in options.lists.split(",")}
        done = timed(way, wanted, options.epochs, float(began))
        print(json.dumps([asdict(timing) for timing in done]))
        return
    names = options.ways.split(",")
    if unknown := set(names) - set(WAYS):
        parser.error(f"--ways: unknown {', '.join(sorted(unknown))}; valid: {', '.join(WAYS)}")
    found = []
    for repeat in range(options.repeats):
        for way in names:
            print(f"{way}, repeat {repeat} ...", flush=True)
            timings = _measure(way, options)
            found += [{"way": way, "repeat": repeat, **timing} for timing in timings]
    if options.out:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    _report(pd.DataFrame(found))


def _measure(way: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """One way in a fresh process."""
    kept = ("--epochs", str(options.epochs), "--drawn", str(options.drawn), "--lists", options.lists)
    command = python("-m", "benchmarks.throughput", "--one", way, str(time.time()), *kept)
    done = subprocess.run(command, cwd=job.ROOT, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{way} failed:\n{done.stderr[-3000:]}")
    timings: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return timings


def _report(found: pd.DataFrame) -> None:
    found = found.assign(**{"samples/min": 60 * found["samples"] / found["wall"]})
    found = found.assign(**{"cpu/wall": found["cpu"] / found["wall"]})
    columns = ["startup", "wall", "cpu", "cpu/wall", "samples/min"]
    print(f"\nmedians; {os.cpu_count()} cores")
    print(found.groupby(["configs", "way"], sort=False)[columns].median().round(2).to_string())
    for name, part in found.groupby("configs", sort=False):
        print(f"\n{name}: samples a minute, median ratios of the same repeat")
        rates = part.pivot(index="repeat", columns="way", values="samples/min")
        print(ratios(rates, RATIOS).round(2).to_string(index=False))


def ratios(rates: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Median, least and largest ratio of each pair of columns that are there; a row of `rates` is a repeat."""
    there = [pair for pair in pairs if set(pair) <= set(rates.columns)]
    return pd.DataFrame(
        [
            {"ratio": f"{one} / {other}", "median": ratio.median(), "least": ratio.min(), "largest": ratio.max()}
            for one, other in there
            for ratio in [rates[one] / rates[other]]
        ],
        columns=["ratio", "median", "least", "largest"],
    )


if __name__ == "__main__":
    main()
