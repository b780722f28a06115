"""Studies whose trials pause and go on: what trains, what is recorded, what samplers and a resumed study see."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState
from studies import learning, run, score

from hpo.study.read import known_study
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
    assert {trial.ended_by for trial in pruned} == {"pruner"}
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
    # It is done a little earlier where nothing more could be begun and compared.
    assert found.ending in ("timeout", "done")
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
    folder = tmp_path / "checkpoints" / "s"
    folder.mkdir(parents=True)
    # One had gone on after its pause: its latest checkpoint knows more than the record.
    ahead = paused[1]
    curve = [score(config_of(ahead)) * (1 - 0.5 / epoch) for epoch in (1, 2, 3)]
    state = {"curves": {"val_accuracy": curve}, "fold_lengths": [], "keepers": [{"ended": None}]}
    checkpoint_file.write(folder, ahead.number, 3, state, {})
    for trial in paused[2:]:
        name = f"trial-{trial.number:04}.epoch-{len(trial.intermediate_values):05}.{'0' * 64}.npz"
        (folder / name).write_bytes(b"")
    found = ran(url, BY_QUARTERS, trials=16)
    outcomes = {trial.number: trial.outcome for trial in found.trials}
    assert outcomes[paused[0].number] == "lost"
    assert {outcomes[trial.number] for trial in paused[1:]} <= {"pruned", "complete"}
    assert len({trial.origin for trial in found.trials}) == 16
    assert any(job.resume for job in found.engine.jobs)
    for trial in found.trials:
        if trial.value is not None:
            whole = [score(trial.params) * (1 - 0.5 / epoch) for epoch in range(1, trial.epochs + 1)]
            assert trial.curves["val_accuracy"] == pytest.approx(whole)
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
