import itertools
import pickle
import random
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import FixedTrial
from parsed import parse_space

from hpo.config.experiment import TrainingSpec
from hpo.config.space import FloatParameter, IntParameter, SearchSpace, in_section, sets_section, training_with
from hpo.config.yaml_file import Document, read_yaml
from hpo.errors import FileMistakes

NESTED = """
model: mlp
parameters:
  nesterov:  {type: boolean, when: {momentum: {low: 0.5}}}
  momentum:  {type: float, low: 0.0, high: 0.9, step: 0.4, sets: training.momentum, when: {optimizer: [sgd, rmsprop]}}
  optimizer: {type: categorical, choices: [adam, sgd, rmsprop]}
  rate:      {type: categorical, choices: [0.1, 0.2], when: {optimizer: adam}}
  depth:     {type: int, low: 1, high: 4, step: 2}
  second:    {type: constant, value: 7, when: {depth: {low: 2, high: 9}}}
  fixed: relu
"""
LISTS = "{units: {type: categorical, choices: [[64], [128, 64], null, {a: 1}]}}"


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def parse(folder, text: str, training: TrainingSpec | None = None) -> SearchSpace:
    path = folder / "s.yaml"
    path.write_text(text)
    return parse_space(read_yaml(path), training)


def space_of(folder, parameters: str) -> SearchSpace:
    return parse(folder, f"model: mlp\nparameters: {parameters}")


def complaints(folder, parameters: str) -> list[str]:
    with pytest.raises(FileMistakes) as error:
        space_of(folder, parameters)
    return [line.split("s.yaml:")[1] for line in str(error.value).splitlines()]


def frozen(value):
    return tuple((key, frozen(item)) for key, item in sorted(value.items())) if isinstance(value, dict) else str(value)


def test_parents_are_asked_before_their_children_else_in_the_files_order(tmp_path):
    space = parse(tmp_path, NESTED)
    assert space.order == ("optimizer", "momentum", "nesterov", "rate", "depth", "second", "fixed")
    plain = space_of(tmp_path, "{c: 1, a: {type: boolean}, b: {type: boolean, when: {a: true}}, d: 2}")
    assert plain.order == ("c", "a", "b", "d")


def test_nested_conditions(tmp_path):
    space = parse(tmp_path, NESTED)
    assert space.suggest(FixedTrial({"optimizer": "adam", "rate": 0.1, "depth": 1})) == {
        "optimizer": "adam", "rate": 0.1, "depth": 1, "fixed": "relu",
    }  # fmt: skip
    fixed = FixedTrial({"optimizer": "sgd", "momentum": 0.8, "nesterov": True, "depth": 3})
    assert space.suggest(fixed) == {
        "optimizer": "sgd", "momentum": 0.8, "nesterov": True, "depth": 3, "second": 7, "fixed": "relu",
    }  # fmt: skip
    assert "nesterov" not in space.suggest(FixedTrial({"optimizer": "sgd", "momentum": 0.0, "depth": 1}))


def test_the_grid_has_each_configuration_once(tmp_path):
    grid = list(parse(tmp_path, NESTED).configurations())
    # adam with 2 rates, or sgd and rmsprop with 3 momenta of which one has a nesterov; each with 2 depths.
    assert len(grid) == (2 + 2 * (2 + 2)) * 2
    assert len({frozen(config) for config in grid}) == len(grid)


def test_the_grid_is_all_that_fixed_trials_accept(tmp_path):
    space = parse(tmp_path, NESTED)
    names = [name for name in space.order if name not in ("second", "fixed")]
    accepted = set()
    for values in itertools.product(*(space.parameters[name].values() for name in names)):
        accepted.add(frozen(space.suggest(FixedTrial(dict(zip(names, values, strict=True))))))
    assert {frozen(config) for config in space.configurations()} == accepted


