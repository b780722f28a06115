"""The folder of a study's models, which keeps only the file of the best trial."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.config.score import Score
from hpo.loop.jobs import SaveTo
from hpo.study.record import TrialRecord, best_trial
from hpo.training.messages import EpochDone

if TYPE_CHECKING:
    from hpo.config.experiment import Objective

_NAME = re.compile(r"trial-(\d+)(\.\d+)?\.keras")


class ModelsFolder:
    """Keeps the file of the best trial's model and deletes all others, as an observer of the coordinator.

    If the folder cannot be written, the files stay, and the study continues.
    """

    def __init__(self, folder: Path, trials: Sequence[TrialRecord], objective: "Objective") -> None:
        """Deletes files that earlier runs left: those of failed trials, and models that are no longer the best."""
        self._folder = folder
        self._best = best_trial(trials, objective)
        _drop_left_behind(folder, trials, self._best)

    def save_to(self, trial: TrialRecord, best: Score | None) -> SaveTo:
        """Where the model of a trial is saved, if it is better than the best so far."""
        return SaveTo(self._file_of(trial), best)

    def _file_of(self, trial: TrialRecord) -> Path:
        return self._folder / f"trial-{trial.number:04}.keras"

    def trial_started(self, record: TrialRecord) -> None:
        """Nothing is saved yet."""

    def epoch_done(self, record: TrialRecord, event: EpochDone) -> None:
        """Nothing is saved yet."""

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """Nothing is saved yet."""

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Deletes the former best model if this trial is better, and otherwise the trial's own."""
        if record.model_file is None:
            # A worker that died or was ended may have left a file, or a part of one, without reporting it.
            _drop(self._file_of(record))
        beaten = record
        if best is record:
            beaten, self._best = self._best or record, record
        if beaten.model_file is not None and beaten is not best:
            _drop(Path(beaten.model_file))


def _drop(file: Path) -> None:
    """Removes a trial's model, and partial files of workers that died while they wrote it."""
    with suppress(OSError):
        for found in (file, *file.parent.glob(f"{file.stem}.*{file.suffix}")):
            found.unlink(missing_ok=True)


def _drop_left_behind(folder: Path, trials: Sequence[TrialRecord], best: TrialRecord | None) -> None:
    """Removes files of failed trials, including those of a killed coordinator, and models that are not the best."""
    failed = {trial.number for trial in trials if trial.state == "failed"}
    beaten = {Path(trial.model_file) for trial in trials if trial.model_file}
    beaten -= {Path(best.model_file)} if best is not None and best.model_file else set()
    with suppress(OSError):
        for file in list(folder.iterdir()):
            found = _NAME.fullmatch(file.name)
            if found and (int(found[1]) in failed or file in beaten):
                file.unlink(missing_ok=True)
