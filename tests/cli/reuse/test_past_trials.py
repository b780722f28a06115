"""Past configurations that are in a new search space."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState, create_trial
from studies import OBJECTIVE, SPACE, definition

from hpo.cli.reuse.keras_tuner_project import KerasTunerTrial
from hpo.cli.reuse.past_trials import Gathered, Unfit, Wanted, fitted, of_project, of_study, same_pruner
from hpo.config.experiment import Objective
from hpo.config.space import SearchSpace
from hpo.study.attributes import ENQUEUED
from hpo.study.failure import Failure
from hpo.study.read import StudyView
from hpo.study.record import TrialRecord

KNOWN: dict[str, Any] = {
    "depth": 2, "learning_rate": 0.01, "widths": [8, 4], "optimizer": "sgd", "momentum": 0.5, "nesterov": True,
    "activation": "relu",
}  # fmt: skip


def space(**changes: Any) -> SearchSpace:
    return SearchSpace.model_validate({"model": "mlp", "parameters": {**SPACE["parameters"], **changes}})


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in KNOWN.items() if name not in names}


def test_a_configuration_in_the_space_stays_as_it_is() -> None:
    assert fitted(space(), KNOWN, {}, strict=True) == KNOWN
    adam = {**without("momentum", "nesterov"), "optimizer": "adam"}
    assert fitted(space(), adam, {}, strict=True) == adam


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({**KNOWN, "depth": 4}, "depth outside the space"),
        ({**KNOWN, "activation": "tanh"}, "activation outside the space"),
        (without("momentum"), "without momentum"),
        (without("activation"), "without activation"),
        ({**KNOWN, "dropout": 0.1}, "dropout not in the space"),
        ({**KNOWN, "optimizer": "adam"}, "momentum not in the space"),
    ],
)
def test_strictly_nothing_is_missing_and_nothing_left_over(known: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit) as caught:
        fitted(space(), known, {}, strict=True)
    assert str(caught.value) == reason


def test_known_results_may_lack_constants_and_have_further_keys() -> None:
    more = {**without("activation"), "tuner/epochs": 3}
    assert fitted(space(), more, {}, strict=False) == KNOWN
    adam = {**KNOWN, "optimizer": "adam"}
    assert fitted(space(), adam, {}, strict=False) == {**without("momentum", "nesterov"), "optimizer": "adam"}
    with pytest.raises(Unfit, match="without depth"):
        fitted(space(), without("depth"), {}, strict=False)


def test_a_setting_of_the_training_section_counts_where_it_is_a_parameter_now() -> None:
    wider = space(batch_size={"type": "int", "low": 16, "high": 64})
    with pytest.raises(Unfit, match="without batch_size"):
        fitted(wider, KNOWN, {}, strict=True)
    assert fitted(wider, KNOWN, {"batch_size": 32}, strict=True)["batch_size"] == 32
    with pytest.raises(Unfit, match="batch_size outside the space"):
        fitted(wider, KNOWN, {"batch_size": 128}, strict=True)
    # A parameter that does not exist in a configuration is not left over for having been said.
    conditional = space(batch_size={"type": "int", "low": 16, "high": 64, "when": {"depth": 3}})
    assert fitted(conditional, KNOWN, {"batch_size": 32}, strict=True) == KNOWN


def test_a_parameter_is_found_by_the_key_that_it_sets() -> None:
    renamed = SearchSpace.model_validate(
        {"model": "mlp", "parameters": {"lr": {"type": "float", "low": 0, "high": 1, "sets": "learning_rate"}}}
    )
    assert fitted(renamed, {"learning_rate": 0.5}, {}, strict=True) == {"lr": 0.5}


def test_the_notes_of_successive_halving_hold_for_the_same_options_alone() -> None:
    halving = {"pruner": {"name": "successive_halving", "reduction_factor": 3}}
    assert same_pruner(halving, halving)
    assert not same_pruner(halving, {"pruner": {"name": "successive_halving", "reduction_factor": 2}})
    assert not same_pruner({"pruner": {"name": "hyperband"}}, {"pruner": {"name": "hyperband"}})


LOSS = Objective(metric="val_loss", direction="minimize")
CURVES = {"val_accuracy": [0.3, 0.6], "val_loss": [0.9, 0.7]}


def gathered(
    *trials: TrialRecord, objective: Objective = OBJECTIVE, strict: bool = False, same: bool = True
) -> Gathered:
    """What of a study's trials fits; each was enqueued, and has a note of its pruner and another."""
    view = StudyView("old", definition().identity, {}, {}, {}, trials, "sqlite://")
    stored = create_trial(
        state=TrialState.COMPLETE, value=0.5, user_attrs={ENQUEUED: {"depth": 2}, "by": "hand"},
        system_attrs={"completed_rung_0": 0.3, "fixed_params": {}},
    )  # fmt: skip
    known = {trial.number: stored for trial in trials}
    return of_study(view, known, Wanted(space(), objective, strict), same)


