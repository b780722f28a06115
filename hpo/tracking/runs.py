"""What is written of a run, and who writes it: the public client, or one transaction for many runs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import DatasetInput, Metric, Param, RunTag


@dataclass
class RunRef:
    """A run, which may not have been made yet."""

    run_id: str | None = None
    """None until it is made."""
    doubtful: bool = False
    """Whether it may have been made although nobody said so: a server that died as it was asked to."""


@dataclass(frozen=True)
class Birth:
    """What a run is made with."""

    name: str
    start: int
    """Milliseconds since 1970."""
    tags: Mapping[str, str]
    own: tuple[str, str]
    """The tag by which it is found again below its parent, and its value."""
    parent: str


@dataclass(frozen=True)
class End:
    """How a run ended."""

    status: str
    time: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class Change:
    """What is to be written of one run. Written twice it is the same as once."""

    run: RunRef
    birth: Birth | None = None
    """Needed where the run has not been made."""
    params: Sequence[Param] = ()
    """Those that are there keep their values."""
    metrics: Sequence[Metric] = ()
    tags: Sequence[RunTag] = ()
    datasets: Sequence[DatasetInput] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    """Artifacts: name -> text."""
    end: End | None = None


@dataclass(frozen=True)
class Child:
    """A run below a study's, as it stands in the store."""

    run_id: str
    status: str
    deleted: bool
    tags: Mapping[str, str]
    """At least hpo.role, hpo.trial, hpo.confirm and hpo.state, where it has them."""


class Runs(ABC):
    """Writes and reads the runs of one MLflow experiment."""

    at_once: int
    """So many runs are worth writing together."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Gives back what it holds of the store."""

    @abstractmethod
    def write(self, changes: Sequence[Change]) -> None:
        """Writes what is new of some runs; fills in the ids of those that it makes.

        Raises:
            Exception: MLflow's or SQLAlchemy's; the same call later is right, whatever was written.
        """

    @abstractmethod
    def children(self, parent: str) -> Iterator[Child]:
        """The runs below a run, those that somebody deleted included."""

    @abstractmethod
    def steps(self, runs: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, set[int]]]:
        """Run -> metric -> the steps at which the store has values of it; of the metrics of these names at least."""
