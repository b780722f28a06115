"""Reads samples to predict from tables, arrays and pictures, in the same way as training data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.config.dataset import TABLE_ENDINGS
from hpo.errors import DataError, NotFound

if TYPE_CHECKING:
    from hpo.data.dataset import Array, DatasetInfo
    from hpo.data.several import Arrays

_PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Samples:
    """Samples to predict."""

    x: "Arrays | Mapping[str, Array]"
    """Shape (n, *input_shape), not scaled, or several such; for a model that takes the columns of a table, each by its
    name."""
    files: Sequence[str] = field(default_factory=tuple)
    """The names of pictures; empty for other input."""
    ignored: Sequence[str] = field(default_factory=tuple)
    """Columns of a table that the model does not use."""
    notes: Sequence[str] = field(default_factory=tuple)
    """What was missing or unknown in a table, and what was told from its file."""


def read_samples(source: Path, info: "DatasetInfo | None") -> Samples:
    """Reads samples for a model; `info` describes its training data, if the model has a description.

    Raises:
        DataError: the samples cannot be read, or are not of the kind that the model was trained on.
        NotFound: there is no such file or folder.
    """
    if not source.exists():
        raise NotFound(f"{source}: no such file or folder")
    if info is not None and (info.inputs or info.is_text):
        from hpo.export.several_samples import read_several

        return Samples(read_several(source, info))
    if source.is_dir() or source.suffix.lower() in _PICTURES:
        return _pictures(source, info)
    if source.name.lower().endswith(TABLE_ENDINGS):
        return _rows(source, info)
    if source.suffix not in (".npy", ".npz"):
        raise DataError(f"{source}: must be {', '.join(TABLE_ENDINGS)}, .npy, .npz, .png, .jpg or a folder of pictures")
    x = _array(source)
    shape = info.input_shape if info is not None else x.shape[1:]
    # As in training: grey images may lack the dimension of their one channel.
    x = x[..., None] if x.shape[1:] == shape[:-1] and shape[-1:] == (1,) else x
    if x.shape[1:] != shape or x.dtype.kind not in "buif":
        raise DataError(
            f"{source}: the model takes numbers of shape (samples, {', '.join(map(str, shape))}), "
            f"got {x.dtype} of shape {x.shape}"
        )
    return Samples(_finite(x, source))


def _rows(source: Path, info: "DatasetInfo | None") -> Samples:
    from hpo.data.tables import read_features

    if info is None or not info.columns:
        known = f"samples of shape {info.input_shape}" if info else "data that its file does not describe"
        raise DataError(f"{source}: the model was not trained on a table, but on {known}; give it a .npy or .npz file")
    found = read_features(source, info)
    x = found.columns if info.by_column else _finite(found.features, source)
    return Samples(x, ignored=found.ignored, notes=found.notes)


def _array(source: Path) -> "Array":
    import zipfile

    import numpy as np

    try:
        with source.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                array: Array = loaded
                return array
            with loaded as archive:
                name = "x" if "x" in archive.files else archive.files[0] if len(archive.files) == 1 else None
                if name is None:
                    names = ", ".join(archive.files) or "none"
                    raise DataError(f"{source}: must have an array x, or a single array, has: {names}")
                array = archive[name]
                return array
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: cannot be read: {error}") from None


def _pictures(source: Path, info: "DatasetInfo | None") -> Samples:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    if info is None or len(info.input_shape) != 3 or info.input_shape[-1] not in (1, 3):
        known = f"samples of shape {info.input_shape}" if info else "data that its file does not describe"
        raise DataError(f"{source}: the model was not trained on grey or coloured pictures, but on {known}")
    files = [source]
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in _PICTURES)
        if not files:
            raise DataError(f"{source}: holds no {', '.join(_PICTURES)} files")
    height, width, channels = info.input_shape
    pictures = []
    for file in files:
        try:
            with Image.open(file) as image:
                if image.size != (width, height):
                    got = f"{image.size[0]} by {image.size[1]}"
                    raise DataError(f"{file}: the model takes pictures of {width} by {height} pixels, got {got}")
                mode = "L" if channels == 1 else "RGB"
                pictures.append(np.asarray(image.convert(mode), dtype=np.uint8).reshape(info.input_shape))
        except (OSError, UnidentifiedImageError) as error:
            raise DataError(f"{file}: cannot be read as a picture: {error}") from None
    return Samples(np.stack(pictures), tuple(file.name for file in files))


def _finite(x: "Array", source: Path) -> "Array":
    from hpo.data.checks import FiniteCheck

    if not len(x):
        raise DataError(f"{source}: must have at least one sample, has none")
    check = FiniteCheck(str(source))
    check.update(x)
    check.finish()
    return x
