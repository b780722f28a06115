"""Reads samples to predict from tables, arrays and pictures, in the same way as training data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.config.dataset import IMAGE_ENDINGS, TABLE_ENDINGS
from hpo.errors import DataError, NotFound

if TYPE_CHECKING:
    from hpo.data.dataset import Array, DatasetInfo
    from hpo.data.several import Arrays

_MOST_BYTES = 1 << 30
"""Images that take more are read into the file of a cache, of which a batch at a time is in memory."""


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
    beside: "Mapping[str, Array]" = field(default_factory=dict)
    """What a table of the predictions says of each sample first: of a series, where its window ends."""
    notes: Sequence[str] = field(default_factory=tuple)
    """What was missing or unknown in a table, and what was told from its file."""


def read_samples(source: "Path | Mapping[str, Array]", info: "DatasetInfo | None") -> Samples:
    """Reads samples for a model; `info` describes its training data, if the model has a description.

    `source`: a file, or the arrays of several inputs by name.

    Raises:
        DataError: the samples cannot be read, or are not of the kind that the model was trained on.
        NotFound: there is no such file or folder.
    """
    if isinstance(source, Mapping):
        from hpo.export.several_samples import inputs_of

        if info is None:
            rule = "the model's file does not say which it takes; predict with the model itself"
            raise DataError(f"inputs: {rule}, got {', '.join(source)}")
        return Samples(inputs_of(source, info, "inputs"))
    if not source.exists():
        raise NotFound(f"{source}: no such file or folder")
    if info is not None and (info.inputs or info.is_text):
        from hpo.export.several_samples import read_several

        return Samples(read_several(source, info))
    if source.is_dir() or source.suffix.lower() in IMAGE_ENDINGS:
        return _as_trained(source, info) if info is not None and info.images else _pictures(source, info)
    if source.name.lower().endswith(TABLE_ENDINGS):
        return _rows(source, info)
    if source.suffix not in (".npy", ".npz"):
        kinds = ", ".join((*TABLE_ENDINGS, ".npy", ".npz", *IMAGE_ENDINGS))
        raise DataError(f"{source}: must be {kinds} or a folder of pictures")
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
    from hpo.data.series_table import read_windows
    from hpo.data.tables import read_features

    if info is None or not info.columns:
        known = f"samples of shape {info.input_shape}" if info else "data that its file does not describe"
        raise DataError(f"{source}: the model was not trained on a table, but on {known}; give it a .npy or .npz file")
    if info.series is not None:
        series = read_windows(source, info)
        ignored = [name for name in series.read.ignored if name not in series.ends]
        return Samples(_finite(series.x, source), ignored=ignored, beside=series.ends, notes=series.read.notes)
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


def _as_trained(source: Path, info: "DatasetInfo") -> Samples:
    """Pictures read and resized as those that the model was trained on."""
    import numpy as np

    from hpo.data.image_cache import read_cached
    from hpo.data.image_folder import files_below
    from hpo.data.image_reader import CHANNELS, read_images
    from hpo.system.scratch import scratch_folder

    if source.is_dir():
        files = files_below(source)
        size = len(files.names) * math.prod(info.images["image_size"]) * CHANNELS[info.images["color_mode"]]
        if size > _MOST_BYTES:
            x: Any = read_cached([files], info.images)[0]
            return Samples(x, files.names)
        return Samples(np.stack(list(read_images(files, info.images))), files.names)
    with scratch_folder() as folder:
        (folder / source.name).symlink_to(source.absolute())
        try:
            return Samples(np.stack(list(read_images(files_below(folder), info.images))), (source.name,))
        except DataError as error:
            raise DataError(str(error).replace(str(folder), str(source.parent))) from None


def _pictures(source: Path, info: "DatasetInfo | None") -> Samples:
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    if info is None or len(info.input_shape) != 3 or info.input_shape[-1] not in (1, 3):
        known = f"samples of shape {info.input_shape}" if info else "data that its file does not describe"
        raise DataError(f"{source}: the model was not trained on grey or coloured pictures, but on {known}")
    files = [source]
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in IMAGE_ENDINGS)
        if not files:
            raise DataError(f"{source}: holds no {', '.join(IMAGE_ENDINGS)} files")
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
