"""JSON Schemas of the YAML files, for editors and for `hpo explain`: `hpo schema experiment > experiment.schema.json`.

The JSON files in `schemas/` hold what `json_schema` returns; a test compares them. hpo refuses everything that a
schema refuses.
"""

import inspect
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from hpo import models
from hpo.config.experiment import Experiment, TrainingSpec
from hpo.config.metrics import KNOWN_METRICS, LOSSES
from hpo.config.space import SearchSpace
from hpo.data import KNOWN

_Schema = dict[str, Any]


def json_schema(kind: Literal["experiment", "search-space"]) -> _Schema:
    """The JSON Schema (draft 2020-12) of a kind of file, with its short forms."""
    if kind == "search-space":
        space = SearchSpace.model_json_schema()
        definitions = space.pop("$defs")
        return _finished(_with_models(space), definitions)
    _, schema = models_json_schema([(Experiment, "validation"), (SearchSpace, "validation")])
    definitions = schema["$defs"]
    experiment = definitions.pop("Experiment")
    experiment["properties"]["search_space"]["anyOf"] = [{"type": "string"}, {"$ref": "#/$defs/SearchSpace"}]
    definitions["SearchSpace"] = _with_models(definitions["SearchSpace"])
    _offer_names(definitions)
    return _finished(experiment, definitions)


def _finished(schema: _Schema, definitions: _Schema) -> _Schema:
    described = {name: _parameters(name) for name in models.KNOWN}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "$defs": {**definitions, **described},
    }


def _parameters(model: str) -> _Schema:
    """The parameters of a model of hpo: its own, then those of each layer, then those of the output layer."""
    keys, _ = models.described(model)
    schema = keys.model_json_schema()
    names = [name for part in keys.__mro__ for name in inspect.get_annotations(part)]
    return {**schema, "properties": {name: schema["properties"][name] for name in names if name in keys.model_fields}}


def _offer_names(definitions: _Schema) -> None:
    """Adds names that editors offer, and the rule that any other dataset is a path or an import path."""
    short, mapping = definitions["DatasetSpec"]["anyOf"]
    known = {"enum": list(KNOWN), "enumDescriptions": list(KNOWN.values())}
    # An import path, or a path.
    short["anyOf"] = [known, {"pattern": "[:/]"}, {"pattern": r"\.(npz|csv|parquet)$"}]
    mapping["properties"]["name"]["anyOf"].insert(0, known)
    training = definitions["TrainingSpec"]["properties"]
    training["loss"]["anyOf"].insert(0, {"enum": [name for name in LOSSES if name.islower()]})
    items = training["metrics"]["items"]
    training["metrics"]["items"] = {"anyOf": [{"enum": [name for name in KNOWN_METRICS if name.islower()]}, items]}


def _with_models(space: _Schema) -> _Schema:
    """The schema of a search space, extended by the parameters that the models of hpo read."""
    space["properties"]["model"]["anyOf"] = [
        {"enum": list(models.KNOWN), "enumDescriptions": list(models.KNOWN.values())},
        {"pattern": ":"},
    ]
    return {**space, "allOf": [_of_model(name) for name in models.KNOWN]}


def _of_model(name: str) -> _Schema:
    """The rule for parameters if the model is this one: each sets a key of the model, of training or of dataset."""
    _, of_each = models.described(name)
    read = {**TrainingSpec.model_json_schema()["properties"], **_parameters(name)["properties"]}
    one = rf"^({'|'.join(of_each.model_fields)})_[1-9][0-9]*$"
    dotted = rf"^(training|dataset|{'|'.join(TrainingSpec.model_fields)})\."
    settable = rf"^$|^({'|'.join(read)})$|{one}|{dotted}"
    named = {
        "properties": {key: {"description": schema["description"]} for key, schema in read.items()},
        "patternProperties": {one: {"description": "As without a number, for one layer or block."}, dotted: {}},
        "additionalProperties": {"type": "object", "required": ["sets"]},
    }
    sets = {"properties": {"sets": {"anyOf": [{"type": "null"}, {"pattern": settable}]}}}
    return {
        "if": {"properties": {"model": {"const": name}}, "required": ["model"]},
        "then": {"properties": {"parameters": {**named, "allOf": [{"additionalProperties": sets}]}}},
    }
