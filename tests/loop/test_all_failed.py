"""A run that comes to nothing says so, and a metric that the data cannot have is a mistake at its line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import Command, tiny

import hpo
from hpo.errors import AllFailed, FileMistakes
from hpo.loop.jobs import check_space, variants_of
from hpo.plan.plan import load_plan

BROKEN = "import keras\n\ndef build(params, dataset):\n    return keras.Sequential(params['none'])\n"


def test_if_all_trials_failed_the_command_fails_with_the_reason_and_how_to_see_more(
    command: Command, write: Callable[[str, str], Path], tmp_path: Path
) -> None:
    write("broken_model.py", BROKEN)
    space = {"model": "broken_model:build", "parameters": {"x": {"type": "int", "low": 0, "high": 9}}}
    experiment = tiny(search_space=space, study={"trials": 2}, engine="serial")
    file = write("e.yaml", json.dumps(experiment))
    told = command("run", file)
    assert told.returncode == 1
    assert told.stderr.splitlines()[-3:] == [
        "study tiny: no trial has a score, 2 of 2 failed",
        "  trial 0 and 1 more: error: broken_model.py:4: KeyError: 'none'",
        "hpo show tiny 0 shows more",
    ]
    assert "hpo export" not in told.stdout
    assert "line 4, in build" in command("show", "tiny", "0").stdout
    again = command("run", file, "--json")
    assert (again.returncode, json.loads(again.stdout)["best"]) == (1, None)


def test_from_python_too(tmp_path: Path) -> None:
    space = {"model": "mlp", "parameters": {"depth": 1, "width": 4, "learning_rate": 1e30}}
    experiment = tiny(dataset="diabetes", search_space=space, objective="val_mae", study={"trials": 2}, engine="serial")
    with pytest.raises(
        AllFailed, match=r"no trial has a score, . of . failed\n  trial 0.*: nonfinite: .*\nhpo show tiny 0"
    ):
        hpo.run(experiment | {"training": {"epochs": 2, "optimizer": "sgd"}}, home=tmp_path)


def table(folder: Path, targets: list[str]) -> dict[str, str]:
    rows = "".join(f"{number},{number % 7},{targets[number % len(targets)]}\n" for number in range(60))
    (folder / "t.csv").write_text(f"a,b,y\n{rows}")
    return {"path": str(folder / "t.csv"), "target": "y"}


@pytest.mark.parametrize(
    ("dataset", "changes", "message"),
    [
        ("diabetes", {"objective": "val_accuracy"}, "objective: is no metric of this training; take one of "
         "val_loss, val_mae: the task is regression"),
        ("iris", {"objective": "val_mae"}, "objective: is no metric of this training; take one of "
         "val_loss, val_accuracy: the task is classification"),
        ("iris", {"training": {"early_stopping": {"monitor": "mae"}}}, "training.early_stopping.monitor: is"),
    ],
)  # fmt: skip
def test_a_metric_that_the_task_has_not(
    write: Callable[[str, str], Path], dataset: str, changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    file = write("x.yaml", json.dumps(tiny(dataset=dataset) | changes, indent=1))
    with pytest.raises(FileMistakes) as raised:
        hpo.run(file, home=tmp_path / "home")
    assert str(raised.value).startswith(f"{file}:")
    assert message in str(raised.value)
    assert not (tmp_path / "home").exists()


def test_numbers_are_classes_where_only_classes_have_the_objective(tmp_path: Path) -> None:
    plan = load_plan(tiny(dataset=table(tmp_path, ["0.0", "1.0"])))
    variants = variants_of(plan)
    check_space(plan, variants)
    assert (variants.base.info.task, variants.base.info.classes) == ("classification", 2)
    assert "is taken as classes (0, 1), since only classes have val_accuracy" in variants.notes[0]
    other = plan.experiment.dataset.model_copy(update={"scaling": "minmax"})
    assert variants.dataset(other).info.task == "classification"


@pytest.mark.parametrize(("targets", "objective"), [(["0.0", "1.0"], "val_mae"), (["0.5", "1.0"], "val_accuracy")])
def test_other_numbers_stay_numbers(tmp_path: Path, targets: list[str], objective: str) -> None:
    variants = variants_of(load_plan(tiny(dataset=table(tmp_path, targets), objective=objective)))
    assert variants.base.info.task == "regression"
