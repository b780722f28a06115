"""What goes into training, a Job, and what comes out of it, a stream of events. All of it picklable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.config.experiment import Augmentation, Objective, TrainingSpec
from hpo.config.loss_parts import PlainLoss
from hpo.config.resolved import Resolved
from hpo.config.score import Score

StopReason = Literal["pruner", "deadline", "target", "interrupt", "paused"]
"""Why a trial is asked to stop: by the pruner, at the study's deadline, since the target is reached, by the user; or
since it is paused, and the study ends: it trains no further."""

Order = StopReason | Literal["pause"]
"""What a running trial may be asked for: to stop at its best weights, or to pause."""

EndReason = Literal["epochs", "early_stopping"] | StopReason
"""Why a trial came to its end: after its last epoch, without improvement, or since it was asked to."""

FailureReason = Literal[
    "error", "fatal", "nonfinite", "out_of_memory", "timeout", "invalid", "killed", "crashed", "interrupted", "lost"
]
"""error: the code raised; fatal: it raised KerasTuner's FatalError, which ends the study; nonfinite: a loss or metric
is NaN or infinite; out_of_memory; timeout: longer than trial_timeout; invalid: the model cannot be built with these
parameters; killed, crashed: the worker's process ended by SIGKILL or otherwise; interrupted: given back on Ctrl-C;
lost: its coordinator was killed, or its machine left the cluster."""


NO_CHECKPOINTS = "no checkpoints are kept"
"""Why a trial without a folder for them trains through."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a trial at the end of an epoch, in a file from which any worker goes on with it."""

    file: str
    epochs: int
    """The epochs that were done, through all folds."""
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Checkpoints:
    """Where a trial leaves checkpoints, and how often."""

    folder: str
    seconds: float | None = 30.0
    """The time from one checkpoint to the next while the trial trains; None: only when it pauses."""
    pauses: bool = True
    """Whether the trial may be asked to pause, and so must know the state of each epoch."""
    lengthens: bool = False
    """Whether the trial leaves one after its last epoch too, from which it goes on if its study is given more."""


@dataclass(frozen=True)
class Seed:
    """A trial that differs from that of a job in its seed alone."""

    trial: int
    seed: int


@dataclass(frozen=True)
class Job:
    """One configuration to train."""

    trial: int
    """Number of the trial in the study."""
    params: Mapping[str, Any]
    """The configuration, what it sets: key -> value."""
    seed: int
    """Of all that is random in the trial."""
    model: str
    """A model's name or import path."""
    training: TrainingSpec
    """With the configuration's values in place."""
    objective: Objective
    data: str
    """The folder of the prepared dataset."""
    plain_loss: PlainLoss | None = None
    """The loss without penalties and smoothing, if it is logged."""
    augmentation: Augmentation | None = None
    """Random changes of the training images."""
    import_paths: tuple[str, ...] = ()
    """Folders in which import paths of the user's code are looked for."""
    callbacks_folder: str | None = None
    """Where callbacks get a folder for each trial; None where there are no callbacks."""
    declared: Declared = NOTHING_DECLARED
    """What a KerasTuner model declared so far."""
    resolved: Resolved | None = None
    """All its settings, for the record."""
    save_to: str | None = None
    """File (.keras) for the model at its best weights."""
    save_if_better_than: Score | None = None
    """Save the model only if its objective is better than this."""
    checkpoints: Checkpoints | None = None
    """Where it leaves checkpoints; None: it leaves none, and cannot pause."""
    resume: Checkpoint | None = None
    """The checkpoint that it goes on from."""
    beside: tuple["Seed", ...] = ()
    """Further trials, which differ from this one in their seeds alone, and which the same worker is given with it."""
    execution: int | None = None
    """Which of the configuration's trainings it is, counted from 1; None where there is one only."""
    begins: int = 0
    """How many of its training section's epochs belong to earlier phases; its schedule begins after them."""
    alone: bool = False
    """Whether no other trial trains meanwhile, since its configuration ran out of memory before."""


