"""A worker on a machine of a Ray cluster: an actor with a local engine of one worker, and the files that it needs."""

import multiprocessing
import os
import queue
import tempfile
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Literal

import ray

from hpo.config.declared import NOTHING_DECLARED
from hpo.engines.local import LocalEngine
from hpo.engines.ray_files import File, NodeFolder, Sent
from hpo.engines.worker import Discover, Examine, Explored
from hpo.errors import HpoError
from hpo.training import checkpoint_file
from hpo.training.messages import Checkpointed, Event, Failed, Finished, Job, Lost, Paused, Several


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

    data: Sent
    code: tuple[tuple[str, Sent | None], ...]
    """The folders of import paths, with what was sent of them; None: the folder is there."""
    checkpoint: File | None = None
    """The one that a job goes on from."""
    gone: tuple[str, ...] = ()
    """Names of data that nobody needs any more."""


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
class Told:
    """An event, of the order with that serial, and the files that belong to it."""

    serial: int
    event: Event
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Broken:
    """The actor can do no more; why."""

    message: str


Order = Train | Explore | Call | Leave
Answer = Placed | Told | Explored | Broken


class TrialActor:
    """Trains jobs, one at a time. Its engine belongs to one thread, which waits for orders and for events alike."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._node = NodeFolder(setup.token)
        os.environ["TMPDIR"] = tempfile.tempdir = str(self._node.path)
        self._own = Path(tempfile.mkdtemp(prefix="worker-"))
        self._engine = LocalEngine(1, setup.threads, self._own / "worker.log", setup.gpus)
        self._serials: dict[int, int] = {}
        # By the first of those that were ordered together.
        self._trials: dict[int, tuple[int, ...]] = {}
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._early: dict[int, Order] = {}
        self._ordered = 0
        self._answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self._unheard: list[Answer] = []
        self._heard = 0
        self._woken, self._wake = multiprocessing.Pipe(duplex=False)
        self._left = threading.Event()
        context = ray.get_runtime_context()
        self._answers.put(Placed(context.get_node_id(), ray.util.get_node_ip_address()))
        threading.Thread(target=self._run, name="engine", daemon=True).start()

    def order(self, number: int, order: Order) -> None:
        """Takes an order; orders are numbered, since those that may have been lost on the way are sent again."""
        if number >= self._ordered:
            self._early[number] = order
        while self._ordered in self._early:
            self._take(self._early.pop(self._ordered))
            self._ordered += 1

    def _take(self, order: Order) -> None:
        self._orders.put(order)
        self._wake.send_bytes(b"1")

    @ray.method(concurrency_group="answers")  # type: ignore[untyped-decorator]
    def answers(self, heard: int) -> tuple[int, list[Answer]]:
        """How many orders have come, and what there is to tell; waits until there is something.

        `heard`: how many answers have come before. Others may have been lost on the way, and are told again.
        """
        self._unheard = self._unheard[heard - self._heard :]
        self._heard = heard
        if not self._unheard:
            self._unheard.append(self._answers.get())
        while not self._answers.empty():
            self._unheard.append(self._answers.get())
        return self._ordered, self._unheard

    @ray.method(concurrency_group="leaving")  # type: ignore[untyped-decorator]
    def leave(self) -> None:
        """Ends the worker, and deletes its files."""
        self._take(Leave())
        self._left.wait()

    def _run(self) -> None:
        try:
            while not self._left.is_set():
                if self._woken in wait([*self._engine.handles(), self._woken]):
                    self._woken.recv_bytes()
                    self._obey(self._orders.get())
                for event in () if self._left.is_set() else self._engine.events(0.0):
                    self._tell(event)
        except HpoError as error:
            self._answers.put(Broken(str(error)))
        except BaseException:
            self._answers.put(Broken(traceback.format_exc()))

    def _obey(self, order: Order) -> None:
        if isinstance(order, Train):
            self._train(order)
        elif isinstance(order, Explore):
            self._explore(order)
        elif isinstance(order, Call):
            getattr(self._engine, order.method)(*order.arguments)
        else:
            self._engine.close()
            self._node.leave()
            self._left.set()

    def _train(self, order: Train) -> None:
        trial = order.job.trial
        self._serials[trial] = order.serial
        self._trials[trial] = (trial, *(one.trial for one in order.job.beside))
        try:
            self._engine.submit(self._placed_here(order.job, order.parcel))
        except OSError as error:
            self._answers.put(Told(order.serial, Failed(trial, "error", f"the worker's disk: {error}")))

    def _explore(self, explore: Explore) -> None:
        order, found = explore.order, NOTHING_DECLARED
        try:
            if isinstance(order, Discover):
                folders = self._folders(explore.parcel)
                data = self._node.fetch(explore.parcel.data, folders)
                found = self._engine.discover(order.model, str(data), tuple(folders.values()))
            else:
                jobs = [self._placed_here(job, explore.parcel) for job in order.jobs]
                self._engine.examine(jobs, explore.limit)
            self._answers.put(Explored(found))
        except HpoError as error:
            self._answers.put(Explored(found, error))

    def _placed_here(self, job: Job, parcel: Parcel) -> Job:
        """The job with files of this machine in place of the coordinator's."""
        folders = self._folders(parcel)
        self._node.drop(parcel.gone)
        job = replace(
            job, data=str(self._node.fetch(parcel.data, folders)), import_paths=tuple(folders.values()),
            save_to=job.save_to and str(self._own / "models" / Path(job.save_to).name),
            callbacks_folder=job.callbacks_folder and str(self._callbacks),
            checkpoints=job.checkpoints and replace(job.checkpoints, folder=str(self._checkpoints)),
        )  # fmt: skip
        if job.resume is None:
            return job
        file = self._checkpoints / Path(job.resume.file).name
        if parcel.checkpoint is not None:
            parcel.checkpoint.write(file)
        return replace(job, resume=replace(job.resume, file=str(file)))

    def _folders(self, parcel: Parcel) -> dict[str, str]:
        """Folder of the coordinator's machine -> the same here."""
        found = {}
        for folder, sent in parcel.code:
            if sent is not None:
                found[folder] = str(self._node.fetch(sent))
            elif self._setup.working_dir is not None and Path(folder).is_relative_to(self._setup.working_dir):
                found[folder] = str(Path(folder).relative_to(self._setup.working_dir).absolute())
            else:
                found[folder] = folder
        return found

    def _tell(self, event: Event) -> None:
        told, files = self._with_files(event)
        if told is None:
            return
        if isinstance(event, Finished | Failed | Lost | Paused):
            for trial in self._trials.pop(event.trial):
                files += self._left_by_callbacks(trial)
                checkpoint_file.delete(self._checkpoints, trial)
        self._answers.put(Told(self._serials[event.trial], told, tuple(files)))

    def _with_files(self, event: Event) -> tuple[Event | None, list[File]]:
        """An event and the files that it names; None for a checkpoint in place of which there is a newer one."""
        if isinstance(event, Several):
            parts = [part for one in event.events if (part := self._with_files(one))[0] is not None]
            told = tuple(one for one, _ in parts if one is not None)
            return replace(event, events=told), [file for _, files in parts for file in files]
        if isinstance(event, Checkpointed | Paused) and event.checkpoint is not None:
            try:
                return event, [File.of(Path(event.checkpoint.file))]
            except OSError as error:
                if isinstance(event, Checkpointed):
                    return None, []
                return replace(event, checkpoint=None, note=f"its checkpoint cannot be read: {error.strerror}"), []
        if isinstance(event, Finished) and event.model_file is not None:
            model = Path(event.model_file)
            file = File.of(model)
            model.unlink()
            return event, [file]
        return event, []

    def _left_by_callbacks(self, trial: int) -> Iterator[File]:
        for file in sorted((self._callbacks / f"trial-{trial:04d}").rglob("*")):
            if file.is_file():
                yield File.of(file, file.relative_to(self._callbacks).as_posix())
                file.unlink()

    @property
    def _checkpoints(self) -> Path:
        return self._own / "checkpoints"

    @property
    def _callbacks(self) -> Path:
        return self._own / "callbacks"
