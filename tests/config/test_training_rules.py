"""Keys of training that do not go together: found from the file, or, of a space, trial by trial."""

from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from hpo.config.experiment import TrainingSpec
from hpo.config.training_rules import disagreements
from hpo.errors import FileMistakes, InvalidSettings
from hpo.loop.jobs import make_job
from hpo.plan.plan import load_plan

WRONG = {
    "exponential": (
        {"schedule": "exponential"},
        "training.schedule: exponential needs decay_rate, as in {name: exponential, decay_rate: 0.9}",
    ),
    "step": (
        {"schedule": {"name": "step", "decay_rate": 0.5}},
        "training.schedule: step needs decay_epochs, as in {name: step, decay_rate: 0.5, decay_epochs: 5}",
    ),
    "power": (
        {"schedule": {"name": "cosine", "power": 2}},
        "training.schedule.power: cosine takes no power, got 2; it takes decay_epochs, final, warmup_epochs",
    ),
    "constant": (
        {"schedule": {"name": "constant", "final": 0.5}},
        "training.schedule.final: constant takes no final, got 0.5; it takes warmup_epochs",
    ),
    "plateau": (
        {"schedule": "cosine", "reduce_on_plateau": True},
        "training.reduce_on_plateau: cannot be used with a schedule, since both set the learning rate; leave one of "
        "them out",
    ),
    "phases and epochs": (
        {"phases": [{"train": "head", "epochs": 2}, {"unfreeze": "all", "epochs": 3}], "epochs": 4},
        "training: epochs must be the sum of those of the phases, 5, got 4; leave it out",
    ),
    "phases that train less": (
        {"phases": [{"unfreeze": 5, "epochs": 2}, {"unfreeze": 4, "epochs": 3}]},
        "training: phases: none may train less of the network than the one before",
    ),
    "a phase of nothing": (
        {"phases": [{"epochs": 2}, {"unfreeze": 4, "epochs": 3}]},
        "training.phases[0]: needs either train: head, or unfreeze with a number of layers or all",
    ),
    "clipping": (
        {"clipnorm": 1, "global_clipnorm": 2.5},
        "training.global_clipnorm: only one of clipnorm, clipvalue, global_clipnorm may be set, got clipnorm 1 and "
        "global_clipnorm 2.5",
    ),
    "smoothing": (
        {"loss": "mean_squared_error", "label_smoothing": 0.1},
        "training.label_smoothing: mean_squared_error takes no label smoothing; leave it out, or take another loss",
    ),
    "monitor": (
        {"early_stopping": {"monitor": "val_auc"}},
        "training.early_stopping.monitor: is no metric of this training; add auc to training.metrics, or take one of "
        "val_accuracy, val_loss, val_mae, accuracy, loss, mae",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_file_alone_tells(name: str) -> None:
    training, message = WRONG[name]
    with pytest.raises(FileMistakes) as raised:
        load_plan(tiny(training=training))
    assert [str(mistake).partition(": ")[2] for mistake in raised.value.mistakes] == [message]


@pytest.mark.parametrize(
    "training",
    [
        {"schedule": {"name": "constant", "warmup_epochs": 0.5}, "clipvalue": 1.0},
        {"schedule": {"name": "polynomial", "power": 2, "final": 0.1, "decay_epochs": 3}},
        {"schedule": "constant", "reduce_on_plateau": {"monitor": "loss"}},
        {"loss": "BinaryCrossentropy", "label_smoothing": 0.1},
        {"loss": "mean_squared_error", "label_smoothing": 0.0},
    ],
)
def test_settings_that_go_together(training: dict[str, Any]) -> None:
    assert list(disagreements(TrainingSpec.model_validate(training))) == []
    load_plan(tiny(training=training))


def test_some_combinations_of_a_space_may_be_invalid() -> None:
    schedule = {"type": "categorical", "choices": ["constant", "exponential"], "sets": "schedule.name"}
    space = {**tiny()["search_space"]["parameters"], "schedule": schedule}
    plan = load_plan(tiny(search_space={"model": "mlp", "parameters": space}, training={"reduce_on_plateau": True}))
    others = {"depth": 1, "width": 4, "learning_rate": 0.01}
    job = make_job(plan, {**others, "schedule": "constant"}, 0, lambda _: Path())
    assert job.training.schedule is not None
    with pytest.raises(InvalidSettings, match=r"training\.schedule: exponential needs decay_rate"):
        make_job(plan, {**others, "schedule": "exponential"}, 0, lambda _: Path())


def test_a_setting_that_all_combinations_lack_is_a_mistake_in_the_file() -> None:
    warm = {"type": "float", "low": 0.0, "high": 2.0, "sets": "schedule.warmup_epochs"}
    space = {"model": "mlp", "parameters": {"warm": warm}}
    with pytest.raises(FileMistakes, match=r"training\.schedule: exponential needs decay_rate"):
        load_plan(tiny(search_space=space, training={"schedule": "exponential"}))


def test_a_mistake_has_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\ndataset: iris\nsearch_space: {model: mlp}\nobjective: val_accuracy\n"
        "training:\n  epochs: 2\n  schedule:\n    name: cosine\n    power: 2\n"
    )
    with pytest.raises(FileMistakes, match=r"x\.yaml:9: training\.schedule\.power: cosine takes no power, got 2"):
        load_plan(path)
