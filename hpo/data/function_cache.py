"""Arrays that functions of the user's returned, kept on disk from run to run until what decides them changes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.array_files import open_arrays, save_arrays
from hpo.data.checks import check_part
from hpo.data.disk_cache import ELSEWHERE, META, cached_folder, held, is_there, make_room, written
from hpo.data.function import object_at, read_function
from hpo.data.function_key import FunctionKey, key_of
from hpo.data.several import Array, Arrays, Several, by_name, in_order, is_text, mapped
from hpo.data.source_data import RawDataset, RawPart, Values
from hpo.errors import DataError
from hpo.system.digests import sha256_of
from hpo.system.imports import noting_imports

_FORMAT = 1
_MOST_BYTES = 50 * 10**9
"""What functions returned takes at most so much together."""
_OF_PARTS = ("x", "y", "weights")


class _Damaged(Exception):
    """What was kept is not what was written; the text is the name of a file."""


class _NotKept(Exception):
    """Data are not kept; the text says why."""


def read_cached_function(function: str, folders: Sequence[Path], arguments: Mapping[str, Any]) -> RawDataset:
    """The arrays that `read_function` returns, or that an earlier run kept of an equal call.

    Raises:
        DataError: see `read_function`; or they are pipelines, or nothing can be written where they are kept.
    """
    # What cannot be imported is told alike, whatever is kept.
    object_at(function, folders)
    key = key_of(function, folders, arguments)
    folder = cached_folder("data", [_FORMAT, *key.described])
    known = f"the data of {function} are those that an earlier run kept; to have it called again, delete {folder}"
    with suppress(_Damaged):
        if (found := _opened(folder, function)) is not None:
            return _noted(found, [known])
    with ExitStack() as stack:
        try:
            stack.enter_context(held([folder], f"waiting for another run that calls {function}"))
        except (OSError, NotImplementedError) as error:  # The latter where a disk has no locks.
            rule = f"cannot be written: {getattr(error, 'strerror', None) or error}"
            raise DataError(f"{folder.parent}: {rule}; {ELSEWHERE}") from None
        notes = []
        try:
            if (found := _opened(folder, function)) is not None:
                return _noted(found, [known])
        except _Damaged as damage:
            notes.append(f"{function} was called again, since {folder / str(damage)} is damaged")
        with noting_imports():
            raw = read_function(function, folders, arguments)
        if not isinstance(raw, RawDataset):
            rule = f"is for a function that returns arrays, and {function} returns a tf.data.Dataset; leave it out"
            raise DataError(rule, ("dataset", "cache"))
        for part in raw.parts().values():
            check_part(part)
        try:
            kept = _kept(raw, folder, key, key_of(function, folders, arguments))
        except _NotKept as error:
            return _noted(raw, [*notes, f"dataset.cache: the data of {function} are not kept: {error}"])
        return _noted(kept, [*notes, f"the data of {function} are kept for later runs in {folder}"])


def _noted(raw: RawDataset, notes: Sequence[str]) -> RawDataset:
    return replace(raw, notes=(*raw.notes, *notes))


def _kept(raw: RawDataset, folder: Path, before: FunctionKey, after: FunctionKey) -> RawDataset:
    """Writes what a function returned between these two keys; returns what later runs read.

    Sums over numbers that lie otherwise in memory may differ in their last digit.

    Raises:
        _NotKept: it cannot be written, or nobody knows what it is of.
    """
    if before.described != after.described:
        raise _NotKept("files that decide them changed while they were made")
    if after.edited:
        files = ", ".join(after.edited)
        raise _NotKept(f"{files} may have changed after this process imported it; start the process again")
    arrays = {
        f"{name}_{which}": values.array
        for name, part in raw.parts().items()
        for which in _OF_PARTS
        if (values := getattr(part, which)) is not None
    }
    size = sum(_bytes(one) for several in arrays.values() for one in in_order(several))
    try:
        if not make_room(folder, size, _MOST_BYTES):
            raise _NotKept(f"they take {size / 1e9:.3g} GB, and there is no room for that in {folder.parent}")
        with written(folder) as new:
            for name, several in arrays.items():
                save_arrays(new, name, several)
            _describe(new, raw, arrays)
        return _read(folder, _meta(folder), raw.source)
    except OSError as error:
        raise _NotKept(f"{folder.parent} cannot be written: {error.strerror or error}; {ELSEWHERE}") from None
    except _Damaged:
        raise _NotKept(f"{folder} cannot be read, though just written; {ELSEWHERE}") from None


def _bytes(array: Array) -> int:
    # Of text, a number for each says where it ends.
    return sum(8 + len(text.encode()) for text in array.flat) if is_text(array) else int(array.nbytes)


def _describe(new: Path, raw: RawDataset, arrays: Mapping[str, Arrays]) -> None:
    """Writes what arrays there are in a folder, and the SHA-256 of its files, this one included."""
    several = {name: one for name, one in arrays.items() if isinstance(one, Several)}
    meta = {
        "function": raw.source,
        "notes": raw.notes,
        "arrays": {name: list(by_name(one)) if name in several else [] for name, one in arrays.items()},
        "listed": [name for name, one in several.items() if one.listed],
        "files": {file.name: sha256_of(file) for file in sorted(new.iterdir())},
    }
    text = json.dumps(meta)
    whole = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "described": text}
    (new / META).write_text(json.dumps(whole, indent=1), encoding="utf-8")


def _opened(folder: Path, function: str) -> RawDataset | None:
    """What was kept in a folder; None where nothing was.

    Raises:
        _Damaged: it is not what was written.
        DataError: it cannot be read.
    """
    if not is_there(folder):
        return None
    try:
        meta = _meta(folder)
        for name, digest in meta["files"].items():
            if sha256_of(folder / name) != digest:
                raise _Damaged(name)
    except FileNotFoundError as error:
        raise _Damaged(Path(error.filename).name) from None
    except OSError as error:
        rule = f"delete the folder, and {function} is called again"
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}; {rule}") from None
    return _read(folder, meta, function)


def _read(folder: Path, meta: Mapping[str, Any], function: str) -> RawDataset:
    """The arrays that `meta` describes."""
    parts: dict[str, dict[str, Values]] = {}
    for name, names in meta["arrays"].items():
        part, which = name.rsplit("_", 1)
        arrays = mapped(open_arrays(folder, name, names, name in meta["listed"]), np.asarray)
        parts.setdefault(part, {})[which] = Values(arrays, f"{function}: {part} {which}")
    read = {name: RawPart(one["x"], one.get("y"), one.get("weights")) for name, one in parts.items()}
    # A study has another module for what it keeps of a notebook.
    notes = tuple(note.replace(meta["function"], function) for note in meta["notes"])
    return RawDataset(function, read["training"], read.get("validation"), read.get("test"), notes=notes)


def _meta(folder: Path) -> Any:
    try:
        whole = json.loads((folder / META).read_text(encoding="utf-8"))
        if hashlib.sha256(whole["described"].encode()).hexdigest() == whole["sha256"]:
            return json.loads(whole["described"])
    except (ValueError, TypeError, KeyError, AttributeError):  # whatever stands there instead
        pass
    raise _Damaged(META)
