"""How a part that the data did not bring was drawn."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Draw:
    """One division of the training data, which gives a part, or the folds of k-fold cross-validation."""

    purpose: Literal["limit", "test", "validation"]
    """What was drawn: the samples to go on with, or a part."""
    count: int
    """Samples drawn."""
    stratified: bool
    """Whether each side has the same share of each class."""
    method: Literal["shuffled", "groups", "group folds", "latest"] = "shuffled"
    """How. shuffled: by scikit-learn's train_test_split, into folds by its KFold; groups: whole groups by its
    GroupShuffleSplit; group folds: one of `folds` folds of its StratifiedGroupKFold; latest: the last in time."""
    pooled: tuple[int, ...] = ()
    """Classes that are too small to be divided by themselves: for the strata they count as the class `pooled_as`."""
    pooled_as: int = -1
    folds: int = 0
    """For group folds: how many there were."""
    fold: int = 0
    """For group folds: which one was taken, from 0."""
    groups: int = 0
    """For groups: how many were drawn."""
