"""Jobs that differ in their seed alone, trained by one worker: as one program where that is measured faster.

Each of them reports as if it trained alone. What the program cannot compute trains one by one, and the run says why.
"""

import os
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from hpo import models
from hpo.data import open_prepared
from hpo.data.dataset import Dataset
from hpo.training.as_built import as_built
from hpo.training.building import built_for, import_paths_of
from hpo.training.epoch_callback import Leaving, Nonfinite, Stopped, Watch
from hpo.training.failures import one_line
from hpo.training.from_disk import is_on_disk
from hpo.training.global_settings import traced
from hpo.training.initial_weights import InitialWeights
from hpo.training.learning_rate import rates_of
from hpo.training.messages import Failed, Finished, Job, Started
from hpo.training.model_shapes import build_chain, size_of
from hpo.training.needs_fit import needs_fit
from hpo.training.replicas import Replicas
from hpo.training.shareable import NotShareable, key_of
from hpo.training.shared_line import SharedLine
from hpo.training.step_memory import bytes_of_sample, too_large
from hpo.training.tensors import order_of
from hpo.training.testing import Scored, evaluated
from hpo.training.whole_part import Figures, figures_of

# Stacked weights, the optimizer's state and two graphs each.
_KEPT = 6
_PROGRAMS: OrderedDict[str, Replicas] = OrderedDict()
# Steps that are timed to decide.
_TIMED = 3
# The share of the time of one by one from which on one program is worth it.
_WORTHWHILE = 0.8


def train_as_one(jobs: Sequence[Job], line: SharedLine) -> str | None:
    """Trains jobs as one program, to the last event of each; returns why they must train one by one, if so.

    Then nothing was reported of them.
    """
    try:
        with _prepared(jobs) as group:
            if (why := group.why_not()) is not None:
                return why
            group.train(line)
    except NotShareable as reason:
        return f"its seeds train one by one: {reason}"
    return None


@dataclass
class _Member:
    """One of the jobs, and what stands for its model where a callback asks it."""

    job: Job
    watch: Watch
    program: Replicas
    place: int = 0
    failed: bool = False
    stop_training = False

    @property
    def optimizer(self) -> Any:
        return _Rate(float(self.program.optimizer.learning_rate.value))

    def get_weights(self) -> list[Any]:
        """At present."""
        return self.program.weights_of(self.place)


@dataclass(frozen=True)
class _Rate:
    learning_rate: float


@contextmanager
def _prepared(jobs: Sequence[Job]) -> Iterator["_Group"]:
    """The program of the jobs, the models in their first state."""
    first, second = jobs[0], jobs[1]
    dataset = open_prepared(first.data)
    _refuse(jobs, dataset)
    model = built_for(first, dataset).model
    build_chain(model, dataset.info)
    if (why := needs_fit(model)) is not None:
        raise NotShareable(why)
    figures = figures_of(first.training, model, dataset.info)
    key = f"{key_of(model, first.data)} {traced()} {figures is not None}"
    weights = InitialWeights(model, first.seed)
    other = built_for(second, dataset).model
    build_chain(other, dataset.info)
    weights.check(other, second.seed)
    states = [weights.of(job.seed) for job in jobs]
    # One that fails is not kept.
    program = _PROGRAMS.pop(key, None) or Replicas(model, dataset, figures is not None)
    yield _Group(jobs, dataset, model, program, states, figures)
    _PROGRAMS[key] = program
    while len(_PROGRAMS) > _KEPT:
        _PROGRAMS.popitem(last=False)


def _refuse(jobs: Sequence[Job], dataset: Dataset) -> None:
    job, info = jobs[0], dataset.info
    training = job.training
    reasons = {
        "the model is your own": models.keys(job.model) is None or import_paths_of(job, dataset),
        "there are callbacks": training.callbacks,
        "the learning rate depends on how training goes": training.reduce_on_plateau,
        "classes or samples are weighted": training.class_weight or info.weighted,
        "images are augmented": job.augmentation,
        "there are folds": dataset.folds,
        "each configuration trains several times": job.training.trainings > 1,
        "products are of bfloat16": training.products == "bfloat16",
        "samples are generated": dataset.stream is not None or dataset.batches is not None,
        "samples are read from disk": is_on_disk(dataset),
        "there are several inputs or targets": info.inputs or info.targets or info.is_text,
        "there is nothing to predict": dataset.training.y is None or info.task == "reconstruction",
        "the model is to be saved": job.save_to,
    }
    for reason, holds in reasons.items():
        if holds:
            raise NotShareable(reason)


