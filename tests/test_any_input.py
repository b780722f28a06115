"""Whatever is written, the parsers give a result, or an error that says what is wrong: never another exception."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny import tiny

from hpo.compare.where import where
from hpo.config.assignments import examine_assignments
from hpo.config.experiment import examine_experiment
from hpo.config.section import seconds
from hpo.config.space_file import examine_space
from hpo.config.yaml_file import Document, read_value, read_yaml, to_yaml
from hpo.errors import FileMistakes, UserError
from hpo.plan.consistency import experiment_mistakes, space_mistakes
from hpo.plan.plan import load_plan

# A larger run by hand: HPO_EXAMPLES=5000.
EXAMPLES = int(os.environ.get("HPO_EXAMPLES", "60"))
few = settings(
    deadline=None,
    derandomize=EXAMPLES == 60,
    database=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

WORDS = (
    "name", "dataset", "search_space", "objective", "training", "study", "engine", "tracking", "path", "function",
    "validation", "folds", "size", "metric", "direction", "maximize", "val_accuracy", "val_loss", "epochs", "optimizer",
    "schedule", "exponential", "decay_rate", "early_stopping", "monitor", "patience", "sampler", "pruner", "grid",
    "patient", "wrapped_pruner", "enqueue", "trials", "timeout", "workers", "model", "parameters", "mlp", "depth",
    "width", "type", "int", "float", "categorical", "boolean", "constant", "low", "high", "step", "log", "choices",
    "when", "sets", "value", "class_weight", "metrics", "loss", "limit", "iris", "digits", "models:build",
)  # fmt: skip
words = st.sampled_from(WORDS) | st.text(max_size=8)
numbers = st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | words
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5), max_leaves=12
)
paths = st.lists(words, min_size=1, max_size=4)
texts = st.text(st.characters(codec="utf-8"), max_size=80) | st.text("{}[]:,-&*!|>'\"%#?\n\t ab1.~<=", max_size=40)
assigned = st.builds(lambda path, text: f"{'.'.join(path)}={text}", paths, st.text(max_size=20))


def complains(call: Any, *arguments: Any) -> Any:
    """The result, or None where the call said what is wrong."""
    try:
        return call(*arguments)
    except UserError as error:
        told = error
    assert str(told).strip()
    return None


def keys_of(data: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if above:
        yield above
    for key, value in data.items() if isinstance(data, dict) else ():
        yield from keys_of(value, (*above, key))


WHOLE = tiny(
    dataset={"name": "iris", "validation": {"folds": 3}, "augmentation": {"noise": 0.1}},
    objective={"metric": "val_loss", "direction": "minimize"},
    training={
        "epochs": 2, "early_stopping": {"monitor": "loss"}, "schedule": {"name": "cosine"}, "metrics": ["auc"],
        "reduce_on_plateau": False, "class_weight": "balanced",
    },
    study={"sampler": {"name": "tpe"}, "pruner": {"name": "patient", "patience": 1}, "enqueue": [{"depth": 1}]},
)  # fmt: skip
WHOLE["search_space"]["parameters"] |= {
    "momentum": {"type": "float", "low": 0, "high": 0.5, "when": {"depth": {"low": 2}}},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"], "when": {"width": [4, 5]}},
}


@st.composite
def experiments(draw: st.DrawFn) -> dict[str, Any]:
    """A sound experiment with some of its keys replaced, taken out or added."""
    import copy

    data = copy.deepcopy(WHOLE)
    for key in draw(st.lists(st.sampled_from(sorted(keys_of(WHOLE))), min_size=1, max_size=4)):
        around: Any = data
        for part in key[:-1]:
            around = around.get(part) if isinstance(around, dict) else None
        if isinstance(around, dict):
            if draw(st.booleans()):
                around[key[-1]] = draw(values)
            else:
                around[draw(words)] = draw(values)
    return data


@few
@given(experiments())
def test_an_experiment_is_read_or_its_mistakes_are_reported(data: dict[str, Any]) -> None:
    complains(load_plan, data)


@few
@given(values)
def test_any_mapping_as_an_experiment_and_as_a_space(data: Any) -> None:
    data = data if isinstance(data, dict) else {"parameters": data}
    document = Document("x.yaml", data)
    space = examine_space(document)
    assert space.valid is not None or space.mistakes
    list(space_mistakes(space, document))
    found = examine_experiment(document)
    assert found.mistakes
    if found.valid is not None:
        list(experiment_mistakes(found.valid, space))


@few
@given(texts)
def test_any_text_as_a_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text, encoding="utf-8")
    complains(read_yaml, file)
    complains(load_plan, file)


@few
@example(data={"\x85": "a\x85b"}, block=True)
@given(values, st.booleans())
def test_what_is_written_is_read_back_unchanged(tmp_path: Path, data: Any, block: bool) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(to_yaml({"key": data}, block=block), encoding="utf-8")
    read = complains(read_yaml, file)
    assert read is None or read.data == {"key": data}


@few
@given(st.binary(max_size=60))
def test_any_bytes_as_a_file(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.yaml"
    file.write_bytes(content)
    complains(load_plan, file)


@few
@given(st.lists(st.text(max_size=30) | assigned, max_size=3))
def test_any_assignments(assignments: list[str]) -> None:
    document, mistakes = examine_assignments(Document("x.yaml", tiny()), assignments)
    assert all(str(mistake) for mistake in mistakes)
    assert isinstance(document.data, dict)
    complains(load_plan, tiny(), assignments)


@few
@given(st.integers(-(2**40), 2**40) | st.booleans())
def test_numbers_are_assigned_as_they_are_written(value: int) -> None:
    text = str(value).lower()
    assert read_value("--set", text) == value
    document, _ = examine_assignments(Document("x.yaml", tiny()), [f"study.seed={text}"])
    assert document.data["study"]["seed"] == value
    assert document.where(("study", "seed")) == f"--set study.seed={text}"


@few
@given(values | st.text("0123456789hms. e+-_", max_size=12))
def test_any_duration(value: Any) -> None:
    try:
        found = seconds(value)
    except ValueError as error:
        told = str(error)
    else:
        assert 0 < found < float("inf")
        return
    assert "must be a duration above zero" in told


@few
@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_durations_come_back(hours: int, minutes: int, rest: int) -> None:
    assert seconds(f"{hours}h{minutes}m{rest}s") == 3600 * hours + 60 * minutes + rest


FRAME = pd.DataFrame({"trial": [0, 1], "state": ["complete", "failed"], "a b": [0.5, None], "choices": [[1], [2]]})
PIECES = (
    "trial", "state", '"a b"', "choices", "=", "<", "and", "or", "not", "in", "(", ")", "1", "'x'", "NULL", "like",
    "--", "/*", ";", "select", "'", '"', "`", "\x00", "sum(trial)", "1e999", "glob", ",",
)  # fmt: skip
sql = st.lists(st.sampled_from(PIECES), max_size=8).map(" ".join)


@few
@given(sql | st.text(max_size=30))
def test_any_condition_on_rows(expression: str) -> None:
    found = complains(where, FRAME, expression)
    assert found is None or set(found["trial"]) <= {0, 1}


@pytest.mark.parametrize("assignment", ["a[0]=1", "study.enqueue.0.depth=1", "engine.name.x=1"])
def test_assignments_into_lists_and_names_are_refused(assignment: str) -> None:
    with pytest.raises(FileMistakes, match="--set"):
        load_plan(tiny(study={"enqueue": [{"depth": 1}]}), [assignment])


def test_an_experiment_without_a_required_key_is_refused() -> None:
    with pytest.raises(FileMistakes, match=r"(?s)name: is required.*search_space: is required.*objective: is required"):
        load_plan({})
