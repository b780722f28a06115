"""A trial's checkpoints: written beside its training, left when it pauses, and taken up when it goes on.

A checkpoint is the state at the end of an epoch, though the trial is already in the next one: what is read of
variables then stays as it was. The order of samples, generated batches and the rates of a schedule are functions of
the seed and the epoch, and need not be kept.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hpo.data.dataset import Array, DatasetInfo
from hpo.training import checkpoint_file
from hpo.training.checkpoint_file import Unusable
from hpo.training.fingerprint import code_of, fingerprint, is_changed
from hpo.training.messages import NO_CHECKPOINTS, Checkpoint, Checkpointed, EpochDone, Event, Job, Line, Order, Paused
from hpo.training.state import Hidden, TrainingState

_FORMAT = 1
# Writing takes at most one in so many seconds.
_SHARE = 200.0
# How old the state may be of a trial that is interrupted, where none pauses.
_SECONDS_TO_LOSE = 1.0


class Keeper(Protocol):
    """What has state in Python: `state` returns it as JSON values, and `resume` takes it back."""

    def state(self) -> dict[str, Any]:
        """Its state at the end of an epoch."""

    def resume(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state."""


class Judge(Keeper, Protocol):
    """What judges a model's epochs and keeps the weights of the best one."""

    best_weights: list[Any]
    ended: str | None


class Resumable(Protocol):
    """What trains a model, and may know all that this depends on."""

    @property
    def plateaus(self) -> Sequence[Keeper]:
        """What reduces its learning rate."""

    def state(self) -> TrainingState:
        """The variables that its training depends on; raises Hidden where they are not known."""


@dataclass(frozen=True)
class Parts:
    """All that the training of one model depends on."""

    variables: TrainingState
    judge: Judge
    plateaus: Sequence[Keeper]

    @property
    def keepers(self) -> list[Keeper]:
        """What has state in Python."""
        return [self.judge, *self.plateaus]


@dataclass
class Folds:
    """The folds of a trial that have ended."""

    ended: list[dict[str, Any]] = field(default_factory=list)
    """What each came to, as JSON values."""
    best_weights: list[Array] | None = None
    """Those of the model of the best fold, if it is to be saved."""


@dataclass(frozen=True)
class _Snapshot:
    """The state at the end of an epoch, still in memory."""

    epochs: int
    state: Mapping[str, Any]
    arrays: Callable[[], dict[str, Array]]


