"""Tasks by their names, from all sources of recorded learning curves."""

from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.curves import LCBENCH, Recorded, Surrogate, TaskSet
from benchmarks.standard_curves import NAME, Standard


def task_names(folder: Path) -> list[str]:
    """The development tasks: 18 of LCBench and the 6 of TaskSet."""
    with np.load(folder / "taskset.npz") as arrays:
        recorded = sorted(set(arrays.files) - {"hp", "hp_names"})
    return [f"lcbench-{task}" for task in LCBENCH] + [f"taskset-{task}" for task in recorded]


@cache
def load_task(folder: Path, name: str, epochs: int) -> Surrogate | Recorded:
    """The task of a name, its curves cut to a number of epochs; at most 51 for LCBench, 50 for TaskSet, 20 for ours."""
    if name == NAME:
        return Standard(epochs)
    source, _, task = name.partition("-")
    if source == "lcbench":
        return Surrogate(folder / "lcbench", task, epochs)
    return TaskSet(folder / "taskset.npz", task, epochs)
