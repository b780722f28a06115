"""However a study ends, its runs in MLflow end with it; nothing is left running but by a kill, and not for long."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from logged import DATASET, complete, look, opened, pruned, running
from studies import flat, run_plan
from tiny import tiny

from hpo.config.experiment import Objective
from hpo.engines.scripted import ScriptedEngine
from hpo.errors import Interrupted, StudyFailed
from hpo.loop.mlflow_observer import tracked
from hpo.plan.plan import Plan, load_plan
from hpo.tracking import Ending
from hpo.tracking.unlogged import Unlogged
from hpo.training.messages import EpochDone


class Quiet:
    """Hears what the user would."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.left: list[int] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    @contextmanager
    def logging(self) -> Iterator[Callable[[int], None]]:
        yield self.left.append


@pytest.fixture
def plan(tmp_path: Path, empty_database: Path) -> Plan:
    """Of a study with one trial, and a store with MLflow's tables."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    study = {"trials": 1, "sampler": "random", "pruner": "none", "retries": 0}
    plan = load_plan(tiny(name="toy", study=study), home=tmp_path)
    run_plan(plan, ScriptedEngine(flat))
    return plan


def statuses(plan: Plan) -> dict[str, tuple[str, str | None]]:
    """Run -> its status and its state."""
    from mlflow import MlflowClient

    client = MlflowClient(plan.tracking_uri)
    experiment = client.get_experiment_by_name("toy")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return {one.info.run_name: (one.info.status, one.data.tags.get("hpo.state")) for one in runs}


def broken_off(plan: Plan, reporter: Quiet, error: BaseException, delete: bool = False) -> None:
    """A run that an error ends in the middle of trial 7."""
    with tracked(plan, DATASET, False, reporter) as log:
        log.trial_started(running(7))
        log.epoch_done(running(7), EpochDone(7, 1, {"loss": 0.5}))
        if delete:
            optuna.delete_study(study_name="toy", storage=plan.storage)
        raise error


ENDS = [
    (RuntimeError("a bug"), "FAILED"),
    (StudyFailed("too many"), "FAILED"),
    (MemoryError(), "FAILED"),
    (Interrupted("Ctrl-C"), "KILLED"),
    (KeyboardInterrupt(), "KILLED"),
    (SystemExit(1), "KILLED"),
]


@pytest.mark.parametrize(("error", "status"), ENDS, ids=[type(error).__name__ for error, _ in ENDS])
def test_no_end_leaves_a_run_running_or_finished(plan, error, status):
    reporter = Quiet()
    with pytest.raises(type(error)):
        broken_off(plan, reporter, error)
    assert statuses(plan) == {
        "toy": (status, None), "trial-0000": ("FINISHED", "complete"), "trial-0007": ("FAILED", "failed"),
    }  # fmt: skip
    assert reporter.warnings == []


def test_a_study_that_somebody_deletes_while_it_runs(plan):
    with pytest.raises(KeyError):
        broken_off(plan, Quiet(), KeyError("Record does not exist."), delete=True)
    assert statuses(plan)["toy"][0] == "FAILED"
    assert statuses(plan)["trial-0007"] == ("FAILED", "failed")


def test_a_run_that_the_record_does_not_know_is_ended_by_the_next(plan):
    tracker = opened(plan.tracking_uri, plan.home)
    tracker.start_trial(replace(running(7), params={"width": 3}))
    tracker.ready()
    tracker._closing.set()  # as after a kill: nothing more is logged
    tracker._thread.join()
    assert statuses(plan)["trial-0007"] == ("RUNNING", "running")
    again = opened(plan.tracking_uri, plan.home, resume=True)
    again.sync([complete(0)])
    assert again.close()
    assert statuses(plan)["trial-0007"] == ("KILLED", "failed")
    assert statuses(plan)["trial-0000"] == ("FINISHED", "complete")


def test_the_run_of_a_trial_that_pauses_and_goes_on_is_one_run_without_repeated_points(uri, home):
    """In one run of the study, after Ctrl-C, and after a kill while it trains on."""

    def trained(tracker, *epochs):
        for epoch in epochs:
            tracker.epoch(EpochDone(7, epoch, {"loss": 1 / epoch}))

    paused = replace(running(7), curves={"loss": [1.0, 0.5]})
    tracker = opened(uri, home)
    tracker.start_trial(running(7))
    trained(tracker, 1)
    tracker.pause_trial(replace(paused, curves={"loss": [1.0]}))
    tracker.start_trial(running(7))
    trained(tracker, 2)
    tracker.pause_trial(paused)
    tracker.finish(Ending("interrupted", "stopped"))
    assert tracker.close()
    found = look(uri)["trial-0007"]
    assert (found["status"], found["tags"]["hpo.state"]) == ("KILLED", "paused")
    tracker = opened(uri, home, resume=True)
    tracker.sync([paused])
    tracker.start_trial(paused)
    trained(tracker, 1, 2, 3, 4)
    tracker._closing.set()  # as after a kill: nothing more is logged
    tracker._thread.join()
    found = look(uri)["trial-0007"]
    assert (found["status"], found["tags"]["hpo.state"], found["end"]) == ("RUNNING", "running", None)
    tracker = opened(uri, home, resume=True)
    tracker.sync([paused])
    tracker.start_trial(paused)
    trained(tracker, 3, 4, 5)
    whole = replace(complete(7), curves={"loss": [1 / epoch for epoch in range(1, 6)]})
    tracker.end_trial(whole)
    tracker.finish(Ending("finished", "done", ended=whole.ended))
    assert tracker.close()
    assert sorted(look(uri)) == ["toy-study", "trial-0007"]
    found = look(uri)["trial-0007"]
    assert (found["status"], found["tags"]["hpo.state"]) == ("FINISHED", "complete")
    assert "hpo.failure" not in found["tags"]
    assert [point[:2] for point in found["metrics"]["loss"]] == [[epoch, 1 / epoch] for epoch in range(1, 6)]


def test_a_trial_that_rested_twice_is_logged_as_far_as_it_came(uri, home):
    """The store was away while it went on."""
    once = replace(pruned(7), ended_by="deadline", value=0.5, best_epoch=1, curves={"val_accuracy": [0.5]})
    twice = replace(once, value=0.7, best_epoch=2, curves={"val_accuracy": [0.5, 0.7, 0.6]})
    for resume, record in ((False, once), (True, once), (True, twice)):
        tracker = opened(uri, home, resume=resume)
        if resume:
            tracker.sync([record])
        else:
            tracker.start_trial(running(7))
            tracker.end_trial(record)
        tracker.finish(Ending("finished", "out of time", ended=record.ended))
        assert tracker.close()
    found = look(uri)["trial-0007"]
    assert found["tags"]["hpo.epochs"] == "3"
    assert [point[:2] for point in found["metrics"]["val_accuracy"]] == [[1, 0.5], [2, 0.7], [3, 0.6]]


def test_what_happened_to_a_trial_is_newer_than_what_the_store_lacked():
    unlogged = Unlogged(Objective(metric="val_accuracy"))
    unlogged.ended(complete(3))
    unlogged.add_missing([replace(pruned(3), ended_by="deadline"), complete(4)], [])
    news, _ = unlogged.take(5)
    assert [(one.record.number, one.record.state) for one in news] == [(3, "complete"), (4, "complete")]


def test_ctrl_c_while_it_is_logged_ends_the_waiting_with_a_line(plan, monkeypatch):
    from hpo.tracking import Tracker

    def close(self: Tracker, *arguments: Any) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Tracker, "close", close)
    reporter = Quiet()
    with tracked(plan, DATASET, False, reporter):
        pass
    (warning,) = reporter.warnings
    assert warning.startswith(f"1 run waits for the MLflow store {plan.tracking_uri}, and nothing is lost")
    assert warning.endswith(f"hpo log toy --home {plan.home} sends them, and so does the same command.")
