"""Images that were read, in files that all runs share: each folder is read once, until its files or keys change."""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.image_reader import ImageFiles, common_size, refuse_unsized
from hpo.data.image_writer import Order, write_images
from hpo.data.mapped import Mapped, Survey
from hpo.errors import DataError
from hpo.system.home import cache_folder
from hpo.system.long_work import notes_while_waiting
from hpo.system.private_files import private_folder

_FORMAT = 1
_META = "meta.json"
_IMAGES = "images.npy"
_NAME = re.compile(r"([0-9a-f]{32})(\.new|\.lock)?")
_KEPT_SECONDS = 30 * 86_400
"""How long files that no run uses are kept."""
_ELSEWHERE = "the environment variable HPO_CACHE names another folder for images that were read"


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
            raise DataError(f"{folders[0].parent}: {rule}; {_ELSEWHERE}") from None
        found |= {folder: _opened(folder) for folder in missing}
    if damaged := [str(folder) for folder, images in found.items() if images is None]:
        raise DataError(f"{', '.join(damaged)}: cannot be read, though just written; {_ELSEWHERE}")
    return [images for folder in folders if (images := found[folder]) is not None]


def _folder_of(files: ImageFiles, keys: Mapping[str, Any]) -> Path:
    # Two folders may have files of equal names, sizes and times.
    where = str(files.folder.resolve())
    described = [_FORMAT, where, files.names, files.classes, files.versions, sorted(keys.items())]
    digest = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:32]
    return cache_folder() / "images" / digest


def _opened(folder: Path) -> Mapped | None:
    """The images in a folder; None where there are none, or where its files are damaged."""
    if not (folder / _META).is_file():
        return None
    with suppress(OSError):
        os.utime(folder / _META)
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
    from filelock import FileLock

    ordered = sorted(missing)
    private_folder(ordered[0].parent)
    where = os.path.commonpath([files.folder.absolute() for files in missing.values()])
    with ExitStack() as stack:
        with notes_while_waiting(lambda: f"waiting for another run that reads the images in {where}"):
            for folder in ordered:
                stack.enter_context(FileLock(folder.with_suffix(".lock")))
        _delete_unused(ordered[0].parent, ordered)
        found = [_order(folder, missing[folder], keys) for folder in ordered if _opened(folder) is None]
        orders = [order for order, _ in found]
        for order in orders:
            stack.callback(shutil.rmtree, order.folder, ignore_errors=True)
            shutil.rmtree(order.folder, ignore_errors=True)
            order.folder.mkdir()
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
            (order.folder / _META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
            for file in (*order.folder.iterdir(), order.folder):
                _to_disk(file)
            # What is there is damaged.
            shutil.rmtree(order.folder.with_suffix(""), ignore_errors=True)
            order.folder.rename(order.folder.with_suffix(""))


def _to_disk(file: Path) -> None:
    """Waits until a file is on the disk: else it may be empty after a power cut, under the name of a whole one."""
    opened = os.open(file, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _order(folder: Path, files: ImageFiles, keys: Mapping[str, Any]) -> tuple[Order, Mapping[str, str]]:
    """What is to be read, and the images whose size is not known before, each with the reason."""
    size, unknown = (keys["image_size"], {}) if keys["image_size"] else common_size(files)
    return Order(folder.with_suffix(".new"), files, {**keys, "image_size": list(size)}), unknown


def _check_room(orders: Sequence[Order]) -> None:
    if not orders:
        return
    needed = sum(int(np.prod(order.shape, dtype=object)) for order in orders)
    free = shutil.disk_usage(orders[0].folder).free
    if needed > free:
        gigabytes = f"{needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free"
        count, (_, height, width, _) = sum(order.shape[0] for order in orders), orders[0].shape
        what = f"{count} images of {height}x{width} pixels"
        raise DataError(f"{orders[0].folder.parent}: {what} need {gigabytes}; {_ELSEWHERE}")


def _delete_unused(where: Path, own: Sequence[Path]) -> None:
    """Deletes what no run has used for a month, and at once what killed runs left; nothing that a run holds."""
    from filelock import FileLock

    names = {found[1] for place in where.iterdir() if (found := _NAME.fullmatch(place.name))}
    for folder in {where / name for name in names} - {*own}:
        new, lock = folder.with_suffix(".new"), folder.with_suffix(".lock")
        if folder.is_dir() and not new.exists() and not _is_unused(folder):
            continue
        # A timeout is an OSError: another run reads these images.
        with suppress(OSError, NotImplementedError), FileLock(lock).acquire(timeout=0):
            shutil.rmtree(new, ignore_errors=True)
            if _is_unused(folder):
                shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                lock.unlink()


def _is_unused(folder: Path) -> bool:
    times = [0.0]
    for file in (folder, folder / _META, folder / _IMAGES):
        # Another run may delete it meanwhile.
        with suppress(OSError):
            times.append(file.stat().st_mtime)
    return time.time() - max(times) > _KEPT_SECONDS
