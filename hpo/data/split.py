"""Splits: the test and validation parts that the data do not bring, and `limit`."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from hpo.config.experiment import DatasetSpec
from hpo.data.dataset import Array, Draw
from hpo.errors import DataError

Purpose = Literal["limit", "test", "validation"]


@dataclass(frozen=True)
class Rows:
    """Row numbers of the given training data that go into each part; None for a part that is given."""

    training: Array
    validation: Array | None
    test: Array | None
    draws: tuple[Draw, ...] = ()
    """How they were drawn, in this order."""
    folds: tuple[tuple[Array, Array], ...] = ()
    """The training and validation rows of each fold of k-fold cross-validation. Those above are the first fold's."""


@dataclass(frozen=True)
class _Divider:
    classes: Array | None
    stratify: bool | None
    seed: int
    source: str
    draws: list[Draw] = field(default_factory=list)

    def divide(self, rows: Array, count: int, purpose: Purpose) -> tuple[Array, Array]:
        """Draws `count` of the rows; returns the rest and the drawn."""
        from sklearn.model_selection import train_test_split

        strata = self._strata(rows, count, purpose)
        self.draws.append(Draw(purpose, count, stratified=strata is not None))
        rest, drawn = train_test_split(rows, test_size=count, random_state=self.seed, stratify=strata)
        return rest, drawn

    def _strata(self, rows: Array, count: int, purpose: str) -> Array | None:
        if self.stratify is False:
            return None
        problem = ""
        if self.classes is None:
            problem = "the task is regression, which has no classes"
        else:
            members = np.bincount(self.classes[rows])
            present = members[members > 0]
            # What `limit` leaves out may well lack a class.
            least = count if purpose == "limit" else min(count, len(rows) - count)
            if present.min() < 2:
                problem = f"class {int(np.argmax(members == 1))} has a single sample"
            elif least < len(present):
                problem = f"{least} samples cannot hold {len(present)} classes"
            elif len(rows) - count >= len(present):
                return self.classes[rows]
        if problem and self.stratify:
            raise DataError(f"{self.source}: cannot stratify for {purpose}: {problem}; leave out stratify")
        return None

    def into_folds(self, rows: Array, folds: int) -> tuple[tuple[Array, Array], ...]:
        """Divides the rows into folds; returns the other folds' rows and its own for each."""
        from sklearn.model_selection import KFold, StratifiedKFold

        strata = self._fold_strata(rows, folds)
        kind = KFold if strata is None else StratifiedKFold
        drawn = kind(folds, shuffle=True, random_state=self.seed).split(rows, strata)
        found = tuple((rows[rest], rows[own]) for rest, own in drawn)
        self.draws.append(Draw("validation", len(found[0][1]), stratified=strata is not None))
        return found

    def _fold_strata(self, rows: Array, folds: int) -> Array | None:
        key = ("dataset", "validation", "folds")
        if folds > len(rows):
            message = f"{folds} folds need as many samples, and there are {len(rows)} to train on; ask for fewer"
            raise DataError(f"{self.source}: {message}", key)
        if self.stratify is False:
            return None
        problem = "the task is regression, which has no classes"
        if self.classes is not None:
            members = np.bincount(self.classes[rows])
            rarest = int(members[members > 0].min())
            if rarest >= folds:
                return self.classes[rows]
            problem = f"each fold would need a sample of each class, and the rarest has {rarest}"
        if self.stratify:
            message = f"cannot stratify {folds} folds: {problem}; leave out stratify"
            raise DataError(f"{self.source}: {message}", key)
        return None

    def part_off(self, rows: Array, size: float, part: Purpose) -> tuple[Array, Array]:
        """Draws a share below 1 (rounded up) or a number of the rows; returns the rest and the drawn."""
        count = int(size) if size >= 1 else math.ceil(size * len(rows))
        if count >= len(rows):
            raise DataError(
                f"{self.source}: {part}: {size:g} asks for {count} of {len(rows)} samples and leaves none to "
                "train on; ask for fewer"
            )
        return self.divide(rows, count, part)


def split(classes: Array | None, total: int, spec: DatasetSpec, given: frozenset[str], source: str) -> Rows:
    """Decides which of the `total` rows of the training data go where; the same for the same seed.

    First `limit`, then the test part, then the validation part, by scikit-learn's train_test_split, or the folds,
    by its KFold or StratifiedKFold; parts in `given` come from elsewhere and stay whole. `classes`, shape (total,),
    is the class of each row, or None. Unless `stratify` says otherwise, draws are stratified wherever each class has
    two members and both sides can hold every class, folds where each class has as many members as there are folds.

    Raises:
        DataError: a part larger than the data, more folds than samples, folds of data that bring a validation part, or
            `stratify: true` where it cannot be done.
    """
    divider = _Divider(classes, spec.stratify, spec.seed, source)
    rows: Array = np.arange(total)
    validation = test = None
    if spec.limit is not None and spec.limit < total:
        _, rows = divider.divide(rows, spec.limit, "limit")
    if "test" not in given:
        rows, test = divider.part_off(rows, spec.test, "test")
    divider, folds = replace(divider, seed=spec.validation_seed), spec.validation.folds
    if folds is not None:
        if "validation" in given:
            rule = "the data have a validation part of their own, so they cannot be split into folds"
            raise DataError(f"{source}: {rule}; leave out folds", ("dataset", "validation", "folds"))
        pairs = divider.into_folds(rows, folds)
        return Rows(*pairs[0], test, tuple(divider.draws), pairs)
    if "validation" not in given:
        rows, validation = divider.part_off(rows, spec.validation.size, "validation")
    return Rows(rows, validation, test, tuple(divider.draws))
