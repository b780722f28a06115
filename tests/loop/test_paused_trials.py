"""Studies whose trials pause and go on: what trains, what is recorded, what samplers and a resumed study see."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from studies import INFO, OBJECTIVE, Clock, learning, planned, run, run_plan, score

from hpo.engines.scripted import ScriptedEngine
from hpo.loop.driving import opened
from hpo.study.read import known_study, read_study
from hpo.study.record import TrialRecord, best_trial
from hpo.study.stored_trial import config_of, has_paused
from hpo.training import checkpoint_file
from hpo.training.messages import Job, Started

BY_QUARTERS = {"name": "gp_asha", "reduction_factor": 4}
SCHEDULES = (BY_QUARTERS, {"name": "asha"})


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.db"


def ran(url: str, schedule: dict[str, Any], **study: Any) -> Any:
    sampler = {"sampler": "tpe"} if schedule["name"] == "asha" else {}
    return run(url, learning, schedule=schedule, **{"trials": 24, **sampler, **study})


def assert_whole(trials: list[TrialRecord]) -> None:
    """Their curves are those of trials that never paused."""
    for trial in trials:
        if trial.value is not None:
            whole = [score(trial.params) * (1 - 0.5 / epoch) for epoch in range(1, trial.epochs + 1)]
            assert trial.curves["val_accuracy"] == pytest.approx(whole)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["gp_asha", "asha"])
@pytest.mark.parametrize(("workers", "takes_next"), [(1, False), (3, True)])
def test_the_best_share_goes_on_and_the_rest_is_pruned_with_its_curve(
    url: str, schedule: Any, workers: int, takes_next: bool
) -> None:
    found = ran(url, schedule, workers=workers, takes_next=takes_next)
    assert found.ending == "done"
    epochs = Counter(trial.epochs for trial in found.trials)
    assert sum(epochs.values()) == 24
    assert 1 <= epochs[20] <= 5
    assert set(epochs) <= {1, 4, 16, 20}
    assert epochs[1] >= 10
    best = max(found.trials, key=lambda trial: trial.value)
    assert (best.state, best.epochs, best.best_epoch) == ("complete", 20, 20)
    assert best.test == {"loss": best.value}
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert {trial.ended_by for trial in pruned} == {"paused"}
    assert all(trial.value == max(trial.curves["val_accuracy"]) for trial in pruned)
    assert all("paused" in (trial.test_note or "") for trial in pruned)
    # Pauses are no time of a trial's, and are all shown, with the reason why a trial trains.
    walls = {trial.number: (trial.ended - trial.started).total_seconds() for trial in pruned}
    assert all(trial.seconds < walls[trial.number] for trial in pruned)
    assert pruned[0].seconds < walls[pruned[0].number] / 2
    assert {trial.number for trial in pruned} <= {trial.number for trial in found.log.paused}
    assert all(trial.outcome == "paused" and trial.why for trial in found.log.paused)
    # A trial that goes on is trained on, not again.
    resumed = [job.resume.epochs for job in found.engine.jobs if job.resume]
    assert resumed
    assert set(resumed) <= {1, 4, 16}
    stock = optuna.load_study(study_name="s", storage=url)
    assert {trial.state for trial in stock.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert [len(trial.intermediate_values) for trial in stock.trials] == [trial.epochs for trial in found.trials]


def test_a_study_in_two_runs_proposes_what_one_run_would(url: str, tmp_path: Path) -> None:
    """The first run ends after ten trials; what it had paused is pruned, so the proposals depend on scores alone."""
    whole = ran(url, {"name": "gp_asha"}, trials=14)
    again = ran(url.replace("optuna", "other"), {"name": "gp_asha"}, trials=14)
    assert [trial.params for trial in whole.trials] == [trial.params for trial in again.trials]
    more = ran(url, {"name": "gp_asha"}, trials=20)
    assert len(more.trials) == 20
    assert [trial.params for trial in more.trials[:14]] == [trial.params for trial in whole.trials]


def test_a_larger_budget_goes_on_with_what_had_paused(url: str, tmp_path: Path) -> None:
    """At the end of a run Optuna has them as pruned; the next run goes on with the same trials, also after a kill."""
    states = []

    def watching(job: Job) -> Iterator[float]:
        if job.resume is not None:
            states.append(known_study(url, "s").trials[job.trial].state)
        if killed and len(states) == 2:
            raise KeyboardInterrupt
        yield from learning(job)

    killed = False
    first = run(url, learning, schedule=BY_QUARTERS, trials=60, target=0.6)
    stock = optuna.load_study(study_name="s", storage=url)
    assert {trial.state for trial in stock.trials} == {TrialState.PRUNED}
    resting = [trial for trial in first.trials if trial.rests]
    assert len(resting) >= 3
    assert resting[0].left_unfinished == "paused after 4 of 20 epochs"
    assert resting[-1].left_unfinished == "stopped at the target after 4 of 20 epochs"
    killed = True
    with pytest.raises(KeyboardInterrupt):
        run(url, watching, schedule=BY_QUARTERS, trials=30)
    killed = False
    more = run(url, learning, schedule=BY_QUARTERS, trials=30)
    assert len(more.trials) == 30
    assert set(states) == {TrialState.RUNNING}
    further = [trial for trial in resting if more.trials[trial.number].epochs > trial.epochs]
    assert further
    assert_whole(more.trials)
    stock = optuna.load_study(study_name="s", storage=url)
    assert {trial.state for trial in stock.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert [len(trial.intermediate_values) for trial in stock.trials] == [trial.epochs for trial in more.trials]
    best = best_trial(more.trials, OBJECTIVE)
    assert best is not None
    assert best.model_file is not None
    assert Path(best.model_file).exists()


def test_a_study_ends_when_more_is_not_worth_while(url: str) -> None:
    found = ran(url, {"name": "gp_asha"}, trials=40, until="worthwhile", min_gain=0.5)
    assert found.ending == "worthwhile"
    assert len(found.trials) == 26
    assert sum(trial.state == "complete" for trial in found.trials) >= 1
    told = [trial.expected for trial in found.trials if trial.expected]
    assert len(told) == len(found.trials) - 12
    assert all(0 <= one["gain"] < 0.5 and one["floor"] > 0 for one in told)
    # Its estimates are in the record: the same command has nothing to do.
    again = ran(url, {"name": "gp_asha"}, trials=40, until="worthwhile", min_gain=0.5)
    assert (again.ending, again.engine.jobs) == ("worthwhile", [])
    more = ran(url, {"name": "gp_asha"}, trials=30, until="worthwhile", min_gain=1e-9)
    assert (more.ending, len(more.trials)) == ("done", 30)


def test_a_trial_that_cannot_pause_is_stopped_or_trains_through(url: str) -> None:
    def script(job: Job) -> Iterator[float | Started]:
        yield Started(job.trial, 1, 1, trains_through="it has a fit of its own")
        yield from learning(job)

    found = run(url, script, schedule="gp_asha", trials=12)
    assert not any(job.resume for job in found.engine.jobs)
    epochs = Counter(trial.epochs for trial in found.trials)
    assert epochs[20] >= 1
    assert epochs[1] >= 4
    assert len(found.engine.jobs) == 12


def test_enqueued_failed_and_diverged_trials(url: str) -> None:
    def script(job: Job) -> Iterator[float]:
        if job.params["optimizer"] == "sgd":
            yield float("nan")
        yield from learning(job)

    found = run(
        url, script, schedule="gp_asha", trials=20,
        enqueue=[{"depth": 2, "optimizer": "adam"}, {"depth": 9}, {"widths": [8, 4]}],
    )  # fmt: skip
    first, second, third = found.trials[:3]
    assert (first.params["depth"], first.params["optimizer"]) == (2, "adam")
    assert second.reason == "invalid"
    assert third.params["widths"] == [8, 4]
    sgd = [trial for trial in found.trials if trial.params.get("optimizer") == "sgd"]
    assert {trial.reason for trial in sgd} <= {"nonfinite", "invalid"}
    # The model keeps away from where trials diverge.
    assert sum(trial.number >= 10 for trial in sgd) <= 3


def test_the_deadline_finishes_what_it_can_and_keeps_the_best(url: str) -> None:
    found = ran(url, {"name": "gp_asha"}, trials=None, timeout=1.5)
    assert found.ending == "timeout"
    assert not any(trial.state == "running" for trial in found.trials)
    best = max((trial for trial in found.trials if trial.value is not None), key=lambda trial: trial.value)
    assert best.test
    assert known_study(url, "s").trials[best.number].user_attrs["test_loss"] == best.value


def test_a_killed_run_goes_on_with_its_paused_trials(url: str, tmp_path: Path) -> None:
    """Where their checkpoints are left, they keep their numbers and epochs; where not, they are run again."""

    def dies(job: Job) -> Iterator[float]:
        if job.trial == 12:
            raise KeyboardInterrupt
        yield from learning(job)

    with pytest.raises(KeyboardInterrupt):
        run(url, dies, schedule=BY_QUARTERS, trials=16)
    paused = [trial for trial in known_study(url, "s").trials if has_paused(trial)]
    assert len(paused) > 4
    best = best_trial(read_study(url, "s").trials, OBJECTIVE)
    assert best is not None
    assert best.value == max(max(trial.intermediate_values.values()) for trial in known_study(url, "s").trials[:12])
    folder = tmp_path / "checkpoints" / "s"
    checkpoint_file.delete(folder, paused[0].number)
    checkpoint_file.delete(folder, paused[1].number)
    # One had gone on after its pause: its latest checkpoint knows more than the record.
    ahead = paused[1]
    curve = [score(config_of(ahead)) * (1 - 0.5 / epoch) for epoch in (1, 2, 3)]
    state = {"curves": {"val_accuracy": curve}, "fold_lengths": [], "keepers": [{"ended": None}]}
    checkpoint_file.write(folder, ahead.number, 3, state, {})
    with opened(planned(url, schedule=BY_QUARTERS, trials=16), INFO) as study:
        # A store that was away for a moment does not send all of them on.
        study._storage._unsure = True
        assert study._storage.stray(study._id) is None
    found = ran(url, BY_QUARTERS, trials=16)
    outcomes = {trial.number: trial.outcome for trial in found.trials}
    assert outcomes[paused[0].number] == "lost"
    assert {outcomes[trial.number] for trial in paused[1:]} <= {"pruned", "complete"}
    assert len({trial.origin for trial in found.trials}) == 16
    assert any(job.resume for job in found.engine.jobs)
    assert_whole(found.trials)
    assert found.trials[ahead.number].epochs >= 4, "between two rungs it goes on to the next"


def test_divergences_between_trials_that_pause_do_not_end_the_study(url: str) -> None:
    def script(job: Job) -> Iterator[float]:
        if job.trial in (3, 5, 6):
            yield float("nan")
        yield from learning(job)

    found = run(url, script, schedule="gp_asha", trials=12)
    assert found.ending == "done"
    assert [trial.number for trial in found.trials if trial.reason == "nonfinite"] == [3, 5, 6]


def test_a_paused_trial_that_reaches_the_target_ends_the_study(url: str) -> None:
    first = ran(url, BY_QUARTERS, trials=1).trials[0]
    reached = ran(url.replace("optuna", "other"), BY_QUARTERS, target=first.curves["val_accuracy"][0])
    assert reached.ending == "target"
    best = max(reached.trials, key=lambda trial: trial.value)
    assert best.epochs <= 4
    assert best.test
    assert best.ended_by == "target"


def test_a_trial_that_goes_on_after_a_deadline_trains_once_and_keeps_its_model(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline comes two epochs after its checkpoint. While it goes on, another trial is the best that ended."""

    def script(job: Job) -> Iterator[float]:
        if job.trial:
            yield from [0.2, 0.3]
            return
        for epoch in range(1, 21):
            if epoch == 6 and not job.resume:
                curve = [0.04 * one for one in range(1, 6)]
                state = {"curves": {"val_accuracy": curve}, "fold_lengths": [], "keepers": [{"ended": None}]}
                checkpoint_file.write(tmp_path / "checkpoints" / "s", 0, 5, state, {})
            if epoch == 8 and not job.resume:
                clock.ahead = 100
            yield 0.04 * epoch

    clock = Clock(monkeypatch)
    first = run(url, script, timeout=60)
    assert [(one.outcome, one.epochs) for one in first.trials] == [("pruned", 8)]
    clock.ahead = 0
    more = run(url, script, trials=2, workers=2)
    jobs = [(job.trial, job.resume.epochs if job.resume else 0) for job in more.engine.jobs]
    assert jobs == [(0, 5), (1, 0)]
    assert [one.epochs for one in more.trials] == [20, 2]
    assert more.log.bests == [0.3, pytest.approx(0.8)]
    assert [file.name for file in (tmp_path / "models" / "s").iterdir()] == ["trial-0000.keras"]


class Refusing(ScriptedEngine):
    """Its workers can use no checkpoint."""

    def _start(self, trial: Any) -> Started:
        return replace(super()._start(trial), epochs_done=0)


def test_paused_trials_whose_checkpoints_are_refused_as_the_study_ends_keep_their_scores(url: str) -> None:
    engine = Refusing(learning)
    found = run_plan(planned(url, schedule={"name": "gp_asha"}, trials=24, target=0.5), engine)
    assert found.ending == "target"
    assert len(found.trials) >= 3
    assert all(trial.epochs and trial.value for trial in found.trials)
    best = max(found.trials, key=lambda trial: trial.value or 0)
    assert (best.number, best.ended_by, best.test) == (engine.jobs[-1].trial, "target", {})
    assert best.value >= 0.5
