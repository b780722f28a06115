"""A study is created once, and opened again only as what it is: real SQLite, real PostgreSQL."""

from dataclasses import replace

import optuna
import pytest
from postgres import PASSWORD
from studies import INFO, SPACE, definition, flat, run

from hpo.config.experiment import Objective, StudySpec
from hpo.errors import NotFound, StudyMismatch, UserError
from hpo.study.open import open_study
from hpo.study.read import confirming_study, read_study, study_names


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs/optuna.db"


def open_(url, what=None, **spec):
    return open_study(url, "s", what or definition(), StudySpec(**{"sampler": "random", "pruner": "none", **spec}))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"space": {**SPACE, "parameters": {**SPACE["parameters"], "depth": {"type": "int", "low": 1, "high": 4}}}},
            "search_space.parameters.depth.high: 3 -> 4",
        ),
        ({"objective": Objective(metric="val_accuracy", direction="minimize")}, 'objective.direction: "max'),
        ({"info": replace(INFO, digest="1" * 32)}, 'dataset.digest: "000'),
        ({"epochs": 5}, "training.epochs: 20 -> 5"),
        ({"seed": 7}, "seed: 0 -> 7"),
    ],
)
def test_a_changed_definition_is_refused_with_the_difference(url, change, line):
    run(url, flat, trials=1)
    with pytest.raises(StudyMismatch, match="study s was defined otherwise:\n") as caught:
        run(url, flat, trials=2, **change)
    assert f"\n  {line}" in str(caught.value)
    assert "\nundo the change to continue this one, start another with --name, or " in str(caught.value)
    inside = line.startswith("search_space.parameters")
    how = "hpo extend s EXPERIMENT --name NEW" if inside else "hpo warm-start EXPERIMENT --from s --name NEW"
    assert str(caught.value).endswith(how)
    assert len(run(url, flat, trials=1).trials) == 1
    assert len(run(url, flat, trials=1, name="other", **change).trials) == 1


def test_the_number_of_epochs_may_change_up_to_what_trials_have_had(url):
    open_(url, definition(epochs=20))
    open_(url, definition(epochs=5))
    assert read_study(url, "s").experiment["training"]["epochs"] == 5
    run(url, flat, trials=1, epochs=5)
    open_(url, definition(epochs=30))
    # Nothing had thirty.
    open_(url, definition(epochs=6))
    assert read_study(url, "s").identity["training"]["epochs"] == 6
    with pytest.raises(StudyMismatch, match=r"training\.epochs: 6 -> 4"):
        open_(url, definition(epochs=4))
    # Its finalists would be confirmed with one number or the other.
    optuna.create_study(study_name=confirming_study("s"), storage=url)
    with pytest.raises(StudyMismatch, match=r"training\.epochs: 6 -> 30"):
        open_(url, definition(epochs=30))


def test_all_differences_are_listed(url):
    run(url, flat, trials=1)
    parameters = {name: value for name, value in SPACE["parameters"].items() if name != "depth"}
    with pytest.raises(StudyMismatch) as caught:
        open_(url, definition(space={**SPACE, "parameters": {**parameters, "extra": 1}}, seed=2))
    lines = str(caught.value).splitlines()[1:-1]
    assert [line.split(":")[0].strip() for line in lines] == [
        "search_space.parameters.depth",
        "search_space.parameters.extra",
        "seed",
    ]
    assert lines[1].startswith("  search_space.parameters.extra: null -> {")
    # Another seed is more than another range.
    assert "hpo warm-start EXPERIMENT --from s" in str(caught.value)


def test_the_budget_and_the_sampler_may_change(url):
    run(url, flat, trials=2)
    ran = run(url, flat, trials=4, timeout=60, retries=3, sampler="tpe", pruner="median")
    assert [trial.number for trial in ran.trials] == [0, 1, 2, 3]


def test_a_study_that_hpo_did_not_make_is_refused_and_left_alone(url):
    open_(url)
    foreign = optuna.create_study(study_name="theirs", storage=url, direction="maximize")
    foreign.enqueue_trial({"x": 1})
    other_way = optuna.create_study(study_name="empty", storage=url, direction="minimize")
    for name in ("theirs", "empty"):
        with pytest.raises(StudyMismatch, match=f"study {name} in .* was not made by hpo; choose another name"):
            run(url, name=name, trials=1)
    assert foreign.user_attrs == other_way.user_attrs == {}
    assert len(foreign.trials) == 1
    assert study_names(url) == ["s"]
    with pytest.raises(NotFound, match=r"study theirs in .* was not made by hpo"):
        read_study(url, "theirs")


def test_a_grid_cannot_run_through_what_has_no_step(url):
    with pytest.raises(UserError, match="sampler grid needs a step, or choices, for learning_rate, momentum"):
        open_(url, sampler="grid")


def test_a_password_is_shown_nowhere(postgres):
    for url in (postgres.replace(PASSWORD, "hush"), "postgresql+psycopg://u:hush@127.0.0.1:1/d?sslmode=no"):
        with pytest.raises(UserError, match=r":\*\*\*@127") as caught:
            open_(url)
        assert "hush" not in str(caught.value)
