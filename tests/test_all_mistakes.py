"""All mistakes at once: of any two, wherever they stand, both are told, each at its line."""

import itertools
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from hpo.errors import FileMistakes
from hpo.plan.plan import load_plan

# Where a value is set, the value, and what is said of it: key and rule.
SINGLE: dict[str, tuple[str, Any, str]] = {
    "unknown key": ("nmae", 1, "nmae: unknown key; did you mean name?"),
    "name": ("name", "my study", "name: must match"),
    "unknown dataset": ("dataset", "irris", "dataset.name: dataset 'irris': unknown name; did you mean iris?"),
    "no such file": ("dataset", {"path": "none.csv"}, "dataset.path: none.csv: no such file or folder in "),
    "two sources": ("dataset", {"path": "a", "function": "b:c"}, "dataset: path and function exclude each other"),
    "key of the dataset": ("dataset", {"name": "iris", "limt": 20}, "dataset.limt: unknown key; did you mean limit?"),
    "scaling": ("dataset", {"name": "iris", "scaling": "minmx"}, "dataset.scaling: must be 'minmax'"),
    "near metric": ("objective", "val_acuracy", "objective: Keras knows no metric 'val_acuracy'; did you mean val_acc"),
    "metric of no part": ("objective", "accuracy", "objective: must be a metric on the validation part"),
    "metric that is not logged": ("objective", "val_auc", "objective: is no metric of this training; add auc to"),
    "direction": ("objective", {"metric": "val_loss", "direction": "maximize"}, "objective.direction: must be mini"),
    "epochs": ("training.epochs", 0, "training.epochs: must be at least 1, got 0"),
    "unknown optimizer": ("training.optimizer", "adm", "training.optimizer: unknown name 'adm'; did you mean adam?"),
    "unknown loss": ("training.loss", "msee", "training.loss: Keras knows no loss 'msee'; did you mean mse?"),
    "unknown metric": ("training.metrics", ["acuracy"], "training.metrics[0]: unknown metric 'acuracy'; did you mean"),
    "metric without its options": (
        "training.metrics",
        ["precision_at_recall"],
        "training.metrics[0]: precision_at_recall needs its options",
    ),
    "monitor": ("training.early_stopping", {"monitor": "val_f1"}, "training.early_stopping.monitor: is no metric of"),
    "monitor's direction": (
        "training.reduce_on_plateau",
        {"monitor": {"metric": "loss", "direction": "maximize"}},
        "training.reduce_on_plateau.monitor.direction: must be minimize",
    ),
    "schedule": ("training.schedule", "exponential", "training.schedule: exponential needs decay_rate"),
    "sampler": ("study.sampler", "tpee", "study.sampler: unknown sampler 'tpee'; did you mean tpe?"),
    "option of the pruner": ("study.pruner", {"name": "median", "n": 1}, "study.pruner.n: median has no option 'n'"),
    "trials": ("study.trials", -3, "study.trials: must be at least 1, got -3"),
    "timeout": ("study.timeout", "soon", "study.timeout: must be a duration above zero"),
    "enqueued": ("study.enqueue", [{"width": 5}, {"dpth": 2}], "study.enqueue[1].dpth: unknown parameter; did you"),
    "enqueued value": ("study.enqueue", [1, {"width": 99}], "study.enqueue[1].width: must be a whole number from 4"),
    "engine": ("engine", "lokal", "engine: must be 'local', 'serial' or 'ray', got 'lokal'; did you mean local?"),
    "workers": ("engine.workers", 0, "engine.workers: must be at least 1 or 'auto', got 0"),
    "tracking": ("tracking", 5, "tracking: must be a uri or a mapping, got 5"),
    "no such space": ("search_space", "mlpp", "search_space: not found: looked for"),
    "model": ("search_space.model", "mpl", "search_space.model: unknown model 'mpl'; did you mean mlp?"),
    "range": ("search_space.parameters.depth.low", 9, "search_space.parameters.depth: low must not exceed high"),
    "kind": ("search_space.parameters.depth.type", "itn", "search_space.parameters.depth.type: unknown type 'itn'"),
    "value of a section": ("search_space.parameters.momentum", 2, "search_space.parameters.momentum: sets training.m"),
    "unknown parameter": ("search_space.parameters.widht", 2, "search_space.parameters.widht: mlp reads no such"),
    "condition": (
        "search_space.parameters.dropout",
        {"type": "float", "low": 0, "high": 0.5, "when": {"dept": 1}},
        "search_space.parameters.dropout.when.dept: unknown parameter; did you mean depth?",
    ),
}  # fmt: skip


