"""The folder of a study's checkpoints, from which trials go on that paused, or whose worker or coordinator died."""

import contextlib
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.study.record import TrialRecord, ranked
from hpo.training import checkpoint_file
from hpo.training.messages import Checkpoint, Checkpoints, EpochDone

if TYPE_CHECKING:
    from hpo.config.experiment import Checkpointing, Objective
    from hpo.plan.plan import Plan

# How often its size is looked at, in seconds.
_BETWEEN_LOOKS = 5.0
# With more files than this, a tenth of them is deleted, those of the worst trials.
_MOST_FILES = 1000
# Of so many trials that came to their last epoch, the best, one is kept: they go on if the study is given more epochs.
_MOST_WHOLE = 5


def checkpoints_of(plan: "Plan") -> Path:
    """The folder of a study's checkpoints."""
    return plan.home / "checkpoints" / plan.experiment.name


class CheckpointsFolder:
    """Finds the checkpoint of a trial, deletes those of ended trials, and keeps the rest small; an observer.

    The name of a checkpoint tells its trial and its digest, so that the folder alone says what there is.
    """

    def __init__(
        self,
        folder: Path,
        spec: "Checkpointing | None",
        objective: "Objective",
        trials: Sequence[TrialRecord],
        runs_again: Callable[[TrialRecord], bool],
        pauses: bool = True,
        lengthens: bool = False,
    ) -> None:
        """Deletes what earlier runs left.

        Args:
            folder: the study's own.
            spec: how often checkpoints are written, and how large they may be together; None: there are none.
            objective: by which trials are compared where there is no room for all checkpoints.
            trials: those of earlier runs; those that run, or will be run again, may go on.
            runs_again: whether the configuration of a failed trial will be run again.
            pauses: whether trials are asked to pause.
            lengthens: whether those that come to their last epoch may go on, once the study is given more epochs.
        """
        self._folder = folder
        self._spec = spec
        self._objective = objective
        self._runs_again = runs_again
        self._pauses, self._lengthens = pauses, lengthens
        self._left: dict[int, Checkpoint] = {}
        self._looked = time.monotonic()
        found = checkpoint_file.found_in(folder)
        last = {trial.origin: trial for trial in trials}
        # The latest attempt may have been stopped before it left one of its own.
        latest = {trial.origin: trial.number for trial in trials if trial.number in found}
        going_on = {origin for origin, one in last.items() if spec and (one.state == "running" or self._goes_on(one))}
        self._whole = [one for one in last.values() if spec and one.number in found and self._may_lengthen(one)]
        self._whole = ranked(self._whole, objective)[:_MOST_WHOLE]
        going_on |= {one.origin for one in self._whole}
        kept = {number for origin, number in latest.items() if origin in going_on}
        for number in checkpoint_file.trials_in(folder) - kept:
            checkpoint_file.delete(folder, number)
        self._left |= {origin: found[latest[origin]][0] for origin in going_on & latest.keys()}
        self._found = kept

    @property
    def policy(self) -> Checkpoints | None:
        """Where and how often trials leave checkpoints."""
        if self._spec is None:
            return None
        return Checkpoints(str(self._folder), self._spec.seconds, self._pauses, self._lengthens)

    def of(self, trial: TrialRecord) -> Checkpoint | None:
        """The checkpoint that a trial goes on from: its own, or that of the attempt before it."""
        # A trial that begins in this run has none yet: with thousands of trials it takes long to look.
        may_have = trial.attempt or trial.number in self._found
        own = checkpoint_file.found_of(self._folder, trial.number) if may_have else []
        return own[0] if own else self._left.get(trial.origin)

    def trial_started(self, record: TrialRecord) -> None:
        """Nothing ends."""

    def epoch_done(self, record: TrialRecord, event: EpochDone) -> None:
        """Makes room from time to time."""
        if time.monotonic() - self._looked > _BETWEEN_LOOKS:
            self._looked = time.monotonic()
            self._make_room()

    def trial_paused(self, record: TrialRecord, note: str | None) -> None:
        """Nothing ends."""

    def engine_noted(self, note: str) -> None:
        """Nothing ends."""

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """Nothing ends."""

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Deletes the trial's checkpoints; where it may go on, or another attempt may follow, the last one is kept."""
        goes_on = self._goes_on(record)
        if not goes_on:
            # Another attempt takes the place of the one before, whose checkpoint is deleted below.
            self._whole = [one for one in self._whole if one.origin != record.origin]
        kept = goes_on or self._is_kept_whole(record)
        own = checkpoint_file.found_of(self._folder, record.number) if kept else []
        if goes_on and not own:
            # It ended before it left one: the next attempt goes on where this one did.
            return
        earlier = self._left.pop(record.origin, None)
        if own:
            self._left[record.origin] = own[0]
        checkpoint_file.delete(self._folder, record.number, keep=own)
        if earlier is not None and earlier not in own:
            with contextlib.suppress(OSError):
                Path(earlier.file).unlink(missing_ok=True)

    def _may_lengthen(self, trial: TrialRecord) -> bool:
        return self._lengthens and trial.allowed_epochs is not None

    def _is_kept_whole(self, trial: TrialRecord) -> bool:
        """Whether a trial has come to its last epoch as one of the best; what it takes the place of is deleted."""
        if self._spec is None or not self._may_lengthen(trial):
            return False
        several = ranked([*self._whole, trial], self._objective)
        self._whole, beaten = several[:_MOST_WHOLE], several[_MOST_WHOLE:]
        for one in beaten:
            checkpoint_file.delete(self._folder, one.number)
            self._left.pop(one.origin, None)
        return trial in self._whole

    def close(self) -> None:
        """Removes the folder if no trial can go on; otherwise keeps it as small as it is to be."""
        self._make_room()
        with contextlib.suppress(OSError):
            self._folder.rmdir()
            self._folder.parent.rmdir()

    def _make_room(self) -> None:
        """Deletes checkpoints of the worst trials while all of them take too much room; these would begin again."""
        if self._spec is None:
            return
        several = [one for trial in checkpoint_file.found_in(self._folder).values() for one in trial]
        excess = sum(one.bytes for one in several) - self._spec.megabytes * 2**20
        most = len(several) if len(several) <= _MOST_FILES else _MOST_FILES * 9 // 10
        if excess <= 0 and len(several) <= most:
            return
        for left, one in zip(range(len(several), 0, -1), sorted(several, key=self._worth), strict=True):
            if excess <= 0 and left <= most:
                break
            with contextlib.suppress(OSError):
                Path(one.file).unlink(missing_ok=True)
            excess -= one.bytes

    def _worth(self, checkpoint: Checkpoint) -> tuple[bool, float]:
        """What is worth least is deleted first: trials at their end, and of each kind those with the worst scores."""
        try:
            state = checkpoint_file.read_state(Path(checkpoint.file))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return False, float("-inf")
        score = self._objective.score_of(state["curves"], state["fold_lengths"])
        ended = any(keeper.get("ended") == "epochs" for keeper in state.get("keepers", ()))
        return not ended, float("-inf") if score is None else score.merit

    def _goes_on(self, trial: TrialRecord) -> bool:
        return trial.rests or (trial.failure is not None and self._runs_again(trial))
