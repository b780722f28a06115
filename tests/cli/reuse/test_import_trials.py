"""Trials that ended elsewhere are stored as Optuna stores trials, and each is added once."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest
from studies import SPACE, definition, flat, run

from hpo.cli.reuse.import_trials import Past, carry, frozen, observe
from hpo.config.space import SearchSpace
from hpo.study.attributes import OBSERVED
from hpo.study.failure import Failure
from hpo.study.read import read_study
from hpo.study.record import TrialRecord
from hpo.study.stored_trial import record_of

KNOWN: dict[str, Any] = {
    "depth": 2, "learning_rate": 0.01, "widths": [8, 4], "optimizer": "adam", "activation": "relu",
}  # fmt: skip
CURVES = {"val_accuracy": [0.3, 0.6, 0.5], "loss": [3.0, 2.0, 1.0]}
BEGAN = datetime(2026, 3, 1, 12)


def ended(number: int, **more: Any) -> TrialRecord:
    told = {"value": 0.6, "best_epoch": 2, "curves": CURVES, "test": {"loss": 0.4}, **more}
    return replace(TrialRecord(number, "complete", KNOWN, 7, number), **told)


def kept(record: TrialRecord, **more: Any) -> optuna.trial.FrozenTrial:
    return frozen(SearchSpace.model_validate(SPACE), record, "val_accuracy", {"by": "hand"}, **more)


def test_a_complete_trial_has_its_score_and_all_its_attributes() -> None:
    times = {"started": BEGAN, "ended": BEGAN + timedelta(minutes=1)}
    trial = kept(ended(3, **times), system={"completed_rung_0": 0.3})
    assert (trial.state.name, trial.value, trial.intermediate_values) == ("COMPLETE", 0.6, {1: 0.3, 2: 0.6, 3: 0.5})
    assert trial.params == {"depth": 2, "learning_rate": 0.01, "widths": "[8, 4]", "optimizer": "adam"}
    assert trial.distributions.keys() == trial.params.keys()
    assert (trial.user_attrs["by"], trial.user_attrs["test_loss"]) == ("hand", 0.4)
    assert "hpo:retry" not in trial.user_attrs
    assert trial.system_attrs == {"completed_rung_0": 0.3}
    assert (trial.datetime_start, trial.datetime_complete) == (times["started"], times["ended"])
    back = record_of(trial)
    assert (back.params, back.seed, back.best_epoch, back.curves, back.test) == (KNOWN, 7, 2, CURVES, {"loss": 0.4})


def test_a_pruned_trial_has_its_last_value_and_a_failed_one_has_none() -> None:
    assert kept(ended(3, state="pruned")).value == 0.5
    failed = kept(ended(3, state="failed", value=None, failure=Failure("nonfinite")))
    assert (failed.state.name, failed.value) == ("PRUNED", None)
    failed = kept(ended(3, state="failed", value=None, failure=Failure("error")))
    assert (failed.state.name, failed.value) == ("FAIL", None)


def test_an_attempt_names_the_first_of_its_configuration() -> None:
    again = record_of(kept(ended(5, origin=3, attempt=2)))
    assert (again.origin, again.attempt) == (3, 2)
    # A trial with one of its times alone has those of its being added.
    assert kept(ended(5, started=BEGAN)).datetime_start != BEGAN


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/optuna.db"
    run(url, flat, trials=2)
    return url


def past(*records: TrialRecord, source: str = "old") -> list[Past]:
    return [Past(source, str(record.number), record) for record in records]


def test_imported_trials_are_added_once_and_numbered_after_the_others(url: str) -> None:
    space = definition().space
    first = past(ended(4), ended(5, origin=4, attempt=1))
    carry(url, "s", space, "val_accuracy", first)
    carry(url, "s", space, "val_accuracy", [*first, *past(ended(9, origin=4, attempt=2)), *past(ended(4), source="x")])
    trials = read_study(url, "s").trials
    assert [(trial.number, trial.origin, trial.source) for trial in trials] == [
        (0, 0, None), (1, 1, None), (2, 2, "trial 4 of old"), (3, 2, "trial 5 of old"), (4, 2, "trial 9 of old"),
        (5, 5, "trial 4 of x"),
    ]  # fmt: skip
    # An attempt whose first was not taken over is the first itself.
    carry(url, "s", space, "val_accuracy", past(ended(12, origin=11, attempt=1)))
    assert read_study(url, "s").trials[6].origin == 6


def test_observed_results_do_not_count_as_trials_of_the_study(url: str) -> None:
    for _ in range(2):
        observe(url, "s", definition().space, "val_accuracy", past(ended(4)))
    assert len(read_study(url, "s").trials) == 2
    stored = optuna.load_study(study_name="s", storage=url).trials
    assert [trial.user_attrs.get(OBSERVED) for trial in stored] == [None, None, {"source": "old", "trial": "4"}]
