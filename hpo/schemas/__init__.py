"""JSON Schemas of the YAML files, for editors: `hpo schema experiment > experiment.schema.json`.

The files beside this one are what `json_schema` returns; a test keeps them so.
"""

from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from hpo.experiment import Experiment
from hpo.space import SearchSpace


def json_schema(kind: Literal["experiment", "search-space"]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a kind of file, its short forms included."""
    if kind == "search-space":
        return _with_dialect(SearchSpace.model_json_schema())
    _, schema = models_json_schema([(Experiment, "validation"), (SearchSpace, "validation")])
    definitions = schema["$defs"]
    experiment = definitions.pop("Experiment")
    space = experiment["properties"]["search_space"]
    space["anyOf"] = [{"type": "string"}, {"$ref": "#/$defs/SearchSpace"}]
    return _with_dialect({**experiment, "$defs": definitions})


def _with_dialect(schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
