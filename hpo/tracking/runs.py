"""Changes of runs, and the interface to their writers: the public client, or one transaction for many runs."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlflow.entities import DatasetInput, Metric, Param, RunTag

from hpo.study.record import TrialRecord
from hpo.tracking import entities


@dataclass
class RunRef:
    """A run, which may not have been created yet."""

    run_id: str | None = None
    """None until it is created."""
    doubtful: bool = False
    """Whether it may exist without our knowing its id: the server failed while it was asked to create it."""


@dataclass(frozen=True)
class NewRun:
    """What a run is created with."""

    name: str
    start: int
    """Milliseconds since 1970."""
    tags: Mapping[str, str]
    own: tuple[str, str]
    """The tag, and its value, by which it is found again among the runs below its parent."""
    parent: str
    """Id of the run above it: the study's."""


@dataclass(frozen=True)
class End:
    """How a run ended."""

    status: str
    time: int
    """Milliseconds since 1970."""


@dataclass(frozen=True)
class Change:
    """What is to be written to one run. Writing it twice has the same effect as once."""

    run: RunRef
    new: NewRun | None = None
    """Needed if the run has not been created yet."""
    params: Sequence[Param] = ()
    """Params that the run has already keep their values."""
    metrics: Sequence[Metric] = ()
    tags: Sequence[RunTag] = ()
    datasets: Sequence[DatasetInput] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    """Artifacts: name -> text."""
    end: End | None = None
    reopens: bool = False
    """Whether the run had ended, and now goes on."""


@dataclass(frozen=True)
class Child:
    """A run below a study's run, as it is in the store."""

    run_id: str
    status: str
    deleted: bool
    tags: Mapping[str, str]
    """At least those of hpo.role, hpo.trial, hpo.confirm, hpo.state and hpo.epochs that it has."""

    def has_end_of(self, record: TrialRecord) -> bool:
        """Whether the end of the trial is logged; also if the user deleted the run on purpose."""
        epochs = str(record.epochs)
        if self.deleted:
            return True
        if record.rests and self.tags.get("hpo.epochs", epochs) != epochs:
            return False  # it went on, and rests again; runs of earlier versions do not say how far they came
        return self.status == entities.STATUS[record.state] and self.tags.get("hpo.state") == record.state


class Runs(ABC):
    """Writes and reads the runs of one MLflow experiment."""

    batch_size: int
    """How many runs are worth writing together."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Closes its connections."""

    @abstractmethod
    def write(self, changes: Sequence[Change]) -> None:
        """Writes changes of some runs; fills in the ids of those that it creates.

        Raises:
            Exception: MLflow's or SQLAlchemy's. The call may be repeated later, whatever was written.
        """

    @abstractmethod
    def children(self, parent: str) -> Iterator[Child]:
        """The runs below a run, including those that somebody deleted."""

    @abstractmethod
    def steps(self, runs: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, set[int]]]:
        """Run -> metric -> the steps at which the store has values, at least for the metrics of these names."""