def test_no_grid_of_uncountable_parameters(tmp_path):
    space = space_of(tmp_path, "{a: {type: float, low: 0, high: 1}, b: {type: float, low: 1, high: 1}}")
    assert space.uncountable() == ["a"]
    with pytest.raises(ValueError, match="a grid needs a step, or choices, for a"):
        space.configurations()


@pytest.mark.parametrize("seed", range(5))
def test_proposals_of_a_random_study_are_valid(tmp_path, seed):
    spaces = [
        parse(tmp_path, NESTED),
        space_of(tmp_path, LISTS),
        space_of(
            tmp_path, "{a: {type: float, low: 0.1, high: 1, step: 0.3}, b: {type: int, low: 1, high: 9, step: 5}}"
        ),
        space_of(tmp_path, "{a: {type: float, low: 1e-9, high: 1e-8, step: 1e-10}, b: {type: float, low: 2, high: 2}}"),
        space_of(
            tmp_path, "{a: {type: int, low: 1, high: 9007199254740992, log: true}, b: {type: int, low: 5, high: 5}}"
        ),
        random_space(random.Random(seed)),
    ]
    for space in spaces:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        for _ in range(20):
            trial = study.ask()
            config = space.suggest(trial)
            assert space.complaints(config) == {}
            assert space.suggest(FixedTrial(trial.params)) == config
            assert space.suggest(FixedTrial(space.to_optuna(config))) == config


def random_space(rng: random.Random) -> SearchSpace:
    """A space of eight small parameters, each under up to two of those before it."""
    parameters: dict[str, Any] = {}
    for index in range(8):
        earlier = rng.sample(list(parameters), min(len(parameters), rng.randrange(3)))
        when = {name: rng.choice([0, 1, [0, 2], {"low": 1}, {"high": 1}]) for name in earlier}
        parameters[f"p{index}"] = {"type": "int", "low": 0, "high": rng.choice([1, 2]), "when": when}
    return SearchSpace.model_validate({"model": "mlp", "parameters": parameters})


@pytest.mark.parametrize("seed", range(10))
def test_random_grids_are_all_that_fixed_trials_accept(seed):
    space = random_space(random.Random(seed))
    values = (space.parameters[name].values() for name in space.order)
    tried = (dict(zip(space.order, chosen, strict=True)) for chosen in itertools.product(*values))
    accepted = {frozen(space.suggest(FixedTrial(config))) for config in tried}
    grid = [frozen(config) for config in space.configurations()]
    assert len(grid) == len(set(grid))
    assert set(grid) == accepted


def test_choices_that_are_lists_survive_a_database(tmp_path):
    space = space_of(tmp_path, LISTS)
    storage = f"sqlite:///{tmp_path}/optuna.db"
    study = optuna.create_study(
        storage=storage, study_name="s", sampler=optuna.samplers.TPESampler(n_startup_trials=2, seed=0)
    )
    study.enqueue_trial(space.to_optuna({"units": [128, 64]}))
    first = study.ask()
    assert space.suggest(first) == {"units": [128, 64]}
    study.tell(first, 0.0)
    study.optimize(lambda trial: len(str(space.suggest(trial)["units"])), n_trials=8)
    again = optuna.load_study(storage=storage, study_name="s")
    assert again.trials[0].params == {"units": "[128, 64]"}
    assert again.trials[0].distributions["units"] == CategoricalDistribution(("[64]", "[128, 64]", None, '{"a": 1}'))
    for trial in again.trials:
        assert space.complaints(space.suggest(FixedTrial(trial.params))) == {}


def test_a_configuration_as_optuna_stores_it(tmp_path):
    space = space_of(tmp_path, "{a: 1, b: {type: categorical, choices: [[1], x]}, c: {type: int, low: 1, high: 2}}")
    assert space.to_optuna({"a": 1, "b": [1], "c": 2}) == {"b": "[1]", "c": 2}


