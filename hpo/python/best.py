"""One trial of a study as an object: its record, and its model."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from hpo.errors import HpoError, UserError
from hpo.study.record import TrialRecord

if TYPE_CHECKING:
    import pandas as pd

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
        from hpo.export.predict import predict
        from hpo.system.scratch import scratch_folder

        with scratch_folder() as folder:
            source = Path(inputs) if isinstance(inputs, str | Path) else _as_file(inputs, folder)
            return predict(str(self._file(folder)), source).table

    def predictions(self, part: str = "validation") -> "pd.DataFrame":
        """Its predictions for a part of its data; see `Study.predictions`."""
        import numpy as np

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
        from hpo.export.predict import as_table
        from hpo.system.scratch import scratch_folder
        from hpo.training.predict import predict

        with scratch_folder() as folder:
            outputs = predict(self._file(folder), samples.x)
        table, labels = as_table(outputs, dataset.info), dataset.info.class_labels
        y = np.asarray(samples.y)
        if dataset.info.classes is not None:
            from hpo.data.dataset import class_numbers

            table.insert(0, "true", [labels[number] for number in class_numbers(y)])
            return table
        y = y.reshape(len(y), -1)
        for place in range(y.shape[1]):
            table.insert(place, "true" if y.shape[1] == 1 else f"true_{place}", y[:, place])
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


def _no_such_part(part: str) -> UserError:
    if part == "test":
        why = "are not shown: whoever changes a model because of its mistakes there tunes it on the test part"
        return UserError(f"part: predictions for the test part {why}; take validation")
    return UserError(f"part: must be validation or training, got {part!r}")


def _as_file(inputs: Any, folder: Path) -> Path:
    """Inputs as a file that `hpo predict` reads."""
    import numpy as np

    if hasattr(inputs, "to_parquet") and hasattr(inputs, "columns"):
        inputs.reset_index(drop=True).to_parquet(folder / "inputs.parquet", index=False)
        return folder / "inputs.parquet"
    try:
        array = np.asarray(inputs)
    except ValueError as error:
        raise UserError(f"inputs: must be an array or a DataFrame: {error}") from None
    if array.dtype.kind not in "buif":
        raise UserError(f"inputs: must be an array of numbers, a DataFrame or a file, got {type(inputs).__name__}")
    np.save(folder / "inputs.npy", array)
    return folder / "inputs.npy"
