"""Which GPU each worker gets, by the environment that it finds. No driver is needed: the cards are names."""

import os
import re

import pytest

from hpo.engines.gpus import OVERHEAD, Gpu, Share, gpus_of_machine, shares
from hpo.engines.local import LocalEngine
from hpo.errors import UserError
from hpo.training.messages import EpochDone, Failed

CARDS = [Gpu("GPU-a", 24_000), Gpu("GPU-b", 24_000), Gpu("GPU-c", 24_000)]


@pytest.mark.parametrize(
    ("workers", "per_trial", "expected"),
    [
        (None, None, [Share("GPU-a", card=24_000), Share("GPU-b", card=24_000), Share("GPU-c", card=24_000)]),
        (2, None, [Share("GPU-a", card=24_000), Share("GPU-b", card=24_000)]),
        (4, None, [Share(name, 11_488, 24_000) for name in ("GPU-a", "GPU-b", "GPU-c", "GPU-a")]),
        (None, 0.5, [Share(name, 11_488, 24_000) for name in 2 * ("GPU-a", "GPU-b", "GPU-c")]),
        (None, 2, [Share("GPU-a,GPU-b", card=24_000)]),
        (2, 0, [Share(""), Share("")]),
    ],
)
def test_each_worker_gets_its_cards(workers, per_trial, expected):
    assert shares(CARDS, workers, per_trial) == expected


@pytest.mark.parametrize("per_trial", [0.05, 0.07, 0.166, 0.25, 0.3, 1 / 3, 0.5, 0.6, 1])
@pytest.mark.parametrize("memory", [24_000, 24_576, 81_559, 143_771])
def test_the_workers_of_a_card_never_take_more_than_it_has(memory, per_trial):
    of_one = shares([Gpu("GPU-a", memory)], None, per_trial)
    assert {share.holds for share in of_one} == {len(of_one)}
    assert sum(share.limit + OVERHEAD if share.limit else memory for share in of_one) <= memory


@pytest.mark.parametrize("count", [2, 3, 6, 7, 12, 30, 64, 99])
def test_the_part_that_is_proposed_has_room_for_as_many_workers(count):
    card = Gpu("GPU-a", 200_000)
    with pytest.raises(UserError) as refused:
        shares([card], count, 1)
    proposed = float(str(refused.value).rpartition("gpus_per_trial: ")[2])
    assert len(shares([card], count, proposed)) == count == len(shares([card], None, proposed))


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


def test_the_coordinators_tensorflow_takes_no_more_of_a_card_than_it_needs(tmp_path, monkeypatch):
    # So that it is taken back.
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "")
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH")
    LocalEngine(2, 1, tmp_path / "worker.log")
    assert "TF_FORCE_GPU_ALLOW_GROWTH" not in os.environ
    monkeypatch.setattr("hpo.engines.local.gpus_of_machine", lambda: CARDS)
    LocalEngine(2, 1, tmp_path / "worker.log")
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


def test_what_a_trial_takes_of_its_card_is_told_after_its_first_epoch(job_of, drive, tmp_path, monkeypatch):
    monkeypatch.setattr("hpo.engines.local.gpus_of_machine", lambda: CARDS[:1])
    monkeypatch.setattr("hpo.engines.local.usable_cores", lambda: 16)
    engine = LocalEngine(workers=4, threads_per_worker=1, log=tmp_path / "workers.log")
    try:
        for trial, alone in ((1, False), (2, False), (3, True)):
            engine.submit(job_of(trial, "takes_nine_gib", epochs=1, alone=alone))
            events = drive(engine)
            assert [event.gpu_memory for event in events if isinstance(event, EpochDone)] == [9 * 2**30]
            assert len(engine.notes()) == alone
    finally:
        engine.close()