def test_steps(tmp_path):
    assert list(IntParameter(type="int", low=1, high=10, step=4).values()) == [1, 5, 9]
    assert IntParameter(type="int", low=1, high=10, step=4).extremes() == (1, 9)
    stepped = FloatParameter(type="float", low=0.1, high=1.0, step=0.2)
    assert stepped.values() == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert stepped.extremes() == (0.1, 0.9)
    assert stepped.complaint(0.1 + 2 * 0.1) is None
    assert stepped.complaint(0.4) == "must be a number from 0.1 to 1 in steps of 0.2, got 0.4"


def test_constants_and_a_missing_type(tmp_path):
    space = space_of(tmp_path, "{a: 1, b: [1, 2], c: , d: {type: constant, value: {x: 1}}, e: true}")
    assert space.suggest(FixedTrial({})) == {"a": 1, "b": [1, 2], "c": None, "d": {"x": 1}, "e": True}
    assert complaints(tmp_path, "{a: {low: 1}}") == [
        "2: parameters.a: needs a type; valid: int, float, categorical, boolean, constant"
    ]


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("{type: integer, low: 1, high: 2}", "x.type: unknown type 'integer'; did you mean int?"),
        ("{type: 5}", "x.type: unknown type 5; valid: int, float, categorical, boolean, constant"),
        ("{type: [int]}", "x.type: unknown type ['int']; did you mean int?"),
        ("{type: int, low: 1}", "x.high: is required"),
        ("{type: int, low: 2, high: 1}", "x: low must not exceed high, got 2 and 1"),
        ("{type: int, low: 1, high: 2.5}", "x.high: must be a whole number, got 2.5"),
        ("{type: int, low: 1, high: '2'}", "x.high: must be a whole number, got '2'; write it without quotes"),
        ("{type: int, low: true, high: 2}", "x.low: must be a whole number, got true"),
        ("{type: int, low: 1, high: 9007199254740993}", "x.high: must be at most 9007199254740992"),
        ("{type: int, low: 1, high: 2, step: 0}", "x.step: must be at least 1, got 0"),
        ("{type: int, low: 0, high: 2, log: true}", "x: low must be above 0 for a log scale, got 0"),
        ("{type: int, low: 1, high: 9, log: true, step: 2}", "x: log and step exclude each other, got step 2"),
        (
            "{type: int, low: 1, high: 2, int: 3}",
            "x.int: unknown key; valid: when, sets, default, type, low, high, step, log",
        ),
        ("{type: int, lo: 1, low: 1, high: 2}", "x.lo: unknown key; did you mean low?"),
        ("{type: boolean, low: 1}", "x.low: unknown key; valid: when, sets, default, type"),
        ("{type: float, low: 0.0, high: 1.0, log: true}", "x: low must be above 0 for a log scale, got 0"),
        ("{type: float, low: -1, high: 1, log: true}", "x: low must be above 0 for a log scale, got -1"),
        ("{type: float, low: 1, high: 2, step: 0}", "x.step: must be above 0, got 0"),
        ("{type: float, low: 0, high: 1, step: 1e-12}", "x: step must give at most 1,000,000 values, got step 1e-12"),
        ("{type: float, low: 0, high: 1, step: 5e-324}", "x: step must give at most 1,000,000 values"),
        ("{type: float, low: -1.7e308, high: 1.7e308}", "x: high - low must be a finite number"),
        ("{type: float, low: .nan, high: 1}", "x.low: must be a finite number, got .nan"),
        ("{type: categorical, choices: []}", "x.choices: must have at least 1 item(s), got []"),
        ("{type: categorical, choices: a}", "x.choices: must be a list, got 'a'"),
        ("{type: categorical, choices: [1, a, 1.0]}", "x: choices must differ, twice: 1.0"),
        ("{type: categorical, choices: [1, true]}", "x: choices must differ, twice: true"),
        ("{type: categorical, choices: [[1], [1]]}", "x: choices must differ, twice: '[1]'"),
        ("{type: constant}", "x.value: is required"),
        ("{type: boolean, when: 3}", "x.when: must be a mapping, got 3"),
        ("{type: boolean, when: {depth: {lo: 2}}}", "x.when.depth.lo: unknown key; did you mean low?"),
        ("{type: boolean, when: {depth: {}}}", "x.when.depth: needs low or high"),
        ("{type: boolean, when: {depth: {low: 3, high: 2}}}", "x.when.depth: low must not exceed high, got 3 and 2"),
        ("{type: boolean, when: {depth: []}}", "x.when.depth: never holds: the list is empty"),
        ("{type: boolean, when: {dept: 1}}", "x.when.dept: unknown parameter; did you mean depth?"),
        ("{type: boolean, when: {depth: 5}}", "x.when.depth: never holds: depth must be a whole number from 1 to 4"),
        ("{type: boolean, when: {depth: [1, true]}}", "x.when.depth: never holds: depth must be a whole number"),
        ("{type: boolean, when: {depth: {low: 5}}}", "x.when.depth: never holds: depth runs from 1 to 4"),
        ("{type: boolean, when: {depth: {high: 0}}}", "x.when.depth: never holds: depth runs from 1 to 4"),
        ("{type: boolean, when: {kind: {low: 1}}}", "x.when.kind: an interval needs a number, and kind is none"),
        ("{type: boolean, when: {flag: {low: 0}}}", "x.when.flag: an interval needs a number, and flag is none"),
        ("{type: boolean, when: {flag: 1}}", "x.when.flag: never holds: flag must be true or false, got 1"),
        ("{type: boolean, when: {size: {low: 17, high: 31}}}", "x.when.size: never holds: size is one of 16, 32"),
        ("{type: boolean, when: {fixed: 2}}", "x.when.fixed: never holds: fixed is fixed at 3, got 2"),
        ("{type: boolean, when: {x: true}}", "x.when: conditions form a cycle: x -> x"),
        ("{type: boolean, when: {under: true, kind: b}}", "x.when: can never hold: it and its parents' conditions"),
        ("{type: boolean, sets: fixed}", "x: fixed may set fixed at the same time; give them conditions"),
        ("{type: int, low: 0, high: 9, sets: epochs}", "x: sets training.epochs, which must be at least 1, got 0"),
        ("{type: categorical, choices: [1, a], sets: training.epochs}", "x: sets training.epochs, which must be a"),
        ("{type: boolean, sets: training.epoch}", "x: sets an unknown key of training; did you mean epochs?"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path, parameter, message):
    others = """
  depth: {type: int, low: 1, high: 4}
  kind:  {type: categorical, choices: [a, b]}
  flag:  {type: boolean}
  size:  {type: categorical, choices: [16, 32]}
  fixed: 3
  under: {type: boolean, when: {kind: a}}"""
    (found,) = complaints(tmp_path, f"{others}\n  x: {parameter}")
    assert found.startswith(f"9: parameters.{message}")


