"""The first configuration of a study has the defaults of its search space, and they define nothing."""

import copy

import pytest
from studies import SPACE, planned, run

from hpo.config.space import SearchSpace
from hpo.errors import FileMistakes
from hpo.plan.plan import load_plan

SPACE_WITH_DEFAULTS = copy.deepcopy(SPACE)
for name, value in {"depth": 2, "learning_rate": 0.01, "optimizer": "sgd", "momentum": 0.2}.items():
    SPACE_WITH_DEFAULTS["parameters"][name]["default"] = value


@pytest.mark.parametrize("study", [{}, {"sampler": "tpe"}, {"schedule": "gp_asha"}], ids=str)
def test_the_first_configuration_has_the_defaults_and_proposed_values_where_there_are_none(tmp_path, study):
    url = f"sqlite:///{tmp_path}/optuna.db"
    first, second, third = run(url, space=SPACE_WITH_DEFAULTS, trials=3, **study).trials
    given = {"depth": 2, "learning_rate": 0.01, "optimizer": "sgd", "momentum": 0.2, "activation": "relu"}
    assert given.items() <= first.params.items()
    assert first.params["widths"] in ([8], [8, 4])
    assert second.params["learning_rate"] != 0.01 != third.params["learning_rate"]
    # A study begun before its space had defaults goes on as it was.
    without = run(url, space=SPACE, trials=4, **study).trials
    assert len(without) == 4
    assert SearchSpace.model_validate(SPACE_WITH_DEFAULTS).digest == SearchSpace.model_validate(SPACE).digest


def test_a_study_that_enqueues_begins_with_that(tmp_path):
    found = run(f"sqlite:///{tmp_path}/optuna.db", space=SPACE_WITH_DEFAULTS, trials=2, enqueue=[{"depth": 1}])
    assert found.trials[0].params["depth"] == 1
    assert found.trials[0].params["learning_rate"] != 0.01 != found.trials[1].params["learning_rate"]


def test_defaults_follow_conditions_and_must_be_allowed():
    space = planned(space=SPACE_WITH_DEFAULTS).space
    assert space.defaults() == {"depth": 2, "learning_rate": 0.01, "optimizer": "sgd", "momentum": 0.2}
    other = copy.deepcopy(SPACE_WITH_DEFAULTS)
    other["parameters"]["optimizer"]["default"] = "adam"
    assert "momentum" not in planned(space=other).space.defaults()
    wrong = {"model": "mlp", "parameters": {"depth": {"type": "int", "low": 1, "high": 3, "default": 7}}}
    with pytest.raises(FileMistakes, match="default must be a whole number from 1 to 3, got 7"):
        load_plan({"name": "a", "dataset": "digits", "objective": "val_accuracy", "search_space": wrong})
