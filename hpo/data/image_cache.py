"""Images that were read, in files that all runs share: each folder is read once, until its files or keys change."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.disk_cache import ELSEWHERE, META, cached_folder, held, is_there, written
from hpo.data.image_reader import ImageFiles, common_size, refuse_unsized
from hpo.data.image_writer import Order, write_images
from hpo.data.mapped import Mapped, Survey
from hpo.errors import DataError
from hpo.system.long_work import notes_while_waiting

_FORMAT = 1
_IMAGES = "images.npy"


def read_cached(parts: Sequence[ImageFiles], keys: Mapping[str, Any]) -> list[Mapped]:
    """The images of several folders, read as `keys` say, or as an earlier run has read them.

    In the files they are in random order, so that what follows each other there is of all classes.

    Raises:
        DataError: they cannot be read, have several sizes and `keys` name none, or there is no room for them.
    """
    folders = [_folder_of(files, keys) for files in parts]
    found = {folder: _opened(folder) for folder in folders}
    missing = {folder: files for folder, files in zip(folders, parts, strict=True) if found[folder] is None}
    if missing:
        try:
            _make(missing, keys)
        except (OSError, NotImplementedError) as error:  # The latter where a disk has no locks.
            rule = f"cannot be written: {getattr(error, 'strerror', None) or error}"
            raise DataError(f"{folders[0].parent}: {rule}; {ELSEWHERE}") from None
        found |= {folder: _opened(folder) for folder in missing}
    if damaged := [str(folder) for folder, images in found.items() if images is None]:
        raise DataError(f"{', '.join(damaged)}: cannot be read, though just written; {ELSEWHERE}")
    return [images for folder in folders if (images := found[folder]) is not None]


def _folder_of(files: ImageFiles, keys: Mapping[str, Any]) -> Path:
    # Two folders may have files of equal names, sizes and times.
    where = str(files.folder.resolve())
    described = [_FORMAT, where, files.names, files.classes, files.versions, sorted(keys.items())]
    return cached_folder("images", described)


def _opened(folder: Path) -> Mapped | None:
    """The images in a folder; None where there are none, or where its files are damaged."""
    if not is_there(folder):
        return None
    try:
        # NumPy leaves a damaged file that it opened itself open.
        with (folder / "survey.npz").open("rb") as file, np.load(file, allow_pickle=False) as known:
            survey = Survey(*(known[name] for name in ("digests", "low", "high", "mean", "squares")))
            return Mapped(folder / _IMAGES, known["places"], survey)
    except FileNotFoundError:
        return None
    except OSError as error:
        rule = "delete the folder, and its images are read again"
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}; {rule}") from None
    except Exception:  # NumPy and zipfile have many for files that are cut off or overwritten
        return None


def _make(missing: Mapping[Path, ImageFiles], keys: Mapping[str, Any]) -> None:
    """Reads images into new folders; of several processes one reads, and the others wait."""
    where = os.path.commonpath([files.folder.absolute() for files in missing.values()])
    with held([*missing], f"waiting for another run that reads the images in {where}"), ExitStack() as stack:
        found = [
            _order(stack.enter_context(written(folder)), missing[folder], keys)
            for folder in sorted(missing)
            if _opened(folder) is None
        ]
        orders = [order for order, _ in found]
        _check_room(orders)
        done, total = 0, sum(order.shape[0] for order in orders)

        def progress() -> None:
            nonlocal done
            done += 1

        with notes_while_waiting(lambda: f"reading images in {where}: {done} of {total}"):
            write_images(orders, progress)
        for order, unknown in found:
            # Most of these are broken, and were named with all others that cannot be read.
            refuse_unsized(order.files, unknown)
        for order in orders:
            meta = {"folder": str(order.files.folder.absolute()), "shape": order.shape, "keys": order.keys}
            (order.folder / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")


def _order(folder: Path, files: ImageFiles, keys: Mapping[str, Any]) -> tuple[Order, Mapping[str, str]]:
    """What is to be read, and the images whose size is not known before, each with the reason."""
    size, unknown = (keys["image_size"], {}) if keys["image_size"] else common_size(files)
    return Order(folder, files, {**keys, "image_size": list(size)}), unknown


def _check_room(orders: Sequence[Order]) -> None:
    if not orders:
        return
    needed = sum(int(np.prod(order.shape, dtype=object)) for order in orders)
    free = shutil.disk_usage(orders[0].folder).free
    if needed > free:
        gigabytes = f"{needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free"
        count, (_, height, width, _) = sum(order.shape[0] for order in orders), orders[0].shape
        what = f"{count} images of {height}x{width} pixels"
        raise DataError(f"{orders[0].folder.parent}: {what} need {gigabytes}; {ELSEWHERE}")