def test_a_parameter_may_have_the_name_of_a_key(tmp_path):
    assert complaints(tmp_path, "{low: {type: int, low: 1, hig: 2}}") == [
        "2: parameters.low.high: is required",
        "2: parameters.low.hig: unknown key; did you mean high?",
    ]


@pytest.mark.parametrize("name", ["", "a=b", "-a", "a\\tb", "x" * 201])
def test_names_that_mlflow_would_refuse(tmp_path, name):
    (found,) = complaints(tmp_path, f'{{"{name}": 1}}')
    assert "a name must be 1 to 200 letters, digits, spaces or any of" in found


def test_cycles_are_named(tmp_path):
    (found,) = complaints(
        tmp_path,
        "{a: 1, b: {type: boolean, when: {c: true}}, c: {type: boolean, when: {d: true}}, "
        "d: {type: boolean, when: {b: true}}}",
    )
    assert "conditions form a cycle: " in found
    assert set("bcd") <= set(found.split("cycle: ")[1])


def test_two_parameters_may_set_one_key_under_conditions_that_exclude_each_other(tmp_path):
    common = "{kind: {type: categorical, choices: [a, b, c]}, n: {type: int, low: 1, high: 9}, f: {type: boolean}, "
    one, other = (
        "{type: float, low: 1, high: 2, sets: rate, when: %s}",
        "{type: float, low: 3, high: 4, sets: rate, when: %s}",
    )
    for first, second in [
        ("{kind: a}", "{kind: [b, c]}"),
        ("{n: {high: 3}}", "{n: {low: 4}}"),
        ("{n: {high: 3}}", "{n: [5, 6]}"),
        ("{kind: a, f: true}", "{kind: b}"),
    ]:
        space_of(tmp_path, f"{common} x: {one % first}, y: {other % second}}}")
    for first, second in [
        ("{kind: a}", "{kind: [a, c]}"),
        ("{n: {high: 4}}", "{n: {low: 4}}"),
        ("{kind: a}", "{n: 1}"),
    ]:
        (found,) = complaints(tmp_path, f"{common} x: {one % first}, y: {other % second}}}")
        assert found == "2: parameters.y: x may set rate at the same time; give them conditions that exclude each other"


