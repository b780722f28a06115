"""Reading with two queries gives what Optuna's own reading gives."""

from pathlib import Path

import optuna
from studies import definition, run, two_epochs

from benchmarks.synthetic import synthetic_study
from hpo.config.experiment import StudySpec
from hpo.study.open import open_study
from hpo.study.read import known_study, read_study, view_of
from hpo.study.record import Reached, ranked
from hpo.training.messages import Failed


def test_the_records_are_those_that_optuna_reads(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    run(url, lambda job: [Failed(job.trial, "killed", "gone")] if job.trial < 2 else two_epochs(job), trials=4)
    synthetic_study(url, "other", 40)
    study = open_study(url, "s", definition(), StudySpec.model_validate({"sampler": "random", "pruner": "none"}))
    begun = study.ask(99)
    assert begun is not None
    study.report(begun.number, Reached(1, 0.5, 1.0), may_pause=False)
    # As a kill between two writes would leave it, and as another tool would enqueue one.
    plain = optuna.load_study(study_name="s", storage=url)
    plain.ask().suggest_int("depth", 1, 3)
    plain.enqueue_trial({"depth": 2})
    for name in ("s", "other"):
        assert read_study(url, name) == view_of(known_study(url, name), url)
    states = [trial.state for trial in read_study(url, "s").trials]
    assert states[-2:] == ["running", "running"]
    assert {"complete", "failed"} <= set(states)


def test_on_postgresql_too(postgres: str) -> None:
    run(postgres, two_epochs, name="tables", trials=3)
    assert read_study(postgres, "tables") == view_of(known_study(postgres, "tables"), postgres)


def test_synthetic_studies_are_as_optuna_would_have_written_them(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    synthetic_study(url, "s", 40, objective="val_loss")
    study = optuna.load_study(study_name="s", storage=url)
    trials = study.get_trials()
    again = optuna.create_study(study_name="again", storage=url, directions=[study.direction])
    again.add_trials(trials)
    for one, other in zip(trials, again.get_trials(), strict=True):
        assert (one.params, one.distributions, one.values) == (other.params, other.distributions, other.values)
        assert (one.user_attrs, one.intermediate_values) == (other.user_attrs, other.intermediate_values)
        assert (one.state, one.datetime_start) == (other.state, other.datetime_start)
    view = read_study(url, "s")
    assert {trial.state for trial in view.trials} == {"complete", "pruned", "failed"}
    (best, *_) = ranked(view.trials, view.objective)
    assert best.value == best.best["val_loss"] == min(best.curves["val_loss"])
