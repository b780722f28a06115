"""The lock of a study, and how messages name the process that holds it."""

import json
import os
import socket
from abc import ABC, abstractmethod

from hpo.errors import StudyBusy


class Lock(ABC):
    """The lock of one study, held."""

    @abstractmethod
    def ensure(self) -> None:
        """Makes sure that this process still holds the lock; takes it again if it was lost.

        It is called before anything is written, and every few seconds while nothing is written.

        Raises:
            StudyBusy: another process took the lock meanwhile; the message says which.
            StoreAway: another database is in the place of the study's.
            Exception: an error for which `hpo.storage.database.is_away` holds: the lock cannot be checked now.
        """

    @abstractmethod
    def release(self) -> None:
        """Gives the lock up; nothing may be written afterwards."""


class Released(RuntimeError):
    """Something was to be written after the lock was given up."""


def whole_name() -> str:
    """The name of this process, as JSON, for a lock file."""
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname()})


def short_name() -> str:
    """The name of this process, in the 63 characters that PostgreSQL keeps of a session's name."""
    return f"hpo pid {os.getpid()} on {socket.gethostname()}"[:63]


def busy(study: str, holder: str, lost: bool = False) -> StudyBusy:
    """The error for a lock that another process holds; `lost`: whether this process had held it before."""
    try:
        details = json.loads(holder)
        who = f"process {details['pid']} on {details['host']}"
    except (ValueError, KeyError, TypeError):
        who = holder.removeprefix("hpo ").replace("pid", "process") or "another process"
    if lost:
        how = "which took it while this one had lost its lock; nothing more is written here"
        return StudyBusy(f"study {study} is being run by {who}, {how}")
    return StudyBusy(f"study {study} is being run by {who}; wait for it to end, or stop it with Ctrl-C")
