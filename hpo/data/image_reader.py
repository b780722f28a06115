"""Reads image files by Keras's own loader, `keras.utils.image_dataset_from_directory`."""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpo.config.dataset import IMAGE_ENDINGS, OF_IMAGES, DatasetSpec
from hpo.data.dataset import Array
from hpo.errors import DataError, first_line
from hpo.system.tensorflow_import import without_import_messages

CHANNELS: Mapping[str, int] = {"grayscale": 1, "rgb": 3, "rgba": 4}

_MOST_NAMED = 10
_REASON = re.compile(r"Iterator::\S+: (.*)")


@dataclass(frozen=True)
class ImageFiles:
    """The image files of a folder."""

    folder: Path
    names: tuple[str, ...]
    """Paths within the folder, in the order in which Keras lists them."""
    classes: tuple[str, ...]
    """The class folders; none where images have no classes."""
    versions: tuple[tuple[int, int, int], ...]
    """Size in bytes, and two times in nanoseconds, of each: of its content, and of any change, which nobody sets."""

    @classmethod
    def of(cls, folder: Path, names: list[str], classes: tuple[str, ...] = ()) -> "ImageFiles":
        """Those of these names.

        Raises:
            DataError: there are none, or some cannot be found, or have a name that TensorFlow cannot take.
        """
        if not names:
            raise DataError(f"{folder}: has no images ({', '.join(IMAGE_ENDINGS)})")
        versions, broken = [], {}
        for name in names:
            try:
                state = (folder / name).stat()
                str(folder / name).encode()
            except UnicodeEncodeError:
                broken[name] = "its path is not UTF-8; rename it"
            except OSError as error:
                link = " (a link)" if (folder / name).is_symlink() else ""
                broken[name] = f"{error.strerror or error}{link}"
            else:
                versions.append((state.st_size, state.st_mtime_ns, state.st_ctime_ns))
        found = cls(folder, tuple(names), classes, tuple(versions))
        if broken:
            raise DataError(_message(found, broken))
        return found


def keys_of(spec: DatasetSpec) -> dict[str, Any]:
    """How a section says that images are read: by Keras's names, with Keras's defaults."""
    found = {key: getattr(spec, key) for key in OF_IMAGES}
    size = None if spec.image_size is None else list(spec.image_size)
    defaults = {"color_mode": "rgb", "interpolation": "bilinear"}
    return {key: defaults.get(key, False) if value is None else value for key, value in found.items()} | {
        "image_size": size
    }


def read_images(files: ImageFiles, keys: Mapping[str, Any]) -> Iterator[Array]:
    """The images in their order, each of shape (height, width, channels), uint8.

    `keys` are those of `keys_of`, with a size. What resizing computes is rounded. Animations are read up to their first
    picture.

    Raises:
        DataError: some cannot be read; the message names them. Or the folder changed meanwhile.
    """
    with without_import_messages():
        import keras

    classes = {"labels": "inferred", "class_names": list(files.classes)} if files.classes else {"labels": None}
    data = keras.utils.image_dataset_from_directory(
        files.folder,
        **classes,
        batch_size=None,
        shuffle=False,
        verbose=False,
        data_format="channels_last",
        **{**keys, "image_size": tuple(keys["image_size"])},
    )
    listed = [Path(path).relative_to(files.folder).as_posix() for path in data.file_paths]
    if listed != list(files.names):
        raise DataError(f"{files.folder}: files were added or removed while they were read; start again")
    broken: dict[str, str] = {}
    # Keras decodes several at a time; a broken one fails in its turn, and the next call goes on behind it.
    images = iter(data)
    for name in files.names:
        try:
            image = next(images)
        except Exception as error:  # TensorFlow's, which has a class for each kind
            broken[name] = _reason(str(error))
            continue
        if not broken:
            # With its class, where images have classes.
            resized = np.asarray(image[0] if isinstance(image, tuple) else image)
            yield np.clip(np.rint(resized), 0, 255).astype(np.uint8)
    if broken:
        raise DataError(_message(files, broken))


def _reason(error: str) -> str:
    lines = [line for line in error.splitlines() if line.strip()]
    found = _REASON.search(lines[0]) if lines else None
    return found[1].strip() if found else (lines or ["unknown"])[0]


def _message(files: ImageFiles, broken: Mapping[str, str], rule: str = "cannot be read; repair or delete them") -> str:
    first = [f"{files.folder / name}: {reason}" for name, reason in [*broken.items()][:_MOST_NAMED]]
    more = [f"and {len(broken) - _MOST_NAMED} more"] if len(broken) > _MOST_NAMED else []
    return "\n  ".join([f"{len(broken)} of {len(files.names)} images in {files.folder} {rule}", *first, *more])


def refuse_unsized(files: ImageFiles, unknown: Mapping[str, str]) -> None:
    """Refuses images that Keras reads, and would resize, though nothing says that they have the size of the others.

    Raises:
        DataError: there are such; the message names them.
    """
    if unknown:
        rule = "have a size that Pillow cannot tell; write dataset.image_size, or save them anew"
        raise DataError(_message(files, unknown, rule), ("dataset", "image_size"))


def common_size(files: ImageFiles) -> tuple[tuple[int, int], Mapping[str, str]]:
    """The height and width of all images, and those whose size Pillow does not know, each with the reason.

    Raises:
        DataError: they have several; the message says which `image_size` is in the middle.
    """
    from PIL import Image

    sizes: dict[tuple[int, int], list[str]] = {}
    unknown: dict[str, str] = {}
    for name in files.names:
        try:
            # It warns of large images, and opens them.
            with warnings.catch_warnings(action="ignore"), Image.open(files.folder / name) as image:
                sizes.setdefault((image.height, image.width), []).append(name)
        except Exception as error:  # of every kind, where content is damaged
            unknown[name] = first_line(error)
    if len(sizes) < 2:
        return next(iter(sizes), (1, 1)), unknown
    every = np.array([size for size, names in sizes.items() for _ in names])
    height, width = (int(one) for one in np.median(every, axis=0))
    (least, *_), (largest, *_) = (sizes[end(sizes)] for end in (min, max))
    shown = " and ".join(f"{h}x{w} ({name})" for (h, w), name in ((min(sizes), least), (max(sizes), largest)))
    raise DataError(
        f"is required: images in {files.folder} have {len(sizes)} sizes (height x width), such as {shown}; write a "
        f"size for all, [height, width], for example [{height}, {width}]",
        ("dataset", "image_size"),
    )