@dataclass(frozen=True)
class Started:
    """The model is built and compiled, training begins."""

    trial: int
    pid: int
    model_parameters: int
    """Trainable and other weights of the model, counted in numbers."""
    declared: Declared | None = None
    """What a KerasTuner model declared as it was built, where that is more than was known."""
    note: str | None = None
    """Where the model does not train in a graph that it shares with others: how it does, and why. For people."""
    epochs_done: int = 0
    """The epochs that the checkpoint which it goes on from had done; 0: it begins with the first."""
    started_over: str | None = None
    """Why it begins with the first epoch although its job had a checkpoint."""
    trains_through: str | None = None
    """Why it cannot pause, nor leave checkpoints; None: it can."""
    resolved: Resolved | None = None
    """All its settings as its model has them; None: as the job has them."""


@dataclass(frozen=True)
class FoldEpoch:
    """Where an epoch stands in k-fold cross-validation."""

    fold: int
    """Which fold is being trained, counted from 1."""
    epoch: int
    """Which of the fold's epochs it is, counted from 1."""
    last: bool = False
    """Whether it is the fold's last."""


@dataclass(frozen=True)
class EpochDone:
    """An epoch was trained and validated; training waits for `proceed` or `stop`."""

    trial: int
    epoch: int
    """Counted from 1, through all folds."""
    metrics: Mapping[str, float]
    """By Keras's names: loss, accuracy, val_loss, ..., and learning_rate and seconds. All finite."""
    last: bool = False
    """Whether the trial trains no further: what remains is its test, and the saving of its model."""
    ended_by: EndReason | None = None
    """Of the last epoch: why it is the last."""
    fold: FoldEpoch | None = None
    """The same within its fold; None without cross-validation."""
    score: float | None = None
    """Of the last epoch: the trial's score, where that is not the objective's best value so far."""
    gpu_memory: int | None = None
    """Bytes that the trial has taken of its GPU at once so far, of several the one with most; None without a GPU."""


@dataclass(frozen=True)
class Finished:
    """The trial came to its end, and was tested at the weights of its best epoch."""

    trial: int
    ended_by: EndReason
    best_epoch: int | None
    """The epoch with the best objective, counted from 1, through all folds; None where no epoch was finished, or of
    k-fold cross-validation not all folds."""
    test: Mapping[str, float] = field(default_factory=dict)
    """Loss and metrics on the test part, by Keras's names, or their means over the folds' models; empty where
    `best_epoch` is None."""
    model_file: str | None = None
    """Where the model was saved, if it was."""
    declared: Declared | None = None
    """What a KerasTuner model declared as it trained, where that is more than was known."""
    test_note: str | None = None
    """Why test scores are missing, or what they are not of."""
    model_note: str | None = None
    """Why the model could not be saved, or why its file cannot be loaded as it is."""
    executions: int | None = None
    """Of a configuration that trains several times: how many of its trainings came to their end, and make the score."""


@dataclass(frozen=True)
class Alive:
    """The trial trains, though there is nothing to report of it: a configuration's later trainings have no curves."""

    trial: int


@dataclass(frozen=True)
class Failed:
    """The trial failed in a way that its worker survived."""

    trial: int
    reason: FailureReason
    message: str
    """One line."""
    traceback: str = ""


@dataclass(frozen=True)
class Lost:
    """The trial's worker died."""

    trial: int
    reason: FailureReason
    message: str
    """What became of the worker, in one line."""
    printed: str = ""
    """What it printed last, below a heading; empty if nothing."""


@dataclass(frozen=True)
class Checkpointed:
    """A checkpoint was written while the trial trains on; it takes the place of the one before."""

    trial: int
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Paused:
    """The trial paused, and its worker is free; a job with its checkpoint goes on with it."""

    trial: int
    epochs: int
    """The epochs that were done, through all folds; an epoch that was being trained is dropped."""
    checkpoint: Checkpoint | None
    """None where there is none: the trial begins again when it goes on."""
    note: str | None = None
    """Why the checkpoint could not be written."""


@dataclass(frozen=True)
class Several:
    """Events of jobs that a worker was given together; it waits for the answers to all their EpochDone.

    The worker is free once an event of their first job comes that is not among several.
    """

    trial: int
    """Of the first of the jobs."""
    events: tuple["Event", ...]


Event = Started | EpochDone | Alive | Finished | Failed | Lost | Checkpointed | Paused | Several


class Line(Protocol):
    """A running trial's line to whoever handed it out."""

    def emit(self, event: Event) -> None:
        """Sends an event."""

    def stop_reason(self) -> Order | None:
        """Asked between batches: why to stop now, if so, or whether to pause."""

    def verdict(self) -> Order | None:
        """Asked after each EpochDone: waits until it is known whether to go on, or why not."""
