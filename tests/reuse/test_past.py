"""Which past configurations lie in a new space."""

from typing import Any

import pytest
from studies import SPACE

from hpo.reuse.past import Unfit, fitted, same_pruner
from hpo.space import SearchSpace

KNOWN: dict[str, Any] = {
    "depth": 2, "learning_rate": 0.01, "widths": [8, 4], "optimizer": "sgd", "momentum": 0.5, "nesterov": True,
    "activation": "relu",
}  # fmt: skip


def space(**changes: Any) -> SearchSpace:
    return SearchSpace.model_validate({"model": "mlp", "parameters": {**SPACE["parameters"], **changes}})


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in KNOWN.items() if name not in names}


def test_what_lies_in_the_space_stays_as_it_is() -> None:
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


def test_what_is_merely_known_may_be_silent_on_constants_and_say_more() -> None:
    more = {**without("activation"), "tuner/epochs": 3}
    assert fitted(space(), more, {}, strict=False) == KNOWN
    adam = {**KNOWN, "optimizer": "adam"}
    assert fitted(space(), adam, {}, strict=False) == {**without("momentum", "nesterov"), "optimizer": "adam"}
    with pytest.raises(Unfit, match="without depth"):
        fitted(space(), without("depth"), {}, strict=False)


def test_what_the_training_section_said_counts_where_it_is_a_parameter_now() -> None:
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
