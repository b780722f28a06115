"""What the coordinator and a worker on a machine of a Ray cluster tell each other."""

from dataclasses import dataclass
from typing import Any, Literal

from hpo.engines.ray_files import File
from hpo.engines.ray_sender import SentCode, SentData
from hpo.engines.worker import Discover, Examine, Explored
from hpo.training.messages import Event, Job


@dataclass(frozen=True)
class Setup:
    """What all workers of a run are told."""

    token: str
    """Of the run, for the folders that its workers share."""
    threads: int
    gpus: float
    working_dir: str | None
    """The folder of the coordinator's machine that Ray has copied to the actor's working directory."""


@dataclass(frozen=True)
class Parcel:
    """What an order needs of the coordinator's files."""

    data: SentData
    code: tuple[tuple[str, SentCode | None], ...]
    """The folders of import paths, with what was sent of them; None: the folder is there."""
    checkpoint: File | None = None
    """The one that a job goes on from."""
    gone: tuple[str, ...] = ()
    """Names of data that nobody needs any more."""


@dataclass(frozen=True)
class Fetch:
    """Asks for the data of most orders, before the first of them."""

    parcel: Parcel


@dataclass(frozen=True)
class Train:
    """Asks for a trial."""

    serial: int
    """Of this order: a trial that paused is ordered again."""
    job: Job
    parcel: Parcel


@dataclass(frozen=True)
class Explore:
    """Asks what `Discover` or `Examine` do."""

    order: Discover | Examine
    limit: float | None
    parcel: Parcel


@dataclass(frozen=True)
class Call:
    """Calls a method of the engine."""

    method: Literal["proceed", "stop", "pause", "kill"]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Leave:
    """Asks to stop, and to delete what is on the disk."""


@dataclass(frozen=True)
class Placed:
    """The actor has a place."""

    node: str
    """Ray's identifier of the machine."""
    address: str


@dataclass(frozen=True)
class Fetching:
    """How many bytes of a dataset have come to the machine, of how many."""

    done: int
    total: int

    def __str__(self) -> str:
        """The bytes in words."""
        return f"{self.done / 1e9:.3g} of {self.total / 1e9:.3g} GB"


@dataclass(frozen=True)
class Fetched:
    """The machine has the data that `Fetch` asked for."""


@dataclass(frozen=True)
class Unfit:
    """The machine cannot take the data; why. The actor does no more."""

    message: str


@dataclass(frozen=True)
class Told:
    """An event, of the order with that serial, and the files that belong to it."""

    serial: int
    event: Event
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Broken:
    """The actor can do no more; why."""

    message: str


Order = Fetch | Train | Explore | Call | Leave
Answer = Placed | Fetching | Fetched | Unfit | Told | Explored | Broken
