"""An engine as the coordinator sees it: jobs that a worker was given together are heard and answered one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hpo.config.declared import Declared
from hpo.engines import Engine
from hpo.training.messages import EpochDone, Event, Failed, Finished, Job, Lost, Paused, Several, StopReason


@dataclass
class _Group:
    """Jobs that a worker was given together."""

    first: int
    left: set[int]
    """Those that have not ended."""
    unanswered: set[int] = field(default_factory=set)
    """Those whose last EpochDone waits for an answer."""
    end: Event | None = None
    """The end of the last one of them."""


class Groups(Engine):
    """Passes jobs and events on; those of groups are taken apart."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.workers = engine.workers
        self.takes_next = engine.takes_next
        self._groups: dict[int, _Group] = {}
        """By the number of each trial that has not ended."""
        self._dropped: list[Event] = []

    def submit(self, job: Job) -> None:
        """Starts a job, or several."""
        if job.beside:
            group = _Group(job.trial, {job.trial, *(one.trial for one in job.beside)})
            self._groups |= dict.fromkeys(group.left, group)
        self._engine.submit(job)

    def events(self, timeout: float) -> Sequence[Event]:
        """The events since the last call."""
        found, self._dropped = self._dropped, []
        for event in self._engine.events(0.0 if found else timeout):
            group = self._groups.get(event.trial)
            found += [event] if group is None else self._apart(group, event)
        self.workers = self._engine.workers
        return found

    def notes(self) -> Sequence[str]:
        """The engine's."""
        return self._engine.notes()

    def proceed(self, trial: int) -> None:
        """Lets a trial continue; those of a group, once all of them may."""
        group = self._groups.get(trial)
        if group is None:
            self._engine.proceed(trial)
            return
        group.unanswered.discard(trial)
        if not group.unanswered:
            self._engine.proceed(group.first)

    def stop(self, trial: int, reason: StopReason) -> None:
        """Asks a trial to stop; with it stops its group, which nothing but the end of a run does."""
        self._engine.stop(self._first(trial), reason)

    def pause(self, trial: int) -> None:
        """Asks a trial to pause; one of a group trains through."""
        self.proceed(trial) if trial in self._groups else self._engine.pause(trial)

    def kill(self, trial: int) -> None:
        """Ends a trial at once, and the worker; the others of its group are lost, and can be trained again."""
        group = self._groups.pop(trial, None)
        self._engine.kill(trial if group is None else group.first)
        if group is not None:
            group.left.discard(trial)
            beside = "it trained beside another trial, whose worker was ended"
            self._dropped += [Lost(one, "lost", beside) for one in sorted(group.left)]
            self._forget(group)

    def discover(self, model: str, data: str, import_paths: Sequence[str]) -> Declared:
        """The engine's."""
        return self._engine.discover(model, data, import_paths)

    def examine(self, jobs: Sequence[Job], limit: float | None) -> None:
        """The engine's."""
        self._engine.examine(jobs, limit)

    def close(self) -> None:
        """The engine's."""
        self._engine.close()

    def _first(self, trial: int) -> int:
        group = self._groups.get(trial)
        return trial if group is None else group.first

    def _apart(self, group: _Group, event: Event) -> Iterator[Event]:
        """The events of single trials."""
        if isinstance(event, Several):
            for one in event.events:
                if isinstance(one, EpochDone) and not one.last:
                    group.unanswered.add(one.trial)
                elif isinstance(one, Finished | Failed):
                    group.left.discard(one.trial)
                    if not group.left:
                        # Once it is heard of, the worker must be free for another job.
                        group.end = one
                        return
                yield one
        elif isinstance(event, Finished | Failed | Lost | Paused):
            # The worker is free, or dead: those that are left shared its fate.
            for trial in sorted(group.left):
                yield _of(event, trial)
            if group.end is not None:
                yield group.end
            self._forget(group)

    def _forget(self, group: _Group) -> None:
        self._groups = {trial: one for trial, one in self._groups.items() if one is not group}


def _of(event: Event, trial: int) -> Event:
    """The end of a worker, as the end of one of its trials.

    Which of them it died of is not known: each is trained again, alone, where that is found.
    """
    message = f"{event.reason}, beside other seeds: {event.message}" if isinstance(event, Failed | Lost) else ""
    if isinstance(event, Failed):
        return Failed(trial, "lost", message, event.traceback)
    if isinstance(event, Lost):
        return Lost(trial, "lost", message, event.printed)
    return Lost(trial, "lost", "its worker ended before it")