def ended(number: int, **more: Any) -> TrialRecord:
    told = {"value": 0.6, "best_epoch": 2, "curves": CURVES, **more}
    return replace(TrialRecord(number, "complete", KNOWN, 7, number), **told)


def test_trials_that_ran_and_fit_are_taken_and_the_others_are_counted_by_reason() -> None:
    trials = [
        ended(0),
        ended(1, state="running", value=None),
        ended(2, state="failed", value=None, failure=Failure("nonfinite")),
        ended(3, state="pruned", value=None),
        ended(4, params={**KNOWN, "depth": 9}),
        ended(5, state="pruned"),
    ]
    found = gathered(*trials)
    assert [one.name for one in found.past] == ["0", "5"]
    assert found.left_out == ["still running", "nonfinite", "without a score", "depth outside the space"]
    strict = gathered(*trials, strict=True)
    assert [one.name for one in strict.past] == ["0", "2", "3", "5"]
    assert strict.left_out == ["still running", "depth outside the space"]
    assert strict.past[0].record == trials[0]
    assert strict.past[0].mark == {"source": "old", "trial": "0"}


def test_by_another_objective_a_trial_has_the_best_of_that_curve() -> None:
    curves = {"val_accuracy": [0.3, 0.6, 0.2], "val_loss": [0.9, 0.7, 0.8]}
    found = gathered(ended(0, curves=curves), ended(1, curves={"val_accuracy": [0.3, 0.6]}), objective=LOSS)
    assert [(one.record.value, one.record.best_epoch) for one in found.past] == [(0.7, 2)]
    assert found.left_out == ["without val_loss"]


@pytest.mark.parametrize(("strict", "listed"), [(True, {ENQUEUED: {"depth": 2}}), (False, {})])
@pytest.mark.parametrize(("same", "noted"), [(True, {"completed_rung_0": 0.3}), (False, {})])
def test_results_that_are_taken_over_with_a_trial(
    strict: bool, listed: dict[str, Any], same: bool, noted: dict[str, Any]
) -> None:
    (one,) = gathered(ended(0), strict=strict, same=same).past
    assert (one.attributes, one.system) == (listed, noted)


def test_only_completed_trials_of_a_keras_tuner_project_are_taken(tmp_path: Path) -> None:
    def tuned(name: str, epochs: int | None = 3, status: str = "COMPLETED", *scores: float) -> KerasTunerTrial:
        values = KNOWN if epochs is None else {**KNOWN, "tuner/epochs": epochs}
        return KerasTunerTrial(name, status, values, {"val_accuracy": scores} if scores else {})

    none = float("nan")
    trials = [
        tuned("a", 3, "COMPLETED", 0.7, 0.8, none), tuned("b", 2, "COMPLETED", 0.9), tuned("c", None, "COMPLETED", 0.8),
        tuned("d", 3, "FAILED", 0.9), tuned("e", 3, "COMPLETED", none),
    ]  # fmt: skip
    found = of_project(tmp_path, trials, Wanted(space(), OBJECTIVE, strict=False))
    assert [(one.name, one.record.number, one.record.value, one.record.seed) for one in found.past] == [
        ("a", 0, 0.8, 0), ("c", 2, 0.8, 0),
    ]  # fmt: skip
    assert found.left_out == ["trained for fewer than 3 epochs", "failed", "without val_accuracy"]
    assert of_project(tmp_path, [], Wanted(space(), OBJECTIVE, strict=False)) == Gathered([], [])