def test_a_key_of_training_under_both_of_its_names(tmp_path):
    (found,) = complaints(tmp_path, "{epochs: 3, more: {type: int, low: 1, high: 2, sets: training.epochs}}")
    assert "parameters.more: epochs may set epochs at the same time" in found


def test_fixed_configurations(tmp_path):
    space = parse(tmp_path, NESTED)
    assert space.complaints({"optimizer": "sgd", "momentum": 0.8}) == {}
    assert space.complaints({"momentum": 0.8}) == {}
    assert space.complaints({"depht": 1, "depth": 2, "optimizer": "adm", "fixed": "tanh", "nesterov": 1}) == {
        "depht": "unknown parameter; did you mean depth?",
        "depth": "must be a whole number from 1 to 4 in steps of 2, got 2",
        "optimizer": "must be one of 'adam', 'sgd', 'rmsprop', got 'adm'",
        "fixed": "is fixed at 'relu', got 'tanh'",
        "nesterov": "must be true or false, got 1",
    }
    assert space.complaints({"optimizer": "adam", "momentum": 0.8}) == {
        "momentum": "does not exist unless optimizer is sgd or rmsprop"
    }
    # Its parent is left out, but cannot exist either.
    assert space.complaints({"optimizer": "adam", "nesterov": True}) == {
        "nesterov": "does not exist unless momentum is at least 0.5"
    }


def test_a_condition_on_a_constant_that_a_configuration_leaves_out(tmp_path):
    space = SearchSpace.model_validate(
        {"model": "mlp", "parameters": {"a": 1, "b": {"type": "boolean", "when": {"a": 2}}}}
    )
    assert space.complaints({"b": True}) == {"b": "does not exist unless a is 2"}
    assert "b" not in space.suggest(FixedTrial({}))


def test_true_is_not_one(tmp_path):
    space = space_of(tmp_path, "{a: {type: categorical, choices: [1, 2]}, b: {type: categorical, choices: [true, x]}}")
    assert space.complaints({"a": True, "b": 1}) == {
        "a": "must be one of 1, 2, got true",
        "b": "must be one of true, 'x', got 1",
    }


def test_settings_follow_sets(tmp_path):
    space = space_of(tmp_path, "{rate: {type: float, low: 0.1, high: 0.2, sets: learning_rate}, depth: 2}")
    assert space.settings({"rate": 0.1, "depth": 2, "other": 3}) == {"learning_rate": 0.1, "depth": 2, "other": 3}


