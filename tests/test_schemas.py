import json
from pathlib import Path

import pytest

import hpo.schemas
from hpo.schemas import json_schema

FOLDER = Path(hpo.schemas.__file__).parent


@pytest.mark.parametrize("kind", ["experiment", "search-space"])
def test_the_files_are_those_of_the_models(kind):
    written = json.loads((FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8"))
    assert written == json_schema(kind), f"hpo schema {kind} > hpo/schemas/{kind}.schema.json"


def test_every_reference_leads_somewhere():
    for kind in ("experiment", "search-space"):
        schema = json_schema(kind)
        for part in json.dumps(schema).split('"$ref": "#/$defs/')[1:]:
            assert part.partition('"')[0] in schema["$defs"]


@pytest.mark.parametrize("section", ["DatasetSpec", "Objective", "Named", "EngineSpec", "TrackingSpec"])
def test_sections_with_a_shorthand_may_be_text(section):
    short, long = json_schema("experiment")["$defs"][section]["anyOf"]
    assert short == {"type": "string"}
    assert long["type"] == "object"


def test_other_short_forms():
    definitions = json_schema("experiment")["$defs"]
    training, study = definitions["TrainingSpec"]["properties"], definitions["StudySpec"]["properties"]
    assert {"type": "boolean"} in training["early_stopping"]["anyOf"]
    assert {"type": "string"} in study["timeout"]["anyOf"]
    assert json_schema("experiment")["properties"]["search_space"]["anyOf"] == [
        {"type": "string"},
        {"$ref": "#/$defs/SearchSpace"},
    ]
    parameter = json_schema("search-space")["properties"]["parameters"]["additionalProperties"]["anyOf"]
    assert {"type": "number"} in parameter
    assert any(form.get("type") == "array" for form in parameter)
    assert any("discriminator" in form for form in parameter)


def test_unknown_keys_are_refused_and_bounds_kept():
    schema = json_schema("experiment")
    training = schema["$defs"]["TrainingSpec"]
    assert schema["additionalProperties"] is False
    assert training["additionalProperties"] is False
    assert training["properties"]["epochs"]["minimum"] == 1
    assert training["properties"]["epochs"]["description"] == "The most epochs a trial trains."
    assert schema["required"] == ["name", "dataset", "search_space", "objective"]
