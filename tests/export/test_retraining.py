"""The record of a retraining: what is tried again, where a run stops, what ends it all; no training."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scarce_memory import ScarceMemory
from studies import Log
from tiny import tiny

from hpo.engines.scripted import ScriptedEngine
from hpo.errors import HpoError, InvalidSettings
from hpo.export.retrain import Retrained, retrain_all
from hpo.export.retraining import Again
from hpo.plan.plan import load_plan
from hpo.training.messages import Failed, Job, Lost

PARAMETERS = {"depth": 1, "width": 8, "learning_rate": 0.01}
Train = Callable[..., list[Retrained]]


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Trains runs again by a script; keyword arguments are those of the study section, and an observer."""

    def again(script: Any, wanted: list[Again], log: Log | None = None, **study: Any) -> list[Retrained]:
        monkeypatch.setattr("hpo.loop.jobs.make_engine", lambda *_: ScriptedEngine(script, workers=2))
        plan = load_plan(tiny(study={"trials": 1, **study}), home=tmp_path)
        return retrain_all(plan, PARAMETERS, wanted, [log] if log else [])

    return again


def test_a_run_whose_worker_died_is_tried_again_and_each_stops_where_it_should(train: Train, tmp_path: Path) -> None:
    log, model = Log([], []), tmp_path / "best.keras"

    def script(job: Job) -> Any:
        yield 0.1 * job.seed
        if job.trial == 0:
            yield Lost(0, "killed", "gone")
        yield 0.2 * job.seed
        yield 0.3 * job.seed

    # The model is that of the first, however much better others are.
    own, other = train(script, [Again(1, epochs=2, save_to=model), Again(2)], log)
    assert (own.seed, own.curves["val_accuracy"], own.best_epoch, own.model_saved) == (1, [0.1, 0.2], 2, True)
    assert (other.seed, other.value, other.model_saved) == (2, pytest.approx(0.6), False)
    assert model.exists()
    assert [run.reason or run.ended_by for run in log.ended] == ["killed", "epochs", "pruner"]
    assert own.resolved is not None
    assert own.resolved.training["epochs"] == 2


def test_a_run_that_ran_out_of_memory_beside_others_trains_alone(train: Train) -> None:
    memory, log = ScarceMemory(lambda job: True, epochs=2), Log([], [])
    found = train(memory.script, [Again(seed) for seed in range(4)], log)
    assert [one.value is not None for one in found] == [True] * 4
    failed = [run for run in log.ended if run.reason == "out_of_memory"]
    again = [run for run in log.ended if run.attempt]
    assert 0 < len(failed) == len(again)
    assert all(memory.beside[run.number] == set() for run in again)


def test_a_worker_that_dies_too_often_ends_it(train: Train) -> None:
    with pytest.raises(HpoError, match=r"^the training with seed 5 failed: killed: gone$"):
        train(lambda job: [Lost(job.trial, "killed", "gone")], [Again(5)], retries=2)


def test_an_error_ends_it_at_once_with_its_traceback(train: Train) -> None:
    def script(job: Job) -> Any:
        return [Failed(job.trial, "error", "ValueError: no", "Traceback ...")] if job.seed == 7 else [0.1, None]

    with pytest.raises(HpoError, match=r"^the training with seed 7 failed: error: ValueError: no\n\nTraceback \.\.\.$"):
        train(script, [Again(6), Again(7)])


def test_a_run_that_takes_longer_than_trial_timeout_ends_it(train: Train) -> None:
    with pytest.raises(HpoError, match=r"seed 3 failed: timeout: longer than trial_timeout, 0\.3 s"):
        train(lambda job: [0.1, None], [Again(3)], trial_timeout=0.3)


def test_ctrl_c_keeps_nothing(train: Train) -> None:
    def script(job: Job) -> Any:
        yield 0.1
        os.kill(os.getpid(), signal.SIGINT)
        yield 0.2

    with pytest.raises(HpoError, match=r"^interrupted; nothing is kept, the same command begins again$") as raised:
        train(script, [Again(1), Again(2)])
    assert raised.value.exit_code == 130


def test_a_configuration_that_cannot_be_trained_is_refused_as_such(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PARAMETERS, "learning_rate", -1.0)
    with pytest.raises(InvalidSettings, match="must be above 0, got -1"):
        train(lambda job: [0.1], [Again(1)])
