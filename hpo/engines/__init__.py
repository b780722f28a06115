"""Where trials train: a job in, a stream of events out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hpo.config.declared import Declared
from hpo.training.messages import Event, Job, StopReason


class Engine(ABC):
    """Trains jobs. Every engine passes the contract in `tests/engines/test_contract.py`.

    A trial's events are Started, EpochDone after each epoch, Checkpointed and Alive at times, and one last: Finished,
    Failed, Lost or Paused. After an EpochDone the trial's next epoch counts only once `proceed` was called for it.
    """

    workers: int
    """How many jobs may train at a time. It may change, and be 0 while no worker can be had."""
    trains_together: bool = False
    """Whether a job may bring others, which one worker trains together; see `Job.beside`."""
    takes_next: bool = False
    """Whether a job may be submitted while the trial before it in the same worker is still being tested: after its last
    EpochDone, or after `stop` or `pause` was called for it."""

    def expect(self, data: str, import_paths: Sequence[str]) -> None:
        """Names the prepared dataset of most jobs. Where it has to travel, workers count once they have it."""
        return

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Starts a job; at most `workers` may be running, not counting those that are only being tested."""

    @abstractmethod
    def events(self, timeout: float) -> Sequence[Event]:
        """The events since the last call, in the order of each trial; waits up to `timeout` seconds for one."""

    def notes(self) -> Sequence[str]:
        """What users should know of the workers, such as how many there are, since the last call."""
        return ()

    @abstractmethod
    def proceed(self, trial: int) -> None:
        """Lets a trial continue after its latest EpochDone."""

    @abstractmethod
    def stop(self, trial: int, reason: StopReason) -> None:
        """Asks a trial to stop within the running epoch, which is dropped, and to finish at its best weights."""

    @abstractmethod
    def pause(self, trial: int) -> None:
        """Asks a trial to leave a checkpoint of its last finished epoch, and its worker; the running epoch is dropped.

        For a trial that cannot pause (`Started.trains_through`) this is `proceed`.
        """

    @abstractmethod
    def kill(self, trial: int) -> None:
        """Ends a trial at once, as far as the engine can; it sends no more events."""

    @abstractmethod
    def discover(self, model: str, data: str, import_paths: Sequence[str]) -> Declared:
        """The parameters that a KerasTuner model declares, found by building it with several values; see
        `hpo.models.discover`."""

    @abstractmethod
    def examine(self, jobs: Sequence[Job], limit: float | None) -> None:
        """Builds and compiles the models of jobs, none of which trains; see `hpo.training.process.examine`.

        Raises HpoError after `limit` seconds, if the engine can end what takes longer.
        """

    @abstractmethod
    def close(self) -> None:
        """Ends all workers; trials that are still running are dropped."""
