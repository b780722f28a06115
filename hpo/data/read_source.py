"""Reads the source of a dataset section: a name, a path or a function."""

from collections.abc import Sequence
from pathlib import Path

from hpo.config.dataset import OF_IMAGE_FOLDERS, TABLE_ENDINGS
from hpo.config.experiment import DatasetSpec
from hpo.data.arguments import KEY
from hpo.data.files import find, idx_files, read_idx_folder, read_npz
from hpo.data.known import SERIES
from hpo.data.read_known import known_series, read_known
from hpo.data.series_table import RawSeries, read_series
from hpo.data.source_data import RawDataset, RawGenerated, RawPipelines
from hpo.data.table_file import is_table, table_of
from hpo.data.tables import read_table
from hpo.errors import DataError

Raw = RawDataset | RawPipelines | RawGenerated | RawSeries


def read(spec: DatasetSpec, folders: Sequence[Path]) -> Raw:
    """What the source of a section brings, as it came.

    Raises:
        DataError: it cannot be found or read.
    """
    if spec.steps_per_epoch is not None and spec.function is None:
        rule = f"is for a function that yields batches without end; leave it out of {spec.label}"
        raise DataError(rule, ("dataset", "steps_per_epoch"))
    if spec.function is not None:
        raw: Raw = _from_function(spec, spec.function, folders)
    elif spec.path is None:
        raw = _known(spec)
    else:
        path = find(spec.path, folders)
        if path.is_dir():
            raw = _read_folder(path, spec)
        elif path.suffix.lower() == ".npz":
            raw = read_npz(path)
        elif is_table(path):
            raw = read_table(path, spec) if spec.series is None else read_series(table_of(path, spec), spec)
        else:
            kinds = "a folder of images or IDX files, a .npz file, or a table"
            raise DataError(f"{path}: must be {kinds}: {', '.join(TABLE_ENDINGS)}")
    _refuse_keys_of_images(raw, spec)
    if not (isinstance(raw, RawSeries) or (isinstance(raw, RawDataset) and raw.is_table)):
        _refuse_columns(raw, spec)
    return raw


def _from_function(spec: DatasetSpec, function: str, folders: Sequence[Path]) -> Raw:
    from hpo.data.function import read_function
    from hpo.data.function_cache import read_cached_function
    from hpo.data.generated import read_generated

    if spec.cache:
        return read_cached_function(function, folders, spec.arguments or {})
    if spec.steps_per_epoch is None:
        return read_function(function, folders, spec.arguments)
    if spec.arguments:
        rule = f"are for a function that returns parts, and {function} yields batches; leave them out"
        raise DataError(rule, KEY)
    return read_generated(function, folders)


def _read_folder(path: Path, spec: DatasetSpec) -> RawDataset:
    try:
        if idx_files(path):
            return read_idx_folder(path)
        from hpo.data.image_folder import read_image_folder

        return read_image_folder(path, spec)
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read: {error.strerror or error}") from None


def _refuse_keys_of_images(raw: Raw, spec: DatasetSpec) -> None:
    """Refuses the keys of a section that say how images are read, for data that are no folder of images."""
    for key in OF_IMAGE_FOLDERS:
        if getattr(spec, key) is not None and not (isinstance(raw, RawDataset) and raw.images):
            raise DataError(f"is for folders of images, and {spec.label} is none; leave it out", ("dataset", key))


def _known(spec: DatasetSpec) -> Raw:
    name = spec.name or ""
    if name not in SERIES:
        return read_known(name)
    if spec.series is None:
        rule = f"{name} is a table whose rows follow each other in time: set target, and series: {{window: 20}}"
        raise DataError(rule, ("dataset", "name"))
    return read_series(known_series(name), spec)


def _refuse_columns(raw: Raw, spec: DatasetSpec) -> None:
    """Refuses the keys of a section that name columns, for data that are no table."""
    if spec.series is not None:
        raise DataError(f"{raw.source}: series is for the rows of a table; leave it out", ("dataset", "series"))
    if spec.text is not None:
        rule = f"{spec.text} names a column of a table, and {spec.label} is none; leave it out"
        raise DataError(rule, ("dataset", "text"))
    if spec.targets:
        raise DataError(f"{raw.source}: target: {spec.targets[0]} names a column, which only tables have")
    if spec.weights is not None:
        rule = f"{spec.weights} names a column, which only tables have; a function returns (x, y, weights)"
        raise DataError(f"{raw.source}: {rule}", ("dataset", "weights"))
    if spec.validation.column is not None:
        key = "time" if spec.validation.group is None else "group"
        rule = f"{spec.validation.column} names a column of a table, and {spec.label} is none"
        hint = "; shuffle: false takes samples in their order" if key == "time" else ""
        raise DataError(f"{rule}{hint}", ("dataset", "validation", key))
