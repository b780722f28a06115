"""The schemas are those of the models, know what hpo knows, and refuse nothing that hpo takes."""

import copy
import json
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tiny import ROOT

import hpo.project
from hpo.config.yaml_file import read_yaml
from hpo.errors import UserError
from hpo.plan.plan import load_plan
from hpo.project.json_schema import json_schema

FOLDER = Path(hpo.project.__file__).parent / "schemas"
KINDS: tuple[Literal["experiment", "search-space"], ...] = ("experiment", "search-space")
SCHEMAS = {kind: Draft202012Validator(json_schema(kind)) for kind in KINDS}
FILES = sorted([*(ROOT / "experiments").glob("*.yaml"), *(ROOT / "search_spaces").glob("*.yaml")])
SPACE = {"model": "mlp", "parameters": {"depth": {"type": "int", "low": 1, "high": 3}}}
EXPERIMENT = {"name": "tiny", "dataset": "digits", "search_space": SPACE, "objective": "val_accuracy"}


def as_json(data):
    """YAML as an editor sees it: keys are text."""
    if isinstance(data, dict):
        return {str(key): as_json(value) for key, value in data.items()}
    return [as_json(value) for value in data] if isinstance(data, list) else data


def with_value(data, path, value):
    """A copy of nested mappings with one value replaced."""
    changed = copy.deepcopy(data)
    inner = changed
    for part in path[:-1]:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else inner[part]
    inner[path[-1]] = value
    return changed


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_those_of_the_models(kind):
    written = json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
    assert written == json_schema(kind), f"hpo schema {kind} > hpo/project/schemas/{kind}.schema.json"
    Draft202012Validator.check_schema(written)


def test_every_reference_leads_somewhere():
    for kind in KINDS:
        schema = json_schema(kind)
        for part in json.dumps(schema).split('"$ref": "#/$defs/')[1:]:
            assert part.partition('"')[0] in schema["$defs"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_files_are_valid(path):
    schema = SCHEMAS["experiment" if path.parent.name == "experiments" else "search-space"]
    assert [error.message for error in schema.iter_errors(as_json(read_yaml(path).data))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("dataset", "digit"),
        ("dataset", {}),
        ("dataset", {"path": "a.csv", "function": "a:b"}),
        ("dataset.validation", 0),
        ("dataset.validation", 1),
        ("dataset.validation", 1.5),
        ("dataset.validation.size", -0.2),
        ("dataset.validation.folds", 1),
        ("dataset.test", 0),
        ("dataset.scaling", "min_max"),
        ("dataset.extra_tests", {"shifted": {}}),
        ("objective", "accuracy"),
        ("objective", "test_accuracy"),
        ("objective.metric", "loss"),
        ("objective", {"metric": "val_loss", "direction": "down"}),
        ("training.epoch", 3),
        ("training.epochs", 0),
        ("training.epochs", "20"),
        ("training.epochs", 1.5),
        ("training.optimizer", "adamm"),
        ("training.early_stopping.monitor", "test_loss"),
        ("training.early_stopping", {"patient": 3}),
        ("training.schedule", "cosines"),
        ("training.schedule", {"name": "cosine", "final": -1}),
        ("study.sampler", "tpee"),
        ("study.sampler", {"n_startup_trials": 3}),
        ("study.pruner", "halving"),
        ("study.timeout", "10 minutes"),
        ("study.timeout", 0),
        ("study.trials", 0),
        ("study.seed", -1),
        ("engine", "locale"),
        ("engine.workers", 0),
        ("name", "with blank"),
        ("search_space", 3),
    ],
)  # fmt: skip
def test_the_schema_refuses_invalid_experiments(path, value):
    parts = path.split(".")
    start = {**EXPERIMENT, "objective": {"metric": "val_loss"}} if len(parts) > 1 else EXPERIMENT
    start = {**start, "dataset": {"name": "digits"}} if parts[0] == "dataset" and len(parts) > 1 else start
    refused_by_both(with_value(start, parts, value))


