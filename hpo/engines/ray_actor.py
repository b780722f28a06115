"""A worker on a machine of a Ray cluster: an actor with a local engine of one worker, and the files that it needs."""

import multiprocessing
import os
import queue
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait
from pathlib import Path

import ray

from hpo.config.declared import NOTHING_DECLARED
from hpo.engines.local import LocalEngine
from hpo.engines.ray_files import File
from hpo.engines.ray_messages import (
    Answer,
    Broken,
    Call,
    Explore,
    Fetch,
    Fetched,
    Fetching,
    Leave,
    Order,
    Parcel,
    Placed,
    Setup,
    Told,
    Train,
    Unfit,
)  # fmt: skip
from hpo.engines.ray_node import NodeFolder
from hpo.engines.worker import Discover, Explored
from hpo.errors import HpoError
from hpo.system.long_work import FIRST
from hpo.training import checkpoint_file
from hpo.training.messages import Checkpointed, Event, Failed, Finished, Job, Lost, Paused, Several


class _Parting(BaseException):
    """The actor is to leave, whatever is on its way."""


class _UnfitMachine(Exception):
    """The machine cannot take the data."""


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
        self._parting, self._left = threading.Event(), threading.Event()
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
        self._parting.set()
        self._take(Leave())
        self._left.wait()

    def _run(self) -> None:
        try:
            while not self._left.is_set():
                if self._woken in wait([*self._engine.handles(), self._woken]):
                    self._woken.recv_bytes()
                    with suppress(_Parting):
                        self._obey(self._orders.get())
                for event in () if self._left.is_set() else self._engine.events(0.0):
                    self._tell(event)
        except _UnfitMachine as error:
            # What has come so far must not fill the disk for longer.
            self._leave()
            self._answers.put(Unfit(str(error)))
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
        elif isinstance(order, Fetch):
            self._fetched(order.parcel)
            self._answers.put(Fetched())
        else:
            self._leave()

    def _leave(self) -> None:
        self._engine.close()
        self._node.leave()
        self._left.set()

    def _fetched(self, parcel: Parcel) -> tuple[str, dict[str, str]]:
        """The folder of the data here, and those of the code; tells how far the data have come where it takes long."""
        done, pause, due = 0, FIRST, time.monotonic() + FIRST

        def arrived(size: int) -> None:
            nonlocal done, pause, due
            if self._parting.is_set():
                raise _Parting
            done += size
            if time.monotonic() >= due:
                self._answers.put(Fetching(done, parcel.data.size))
                pause *= 2
                due += pause

        try:
            folders = self._folders(parcel)
            return str(self._node.data(parcel.data, folders, arrived)), folders
        except OSError as error:
            raise _UnfitMachine(str(error)) from None

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
                data, folders = self._fetched(explore.parcel)
                found = self._engine.discover(order.model, data, tuple(folders.values()))
            else:
                jobs = [self._placed_here(job, explore.parcel) for job in order.jobs]
                self._engine.examine(jobs, explore.limit)
            self._answers.put(Explored(found))
        except HpoError as error:
            self._answers.put(Explored(found, error))

    def _placed_here(self, job: Job, parcel: Parcel) -> Job:
        """The job with files of this machine in place of the coordinator's."""
        self._node.drop(parcel.gone)
        data, folders = self._fetched(parcel)
        job = replace(
            job, data=data, import_paths=tuple(folders.values()),
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
                found[folder] = str(self._node.code(sent))
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