class _Group:
    """Jobs that train as one program."""

    def __init__(
        self,
        jobs: Sequence[Job],
        dataset: Dataset,
        model: keras.Model,
        program: Replicas,
        states: Sequence[Sequence[Any]],
        figures: Figures | None,
    ) -> None:
        self._jobs, self._dataset, self._model, self._program = jobs, dataset, model, program
        self._states, self._figures = states, figures
        self._training = jobs[0].training
        self._times = 1.0

    def why_not(self) -> str | None:
        """Why one by one is the better way: by the memory of a step, and by the time of a few."""
        size = min(self._training.batch_size, len(self._dataset.training))
        if (why := too_large(len(self._jobs), size, bytes_of_sample(self._model))) is not None:
            return f"its seeds train one by one: {why}"
        all_of_them = self._seconds(len(self._jobs)) / len(self._jobs)
        one = self._seconds(1)
        self._times = one / all_of_them
        if all_of_them > _WORTHWHILE * one:
            return f"its seeds train one by one: as one program each would take {all_of_them / one:.1f} times as long"
        self._program.begin(self._model, self._states)
        return None

    def _seconds(self, k: int) -> float:
        """The time of a step of k models, the fastest of a few."""
        self._program.begin(self._model, self._states[:k])
        size = min(self._training.batch_size, len(self._dataset.training))
        orders = np.tile(np.arange(size), (k, 1))
        self._program.train(orders, size, lambda _: None)
        found = []
        for _ in range(_TIMED):
            began = time.perf_counter()
            self._program.train(orders, size, lambda _: None)
            found.append(time.perf_counter() - began)
        return min(found)

    def train(self, line: SharedLine) -> None:
        """Trains all epochs of each."""
        members = [_Member(job, Watch(job, line), self._program, place) for place, job in enumerate(self._jobs)]
        for member in members:
            member.watch.set_model(member)
        size = size_of(self._model, self._dataset.info)
        note = f"its {len(members)} seeds train as one program, {self._times:.1f} times as fast by its first steps"
        for member in members:
            resolved = as_built(member.job, self._model)
            line.emit(
                Started(
                    member.job.trial, os.getpid(), size, None, note,
                    trains_through="it trains with other seeds", resolved=resolved,
                )
            )  # fmt: skip
        line.send()
        try:
            self._train(members, line)
        except Stopped as stopped:
            # It may come while the epoch of each is reported: what has ended before has its own end.
            self._finish([(one, one.watch.ended or stopped.reason) for one in members if not one.failed], line)
        except Exception as error:  # what TensorFlow raised, such as too little memory
            for one in [one for one in members if not one.failed]:
                message = f"its seeds failed as one program, and train one by one: {one_line(error)}"
                line.emit(Failed(one.job.trial, "lost", message, traceback.format_exc()))
        line.send()

    def _train(self, members: list[_Member], line: SharedLine) -> None:
        """Trains until each has ended, and takes those that have from the list."""
        steps = self._dataset.info.steps(self._training.batch_size)
        rates = rates_of(self._training, self._model, steps)
        samples = len(self._dataset.training)

        def between(_: float) -> None:
            if reason := line.stop_reason():
                raise Stopped(reason)

        for epoch in range(self._training.epochs):
            began = time.perf_counter()
            for member in members:
                member.watch.on_epoch_begin(epoch)
            orders = [order_of(one.job.seed, epoch, samples) for one in members]
            of_epoch = None if rates is None else rates.of_epoch(epoch)
            logs = self._program.train(np.stack(orders), self._training.batch_size, between, of_epoch)
            validated = self._evaluated("validation", between)
            between(0.0)
            if epoch:
                line.wait()
                if line.answer is not None:
                    raise Stopped(line.answer)
            shares = (time.perf_counter() - began) / len(members)
            ended: list[_Member] = []
            for member, trained, validation in zip(list(members), logs, validated, strict=True):
                own = trained | {f"val_{name}": value for name, value in validation.items()}
                # In the order in which Keras hands them to callbacks.
                if not self._end_epoch(member, epoch, dict(sorted(own.items())), shares, line):
                    ended.append(member)
            line.send()
            if ended:
                self._finish([(one, one.watch.ended) for one in ended if one.watch.ended], line)
                line.send()
                members[:] = [one for one in members if one not in ended]
                if not members:
                    return
                self._program.keep([one.place for one in members])
                for place, member in enumerate(members):
                    member.place = place

    def _end_epoch(self, member: _Member, epoch: int, logs: dict[str, float], seconds: float, line: SharedLine) -> bool:
        """Reports an epoch of one of them; returns whether it goes on. `seconds`: its share of the time of all."""
        try:
            member.watch.end_epoch(epoch, logs, seconds)
        except Nonfinite as error:
            line.emit(Failed(member.job.trial, "nonfinite", one_line(error), traceback.format_exc()))
            member.failed = True
            return False
        return member.watch.ended is None

    def _finish(self, ended: Sequence[tuple[_Member, Leaving]], line: SharedLine) -> None:
        """Tests models at the weights of their best epoch."""
        tested = [one for one, _ in ended if one.watch.best is not None]
        scores = dict(zip(map(id, tested), self._tested([one.watch.best_weights for one in tested]), strict=True))
        for member, reason in ended:
            assert reason != "pause"
            best, test = member.watch.best, scores.get(id(member), Scored())
            line.emit(
                Finished(
                    member.job.trial, reason, best.epoch if best else None, test.scores, test_note=test.note
                )
            )  # fmt: skip

    def _tested(self, weights: Sequence[list[Any]]) -> list[Scored]:
        found: dict[str, list[dict[str, float]]] = {}

        def evaluate(name: str, place: int) -> dict[str, float]:
            if name not in found:
                found[name] = self._with_whole(name, *self._program.evaluate_at(weights, name))
            return found[name][place]

        extra = self._dataset.info.extra_tests
        return [evaluated(extra, partial(evaluate, place=place)) for place in range(len(weights))]

    def _evaluated(self, name: str, between: Callable[[float], None]) -> list[dict[str, float]]:
        return self._with_whole(name, *self._program.evaluate(name, between))

    def _with_whole(self, name: str, logs: list[dict[str, float]], outputs: Any) -> list[dict[str, float]]:
        """The figures of each, and those of the whole part."""
        if self._figures is None:
            return logs
        truth = self._dataset.part(name).y
        return [one | self._figures(truth, own) for one, own in zip(logs, outputs, strict=True)]
