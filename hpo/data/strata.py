"""Strata: the classes by which a division is stratified, small ones taken together."""

from dataclasses import dataclass

import numpy as np

from hpo.data.dataset import Array


@dataclass(frozen=True)
class Strata:
    """The stratum of each sample."""

    labels: Array
    """Shape (n,): class numbers, or `pooled_as`."""
    pooled: tuple[int, ...] = ()
    """The classes that are too small to be a stratum of their own."""
    pooled_as: int = -1
    """What these count as: a stratum of their own, -1, or if they are too small for that too, the largest class."""

    @property
    def count(self) -> int:
        """How many strata there are."""
        return len(np.unique(self.labels))


def strata_of(classes: Array, least: int) -> Strata:
    """The strata of samples of these classes, shape (n,), each with at least `least` samples if any class has them."""
    members = np.bincount(classes)
    small = np.flatnonzero((members > 0) & (members < least))
    if not len(small):
        return Strata(classes)
    pooled_as = -1 if members[small].sum() >= least else int(members.argmax())
    labels = np.where(np.isin(classes, small), pooled_as, classes)
    return Strata(labels, tuple(map(int, small)), pooled_as)
