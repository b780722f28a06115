"""The files of a run on one machine of a Ray cluster: each comes once, and all workers there share it."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import ray

from hpo.data.dataset import Array
from hpo.engines.ray_compat import first_lines
from hpo.engines.ray_sender import DataFile, SentCode, SentData

_PREFIX = "hpo-node-"
_LOCK = "lock"
# How old a folder without a lock is before it counts as left behind, seconds.
_AGE = 60.0
# Files are fetched in pieces of so many bytes; so many are on their way while one is written.
_PIECE, _AHEAD = 8 * 2**20, 2
_ELSEWHERE = "engine.runtime_env: {env_vars: {TMPDIR: FOLDER}} names another folder for them"


class NodeFolder:
    """The folder of a run on one machine, which its workers share; the last one to leave deletes it.

    A worker that was killed leaves its share of the lock, too, and the next run on the machine deletes the folder.
    """

    def __init__(self, token: str) -> None:
        """`token`: that of the run."""
        base = Path(tempfile.gettempdir())
        for old in base.glob(f"{_PREFIX}*"):
            _delete_if_left(old)
        self._node = ray.get_runtime_context().get_node_id()
        # Machines may share the folder for temporary files.
        self.path = base / f"{_PREFIX}{token}-{self._node[:8]}"
        self._lock = self._hold()

    def _hold(self) -> IO[bytes]:
        while True:
            self.path.mkdir(mode=0o700, exist_ok=True)
            try:
                lock = (self.path / _LOCK).open("ab")
                fcntl.flock(lock, fcntl.LOCK_SH)
                # Another worker may have deleted the folder in between.
                if os.fstat(lock.fileno()).st_ino == (self.path / _LOCK).stat().st_ino:
                    return lock
                lock.close()
            except FileNotFoundError:
                continue

    def code(self, sent: SentCode) -> Path:
        """A folder of the user's code."""

        def write(new: Path) -> None:
            for name, content in ray.get(sent.content).items():
                (new / name).parent.mkdir(parents=True, exist_ok=True)
                content.tofile(new / name)

        return self._once(sent.name, write)

    def data(self, sent: SentData, folders: Mapping[str, str], arrived: Callable[[int], None]) -> Path:
        """A prepared dataset: on the coordinator's machine links to its files, elsewhere copies.

        `folders`: where the folders of the user's code are here, for datasets that are made by a function. `arrived` is
        called with the bytes of each piece that has come; what it raises ends the fetching.

        Raises:
            OSError: there is no room, or the files cannot be fetched or written.
        """
        is_here = sent.node == self._node

        def write(new: Path) -> None:
            for file in sent.files:
                (new / file.name).parent.mkdir(parents=True, exist_ok=True)
                if is_here:
                    (new / file.name).symlink_to(file.path)
                elif file.shared:
                    self._share(sent.reader, file, new / file.name, arrived)
            if not is_here:
                own = [(file, new / file.name) for file in sent.files if not file.shared]
                self._fetch(sent.reader, own, arrived)
            for meta in new.rglob("meta.json"):
                _translate(meta, folders)

        return self._once(sent.name, write)

    def _once(self, name: str, write: Callable[[Path], None]) -> Path:
        """A folder with what `write` lays into it, whole or not at all; other workers of this machine wait for it."""
        target = self.path / name
        with self._locked(name):
            if not target.exists():
                with tempfile.TemporaryDirectory(prefix=".new-", dir=self.path) as temporary:
                    new = Path(temporary) / name
                    new.mkdir()
                    write(new)
                    new.rename(target)
        return target

    def _share(self, reader: Any, file: DataFile, path: Path, arrived: Callable[[int], None]) -> None:
        """Puts a file at a path, of which all datasets that have it share one copy, until the last of them is gone."""
        with self._locked(path.name):
            for found in [*self.path.glob(f"data-*/**/{path.name}"), *self.path.glob(f".new-*/**/{path.name}")]:
                # Another worker may delete its dataset at this moment.
                with suppress(FileNotFoundError):
                    os.link(found, path)
                    arrived(file.size)
                    return
            unfinished = path.with_name(f"{path.name}.part")
            self._fetch(reader, [(file, unfinished)], arrived)
            unfinished.rename(path)

    def _fetch(self, reader: Any, files: Sequence[tuple[DataFile, Path]], arrived: Callable[[int], None]) -> None:
        """Fetches files to paths, a piece at a time: neither memory nor Ray's object store ever holds a whole one."""
        arrived(0)
        needed, free = sum(file.size for file, _ in files), shutil.disk_usage(self.path).free
        if needed > free:
            sizes = f"the data need {needed / 1e9:.3g} GB, and {free / 1e9:.3g} GB are free in {self.path.parent}"
            raise OSError(f"{sizes}; {_ELSEWHERE}")
        for _, path in files:
            path.touch()
        for path, piece in _pieces(reader, files):
            with path.open("ab") as out:
                out.write(piece.data)
            arrived(len(piece))

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with (self.path / f".{name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def drop(self, names: Sequence[str]) -> None:
        """Deletes folders that nobody needs any more."""
        for name in names:
            shutil.rmtree(self.path / name, ignore_errors=True)

    def leave(self) -> None:
        """Ends the use of the folder."""
        self._lock.close()
        _delete_if_left(self.path)


def _pieces(reader: Any, files: Sequence[tuple[DataFile, Path]]) -> Iterator[tuple[Path, Array]]:
    """The pieces of files in their order, each with the path of its file."""
    coming: deque[tuple[DataFile, Path, int, Any]] = deque()
    for file, path in files:
        for start in range(0, file.size, _PIECE):
            size = min(_PIECE, file.size - start)
            coming.append((file, path, size, reader.read.remote(file.path, start, size)))
            if len(coming) > _AHEAD:
                yield _taken(*coming.popleft())
    while coming:
        yield _taken(*coming.popleft())


def _taken(file: DataFile, path: Path, size: int, piece: Any) -> tuple[Path, Array]:
    try:
        content, sha256 = ray.get(piece)
    except ray.exceptions.RayError as error:
        reason = first_lines(getattr(error, "cause", error))
        raise OSError(f"the data cannot be fetched from the coordinator's machine: {reason}") from None
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise OSError(f"{file.path}: came damaged from the coordinator's machine")
    return path, content


def _delete_if_left(folder: Path) -> None:
    with suppress(OSError):
        if not (folder / _LOCK).exists():
            if time.time() - folder.stat().st_mtime > _AGE:
                shutil.rmtree(folder, ignore_errors=True)
            return
        with (folder / _LOCK).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


def _translate(meta: Path, folders: Mapping[str, str]) -> None:
    """Puts this machine's folders of the user's code into the description of a dataset that a function makes."""
    described = json.loads(meta.read_text(encoding="utf-8"))
    made = [found for source in ("stream", "batches") if (found := described.get(source)) is not None]
    if made:
        for found in made:
            found["folders"] = [folders.get(folder, folder) for folder in found["folders"]]
        # On the coordinator's machine it is a link.
        meta.unlink()
        meta.write_text(json.dumps(described), encoding="utf-8")
