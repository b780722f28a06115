"""The epochs that a trial had trained before it goes on in another attempt or another run: as it sent them."""

import zipfile
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from hpo.training.checkpoint_file import read_state
from hpo.training.messages import Checkpoint, EpochDone, FoldEpoch


def earlier_epochs(checkpoint: Checkpoint | None, trial: int) -> Sequence[EpochDone]:
    """The events of all epochs that a checkpoint knows of, for a trial of that number.

    None are known where there is no checkpoint, or where it cannot be read: then its worker cannot use it either.
    """
    if checkpoint is None:
        return ()
    try:
        state = read_state(Path(checkpoint.file))
        curves, lengths, ended = state["curves"], state["fold_lengths"], state["keepers"][0]["ended"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return ()
    folds = [(fold, epoch) for fold, length in enumerate(lengths, 1) for epoch in range(1, length + 1)]
    ends = {*accumulate(lengths[:-1]), *([sum(lengths)] if ended else [])}
    found = []
    for epoch in range(1, checkpoint.epochs + 1):
        metrics = {name: curve[epoch - 1] for name, curve in curves.items()}
        fold = FoldEpoch(*folds[epoch - 1], last=epoch in ends) if folds else None
        found.append(EpochDone(trial, epoch, metrics, fold=fold))
    return found
