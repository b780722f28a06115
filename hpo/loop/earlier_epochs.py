"""The epochs that a trial had trained before it goes on in another run, or in another attempt: as it sent them."""

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from hpo.training.checkpoint_file import read_state
from hpo.training.messages import Checkpoint, EpochDone, FoldEpoch


def earlier_epochs(checkpoint: Checkpoint, trial: int) -> Iterator[EpochDone]:
    """The events of all epochs that a checkpoint knows of, for a trial of that number.

    Raises:
        OSError, ValueError, KeyError, zipfile.BadZipFile: the checkpoint cannot be read.
    """
    state = read_state(Path(checkpoint.file))
    curves, lengths = state["curves"], state["fold_lengths"]
    folds = [(fold, epoch) for fold, length in enumerate(lengths, 1) for epoch in range(1, length + 1)]
    ends = set(accumulate(lengths[:-1]))
    if state["keepers"][0]["ended"]:
        ends.add(sum(lengths))
    for epoch in range(1, checkpoint.epochs + 1):
        metrics = {name: curve[epoch - 1] for name, curve in curves.items()}
        fold = FoldEpoch(*folds[epoch - 1], last=epoch in ends) if folds else None
        yield EpochDone(trial, epoch, metrics, fold=fold)
