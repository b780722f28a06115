"""What an experiment and its search space must agree on with the data, once these were read."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from hpo import models
from hpo.config.class_weight import class_weight_mistakes
from hpo.config.experiment import Experiment
from hpo.config.metrics import CROSSENTROPY, needs_classes
from hpo.config.named import by_output, choice_of
from hpo.config.space import CategoricalParameter, SearchSpace, in_section
from hpo.config.training_rules import plain_name
from hpo.config.whole_metrics import MetricSpec
from hpo.plan.consistency import Wrong, metric_mistakes, metrics_named

if TYPE_CHECKING:
    from hpo.data.dataset import Dataset, DatasetInfo

Labels = Literal["one-hot labels", "class numbers"]
_OF_ONE_HOT = ("categorical_accuracy", "top_k_categorical_accuracy", "categorical_crossentropy")
"""Metrics of Keras's that take one-hot labels; those of class numbers are called sparse_."""
_OF_CLASS_NUMBERS = {"acc", "accuracy", CROSSENTROPY, *(plain_name(f"sparse_{name}") for name in _OF_ONE_HOT)}
"""The only metrics of Keras's and of hpo's own that take class numbers beside one output for each class. The others
compare labels and outputs number by number."""
_WITHIN_A_SAMPLE = ("pearsoncorrelation", "concordancecorrelation")
"""Metrics of Keras's that compare the outputs of one sample with each other, unless they are given an axis."""


def wrong_in_experiment(experiment: Experiment, space: SearchSpace, dataset: "Dataset") -> Iterator[Wrong]:
    """The keys of an experiment that do not suit the data."""
    info = dataset.info
    yield from metric_mistakes(experiment, space, info.task)
    labels = _labels(experiment, space, info)
    for index, spec in enumerate(experiment.training.metrics):
        if message := _unsuited(spec, info) or _lacks_an_option(spec, info) or _of_other_labels(spec, labels):
            yield ("training", "metrics", index), message
    for key, message in class_weight_mistakes(experiment.training.class_weight, info.class_labels).items():
        yield ("training", "class_weight", *([key] if key else [])), message
    ranked = {f"val_{spec.logged}" for spec in experiment.training.whole_metrics if spec.needs_all_classes}
    for wrong, metric in metrics_named(experiment):
        if metric.metric in ranked and (lacking := _classes_not_validated(dataset)):
            rule = f"is not defined, since the validation part has no sample of {', '.join(lacking)}"
            yield wrong, f"{metric.metric} {rule}; take a larger part, or pr_auc"


def wrong_in_space(space: SearchSpace, info: "DatasetInfo") -> Iterator[Wrong]:
    """The keys of a search space that do not suit the data."""
    for name in space.parameters:
        path = in_section(space.target(name), "training")
        if path[:1] == ("class_weight",):
            yield from _class_weights(space, name, path[1:], info.class_labels)


def _unsuited(spec: MetricSpec, info: "DatasetInfo") -> str | None:
    """Why the data cannot have a metric; None where they can."""
    if info.task not in ("classification", "regression"):
        if spec.kind and not (info.task == "multilabel" and spec.kind.of_labels):
            return f"{spec.name} is computed for classes or a row of numbers, and the task is {info.task}"
        return None
    needs = spec.kind.of_classes if spec.kind else needs_classes(spec.name)
    if needs and info.classes is None:
        return f"only classification has {spec.name}, and the task is regression"
    if spec.kind and not needs and info.classes is not None:
        return f"only regression has {spec.name}, and the task is classification"
    if (option := spec.needs_two_classes) and info.classes != 2:
        return f"{spec.name}: {option} {getattr(spec, option)} needs two classes, and the data have {info.classes}"
    return None


def _lacks_an_option(spec: MetricSpec, info: "DatasetInfo") -> str | None:
    """Why a metric of Keras's would be no number without an option; None where it is one."""
    if plain_name(spec.name) in _WITHIN_A_SAMPLE and info.outputs == 1 and "axis" not in spec.options:
        over = f"{{name: {spec.name}, axis: 0}} is taken over the samples of each batch"
        return f"{spec.name} compares the outputs of one sample with each other, and the data have one; {over}"
    if plain_name(spec.name) == "fbetascore" and info.outputs > 1 and spec.average is None:
        return f"{spec.name} is a figure for each class; {{name: {spec.name}, average: macro}} is their mean"
    return None


def _labels(experiment: Experiment, space: SearchSpace, info: "DatasetInfo") -> Labels | None:
    """The form of labels that the loss takes, and Keras's metrics with it; None where it is not known here."""
    varied = {in_section(space.target(name), "training")[:1] for name in space.parameters}
    if info.classes is None or ("loss",) in varied or ("label_smoothing",) in varied:
        return None
    training = experiment.training
    if by_output(training.loss):
        return None
    # A user's own loss has a colon in its name, which none of Keras's has.
    loss = None if training.loss is None else choice_of(training.loss).name
    if loss is None:
        if models.keys(space.model) is None or "output_activation" in space.parameters:
            return None
        loss = "categorical_crossentropy" if info.one_hot else "sparse_categorical_crossentropy"
    if plain_name(loss) == "categoricalcrossentropy":
        return "one-hot labels"
    if plain_name(loss) != "sparsecategoricalcrossentropy":
        return None
    # Keras smooths one-hot labels alone.
    return "one-hot labels" if training.label_smoothing else "class numbers"


def _of_other_labels(spec: MetricSpec, labels: Labels | None) -> str | None:
    """Why a metric of Keras's would fail, or count wrong, with labels of this form; None where it would not."""
    for of_one_hot in _OF_ONE_HOT:
        of_numbers = f"sparse_{of_one_hot}"
        for name, takes, instead in (
            (of_one_hot, "one-hot labels", of_numbers),
            (of_numbers, "class numbers", of_one_hot),
        ):
            if spec.kind is None and labels not in (None, takes) and plain_name(spec.name) == plain_name(name):
                return f"{spec.name} takes {takes}, and the loss takes {labels}; {instead} is the same figure"
    if labels == "class numbers" and _is_of_keras(spec) and plain_name(spec.name) not in _OF_CLASS_NUMBERS:
        rule = "compares labels and outputs number by number, and the loss takes class numbers"
        return f"{spec.name} {rule}; with loss: categorical_crossentropy labels are rows of numbers, too"
    return None


def _is_of_keras(spec: MetricSpec) -> bool:
    return spec.kind is None and not spec.is_own


def _classes_not_validated(dataset: "Dataset") -> list[str]:
    """The classes of which a validation part has no sample; none where samples are read anew in each epoch."""
    from hpo.data.dataset import class_numbers

    info = dataset.info
    labels = info.class_labels
    if not labels or info.target_shape:
        return []
    parts = [fold.validation for fold in dataset.folds or (dataset,)]
    there = [set(class_numbers(part.y).tolist()) for part in parts if len(part)]
    return [label for number, label in enumerate(labels) if not all(number in one for one in there)]


def _class_weights(space: SearchSpace, name: str, within: Sequence[str], labels: Sequence[str]) -> Iterator[Wrong]:
    """The mistakes of a parameter that sets class weights, or the weight of the class `within`."""
    if within:
        for message in class_weight_mistakes({within[0]: 1.0}, labels).values():
            yield ("parameters", name), message
        return
    parameter = space.parameters[name]
    for index, choice in enumerate[Any](parameter.values() or ()):
        place = ("choices", index) if isinstance(parameter, CategoricalParameter) else ()
        for key, message in class_weight_mistakes(choice, labels).items():
            yield ("parameters", name, *place, *([key] if key else [])), message