@pytest.mark.parametrize(
    "space",
    [
        {"model": "mpl"},
        {"parameters": {}},
        {"model": "mlp", "parameter": {}},
        {"model": "mlp", "parameters": {"witdh": 32}},
        {"model": "mlp", "parameters": {"filters": 32}},
        {"model": "mlp", "parameters": {"width_0": 32}},
        {"model": "mlp", "parameters": {"width_N": 32}},
        {"model": "mlp", "parameters": {"depth_1": 32}},
        {"model": "cnn", "parameters": {"width": {"type": "int", "low": 1, "high": 2}}},
        {"model": "cnn", "parameters": {"wide": {"type": "constant", "value": 1, "sets": "width"}}},
        {"model": "mlp", "parameters": {"width": {"type": "constant", "value": 1, "sets": "witdh"}}},
        {"model": "mlp", "parameters": {"width": {"type": "integer", "low": 1, "high": 2}}},
        {"model": "mlp", "parameters": {"width": {"type": "int", "low": 1}}},
        {"model": "mlp", "parameters": {"width": {"type": "int", "low": 1, "high": 2, "steps": 1}}},
        {"model": "mlp", "parameters": {"width": {"type": "int", "low": 0, "high": 2, "log": True}}},
        {"model": "mlp", "parameters": {"width": {"type": "int", "low": 1, "high": 9, "log": True, "step": 2}}},
        {"model": "mlp", "parameters": {"dropout": {"type": "float", "low": 0, "high": 0.5, "log": True}}},
        {"model": "mlp", "parameters": {"dropout": {"type": "categorical", "choices": []}}},
        {"model": "mlp", "parameters": {"depth": 2, "dropout": {"type": "boolean", "when": {"depth": {}}}}},
    ],
)  # fmt: skip
def test_the_schema_refuses_invalid_search_spaces(space):
    assert list(SCHEMAS["search-space"].iter_errors(space))
    refused_by_both({**EXPERIMENT, "search_space": space})


@pytest.mark.parametrize(
    "space",
    [
        {"model": "my.models:build", "parameters": {"anything": {"type": "int", "low": 1, "high": 2}}},
        {"model": "mlp", "parameters": {"width_2": 32, "normalization_13": "batch", "momentum": 0.9}},
        {"model": "mlp", "parameters": {"wide": {"type": "constant", "value": 1, "sets": "width"}}},
        {"model": "mlp", "parameters": {"warm": {"type": "constant", "value": 1, "sets": "schedule.warmup_epochs"}}},
        {"model": "mlp", "parameters": {"schedule.warmup_epochs": 1, "dataset.scaling": "none"}},
        {"model": "mlp", "parameters": {"width": {"type": "int", "low": 1.0, "high": 9, "log": True, "step": 1}}},
        {"model": "cnn", "parameters": {"blocks": {"type": "constant", "value": [{"filters": 8}]}, "kernel_2": 3}},
    ],
)  # fmt: skip
def test_the_schema_accepts_valid_search_spaces(space):
    assert [error.message for error in SCHEMAS["search-space"].iter_errors(space)] == []
    assert SCHEMAS["experiment"].is_valid({**EXPERIMENT, "search_space": space})
    load_plan({**EXPERIMENT, "search_space": space})


def refused_by_both(experiment):
    assert not SCHEMAS["experiment"].is_valid(as_json(experiment))
    with pytest.raises(UserError):
        load_plan(experiment)


