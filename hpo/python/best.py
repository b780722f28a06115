"""One trial of a study as an object: its record, and its model."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from hpo.errors import HpoError, UserError
from hpo.study.record import TrialRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from hpo.data.dataset import Array, DatasetInfo
    from hpo.study.read import StudyView


@final
@dataclass(frozen=True, eq=False, repr=False)
class Best(TrialRecord):
    """A trial with all that its record has (`params`, `value`, `number`, `curves`, `test`, ...), and its model."""

    view: "StudyView" = field(kw_only=True)
    """The study that it belongs to."""

    def model(self) -> Any:
        """The `keras.Model` at the weights of its best epoch; it takes inputs as they came, its scaling is inside.

        The best model of a study was saved. That of another trial is trained again, from the same seed.

        Raises:
            HpoError: it was not saved and cannot be trained again, or cannot be loaded; the message says why.
        """
        from hpo.system.scratch import scratch_folder
        from hpo.system.tensorflow_import import without_import_messages

        with scratch_folder() as folder, without_import_messages():
            file = self._file(folder)
            from hpo.training.predict import load

            return load(file, compiled=True)

    def predict(self, inputs: Any) -> "pd.DataFrame":
        """Predicts with its model: a row for each sample; see `Study.predict`.

        Raises:
            UserError: the inputs are not what the model was trained on.
        """
        from hpo.export.predict import info_of, predict
        from hpo.python.given_samples import given_samples
        from hpo.system.scratch import scratch_folder

        with scratch_folder() as folder:
            file = self._file(folder)
            return predict(str(file), given_samples(inputs, info_of(file), folder)).table

    def predictions(self, part: str = "validation") -> "pd.DataFrame":
        """Its predictions for a part of its data; see `Study.predictions`."""
        from hpo.report.plotly_json import Missing
        from hpo.report.predictions import data_of

        if part not in ("validation", "training"):
            raise _no_such_part(part)
        dataset = data_of(self.view, self)
        if isinstance(dataset, Missing):
            raise HpoError(dataset.reason)
        if dataset.stream is not None or dataset.batches is not None:
            raise UserError("predictions: of a pipeline, take study.best.model().predict(pipeline)")
        samples = dataset.part(part)
        from hpo.export.predict import put_first, table_of
        from hpo.system.scratch import scratch_folder

        with scratch_folder() as folder:
            table = table_of(self._file(folder), samples.x, dataset.info)
        put_first(table, _true(samples.y, dataset.info))
        return table

    def _file(self, folder: Path) -> Path:
        """The file of its model: that which was kept, or else one that is written into the folder."""
        kept = self.model_file
        if kept is not None and Path(kept).is_file():
            return Path(kept)
        from hpo.export.export import write_model

        write_model(self.view, self, folder / "model.keras")
        return folder / "model.keras"

    def __repr__(self) -> str:
        from hpo.text.values import score, setting

        reached = "" if self.value is None else f" {self.view.objective.metric} {score(self.value)}"
        params = ", ".join(f"{name}={setting(value)}" for name, value in self.params.items())
        return f"trial {self.number} of {self.view.name}: {self.outcome}{reached}: {params}"


def best_of(view: "StudyView", record: TrialRecord) -> Best:
    """A trial of a study."""
    return Best(**{one.name: getattr(record, one.name) for one in fields(record)}, view=view)


def _true(y: Any, info: "DatasetInfo") -> "Iterator[tuple[str, Array | list[str]]]":
    """The columns of the true values: their names and what they hold."""
    from hpo.data.dataset import class_numbers
    from hpo.data.several import Several

    if isinstance(y, Several):
        for target, values in y.arrays.items():
            yield from ((f"{target}_{name}", one) for name, one in _true(values, info.of_target(target)))
    elif y is not None and info.classes is not None and not info.target_shape:
        yield "true", [info.class_labels[number] for number in class_numbers(y)]
    elif y is not None:
        y = y.reshape(len(y), -1)
        yield from ((f"true_{place}" if y.shape[1] > 1 else "true", y[:, place]) for place in range(y.shape[1]))


def _no_such_part(part: str) -> UserError:
    if part == "test":
        why = "are not shown: whoever changes a model because of its mistakes there tunes it on the test part"
        return UserError(f"part: predictions for the test part {why}; take validation")
    return UserError(f"part: must be validation or training, got {part!r}")
