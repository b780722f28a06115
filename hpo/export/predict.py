"""Predicts the samples of a file with a saved or registered model, and writes a table."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import DataError, HpoError, NotFound, UserError
from hpo.export.input_samples import read_samples
from hpo.system.csv_files import write_csv
from hpo.system.platforms import refuse_other_backends
from hpo.system.scratch import scratch_folder
from hpo.system.tensorflow_import import without_import_messages
from hpo.system.whole_files import check_writable

if TYPE_CHECKING:
    import pandas as pd

    from hpo.data.dataset import Array, DatasetInfo

_REGISTERED = "models:/"


@dataclass(frozen=True)
class Predictions:
    """A model's predictions."""

    table: "pd.DataFrame"
    """A row for each sample. Columns: file (for pictures); class and probabilities of classes, or predicted numbers."""
    ignored: Sequence[str] = field(default_factory=tuple)
    """Columns of the input that the model does not know."""
    notes: Sequence[str] = field(default_factory=tuple)
    """What was missing or unknown in a table, and what was told from its file."""


def predict(
    model: str, source: Path, home: str | Path | None = None, uri: str | None = None, batch_size: int = 512
) -> Predictions:
    """Predicts for a file of samples.

    Args:
        model: a .keras file, or `models:/NAME@champion`, `models:/NAME/VERSION` of the model registry.
        source: a table with the columns of the training data, in any order; .npy, or .npz with a single
            array or one named x; a picture, or a folder of pictures, in the order of their names.
        home: the folder of the store: HPO_HOME or ./mlruns where not given.
        uri: MLflow tracking URI of the registry, where it is not the home folder's.
        batch_size: samples at a time.

    Raises:
        UserError: no such model or file, or samples that are not what the model was trained on.
    """
    refuse_other_backends()
    with scratch_folder() as folder:
        file = _model_file(model, folder, home, uri)
        info = _info(file)
        samples = read_samples(source, info)
        # Imported only after the input was checked, since TensorFlow takes seconds to import.
        with without_import_messages():
            from hpo.training import predict as trained

            of_each = info is not None and (info.targets or info.task == "custom")
            if info is not None and of_each and not isinstance(samples.x, Mapping):
                several = trained.outputs_by_name(file, samples.x, batch_size)
                if info.targets or len(several) > 1:
                    return Predictions(_tables(several, info), samples.ignored, samples.notes)
            outputs = trained.predict(file, samples.x, batch_size)
    return Predictions(as_table(outputs, info, samples.files), samples.ignored, samples.notes)


def write(found: Predictions, path: Path | None) -> None:
    """Writes predictions to a .csv file, whole or not at all; to stdout where no path is given."""
    write_csv(found.table, path)


def check_output(path: Path | None) -> None:
    """Checks before long work that predictions can be written.

    Raises:
        UserError: the path is no .csv file, or its folder does not exist.
    """
    if path is not None:
        if path.suffix != ".csv":
            raise UserError(f"{path}: must end in .csv")
        check_writable(path)


def _model_file(model: str, folder: Path, home: str | Path | None, uri: str | None) -> Path:
    if not model.startswith(_REGISTERED):
        file = Path(model)
        if not file.is_file():
            raise NotFound(f"{model}: no such file; a registered model is written models:/NAME@champion")
        return file
    if not re.fullmatch(r"models:/[^/@]+(@[^/@]+|/\d+)", model):
        raise UserError(f"{model}: must be models:/NAME@ALIAS or models:/NAME/VERSION")
    from hpo.system.home import default_tracking, home_folder
    from hpo.text.urls import missing_database
    from hpo.tracking.address import cannot_open, set_environment

    set_environment()
    from hpo.tracking.registry import model_file

    uri = uri or default_tracking(home_folder(home))
    if (database := missing_database(uri)) is not None:
        raise NotFound(f"{database}: no such file, so no model is registered there; --home names its folder")
    try:
        return model_file(uri, model, folder)
    except HpoError:
        raise
    except Exception as error:  # MLflow's, SQLAlchemy's, or of the network
        raise cannot_open(uri, error) from None


def _info(file: Path) -> "DatasetInfo | None":
    import zipfile

    from hpo.training.model_data import read_info

    try:
        return read_info(file)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: cannot be read as a Keras model: {error}") from None


def _tables(outputs: "Mapping[str, Array]", info: "DatasetInfo") -> "pd.DataFrame":
    """The columns of each of several outputs, which begin with its name."""
    import pandas as pd

    named = dict(zip(outputs, info.targets, strict=True)) if info.targets_listed else {}
    found = []
    for name, values in outputs.items():
        target = named.get(name, name)
        of_target = info.of_target(target) if target in info.targets else None
        found.append(as_table(values, of_target).add_prefix(f"{target}_"))
    return pd.concat(found, axis=1)


def as_table(outputs: "Array", info: "DatasetInfo | None", files: Sequence[str] = ()) -> "pd.DataFrame":
    """The outputs of a model as a table; see `Predictions.table`."""
    import numpy as np
    import pandas as pd

    from hpo.training.predict import by_class

    outputs = outputs.reshape(len(outputs), -1)
    table = pd.DataFrame({"file": list(files)} if files else {}, index=range(len(outputs)))
    if info is None or info.classes is None or info.target_shape:
        columns = ["prediction"] if outputs.shape[1] == 1 else [f"prediction_{one}" for one in range(outputs.shape[1])]
        return pd.concat([table, pd.DataFrame(outputs, columns=columns)], axis=1)
    if info.classes == 2:
        outputs = by_class(outputs)
    names = info.class_labels
    # A user's own model may return logits.
    sums_to_one = bool(np.allclose(outputs.sum(axis=1), 1, atol=1e-3) and (outputs >= 0).all())
    kind = "probability" if sums_to_one else "output"
    table["class"] = [names[one] for one in outputs.argmax(axis=1)]
    return pd.concat([table, pd.DataFrame(outputs, columns=[f"{kind}_{name}" for name in names])], axis=1)