# Where something may be changed, and to what.
PATHS = [
    ("name",), ("dataset",), ("objective",), ("engine",), ("tracking",), ("search_space", "model"),
    *((section, key)
      for section, spec in (("training", "TrainingSpec"), ("study", "StudySpec"))
      for key in json_schema("experiment")["$defs"][spec]["properties"]),
    *(("dataset", key) for key in json_schema("experiment")["$defs"]["DatasetSpec"]["anyOf"][1]["properties"]),
    *(("training", "schedule", key) for key in ("name", "final", "decay_epochs")),
    ("training", "early_stopping", "monitor"), ("training", "early_stopping", "patience"),
    *(("search_space", "parameters", name) for name in ("width", "width_2", "training.epochs", "rho", "what")),
    *(("search_space", "parameters", "depth", key)
      for key in ("type", "low", "high", "step", "log", "choices", "value", "when", "sets")),
]  # fmt: skip
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 2.0, 1.5, 1e400, 1000]),
    st.sampled_from(
        ["", "4", "10m", "1_0s", "adam", "ADAM", "mlp", "m:n", "val_loss", "val_", "loss", "a.csv", "a/b", "none",
         "cosine", "balanced", "auto", "int", "float", "random", "median", "horizontal", "width", "schedule.final"]
    ),
    st.sampled_from(
        [[], [1], ["4", 1], [1, 2], ["mae"], {}, {"name": "digits"}, {"name": "tpe", "seed": 1}, {"low": 1},
         {"high": 0.5},
         {"metric": "val_x", "direction": "maximize"}, {"metric": "val_loss"}, {"patience": 2.0}, {"0": 2.0},
         {"a": {"shift": ["1", 2]}}, {"type": "int", "low": 1, "high": 2}, {"type": "constant", "value": 1, "sets": ""},
         {"type": "categorical", "choices": [1, [2]]}, {"type": "float", "low": 1, "high": 2, "log": True},
         {"depth": 2}, {"depth": [1, 2]}, {"depth": {"low": 1, "high": None}}, [{"depth": 2}]]
    ),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=2))
def test_hpo_refuses_what_the_schema_refuses(changes):
    experiment = {**EXPERIMENT, "dataset": {"name": "digits"}}
    for path, value in changes:
        try:
            experiment = with_value(experiment, path, value)
        except (TypeError, IndexError, AttributeError):
            return
    if not SCHEMAS["experiment"].is_valid(experiment):
        with pytest.raises(UserError):
            load_plan(experiment)


@pytest.mark.parametrize("section", ["DatasetSpec", "Objective", "Sampler", "Pruner", "EngineSpec", "TrackingSpec"])
def test_sections_with_a_shorthand_may_be_text(section):
    short, long = json_schema("experiment")["$defs"][section]["anyOf"]
    assert short["type"] == "string"
    assert long["type"] == "object"


def test_other_short_forms():
    definitions = json_schema("experiment")["$defs"]
    training, study = definitions["TrainingSpec"]["properties"], definitions["StudySpec"]["properties"]
    assert {"type": "boolean"} in training["early_stopping"]["anyOf"]
    assert "string" in [form.get("type") for form in study["timeout"]["anyOf"]]
    assert json_schema("experiment")["properties"]["search_space"]["anyOf"] == [
        {"type": "string"},
        {"$ref": "#/$defs/SearchSpace"},
    ]
    parameter = json_schema("search-space")["properties"]["parameters"]["additionalProperties"]["anyOf"]
    assert {"type": "number"} in parameter
    assert any(form.get("type") == "array" for form in parameter)
    assert any("discriminator" in form for form in parameter)


def test_the_schema_has_bounds_defaults_examples_and_the_meaning_of_values():
    definitions = json_schema("experiment")["$defs"]
    epochs = definitions["TrainingSpec"]["properties"]["epochs"]
    assert epochs["description"].startswith("The most epochs that a trial trains. ")
    assert epochs["description"].endswith(" Unit: epochs.")
    assert (epochs["minimum"], epochs["default"], epochs["examples"]) == (1, 20, [50])
    sampler = definitions["Sampler"]["anyOf"][0]
    assert dict(zip(sampler["enum"], sampler["enumDescriptions"], strict=True))["random"].startswith("every value")
    assert "val_accuracy" in definitions["Objective"]["anyOf"][0]["anyOf"][0]["enum"]


def test_the_schedules_samplers_and_pruners_that_are_described_are_those_there_are():
    from hpo.schedule.table import SCHEDULES
    from hpo.study.samplers import PRUNERS, SAMPLERS

    definitions = json_schema("experiment")["$defs"]
    assert set(definitions["Sampler"]["anyOf"][0]["enum"]) == set(SAMPLERS)
    assert set(definitions["Pruner"]["anyOf"][0]["enum"]) == set(PRUNERS)
    assert set(definitions["Scheduling"]["anyOf"][0]["enum"]) == set(SCHEDULES)
