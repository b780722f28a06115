"""One step of a trial, on the way that the trial itself would go: what a check passes must train."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hpo.data.dataset import Dataset, Part, class_numbers
from hpo.data.function import FunctionStream
from hpo.data.shared_folder import save
from hpo.training.messages import EpochDone, Event, Failed, Finished, Job, Started, StopReason
from hpo.training.trial import train

# Metrics of a whole part are defined on so many samples, some of them only where there is one of each class.
_LEAST = 2


@dataclass(frozen=True)
class Rehearsed:
    """What a step of training, of validation and of the test came to."""

    parameters: int = 0
    """Numbers in the model; 0 where it was not built."""
    failed: Failed | None = None
    """The failure that the trial would end with."""
    remarks: tuple[str, ...] = ()
    """What did not fail it: why it trains the slower way, why it was not tested."""


def rehearse(job: Job, dataset: Dataset, folder: Path) -> Rehearsed:
    """Trains the model of a job on a batch, validates and tests it on another; nothing is kept.

    `folder`: for the few samples, which a trial would find in its job's.
    """
    save(_few(dataset, job.training.batch_size), folder)
    line = _Line()
    train(replace(job, data=str(folder), save_to=None, callbacks_folder=str(folder.parent / "callbacks")), line)
    *_, last = line.events
    started = next((event for event in line.events if isinstance(event, Started)), None)
    remarks = [started.note if started else None, last.test_note if isinstance(last, Finished) else None]
    failed = last if isinstance(last, Failed) else None
    if isinstance(last, Finished) and last.best_epoch is None:
        failed = Failed(job.trial, "error", "the training ended without an epoch")
    told = tuple(remark for remark in remarks if remark)
    return Rehearsed(started.model_parameters if started else 0, failed, told)


class _Line:
    """Stops the trial after its first epoch, which it then tests."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def stop_reason(self) -> StopReason | None:
        return "pruner" if any(isinstance(event, EpochDone) for event in self.events) else None

    def verdict(self) -> StopReason | None:
        return "pruner"


def _few(dataset: Dataset, batch_size: int) -> Dataset:
    """A batch of each part, and more where it lacks a class; of folds those of the first."""
    if dataset.folds:
        return _few(dataset.folds[0], batch_size)
    if isinstance(dataset.stream, FunctionStream):
        return replace(dataset, stream=replace(dataset.stream, steps=_steps(dataset, batch_size)))

    info = dataset.info

    def some(part: Part) -> Part:
        rows = np.arange(min(max(batch_size, _LEAST), len(part)))
        if info.classes is not None and not info.target_shape:
            rows = np.union1d(rows, np.unique(class_numbers(part.y), return_index=True)[1])
        return part.take(rows)

    return replace(
        dataset,
        info=replace(info, steps_per_epoch=info.steps_per_epoch and 1),
        training=some(dataset.training),
        validation=some(dataset.validation),
        test=some(dataset.test),
        extra_tests={name: some(part) for name, part in dataset.extra_tests.items()},
    )


def _steps(dataset: Dataset, batch_size: int) -> int:
    """The batches of a pipeline's validation part until there was a sample of each class; 1 if there is never one."""
    assert dataset.stream is not None
    seen = set[int]()
    if dataset.info.classes is None or dataset.info.target_shape:
        return 1
    for count, (_, y, *_) in enumerate(dataset.stream("validation", batch_size), 1):
        seen |= set(class_numbers(np.asarray(y)).tolist())
        if len(seen) == dataset.info.classes:
            return count
    return 1
