"""The parts of benchmarks.gpu that are right or wrong: what workers get of GPUs, and who runs out of their memory."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pynvml

import hpo
from benchmarks import job
from hpo.config.experiment import Objective, TrainingSpec
from hpo.engines.gpus import OVERHEAD, Gpu, Share, gpus_of_machine, shares
from hpo.engines.local import LocalEngine
from hpo.study.record import TrialRecord
from hpo.training.messages import Event, Failed, Job

Row = dict[str, Any]

_PART = 0.25
"""Of a card, for each trial that shares it."""


def assignment(folder: Path) -> Iterator[Row]:
    """For each worker of some engines: the cards and the limit that it should have, and those that it has.

    `used_mib`: what all processes took of the fullest card, once each worker has run an operation.
    """
    gpus = gpus_of_machine()
    cases: list[tuple[int | None, float | None]] = [(2, None)]
    if gpus:
        cases = [(None, _PART), (2 * len(gpus), None), (None, 1), (1, 0)]
    for workers, per_trial in cases:
        wanted = shares(gpus, workers, per_trial)
        engine = LocalEngine(len(wanted), 1, folder / "workers.log", per_trial)
        with contextlib.closing(engine):
            seen = _reports(engine, folder)
            used = max(map(_used, gpus), default=None)
        for number, (share, has) in enumerate(zip(wanted, seen, strict=True)):
            yield {"gpus_per_trial": per_trial, "workers": workers, "worker": number, **compared(share, has),
                   "used_mib": used}  # fmt: skip


def _reports(engine: LocalEngine, folder: Path) -> list[dict[str, Any]]:
    """What each worker has, in their order: each gets a job before any of them is heard."""
    for number in range(engine.workers):
        engine.submit(_reporting(number, folder))
    found: dict[int, dict[str, Any]] = {}
    while len(found) < engine.workers:
        for event in engine.events(1.0):
            found |= _seen(event)
    return [found[number] for number in range(engine.workers)]


def _reporting(number: int, folder: Path) -> Job:
    training, objective = TrainingSpec(epochs=1), Objective(metric=job.OBJECTIVE)
    model, paths = "benchmarks.gpu_models:reports", (str(job.ROOT),)
    return Job(number, {}, 0, model, training, objective, str(folder / "tiny"), import_paths=paths)


def _seen(event: Event) -> dict[int, dict[str, Any]]:
    if not isinstance(event, Failed) or event.reason != "error":
        raise RuntimeError(f"a worker did not report what it has: {event}")
    return {event.trial: json.loads(event.message.partition("RuntimeError: ")[2])}


def compared(share: Share, has: dict[str, Any]) -> Row:
    """What a worker with a share should have, what it has, and whether that is the same."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") if share.visible is None else share.visible
    # A worker with a card of its own has no limit.
    limits = [] if share.limit is None else [share.limit]
    cards = len(visible.split(",")) if visible else 0
    ok = has == {"visible": visible, "gpus": cards, "limits": limits}
    return {"visible": visible, "had": has["visible"], "limit_mib": limits, "had_mib": has["limits"], "ok": ok}


def _used(gpu: Gpu) -> int:
    pynvml.nvmlInit()
    try:
        by_number = gpu.name.isdigit()
        handle = (
            pynvml.nvmlDeviceGetHandleByIndex(int(gpu.name))
            if by_number
            else pynvml.nvmlDeviceGetHandleByUUID(gpu.name)
        )
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used) // 2**20
    finally:
        pynvml.nvmlShutdown()


def memory(folder: Path) -> Iterator[Row]:
    """A study whose trials share a card: those that fit, one that fits alone, one that never does.

    A row for each attempt at each: its end, what it took, and whether that is as it should be.
    """
    (card, *_), limit = gpus_of_machine(), shares(gpus_of_machine(), None, _PART)[0].limit
    assert limit is not None
    fits, alone, never = limit // 8, min(2 * limit, card.memory - 4 * OVERHEAD), 5 * card.memory // 4
    study = hpo.run(experiment(folder, [fits, alone, never]), home=folder / "home", progress=False)
    expected = {fits: ["complete"], alone: ["out_of_memory", "complete"], never: ["out_of_memory", "out_of_memory"]}
    yield from attempts(list(study.trials), expected, limit)


def attempts(trials: Sequence[TrialRecord], expected: Mapping[int, Sequence[str]], limit: int) -> Iterator[Row]:
    """A row for each of the attempts at the configurations that need so many MiB; `expected`: how they should end."""
    for mib, outcomes in expected.items():
        tried = sorted((one for one in trials if one.params["mib"] == mib), key=lambda one: one.attempt)
        ok = [one.outcome for one in tried] == list(outcomes)
        if not tried:
            yield {
                "needs_mib": mib,
                "limit_mib": limit,
                "attempt": 0,
                "end": "was not begun",
                "took_mib": None,
                "ok": ok,
            }
        for one in tried:
            took = None if one.gpu_memory is None else one.gpu_memory // 2**20
            yield {
                "needs_mib": mib, "limit_mib": limit, "attempt": one.attempt + 1, "end": one.outcome, "took_mib": took,
                "ok": ok,
            }  # fmt: skip


def experiment(folder: Path, mib: list[int]) -> dict[str, Any]:
    """The experiment of the study whose trials take so many MiB, as many of them at a time as a card has room for."""
    return {
        "name": "memory",
        "dataset": {"path": str(folder / "tiny.npz")},
        "search_space": {
            "model": "benchmarks.gpu_models:hungry",
            "parameters": {"mib": {"type": "categorical", "choices": mib}},
        },
        "objective": job.OBJECTIVE,
        "training": {"epochs": 1, "batch_size": 128, "early_stopping": False},
        "study": {"sampler": "grid", "pruner": "none", "checkpoints": False},
        "engine": {"gpus_per_trial": _PART},
    }
