"""Predicts the samples of a file with a saved or registered model, and writes a table."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from hpo.data.several import Arrays

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
    model: str,
    source: "Path | Mapping[str, Array]",
    home: str | Path | None = None,
    uri: str | None = None,
    batch_size: int = 512,
) -> Predictions:
    """Predicts for a file of samples.

    Args:
        model: a .keras file, or `models:/NAME@champion`, `models:/NAME/VERSION` of the model registry.
        source: a table with the columns of the training data, in any order; .npy, or .npz with a single
            array or one named x; a picture, or a folder of pictures, in the order of their names. Of a model with
            several inputs .npz with an array for each, a table, or the arrays themselves by name.
        home: the folder of the store: HPO_HOME or ./mlruns where not given.
        uri: MLflow tracking URI of the registry, where it is not the home folder's.
        batch_size: samples at a time.

    Raises:
        UserError: no such model or file, or samples that are not what the model was trained on.
    """
    refuse_other_backends()
    with scratch_folder() as folder:
        file = _model_file(model, folder, home, uri)
        info = info_of(file)
        samples = read_samples(source, info)
        # Imported only after the input was checked, since TensorFlow takes seconds to import.
        with without_import_messages():
            table = table_of(file, samples.x, info, batch_size)
    first: dict[str, Any] = {"file": list(samples.files)} if samples.files else dict(samples.beside)
    put_first(table, first.items())
    return Predictions(table, samples.ignored, samples.notes)


def table_of(
    file: Path, x: "Arrays | Mapping[str, Array]", info: "DatasetInfo | None", batch_size: int = 512
) -> "pd.DataFrame":
    """What a saved model says of samples, which it takes without scaling; columns as those of `Predictions.table`.

    Raises:
        ModelError: the model cannot be loaded, or takes samples of another shape.
    """
    from hpo.training import predict as trained

    # A model that takes the columns of a table has one output that counts.
    of_each = info is not None and not info.by_column and (info.targets or info.task == "custom")
    if info is not None and of_each and not isinstance(x, Mapping):
        several = trained.outputs_by_name(file, x, batch_size)
        if info.targets or len(several) > 1:
            return _tables(several, info)
    return _as_table(trained.predict(file, x, batch_size), info)


def put_first(table: "pd.DataFrame", columns: Iterable[tuple[str, Any]]) -> None:
    """Puts columns in front of those that a table has."""
    for place, (name, values) in enumerate(columns):
        table.insert(place, name, values, allow_duplicates=True)


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
    from hpo.system.home import tracking_address
    from hpo.text.urls import missing_database
    from hpo.tracking.address import cannot_open, set_environment

    set_environment()
    from hpo.tracking.registry import model_file

    uri = tracking_address(uri, home)
    if (database := missing_database(uri)) is not None:
        raise NotFound(f"{database}: no such file, so no model is registered there; --home names its folder")
    try:
        return model_file(uri, model, folder)
    except HpoError:
        raise
    except Exception as error:  # MLflow's, SQLAlchemy's, or of the network
        raise cannot_open(uri, error) from None


def info_of(file: Path) -> "DatasetInfo | None":
    """What a saved model knows of the data that it was trained on.

    Raises:
        DataError: the file is no Keras model.
    """
    import zipfile

    with without_import_messages():
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
        found.append(_as_table(values, of_target).add_prefix(f"{target}_"))
    return pd.concat(found, axis=1)


def _as_table(outputs: "Array", info: "DatasetInfo | None") -> "pd.DataFrame":
    """The outputs of a model as a table; see `Predictions.table`."""
    import numpy as np
    import pandas as pd

    from hpo.training.predict import by_class

    outputs = outputs.reshape(len(outputs), -1)
    if info is None or info.classes is None or info.target_shape:
        if info is not None and info.series is not None:
            columns = list(info.series.output_names)
        elif outputs.shape[1] == 1:
            columns = ["prediction"]
        else:
            columns = [f"prediction_{one}" for one in range(outputs.shape[1])]
        return pd.DataFrame(outputs, columns=columns)
    if info.classes == 2:
        outputs = by_class(outputs)
    names = info.class_labels
    # A user's own model may return logits.
    sums_to_one = bool(np.allclose(outputs.sum(axis=1), 1, atol=1e-3) and (outputs >= 0).all())
    kind = "probability" if sums_to_one else "output"
    table = pd.DataFrame(outputs, columns=[f"{kind}_{name}" for name in names])
    table.insert(0, "class", [names[one] for one in outputs.argmax(axis=1)])
    return table
