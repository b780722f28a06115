"""What defines a study beside its files' text: the files that its model reads."""

import keras
import numpy as np
import pytest
from tiny import tiny

import hpo
from hpo.cli.reuse.extend import Options, extend
from hpo.confirm.confirm import confirm
from hpo.errors import StudyMismatch, UserError
from hpo.loop.definition import definition_of
from hpo.loop.jobs import variants_of
from hpo.plan.plan import load_plan


def test_a_study_goes_on_with_the_weights_that_it_began_with(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    network = keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None)
    network.save_weights("net.weights.h5")
    fixed = {"architecture": "MobileNet", "alpha": 0.25, "image_size": 32, "weights": "net.weights.h5"}
    rate = {"type": "float", "low": 0.001, "high": 0.01}
    experiment = tiny(
        dataset={"name": "digits", "limit": 100},
        search_space={"model": "application", "parameters": {**fixed, "learning_rate": rate}},
        training={"epochs": 1},
        study={"trials": 2, "sampler": "random"},
        engine="serial",
    )
    result = hpo.run(experiment, home=tmp_path)
    assert result.trials[0].value is not None
    # The same bytes are the same file.
    network.save_weights("net.weights.h5")
    again = hpo.run({**experiment, "study": {"trials": 3, "sampler": "random"}}, home=tmp_path)
    assert len(again.trials) == 3

    network.set_weights([np.zeros_like(one) for one in network.get_weights()])
    network.save_weights("net.weights.h5")
    changed = r'files\.net\.weights\.h5: "[0-9a-f]{64}" -> "[0-9a-f]{64}"'
    with pytest.raises(StudyMismatch, match=changed):
        hpo.run(experiment, home=tmp_path)
    with pytest.raises(StudyMismatch, match=changed):
        extend("tiny", {**experiment, "name": "more"}, Options(home=tmp_path))
    with pytest.raises(UserError, match=r"net\.weights\.h5 changed since study tiny began"):
        confirm("tiny", 2, 2, home=tmp_path)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"training": {"epochs": 2, "reduce_on_plateau": True}}, True),
        ({"training": {"epochs": 2, "schedule": "cosine"}}, False),
        ({"training": {"epochs": 2, "executions": 2}}, False),
        ({"dataset": {"name": "iris", "validation": {"folds": 2}}}, False),
        ({"search_space": {"model": "mlp", "parameters": {"epochs": {"type": "int", "low": 1, "high": 3}}}}, False),
        (
            {"search_space": {"model": "mlp", "parameters": {"s": {"sets": "training.schedule", "type": "categorical",
                                                                   "choices": ["cosine", "constant"]}}}},
            False,
        ),
    ],
)  # fmt: skip
def test_trials_lengthen_where_nothing_in_them_depends_on_their_length(changes, expected):
    plan = load_plan(tiny(**changes))
    assert definition_of(plan, variants_of(plan).base.info).lengthens is expected
