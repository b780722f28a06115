"""Workers on the machines of a Ray cluster: an actor for each, which lives until the engine is closed."""

import itertools
import math
import queue
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import ray

from hpo.config.declared import Declared
from hpo.engines import Engine
from hpo.engines.ray_cluster import Cluster
from hpo.engines.ray_compat import first_lines
from hpo.engines.ray_machines import Machines
from hpo.engines.ray_messages import (
    Broken,
    Call,
    Explore,
    Fetched,
    Fetching,
    Parcel,
    Placed,
    Setup,
    Train,
    Unfit,
)  # fmt: skip
from hpo.engines.ray_parcels import Parcels
from hpo.engines.ray_places import Handed, Heard, Needs, Place
from hpo.engines.ray_return import returned
from hpo.engines.worker import Discover, Examine, Explored
from hpo.errors import HpoError
from hpo.system.long_work import notes_while_waiting
from hpo.training.messages import Event, FailureReason, Job, Lost, StopReason

# How often the cluster is looked at, in seconds.
_BETWEEN_LOOKS = 2.0
# Seconds that workers may take to leave before they are ended.
_PARTING = 2.0
# So many workers in a row may die as they start.
_STILLBORN = 4


class RayEngine(Engine):
    """Up to `workers` trials at a time, each in an actor with a worker process that computes with its own threads.

    Files go to the workers and come back from them as bytes: the machines need not share a disk.
    """

    takes_next = True
    trains_together = True

    def __init__(  # noqa: PLR0913 - the keys of the section are its arguments
        self,
        *,
        workers: int | Literal["auto"],
        threads_per_worker: int,
        address: str | None,
        cpus_per_trial: float | None,
        gpus_per_trial: float | None,
        runtime_env: Mapping[str, Any] | None,
        dashboard: bool,
        trials: int | None,
        log: Path,
    ) -> None:
        """`log` stays empty: workers log on their own machines. `trials`: how many there will be; None: unknown.

        Raises:
            UserError: the cluster cannot be reached, or one of its machines cannot train.
        """
        needs = Needs(cpus_per_trial or threads_per_worker, gpus_per_trial or 0.0)
        self._cluster = Cluster(address, runtime_env, _cpus_of(workers, needs), dashboard)
        self._machines = Machines(self._cluster, needs, math.inf if workers == "auto" else workers, trials)
        self._parcels = Parcels(runtime_env or {}, self._cluster.alone)
        self._setup = Setup(uuid.uuid4().hex[:12], threads_per_worker, needs.gpus, self._parcels.working_dir)
        self.workers = 0
        self._places: list[Place] = []
        self._heard: queue.SimpleQueue[tuple[Place, Heard]] = queue.SimpleQueue()
        self._found: list[Event] = []
        self._explored: Explored | None = None
        self._expected: Parcel | None = None
        self._serials = itertools.count(1)
        self._stillborn = 0
        self._looked = -math.inf
        self._closed = False
        try:
            self._look_around()
            self._machines.check()
        except BaseException:
            self.close()
            raise

    def expect(self, data: str, import_paths: Sequence[str]) -> None:
        """Has the data come to all machines; a worker that joins later counts once they are there."""
        self._expected = self._parcels.of_data(data, import_paths)
        for place in self._places:
            place.fetch(self._expected)
        self._count()

    def submit(self, job: Job) -> None:
        """Hands a job to a free worker, or to one whose trial is only being tested, or else to one without a place."""
        free = [place for place in self._places if place.running is None]
        ending = [place for place in self._places if place.at_end and place.next is None]
        ready = [place for place in (*free, *ending) if place.ready]
        place = next(iter([*ready, *free]))
        handed = Handed(next(self._serials), job)
        place.take(handed)
        place.send(Train(handed.serial, job, self._parcels.of(job)))

    def events(self, timeout: float) -> Sequence[Event]:
        """The events since the last call, including the losses of workers."""
        deadline = time.monotonic() + timeout
        self._look_around()
        while not self._found and self._listen(max(0.0, deadline - time.monotonic())):
            continue
        found, self._found = self._found, []
        return found

    def notes(self) -> Sequence[str]:
        """How many workers have places, and what is installed on the machines."""
        return self._machines.notes(self._placed, len(self._places))

    def proceed(self, trial: int) -> None:
        """Lets a trial continue."""
        self._call(trial, Call("proceed", (trial,)))

    def stop(self, trial: int, reason: StopReason) -> None:
        """Asks a trial to stop at its best weights."""
        for place in self._places:
            place.at_end |= place.trains(trial)
        self._call(trial, Call("stop", (trial, reason)))

    def pause(self, trial: int) -> None:
        """Asks a trial to leave a checkpoint, and its worker."""
        for place in self._places:
            place.at_end |= place.trains(trial) and place.may_pause
        self._call(trial, Call("pause", (trial,)))

    def kill(self, trial: int) -> None:
        """Ends the trial's process, in place of which its actor starts another."""
        self._call(trial, Call("kill", (trial,)))
        for place in self._places:
            if place.trains(trial):
                place.go_on()
            elif place.has(trial):
                place.next = None

    def _call(self, trial: int, call: Call) -> None:
        for place in self._places:
            if place.has(trial):
                place.send(call)

    def discover(self, model: str, data: str, import_paths: Sequence[str]) -> Declared:
        """The parameters that a KerasTuner model declares; a worker finds them."""
        return self._explore(model, Discover(model, data, import_paths), None)

    def examine(self, jobs: Sequence[Job], limit: float | None) -> None:
        """Has a worker build and compile the models of jobs; one that takes longer than `limit` seconds is replaced."""
        self._explore(jobs[0].model, Examine(jobs), limit)

    def _explore(self, model: str, order: Discover | Examine, limit: float | None) -> Declared:
        with notes_while_waiting(self._waits_for):
            while not any(place.ready and place.running is None for place in self._places):
                # A machine that cannot take the data loses its worker, which has no trial yet.
                self._listen(0.5)
                self._look_around()
        place = next(place for place in self._places if place.ready and place.running is None)
        self._explored = None
        place.send(Explore(order, limit, self._parcels.of_exploring(order)))
        with notes_while_waiting(lambda: f"still exploring the model {model}"):
            while self._explored is None:
                self._listen(0.5)
                if place not in self._places:
                    raise HpoError(f"{model}: while the model was explored, its worker was lost")
        if self._explored.error is not None:
            raise self._explored.error
        return self._explored.declared

    def close(self) -> None:
        """Gives all workers back to the cluster, and leaves it; one that was started for this engine ends."""
        if self._closed:
            return
        self._closed = True
        places, self._places = self._places, []
        leaving = [place.actor.leave.remote() for place in places if place.placed]
        if leaving:
            ray.wait(leaving, num_returns=len(leaving), timeout=_PARTING)
        for place in places:
            ray.kill(place.actor)
        self._parcels.close()
        self._cluster.close()

    def _listen(self, timeout: float) -> bool:
        """Takes in what workers have told since; waits for something, and returns False if there was nothing."""
        try:
            place, future = self._heard.get(timeout=timeout)
        except queue.Empty:
            return False
        while True:
            if place in self._places:
                self._found += self._take_in(place, future)
                self._count()
            if self._heard.empty():
                return True
            place, future = self._heard.get()

    def _take_in(self, place: Place, future: Heard) -> Iterator[Event]:
        try:
            answers = place.count(*future.result())
        except ray.exceptions.ActorUnavailableError:
            # Its machine is lost, or cannot be reached for a moment: Ray will know.
            place.away = True
            return
        except Exception as error:
            yield from self._lose(place, error)
            return
        place.listen(self._heard)
        for answer in answers:
            if isinstance(answer, Placed | Fetching | Fetched):
                if (news := place.see(answer)) is not None:
                    self._machines.tell(place.node, news)
                self._stillborn = 0
            elif isinstance(answer, Unfit):
                yield from self._leave_out(place, answer)
                return
            elif isinstance(answer, Explored):
                self._explored = answer
            elif isinstance(answer, Broken):
                raise HpoError(f"a worker on {place.placed and place.placed.address}: {answer.message}")
            elif (handed := place.hear(answer.serial, answer.event)) is not None:
                event = returned(answer, handed.job)
                if event is not None:
                    yield event

    def _leave_out(self, place: Place, unfit: Unfit) -> Iterator[Event]:
        """A machine cannot take the data: its worker is no more, and none will be placed there."""
        self._places.remove(place)
        ray.kill(place.actor)
        yield from _lost(place, "lost", f"the machine {self._machines.name(place.node)} cannot train: {unfit.message}")
        self._count()
        self._machines.avoid(place.node, unfit.message, self.workers)
        self._look_around(now=True)

    def _lose(self, place: Place, error: Exception) -> Iterator[Event]:
        self._places.remove(place)
        if place.placed is None:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN or isinstance(error, ray.exceptions.RuntimeEnvSetupError):
                raise HpoError(f"workers die as they start: {first_lines(error)}")
        yield from _lost(place, *self._machines.cause(place.placed, error))
        self._look_around(now=True)

    def _look_around(self, now: bool = False) -> None:
        """Has as many places as are wanted and possible; what joins the cluster is used."""
        if not now and time.monotonic() - self._looked < _BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        for place in self._places:
            if place.away:
                place.reach_again(self._heard)
        wanted = self._machines.look()
        for place in [place for place in self._places if place.placed is None and place.running is None]:
            if len(self._places) > wanted:
                self._places.remove(place)
                ray.kill(place.actor)
        while len(self._places) < wanted:
            place = Place(self._setup, self._machines.needs, self._machines.avoided)
            self._places.append(place)
            if self._expected is not None:
                place.fetch(self._expected)
            place.listen(self._heard)

    def _count(self) -> None:
        self.workers = sum(place.ready for place in self._places)

    @property
    def _placed(self) -> int:
        return sum(place.placed is not None for place in self._places)

    def _waits_for(self) -> str:
        """What a first worker waits for."""
        for place in self._places:
            if place.fetching is not None:
                return f"{self._machines.name(place.node)}: {place.fetching} of the data have come"
        return self._machines.waiting(self._placed, len(self._places))


def _cpus_of(workers: int | Literal["auto"], needs: Needs) -> int | None:
    """The CPUs of a cluster of this machine alone: for so many workers; None: as many as there are."""
    return None if workers == "auto" else math.ceil(workers * needs.cpus)


def _lost(place: Place, reason: FailureReason, message: str) -> Iterator[Event]:
    """The ends of the trials that a worker had."""
    for handed in (place.running, place.next):
        if handed is not None:
            yield Lost(handed.job.trial, reason, message)
