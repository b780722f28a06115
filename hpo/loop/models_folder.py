"""The folder of a study's models, which keeps only the file of the best trial."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.config.score import Score
from hpo.errors import HpoError
from hpo.loop.jobs import SaveTo
from hpo.study.record import TrialRecord, best_trial
from hpo.training.messages import EpochDone

if TYPE_CHECKING:
    from hpo.config.experiment import Objective

_NAME = re.compile(r"trial-(\d+)(\.\d+)?\.keras")


class ModelsFolder:
    """Keeps the file of the best trial's model and deletes all others, as an observer of the coordinator.

    The file of a former best trial stays until the store has the better trial, which a crash would lose before that.
    If a trial went on and failed, the file that it had saved before stays while the best trial has none.
    If the folder cannot be written, the files stay, and the study continues.
    """

    def __init__(
        self, folder: Path, trials: Sequence[TrialRecord], objective: "Objective", written: Callable[[], bool]
    ) -> None:
        """Deletes files that earlier runs left: those of failed trials, and models that are no longer the best.

        `written`: whether the store has all that ended so far.
        """
        self._folder = folder
        self._best = best_trial(trials, objective)
        self._written = written
        self._beaten: list[Path] = []
        _drop_left_behind(folder, trials, self._best)

    def save_to(self, trial: TrialRecord, best: Score | None) -> SaveTo:
        """Where the model of a trial is saved, if it is better than the best so far."""
        return SaveTo(self._file_of(trial), best)

    def _file_of(self, trial: TrialRecord) -> Path:
        return self._folder / f"trial-{trial.number:04}.keras"

    def trial_started(self, record: TrialRecord) -> None:
        """The file of a trial that goes on is no longer that of a former best trial: it may save a better model."""
        own = self._file_of(record)
        self._beaten = [file for file in self._beaten if file != own]
        if self._best is not None and self._best.number == record.number:
            self._best = None

    def epoch_done(self, record: TrialRecord, event: EpochDone) -> None:
        """Nothing is saved yet."""

    def trial_paused(self, record: TrialRecord, note: str | None) -> None:
        """Nothing is saved yet."""

    def engine_noted(self, note: str) -> None:
        """Nothing is saved yet."""

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """Nothing is saved yet."""

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Marks the former best model for deletion if this trial is better, and otherwise deletes the trial's own."""
        self.drop_beaten()
        if record.model_file is None:
            # A worker that died or was ended may have left a file, or a part of one, without reporting it.
            _drop(self._file_of(record))
        if best is record:
            # It may be the former best itself, which went on.
            if self._best is not None and self._best.model_file not in (None, record.model_file):
                self._beaten.append(Path(self._best.model_file))
            self._best = record
        elif record.model_file is not None and not (record.state == "failed" and _has_no_model(best)):
            _drop(Path(record.model_file))

    def drop_beaten(self) -> None:
        """Deletes the files of former best trials, if the store has the better ones."""
        with suppress(HpoError):  # a store that is away: the coordinator reports it
            if self._beaten and self._written():
                for file in self._beaten:
                    _drop(file)
                self._beaten.clear()


def _has_no_model(best: TrialRecord | None) -> bool:
    return best is None or best.model_file is None


def _drop(file: Path) -> None:
    """Removes a trial's model, and partial files of workers that died while they wrote it."""
    with suppress(OSError):
        for found in (file, *file.parent.glob(f"{file.stem}.*{file.suffix}")):
            found.unlink(missing_ok=True)


def _drop_left_behind(folder: Path, trials: Sequence[TrialRecord], best: TrialRecord | None) -> None:
    """Removes files of failed trials, including those of a killed coordinator, and models that are not the best."""
    ended = [trial for trial in trials if not (_has_no_model(best) and trial.state == "failed" and trial.model_file)]
    failed = {trial.number for trial in ended if trial.state == "failed"}
    beaten = {Path(trial.model_file) for trial in ended if trial.model_file}
    beaten -= {Path(best.model_file)} if best is not None and best.model_file else set()
    with suppress(OSError):
        for file in list(folder.iterdir()):
            found = _NAME.fullmatch(file.name)
            if found and (int(found[1]) in failed or file in beaten):
                file.unlink(missing_ok=True)
