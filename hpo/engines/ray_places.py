"""The places of workers in a cluster: an actor each, which trains one trial and may already have the next."""

import itertools
import queue
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import ray

from hpo.engines.ray_actor import TrialActor
from hpo.engines.ray_messages import Answer, Fetch, Fetched, Fetching, Order, Parcel, Placed, Setup
from hpo.training.messages import EpochDone, Event, Failed, Finished, Job, Lost, Paused, Started

Heard = Future[tuple[int, list[Answer]]]
"""What a worker will have told; see `TrialActor.answers`."""


@dataclass(frozen=True)
class Needs:
    """What a worker takes up of its machine."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        """The needs in words."""
        return f"{self.cpus:g} CPU" + (f" + {self.gpus:g} GPU" if self.gpus else "")

    def room(self, resources: Mapping[str, float]) -> int:
        """How many workers some resources have room for."""
        rooms = [resources.get("CPU", 0.0) / self.cpus]
        if self.gpus:
            # Ray shares no worker between cards.
            cards, each = int(resources.get("GPU", 0.0)), int(1 / self.gpus + 1e-9)
            rooms.append(cards * each if each else resources.get("GPU", 0.0) / self.gpus)
        return int(min(rooms) + 1e-9)


@dataclass(frozen=True)
class Handed:
    """A job that a place was given."""

    serial: int
    job: Job


class Place:
    """A worker: waiting for room in the cluster, or placed on a machine."""

    def __init__(self, setup: Setup, needs: Needs, avoid: frozenset[str]) -> None:
        """`avoid`: machines on which it cannot train."""
        options: dict[str, Any] = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "max_restarts": 0}
        if avoid:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(sorted(avoid))})"}
        kind = ray.remote(concurrency_groups={"answers": 1, "leaving": 1}, **options)(TrialActor)
        self.actor = kind.remote(setup)
        self._ordered = itertools.count()
        self._heard = 0
        self._sent: dict[int, Order] = {}
        self.away = False
        """Whether its machine could not be reached the last time."""
        self.placed: Placed | None = None
        self.fetching: Fetching | None = None
        """How far the data have come, if that takes long."""
        self._fetches = 0
        self.running: Handed | None = None
        self.next: Handed | None = None
        """What it trains after that."""
        self.at_end = False
        """Whether the training of its trial has ended."""
        self.may_pause = False

    def listen(self, heard: "queue.SimpleQueue[tuple[Place, Heard]]") -> None:
        """Puts what the worker has to tell into a queue, once there is something."""
        self.away = False
        answers = self.actor.answers.remote(self._heard)
        answers.future().add_done_callback(lambda future: heard.put((self, future)))

    def count(self, taken: int, answers: Sequence[Answer]) -> Sequence[Answer]:
        """Remembers how many orders have arrived there, and how many answers here."""
        self._heard += len(answers)
        self._sent = {number: order for number, order in self._sent.items() if number >= taken}
        return answers

    def fetch(self, parcel: Parcel) -> None:
        """Has the data come there before the worker counts."""
        self._fetches += 1
        self.send(Fetch(parcel))

    def see(self, answer: Placed | Fetching | Fetched) -> str | None:
        """Takes in how far the worker is from its first trial; returns what there is to tell of that."""
        if isinstance(answer, Placed):
            self.placed = answer
            return None
        if isinstance(answer, Fetching):
            self.fetching = answer
            return f"{answer} of the data have come"
        told, self.fetching = self.fetching, None
        self._fetches -= 1
        return "the data have come" if told else None

    @property
    def node(self) -> str:
        """Ray's identifier of its machine, once it is placed."""
        return "" if self.placed is None else self.placed.node

    @property
    def ready(self) -> bool:
        """Whether it is placed, and has the data."""
        return self.placed is not None and self._fetches == 0

    def send(self, order: Order) -> None:
        """Sends an order; a worker that is not placed yet gets it then."""
        number = next(self._ordered)
        self._sent[number] = order
        self.actor.order.remote(number, order)

    def reach_again(self, heard: "queue.SimpleQueue[tuple[Place, Heard]]") -> None:
        """Sends again what may have been lost while the worker's machine could not be reached."""
        for number, order in self._sent.items():
            self.actor.order.remote(number, order)
        self.listen(heard)

    def has(self, trial: int) -> bool:
        """Whether a trial is its own, or its next."""
        return any(handed is not None and handed.job.trial == trial for handed in (self.running, self.next))

    def trains(self, trial: int) -> bool:
        """Whether it has begun a trial."""
        return self.running is not None and self.running.job.trial == trial

    def take(self, handed: Handed) -> None:
        """Remembers a job."""
        if self.running is None:
            self.running = handed
        else:
            self.next = handed

    def hear(self, serial: int, event: Event) -> Handed | None:
        """What was handed out that an event is of, None if that is over."""
        ends = isinstance(event, Finished | Failed | Lost | Paused)
        if self.running is not None and self.running.serial == serial:
            handed = self.running
            self.at_end |= isinstance(event, EpochDone) and event.last
            if isinstance(event, Started):
                self.may_pause = event.trains_through is None
            if ends:
                self.go_on()
            return handed
        if self.next is not None and self.next.serial == serial:
            handed = self.next
            if ends:
                self.next = None
            return handed
        return None

    def go_on(self) -> None:
        """The running trial is over."""
        self.running, self.next, self.at_end, self.may_pause = self.next, None, False, False