def test_training_with_a_configuration():
    training = training_with(
        TrainingSpec.model_validate({"metrics": ["auc"]}), {"training.epochs": 3, "batch_size": 64.0, "depth": 2}
    )
    assert (training.epochs, training.batch_size, training.model_dump()["metrics"]) == (3, 64, ("auc",))
    assert training_with(training, {"early_stopping": False}).early_stopping is None


def test_extremes(tmp_path):
    space = space_of(
        tmp_path,
        "{n: {type: int, low: 1, high: 9, step: 5}, units: {type: categorical, choices: [[128, 64], [8], [256]]}, "
        "size: {type: categorical, choices: [32, 8]}, kind: {type: categorical, choices: [a, b]}, "
        "deep: {type: boolean, when: {n: {low: 2}}}}",
    )
    assert space.extremes() == (
        {"n": 1, "units": [8], "size": 8, "kind": "a"},
        {"n": 6, "units": [256], "size": 32, "kind": "a", "deep": True},
    )


def test_a_digest_is_of_the_parameters_whatever_their_order(tmp_path):
    space, same = space_of(tmp_path, "{a: 1, b: 2}"), space_of(tmp_path, "{b: 2, a: 1}")
    assert space.digest == same.digest
    assert len(space.digest) == 16
    assert space_of(tmp_path, "{a: 1, b: 3}").digest != space.digest
    assert pickle.loads(pickle.dumps(space)) == space