def with_value(experiment: dict[str, Any], path: str, value: Any) -> None:
    *around, last = path.split(".")
    for part in around:
        experiment = experiment.setdefault(part, {})
    experiment[last] = value


def complaints(folder: Path, *names: str, assigned: str | None = None) -> list[str]:
    experiment = tiny(training={"epochs": 2}, study={"trials": 4})
    for name in names:
        with_value(experiment, *deepcopy(SINGLE[name][:2]))
    file = folder / "x.yaml"
    file.write_text(json.dumps(experiment, indent=1))
    given = [] if assigned is None else [f"{SINGLE[assigned][0]}={json.dumps(SINGLE[assigned][1])}"]
    with pytest.raises(FileMistakes) as raised:
        load_plan(file, given)
    return str(raised.value).splitlines()


def apart(one: str, other: str) -> bool:
    """Whether two mistakes do not stand in the way of each other: neither sets what is around the other's key."""
    paths = [f"{SINGLE[name][0]}." for name in (one, other)]
    return not paths[0].startswith(paths[1]) and not paths[1].startswith(paths[0])


@pytest.mark.parametrize("name", SINGLE)
def test_a_mistake_is_reported_once_with_its_line(tmp_path: Path, name: str) -> None:
    told = [line for line in complaints(tmp_path, name) if "study.enqueue[0]: must be a mapping" not in line]
    (line,) = told
    place, _, said = line.partition(": ")
    assert place.startswith(f"{tmp_path}/x.yaml:")
    assert int(place.rpartition(":")[2]) > 1
    assert said.startswith(SINGLE[name][2])


@pytest.mark.parametrize("name", SINGLE)
def test_any_two_mistakes_are_both_reported(tmp_path: Path, name: str) -> None:
    later = itertools.dropwhile(lambda other: other != name, SINGLE)
    for other in later:
        if apart(name, other) and not depends(name, other):
            told = complaints(tmp_path, name, other)
            for one in (name, other):
                assert any(SINGLE[one][2] in line for line in told), f"{name} + {other}: {told}"


@pytest.mark.parametrize("name", ["unknown dataset", "near metric", "unknown optimizer", "sampler", "trials", "model"])
def test_mistakes_on_the_command_line_are_reported_with_those_of_the_file(tmp_path: Path, name: str) -> None:
    for other in SINGLE:
        if apart(name, other) and not depends(name, other):
            told = complaints(tmp_path, other, assigned=name)
            assert any(line.startswith("--set ") and SINGLE[name][2] in line for line in told), told
            assert any("x.yaml:" in line and SINGLE[other][2] in line for line in told), told


def depends(one: str, other: str) -> bool:
    """Whether what one says of its value cannot be known for the other."""
    of_the_model = {"unknown parameter", "metric that is not logged", "monitor", "unknown loss", "unknown metric",
                    "metric without its options", "enqueued"}  # fmt: skip
    # A model that is no model reads nothing; without a search space nothing can be said of parameters.
    blind = {
        "model": {*of_the_model, "enqueued value"},
        "no such space": {*of_the_model, "enqueued value", "schedule"},
        "kind": {"range"},
    }
    return other in blind.get(one, ()) or one in blind.get(other, ())


def test_unreadable_assignments_and_values_are_reported_with_the_other_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("name: a\nname: b\ndataset: irris\nsearch_space: {model: mlp, parameters: {width: .nan}}\n"
                    "objective: val_accuracy\ntraining: {epochs: !x 3}\n")  # fmt: skip
    with pytest.raises(FileMistakes) as raised:
        load_plan(file, ["study.trials", "study.sampler=tpee", "name.x=1"])
    told = [line.removeprefix(f"{tmp_path}/") for line in str(raised.value).splitlines()]
    assert told == [
        "x.yaml:2: name: this key is there twice",
        "x.yaml:4: search_space.parameters.width: must be a finite number, got .nan",
        "x.yaml:6: training.epochs: must be a plain value, not one tagged !x",
        "--set study.trials: must have the form key.key=value",
        "--set name.x=1: name.x: name is 'a', not a mapping that could hold x",
        "--set study.sampler=tpee: study.sampler: unknown sampler 'tpee'; did you mean tpe?",
        "x.yaml:3: dataset.name: dataset 'irris': unknown name; did you mean iris? (your own data: path, or function)",
    ]
