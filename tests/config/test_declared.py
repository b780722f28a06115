"""KerasTuner's declarations as a search space: names, ranges, steps, conditions."""

import optuna
import pytest

from hpo.config.declared import Declared
from hpo.errors import ModelError


def entry(kind, name, conditions=(), **config):
    parents = [{"class_name": "Parent", "config": {"name": parent, "values": values}} for parent, values in conditions]
    return {"class_name": kind, "config": {"name": name, "conditions": parents, **config}}


def number(kind, name, low, high, conditions=(), step=None, sampling="linear"):
    return entry(kind, name, conditions, min_value=low, max_value=high, step=step, sampling=sampling, default=None)


def choice(name, values, conditions=()):
    return entry("Choice", name, conditions, values=values, ordered=False, default=values[0])


def declared(*entries):
    return Declared({"space": list(entries), "values": {}})


def space(*entries):
    return declared(*entries).space("m:f")


def drawn(found, seed, count=40):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [found.suggest(study.ask()) for _ in range(count)]


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        (number("Int", "x", 6, 13, step=3), [6, 9, 12]),
        (number("Int", "x", 2, 33, step=2, sampling="log"), [2, 4, 8, 16, 32]),
        (number("Int", "x", 2, 32, step=2, sampling="reverse_log"), [32, 30, 26, 18, 2]),
        (number("Float", "x", 0.001, 10.0, step=10, sampling="log"), [0.001, 0.01, 0.1, 1, 10]),
        (number("Float", "x", 0.0, 0.6, step=0.1), [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (choice("x", ["a", "b", "a"]), ["a", "b"]),
        (entry("Boolean", "x", default=False), [False, True]),
        (entry("Fixed", "x", value=0.5), [0.5]),
    ],
)
def test_values(declared, values):
    found = space(declared)
    assert list(found.parameters["x"].values()) == values
    # Optuna's steps of 0.1 reach 0.30000000000000004.
    seen = {round(one, 9) if isinstance(one, float) else one for one in (config["x"] for config in drawn(found, 0))}
    assert seen == set(values)


@pytest.mark.parametrize(("kind", "low", "high"), [("Int", 8, 512), ("Float", 1e-4, 1e-1)])
def test_log_and_reverse_log_ranges(kind, low, high):
    log = space(number(kind, "x", low, high, sampling="log")).parameters["x"]
    even = space(number(kind, "x", low, high, sampling="reverse_log")).parameters["x"]
    assert (log.low, log.high, log.log, even.low, even.high, even.log) == (low, high, True, low, high, False)


def test_conditions_nest_and_list_their_values():
    found = space(
        choice("model", ["mlp", "cnn", "none"]),
        number("Int", "layers", 1, 3, [("model", ["mlp"])]),
        number("Int", "units", 4, 8, [("model", ["mlp"]), ("layers", [2, 3])]),
        choice("scale", [1.0, 2.0], [("model", ["mlp", "cnn"])]),
    )
    assert found.parameters["units"].when == {"model": "mlp", "layers": [2, 3]}
    for config in drawn(found, 1):
        assert ("layers" in config) == (config["model"] == "mlp")
        assert ("units" in config) == (config.get("layers", 1) > 1)
        assert ("scale" in config) == (config["model"] != "none")


def test_one_name_under_several_conditions():
    found = space(
        choice("model", ["mlp", "cnn"]),
        number("Int", "units", 1, 9, [("model", ["mlp"])]),
        number("Int", "units", 16, 32, [("model", ["cnn"])]),
        entry("Boolean", "wide", [("units", [8, 9, 16])], default=False),
    )
    names = list(found.parameters)
    assert names[1:3] == ["units when model is mlp", "units when model is cnn"]
    assert names[3] == "wide when units when model is mlp is 8 or 9 or 16"
    for config in drawn(found, 2):
        settings = found.settings(config)
        assert (settings["units"] >= 16) == (config["model"] == "cnn")
        assert ("wide" in settings) == (settings["units"] in (8, 9, 16))


def test_an_unconditional_parameter_hides_a_conditional_one_of_the_same_name():
    units = number("Int", "units", 1, 9)
    found = space(choice("a", [1, 2]), units, number("Int", "units", 20, 30, [("a", [1])]))
    assert set(found.parameters) == {"a", "units"}


def test_truth_values_of_parents():
    # hp.Choice("bn", [True, False]) is kept as [1, 0]; its condition as [True].
    found = space(
        choice("bn", [1, 0]),
        entry("Boolean", "skip", default=False),
        number("Float", "momentum", 0.5, 0.9, [("bn", [True])]),
        number("Float", "rate", 0.1, 0.5, [("skip", [1])]),
    )
    assert (found.parameters["momentum"].when, found.parameters["rate"].when) == ({"bn": 1}, {"skip": True})
    for config in drawn(found, 3):
        assert ("momentum" in config) == bool(config["bn"])
        assert ("rate" in config) == config["skip"]


def test_a_scope_within_a_scope_of_the_same_parent():
    found = space(number("Int", "n", 1, 4), choice("x", ["a"], [("n", [2, 3]), ("n", [3, 4])]))
    assert found.parameters["x"].when == {"n": 3}


@pytest.mark.parametrize(
    ("name", "values", "rule"),
    [
        ("a\udc80", ["x"], "a name must be text of at most 250 characters"),
        ("a" * 300, ["x"], "a name must be text of at most 250 characters"),
        ("kind", ["x", "b\0"], r"declares kind with the choice 'b\\x00'"),
    ],
)
def test_names_and_choices_that_nothing_can_hold_are_refused(name, values, rule):
    config = {"space": [{"class_name": "Choice", "config": {"name": name, "values": values}}], "values": {}}
    with pytest.raises(ModelError, match=rule):
        Declared.from_config("own:make", config)


def test_parameters_that_two_parallel_trials_declare_are_all_kept():
    first, second = choice("a", [1, 2]), choice("b", [1, 2], [("a", [2])])
    known = declared(first)
    wider = known.widened(declared(first, choice("c", [3]))).widened(declared(first, second))
    assert list(wider.space("m:f").parameters) == ["a", "c", "b"]
    # The same name under another condition is another hyperparameter.
    assert len(wider.widened(declared(choice("b", [5], [("a", [1])]))).config["space"]) == 4
    assert wider.widened(declared(first, second)) == wider


def test_a_declared_default_is_where_a_study_begins_and_an_implied_one_is_not():
    width = entry("Int", "width", min_value=8, max_value=64, step=8, sampling="linear", default=32)
    implied = entry("Int", "depth", min_value=1, max_value=4, step=1, sampling="linear", default=1)
    kind = entry("Choice", "kind", values=["a", "b"], ordered=False, default="b")
    bias = entry("Boolean", "bias", default=True)
    found = space(width, implied, kind, bias, choice("other", ["x", "y"]))
    assert found.defaults() == {"width": 32, "kind": "b", "bias": True}


def test_a_default_beside_the_steps_begins_no_study() -> None:
    size = {"name": "size", "min_value": 4, "max_value": 12, "step": 4, "sampling": "linear", "default": 6}
    share = {"name": "share", "min_value": 0.0, "max_value": 0.5, "step": 0.1, "sampling": "linear", "default": 0.3}
    entries = [{"class_name": "Int", "config": size}, {"class_name": "Float", "config": share}]
    assert Declared({"space": entries, "values": {}}).space("code:build").defaults() == {"share": 0.3}