class Pausing:
    """A trial's line as its training sees it, which also knows the epochs so far and leaves the checkpoints."""

    def __init__(self, job: Job, line: Line, info: DatasetInfo, own_code: bool) -> None:
        """`own_code`: whether the trial runs code of the user's, which has been imported."""
        self._job = job
        self._line = line
        wanted = job.checkpoints is not None or job.resume is not None
        self._fingerprint = fingerprint(job, info) if wanted else {}
        self._code = code_of(job.import_paths) if wanted and own_code else {}
        self._unanswered = False
        self._parts: Parts | None = None
        self._latest: _Snapshot | None = None
        self._written: Checkpoint | None = None
        self._writing: threading.Thread | None = None
        self._due, self._read = 0.0, float("-inf")
        self._begin_anew()
        self.started_over: str | None = None
        """Why the job's checkpoint is not used, where there is one."""
        if job.resume is not None:
            try:
                self._take_up(job.resume)
            except Unusable as error:
                self.start_over(str(error))

    def __enter__(self) -> "Pausing":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is written once the trial's last event was sent."""
        self._join()

    # What it goes on from

    def _begin_anew(self) -> None:
        self._start: tuple[dict[str, Any], dict[str, Array]] | None = None
        self.begun = 0
        """The epochs that the next model to begin has had before; 0 for one that is new."""
        self._curves: dict[str, list[float]] = {}
        self._fold_lengths: list[int] = []
        self.folds = Folds()
        """The folds that have ended."""
        self.epochs_done = 0
        """The epochs of the checkpoint that it goes on from."""

    def _take_up(self, checkpoint: Checkpoint) -> None:
        state, arrays = checkpoint_file.read(checkpoint)
        if state.get("format") != _FORMAT:
            raise Unusable("its checkpoint is of another version of hpo")
        for name, value in state["fingerprint"].items():
            if value != self._fingerprint.get(name):
                raise Unusable(f"its checkpoint is of another {name}")
        if is_changed(state["code"]):
            raise Unusable("the code of the model has changed since its checkpoint")
        self._start, self.epochs_done = (state, arrays), checkpoint.epochs
        self.begun = state["keepers"][0]["epoch"]
        self._curves, self._fold_lengths = state["curves"], state["fold_lengths"]
        self.folds = Folds(state["folds"], _numbered(arrays, "fold"))
        self._written = checkpoint

    def start_over(self, reason: str) -> None:
        """Begins with the first epoch, though there is a checkpoint."""
        self._begin_anew()
        self._written, self.started_over = None, reason

    def begin(self, trainer: Resumable, judge: Judge) -> str | None:
        """A model is about to train; the first one of the job goes on from the checkpoint, if there is one.

        Returns why it can neither pause nor go on, if so.

        Raises:
            Unusable: the checkpoint is not of this model; nothing was changed.
        """
        start, self._start, self.begun = self._start, None, 0
        self._parts = None
        if self._job.checkpoints is None and start is None:
            return NO_CHECKPOINTS
        try:
            parts = Parts(trainer.state(), judge, trainer.plateaus)
        except Hidden as reason:
            if start is not None:
                raise Unusable(str(reason)) from None
            return str(reason)
        if start is not None:
            self._resume(parts, *start)
        self._parts = parts
        self._due = self._due or time.monotonic() + self._seconds
        return None if self._job.checkpoints else NO_CHECKPOINTS

    def _resume(self, parts: Parts, state: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
        parts.variables.write(_numbered(arrays, "variable") or [])
        for keeper, kept in zip(parts.keepers, state["keepers"], strict=True):
            keeper.resume(kept)
        best = parts.variables.weights() if state["best_is_last"] else _numbered(arrays, "best")
        parts.judge.best_weights = best or []
        self._latest = self._snapshot(parts)

    # The line

    def emit(self, event: Event) -> None:
        """Sends an event of the trial."""
        if isinstance(event, EpochDone):
            self._unanswered = True
            for name, value in event.metrics.items():
                self._curves.setdefault(name, []).append(value)
            if event.fold is not None:
                self._fold_lengths[event.fold.fold - 1 :] = [event.fold.epoch]
        self._line.emit(event)

    def stop_reason(self) -> Order | None:
        """The line's own."""
        return self._line.stop_reason()

    def verdict(self) -> Order | None:
        """The answer to the last EpochDone of this job; the one before a pause was answered by going on."""
        if not self._unanswered:
            return None
        self._unanswered = False
        return self._line.verdict()

    # Checkpoints

    def epoch_ended(self) -> None:
        """Keeps the state in memory, if it may be needed; and writes it beside training, if that is due."""
        policy, now = self._job.checkpoints, time.monotonic()
        if self._parts is None or policy is None:
            return
        due = now >= self._due and (self._writing is None or not self._writing.is_alive())
        # Reading it copies all variables, which shows where epochs take less than a tenth of a second.
        lengthens = policy.lengthens and self._parts.judge.ended == "epochs"
        if policy.pauses or due or lengthens or now - self._read > _SECONDS_TO_LOSE:
            self._latest, self._read = self._snapshot(self._parts), now
        if due:
            self._writing = threading.Thread(target=self._write_beside, args=(self._latest,), name="checkpoint")
            self._writing.start()

    def leave(self, at_end: bool = False) -> None:
        """Writes the state of the last epoch, for another attempt; `at_end`: only if that may have more epochs."""
        self._join()
        policy = self._job.checkpoints
        if self._latest is not None and policy is not None and (policy.lengthens or not at_end):
            self._write_beside(self._latest)

    def paused(self) -> Paused:
        """Writes the state of the last epoch."""
        self._join()
        latest = self._latest
        if latest is None:
            return Paused(self._job.trial, 0, None)
        try:
            return Paused(self._job.trial, latest.epochs, self._write(latest))
        except OSError as error:
            return Paused(self._job.trial, latest.epochs, None, f"its checkpoint cannot be written: {error.strerror}")

    def _snapshot(self, parts: Parts) -> _Snapshot:
        values, best = parts.variables.read(), parts.judge.best_weights
        ended, of_fold = list(self.folds.ended), self.folds.best_weights
        curves = {name: list(curve) for name, curve in self._curves.items()}
        state = {
            "format": _FORMAT, "fingerprint": self._fingerprint, "code": self._code, "curves": curves,
            "fold_lengths": list(self._fold_lengths), "folds": ended,
            "keepers": [keeper.state() for keeper in parts.keepers],
        }  # fmt: skip

        def arrays() -> dict[str, Array]:
            several = {"variable": [value.numpy() for value in values], "fold": of_fold or []}
            several["best"] = [] if parts.variables.equal(best, values) else best
            return {f"{name}/{number}": one for name, group in several.items() for number, one in enumerate(group)}

        return _Snapshot(max(map(len, curves.values()), default=0), state, arrays)

    def _write_beside(self, snapshot: _Snapshot) -> None:
        began = time.monotonic()
        try:
            checkpoint = self._write(snapshot)
        except OSError:
            # A folder that is full or gone costs the trial nothing; it is tried again.
            checkpoint = None
        now = time.monotonic()
        self._due = now + max(self._seconds, _SHARE * (now - began))
        if checkpoint is not None:
            self._line.emit(Checkpointed(self._job.trial, checkpoint))

    def _write(self, snapshot: _Snapshot) -> Checkpoint:
        assert self._job.checkpoints is not None
        folder, trial, written = Path(self._job.checkpoints.folder), self._job.trial, self._written
        # The one that it goes on from may be another attempt's, which ends with that.
        if written is None or written.epochs != snapshot.epochs or not checkpoint_file.is_of(written, trial):
            arrays = snapshot.arrays()
            state = {**snapshot.state, "best_is_last": "best/0" not in arrays}
            self._written = written = checkpoint_file.write(folder, trial, snapshot.epochs, state, arrays)
            checkpoint_file.delete(folder, trial, keep=[written])
        return written

    def _join(self) -> None:
        if self._writing is not None:
            self._writing.join()

    @property
    def _seconds(self) -> float:
        policy = self._job.checkpoints
        return float("inf") if policy is None or policy.seconds is None else policy.seconds


def _numbered(arrays: Mapping[str, Array], group: str) -> list[Array] | None:
    """The arrays of a group in their order; None if there are none."""
    found = [name for name in arrays if name.startswith(f"{group}/")]
    return [arrays[f"{group}/{number}"] for number in range(len(found))] or None
