"""Which GPU each worker gets, by the environment that it finds. No driver is needed: the cards are names."""

import re

import pytest

from hpo.engines.gpus import Gpu, Share, gpus_of_machine, shares
from hpo.engines.local import LocalEngine
from hpo.errors import UserError
from hpo.training.messages import Failed

CARDS = [Gpu("GPU-a", 24_000), Gpu("GPU-b", 24_000), Gpu("GPU-c", 24_000)]


@pytest.mark.parametrize(
    ("workers", "per_trial", "expected"),
    [
        (None, None, [Share("GPU-a"), Share("GPU-b"), Share("GPU-c")]),
        (2, None, [Share("GPU-a"), Share("GPU-b")]),
        (4, None, [Share(name, 11_488) for name in ("GPU-a", "GPU-b", "GPU-c", "GPU-a")]),
        (None, 0.5, [Share(name, 11_488) for name in 2 * ("GPU-a", "GPU-b", "GPU-c")]),
        (None, 2, [Share("GPU-a,GPU-b")]),
        (2, 0, [Share(""), Share("")]),
    ],
)
def test_each_worker_gets_its_cards(workers, per_trial, expected):
    assert shares(CARDS, workers, per_trial) == expected


def test_without_cards_nothing_is_changed():
    assert shares([], 2, None) == [Share(), Share()]
    assert shares([], None, None) == []


@pytest.mark.parametrize(
    ("cards", "workers", "per_trial", "message"),
    [
        ([], 2, 1, "engine.gpus_per_trial: 1: no GPU is found on this machine"),
        (CARDS, 4, 1, "engine.workers: 4: 3 GPUs with gpus_per_trial 1 have room for 3; write fewer, or gpus_per_tr"),
        (CARDS, 1, 4, "engine.gpus_per_trial: 4: this machine has 3 GPUs for trials; write 3 at most"),
        (CARDS, None, 4, "engine.gpus_per_trial: 4: this machine has 3 GPUs for trials; write 3 at most"),
        (CARDS, None, 0.04, "engine.gpus_per_trial: 0.04: leaves 448 MiB of a GPU for a worker's data"),
    ],
)
def test_too_few_cards_are_refused(cards, workers, per_trial, message):
    with pytest.raises(UserError, match=re.escape(message)):
        shares(cards, workers, per_trial)


def test_hidden_cards_are_not_found(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_of_machine() == []


def test_workers_see_their_cards_alone(job_of, drive, tmp_path, monkeypatch):
    monkeypatch.setattr("hpo.engines.local.gpus_of_machine", lambda: CARDS[:2])
    engine = LocalEngine(workers=2, threads_per_worker=1, log=tmp_path / "workers.log")
    try:
        found: list[str] = []
        for trial in (1, 2):
            engine.submit(job_of(trial, "shows_cards"))
        while len(found) < 2:
            found += [event.message.rpartition(": ")[2] for event in drive(engine) if isinstance(event, Failed)]
    finally:
        engine.close()
    assert sorted(found) == ["cards GPU-a", "cards GPU-b"]
