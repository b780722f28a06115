"""What the lock of a study is, and who holds it, as others are told."""

import json
import os
import socket
from abc import ABC, abstractmethod

from hpo.errors import StudyBusy


class Lock(ABC):
    """The lock of one study, held."""

    @abstractmethod
    def ensure(self) -> None:
        """Makes sure that the study is still this process's alone; takes the lock again where it was lost.

        Called before anything is written, and every few seconds where nothing is.

        Raises:
            StudyBusy: another process took it meanwhile; says which.
            StoreAway: another database lies where the study's was.
            Exception: one for which `hpo.storage.database.is_away` holds, as long as nobody can tell.
        """

    @abstractmethod
    def release(self) -> None:
        """Gives the lock up; nothing may be written after."""


class Released(RuntimeError):
    """What writes came after its lock was given up."""


def whole_name() -> str:
    """This process, for a file."""
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname()})


def short_name() -> str:
    """This process, in the 63 characters that PostgreSQL keeps of a session's name."""
    return f"hpo pid {os.getpid()} on {socket.gethostname()}"[:63]


def busy(study: str, holder: str, lost: bool = False) -> StudyBusy:
    """What is raised where another process holds the lock; `lost`: which this one had held."""
    try:
        details = json.loads(holder)
        who = f"process {details['pid']} on {details['host']}"
    except (ValueError, KeyError, TypeError):
        who = holder.removeprefix("hpo ").replace("pid", "process") or "another process"
    if lost:
        how = "which took it while this one had lost its lock; nothing more is written here"
        return StudyBusy(f"study {study} is being run by {who}, {how}")
    return StudyBusy(f"study {study} is being run by {who}; wait for it to end, or stop it with Ctrl-C")
