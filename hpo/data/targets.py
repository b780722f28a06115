"""What a model is to predict of each sample: one target, several by name, or none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpo.config.dataset import DatasetSpec
from hpo.data.dataset import Array, PartName, Target, Task, places_of
from hpo.data.label_kinds import Labels, TaskHint
from hpo.data.labels import read_labels
from hpo.data.several import Arrays, Several, by_name
from hpo.data.source_data import Values
from hpo.errors import DataError

_WITHOUT = ("reconstruction", "custom")
"""The tasks of data that have no targets."""
_KEY = ("dataset", "task")


@dataclass(frozen=True)
class Targets:
    """The targets of all parts, as Keras takes them."""

    task: Task
    labels: Mapping[str, Labels] = field(default_factory=dict)
    """By name; a single target has an empty name, and data without targets have none."""
    listed: bool = False
    """Whether several came as a list."""

    @property
    def only(self) -> Labels | None:
        """The single target; None where there are several, or none."""
        return self.labels.get("")

    def of(self, part: PartName) -> Arrays | None:
        """The targets of a part."""
        if self.only is not None:
            return self.only.targets[part]
        found = {name: labels.targets[part] for name, labels in self.labels.items()}
        return Several(found, self.listed) if found else None

    def classes_to_divide_by(self) -> Array | None:
        """The class of each training sample, shape (n,), where each has one: a division may be stratified by it."""
        return None if self.only is None else self.only.class_numbers("training")

    def places(self) -> dict[str, tuple[int, ...] | None]:
        """Target -> the shape of that for which a sample has one each: empty for one alone; None where it is not known.

        A single target, and what data without targets are compared with, have an empty name.
        """
        return {name: places_of(labels.task, labels.shape) for name, labels in self.labels.items()} or {"": ()}

    def fields(self) -> dict[str, Any]:
        """What a DatasetInfo says of them."""
        if self.only is not None:
            return vars(_described(self.only))
        several = {name: _described(labels) for name, labels in self.labels.items()}
        return {
            "task": self.task,
            "classes": None,
            "outputs": max(1, len(several)),
            "one_hot": False,
            "targets": several,
            "targets_listed": self.listed,
        }

    def notes(self, source: str) -> list[str]:
        """What was decided that the section does not say, a sentence each."""
        if not self.labels and self.task == "custom":
            return [
                f"{source} has no targets, so the model's own loss counts; dataset.task: reconstruction has a model "
                "put out its inputs"
            ]
        named = {name and f" {name}": labels.note for name, labels in self.labels.items()}
        return [f"the target{name} of {source} {note}" for name, note in named.items() if note]


def _described(labels: Labels) -> Target:
    of_classes = labels.task == "classification"
    return Target(
        labels.task,
        labels.outputs if of_classes else None,
        labels.outputs,
        labels.one_hot,
        labels.class_names,
        labels.shape,
    )


def read_targets(
    given: Mapping[PartName, Values | None],
    spec: DatasetSpec,
    source: str,
    is_table: bool = False,
    class_names: tuple[str, ...] = (),
    hint: TaskHint | None = None,
) -> Targets:
    """Reads the targets of all parts; see `read_labels` for each.

    Raises:
        DataError: they do not fit the task, or parts have other targets than the training part.
    """
    task = spec.task
    there = {name: values for name, values in given.items() if values is not None}
    if not there:
        if task not in (None, *_WITHOUT):
            raise DataError(f"{task} needs targets, and {source} brings none; take {' or '.join(_WITHOUT)}", _KEY)
        return Targets(task or "custom")
    if len(there) < len(given):
        (without, *_), (with_targets, *_) = [name for name in given if name not in there], there
        raise DataError(f"{source}: the {with_targets} part has targets, and the {without} part none")
    if task == "reconstruction":
        rule = f"has a model put out its inputs, so there are no other targets; have {source} return x alone"
        raise DataError(f"{task} {rule}", _KEY)
    names = [by_name(values.array).keys() for values in there.values()]
    if any(one != names[0] for one in names):
        raise DataError(f"{source}: all parts must have the same targets, got {' and '.join(map(_listed, names))}")
    training = there["training"].array
    if not isinstance(training, Several):
        labels = read_labels(there, task, is_table, class_names, hint)
        return Targets(labels.task, {"": labels})
    found = {
        name: read_labels({part: _one(values, name) for part, values in there.items()}, task, hint=None)
        for name in training.arrays
    }
    return Targets("custom" if task == "custom" else "several", found, training.listed)


def _one(values: Values, name: str) -> Values:
    return Values(by_name(values.array)[name], f"{values.place} {name}")


def _listed(names: Any) -> str:
    return ", ".join(name or "a single array" for name in names)