def test_a_space_inside_an_experiment_is_reported_with_its_whole_path(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("search_space:\n  model: mlp\n  parameters:\n    a: {type: int, low: 1}\n")
    with pytest.raises(FileMistakes, match=r"x\.yaml:4: search_space\.parameters\.a\.high: is required"):
        parse_space(read_yaml(path).below("search_space"))


def test_a_space_written_in_python():
    document = Document("space", {"model": "mlp", "parameters": {"a": {"type": "categorical", "choices": (1, 2)}}})
    assert list(parse_space(document).configurations()) == [{"a": 1}, {"a": 2}]
    with pytest.raises(FileMistakes, match=r"parameters\.a: choices must be plain finite values"):
        parse_space(
            Document("space", {"model": "mlp", "parameters": {"a": {"type": "categorical", "choices": [float("nan")]}}})
        )


@pytest.mark.parametrize(("high", "fits"), [(1_000_000, True), (1_000_001, False)])
def test_a_step_gives_at_most_a_million_values(high, fits):
    def make():
        return FloatParameter(type="float", low=-5, high=high - 5, step=1)

    if fits:
        assert make().extremes() == (-5.0, 999_995.0)
        return
    with pytest.raises(ValueError, match="step must give at most 1,000,000 values, got step 1"):
        make()


def test_values_at_the_ends_of_a_range_are_in_it():
    number = FloatParameter(type="float", low=0.1, high=0.9)
    assert [number.complaint(value) is None for value in (0.1, 0.9, 0.0999, 0.9001, True, "0.5")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert (number.values(), number.extremes()) == (None, (0.1, 0.9))
    whole = IntParameter(type="int", low=1, high=9, step=3)
    assert [value for value in range(-2, 12) if whole.complaint(value) is None] == [1, 4, 7]
    assert whole.complaint(True) == "must be a whole number from 1 to 9 in steps of 3, got true"
    assert IntParameter(type="int", low=1, high=2).complaint(3) == "must be a whole number from 1 to 2, got 3"


def test_the_same_values_have_one_spelling(tmp_path):
    space = space_of(
        tmp_path,
        "{a: {type: float, low: 0, high: 1, step: 0.1}, b: {type: float, low: 0, high: 9}, n: {type: int, low: 1, "
        "high: 4}, c: {type: categorical, choices: [1, [2], x]}, k: {type: constant, value: 3}}",
    )
    one = {"a": 0.3, "b": 1, "n": 2, "c": 1, "k": 3}
    assert space.key(one) == space.key({"k": 3, "c": 1.0, "n": 2, "b": 1.0, "a": 0.1 + 0.2})
    for other in ({"a": 0.4}, {"b": 1.5}, {"n": 3}, {"c": [2]}, {"c": "x"}):
        assert space.key({**one, **other}) != space.key(one)
    assert space.key({**one, "unknown": 5}) != space.key(one)


def test_examples_are_the_extremes_and_then_draws_that_the_space_allows(tmp_path):
    space = parse(tmp_path, NESTED + "  any: {type: float, low: 2.0, high: 3.0}\n")
    found = list(space.examples(20))
    assert found[:2] == list(space.extremes())
    assert (found, len(found)) == (list(space.examples(20)), 22)
    assert all(space.complaints(config) == {} for config in found)
    drawn = {config["any"] for config in found[2:]}
    assert len(drawn) == 20
    assert (min(drawn) < 2.3, max(drawn) > 2.7) == (True, True)
    assert {config["optimizer"] for config in found[2:]} == {"adam", "sgd", "rmsprop"}


def test_the_conditions_of_a_parameter_are_listed_once_for_each_alternative(tmp_path):
    space = parse(tmp_path, NESTED)
    assert [parent for parent, _ in space.all_conditions("nesterov")] == ["momentum", "optimizer"]
    assert list(space.all_conditions("depth")) == []
    # Two ways to the same parent: its own conditions are said once.
    diamond = space_of(
        tmp_path,
        "{z: {type: boolean}, a: {type: boolean, when: {z: true}}, b: {type: boolean, when: {a: true}}, "
        "c: {type: boolean, when: {a: true}}, d: {type: boolean, when: {b: true, c: true}}}",
    )
    assert sorted(parent for parent, _ in diamond.all_conditions("d")) == ["a", "a", "b", "c", "z"]


def test_keys_within_sections():
    training = TrainingSpec(epochs=9)
    assert training_with(training, {"depth": 2}) is training
    deep = training_with(training, {"early_stopping.patience": 7, "training.early_stopping.min_delta": 0.5})
    assert (deep.early_stopping.patience, deep.early_stopping.min_delta, deep.epochs) == (7, 0.5, 9)
    # The whole section first, then the keys within it, in whatever order they are named.
    both = training_with(training, {"early_stopping.patience": 7, "early_stopping": {"patience": 2, "min_delta": 0.1}})
    assert (both.early_stopping.patience, both.early_stopping.min_delta) == (7, 0.1)
    none = training_with(TrainingSpec(early_stopping=None), {"early_stopping.patience": 7})
    assert none.early_stopping.patience == 7
    assert [in_section(key, "training") for key in ("epochs", "training", "training.epochs", "depth", "dataset.x")] == [
        ("epochs",), (), ("epochs",), (), (),
    ]  # fmt: skip
    assert [in_section(key, "dataset") for key in ("limit", "dataset", "dataset.limit")] == [(), (), ("limit",)]
    assert [sets_section(key) for key in ("epochs", "dataset.limit", "depth")] == [True, True, False]


def test_keys_of_phases_are_set_by_their_number_and_epochs_follow():
    phases = [{"train": "head", "epochs": 2}, {"unfreeze": 5, "epochs": 3}]
    training = TrainingSpec.model_validate({"phases": phases, "learning_rate": 0.1})
    assert training.epochs == 5
    changed = training_with(training, {"phases.1.epochs": 4, "training.phases.2.unfreeze": "all"})
    assert ([one.epochs for one in changed.phases], changed.phases[1].unfreeze, changed.epochs) == ([4, 3], "all", 7)
    assert training_with(training, {"phases": phases[:1]}).epochs == 2
    document = Document("space.yaml", {"model": "application", "parameters": {"phases.3.unfreeze": 4}})
    with pytest.raises(
        FileMistakes, match=r"sets training\.phases\.3\.unfreeze, and the section has 2 phases; they are co"
    ):
        parse_space(document, training)
