"""The best model's predictions for the validation part: confusion matrix, scores of each class, pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import HpoError
from hpo.report.charts import confusion_chart
from hpo.report.pictures import as_image
from hpo.report.plotly_json import Drawing, Missing
from hpo.text.values import percent

if TYPE_CHECKING:
    import numpy as np

    from hpo.data.dataset import Array, Dataset
    from hpo.study.read import StudyView
    from hpo.study.record import TrialRecord

_PICTURES = 24


@dataclass(frozen=True)
class ClassRow:
    """How well one class is recognized."""

    name: str
    precision: float
    recall: float
    f1: float
    samples: int


@dataclass(frozen=True)
class Picture:
    """A sample with its true and its predicted class."""

    image: str
    """A data URI."""
    true: str
    predicted: str
    sure: str
    """The probability of the predicted class; empty where the model's outputs are no probabilities."""


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for the validation part."""

    trial: int
    """The trial of the model."""
    samples: int
    accuracy: float
    confusion: Drawing
    classes: Sequence[ClassRow]
    right: Sequence[Picture]
    """Right predictions, drawn at random; empty unless samples are images."""
    wrong: Sequence[Picture]
    """The wrong predictions of which the model was most sure; empty unless samples are images."""
    mistakes: int


def predictions(view: "StudyView", trials: "Sequence[TrialRecord]") -> Predictions | Missing | None:
    """Predicts the validation part with the model of the first trial that has a model file; None for regression.

    It does not use the test part: people change an experiment because of the mistakes that they see, and would then
    tune it on the test part.

    Args:
        view: the study.
        trials: the trials, in order of preference.
    """
    kept = [trial for trial in trials if trial.model_file and Path(trial.model_file).is_file()]
    if not kept:
        return Missing("The best model was not saved, or its file is gone.")
    try:
        dataset = data_of(view, kept[0])
        if isinstance(dataset, Missing) or dataset.info.classes is None or dataset.info.target_shape:
            return dataset if isinstance(dataset, Missing) else None
        x, y = _validation(dataset)
        from hpo.system.tensorflow_import import without_import_messages

        with without_import_messages():
            from hpo.training.predict import by_class, predict
        outputs = by_class(predict(Path(str(kept[0].model_file)), x))
    except HpoError as error:
        return Missing(f"The best model's predictions cannot be shown: {error}")
    return _judged(dataset, kept[0].number, x, y, outputs)


def data_of(view: "StudyView", trial: "TrialRecord") -> "Dataset | Missing":
    """The data of a trial's model: prepared as its configuration says, with the split of the model's fold."""
    from hpo.data.info_json import info_as_json, info_from_json
    from hpo.loop.jobs import sections, variants_of
    from hpo.plan.rebuilt import plan_of_study
    from hpo.text.credentials import hidden_in

    plan = plan_of_study(view)
    variants = variants_of(plan)
    if variants.base.info.digest != view.identity["dataset"]["digest"]:
        return Missing("The data have changed since the study was run: their digest is different.")
    now = hidden_in(info_as_json(variants.base.info))
    if view.data and info_from_json(view.data).columns != info_from_json(now).columns:
        return Missing("An earlier version of hpo made other features of the table, and the model takes those.")
    dataset = variants.dataset(sections(plan, trial.params)[1])
    return dataset if trial.best_fold is None else dataset.folds[trial.best_fold - 1]


def _validation(dataset: "Dataset") -> "tuple[Array, Array]":
    """Features and class numbers of the validation part."""
    import numpy as np

    from hpo.data.dataset import class_numbers

    x, y = dataset.validation.x, dataset.validation.y
    if dataset.stream is not None:
        batches = [(np.asarray(x), np.asarray(y)) for x, y, *_ in dataset.stream("validation", 256)]
        x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return x, class_numbers(y)


def _judged(dataset: "Dataset", trial: int, x: "Array", y: "Array", outputs: "Array") -> Predictions:
    import numpy as np
    from sklearn.metrics import classification_report, confusion_matrix

    from hpo.data.scaling import range_of

    info = dataset.info
    classes = info.classes or 0
    names = info.class_labels
    predicted = outputs.argmax(axis=1)
    labels = list(range(classes))
    matrix = confusion_matrix(y, predicted, labels=labels)
    table = classification_report(
        y, predicted, labels=labels, target_names=[str(label) for label in labels], output_dict=True, zero_division=0
    )
    right, wrong = np.flatnonzero(predicted == y), np.flatnonzero(predicted != y)
    drawn = np.random.default_rng(0).permutation(right)[:_PICTURES]
    surest = wrong[np.argsort(-outputs[wrong].max(axis=1), kind="stable")][:_PICTURES]

    def pictures(rows: "np.ndarray[Any, Any]") -> list[Picture]:
        if len(info.input_shape) != 3:
            return []
        low, high = range_of(x)
        return [
            Picture(as_image(x[row], low, high), names[y[row]], names[predicted[row]], _sure(outputs[row]))
            for row in rows
        ]

    return Predictions(
        trial, len(y), len(right) / len(y), confusion_chart(matrix.tolist(), names),
        [_class_row(names[label], table[str(label)]) for label in labels],
        pictures(drawn), pictures(surest), len(wrong),
    )  # fmt: skip


def _class_row(name: str, row: Mapping[str, float]) -> ClassRow:
    return ClassRow(name, row["precision"], row["recall"], row["f1-score"], int(row["support"]))


def _sure(outputs: "Array") -> str:
    probabilities = abs(float(outputs.sum()) - 1) < 0.01 and float(outputs.min()) >= 0
    return percent(float(outputs.max())) if probabilities else ""
