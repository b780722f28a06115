"""The lock of a study in an SQLite database: a locked file beside the database."""

import fcntl
import os
from pathlib import Path
from typing import IO, final

from hpo.errors import StoreAway
from hpo.storage.abstract_lock import Lock, Released, busy, whole_name
from hpo.storage.database import Away
from hpo.system.private_files import private_folder
from hpo.system.safe_paths import file_name

_Identity = tuple[int, int]


@final
class FileLock(Lock):
    """Holds the lock; notices when its file, or the database itself, was replaced.

    It uses `flock` itself instead of the library filelock. That library does not check whether the file that it holds
    still has its name, and its older versions empty the file while they wait, though it contains the holder's name.
    """

    def __init__(self, database: Path, study: str) -> None:
        """Takes the lock.

        Raises:
            StudyBusy: another process holds it.
        """
        self._database = database.resolve()
        self._study = study
        self._path = self._database.parent / "locks" / f"{self._database.name}.{file_name(study)}.lock"
        self._known = _identity(self._database)
        self._file: IO[str] | None = self._take()

    def ensure(self) -> None:
        """Makes sure that database and lock are the same files as before."""
        if self._file is None:
            raise Released(f"the lock of study {self._study} was given up")
        there = _identity(self._database)
        self._known = self._known or there
        if self._known is not None and there is None:
            raise Away(f"{self._database} is gone")
        if there != self._known:
            raise StoreAway(f"{self._database} was replaced by another file while study {self._study} ran in it")
        if _identity(self._path) != _identity_of(os.fstat(self._file.fileno())):
            lost, self._file = self._file, self._take(lost=True)
            lost.close()

    def release(self) -> None:
        """Closes the file, which releases the lock."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _take(self, lost: bool = False) -> IO[str]:
        private_folder(self._path.parent)
        while True:
            file = self._path.open("a+", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _identity(self._path) == _identity_of(os.fstat(file.fileno())):
                    file.truncate(0)
                    file.write(whole_name())
                    file.flush()
                    return file
            except BlockingIOError:
                file.seek(0)
                holder = file.read()
                file.close()
                raise busy(self._study, holder, lost) from None
            except BaseException:
                file.close()
                raise
            # The file was deleted between opening and locking: the next process would lock another file.
            file.close()


def _identity(path: Path) -> _Identity | None:
    """Device and inode of the file at a path; None if there is none."""
    try:
        return _identity_of(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Away(f"{path} cannot be reached: {error.strerror}") from None


def _identity_of(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino
