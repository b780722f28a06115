"""The folder of a study's models, in which the best trial's file is kept and no other."""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from hpo.study.record import TrialRecord

_NAME = re.compile(r"trial-(\d+)(\.\d+)?\.keras")


def file_of(folder: Path, number: int) -> Path:
    """Where the model of a trial is saved."""
    return folder / f"trial-{number:04}.keras"


def drop_model(file: Path) -> None:
    """Removes a trial's model, and what a worker that died while it wrote one left beside it.

    A folder that cannot be written keeps it: that ends no study.
    """
    with suppress(OSError):
        for found in (file, *file.parent.glob(f"{file.stem}.*{file.suffix}")):
            found.unlink(missing_ok=True)


def drop_left_behind(folder: Path, trials: Sequence[TrialRecord], best: TrialRecord | None) -> None:
    """Removes what failed trials left, those of a killed coordinator among them, and models that were beaten."""
    failed = {trial.number for trial in trials if trial.state == "failed"}
    beaten = {Path(trial.model_file) for trial in trials if trial.model_file}
    beaten -= {Path(best.model_file)} if best is not None and best.model_file else set()
    with suppress(OSError):
        for file in list(folder.iterdir()):
            found = _NAME.fullmatch(file.name)
            if found and (int(found[1]) in failed or file in beaten):
                file.unlink(missing_ok=True)
