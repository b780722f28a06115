"""Splits: the test and validation parts that the data do not bring, and `limit`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from hpo.config.experiment import DatasetSpec
from hpo.data.dataset import Array
from hpo.data.draw import Draw
from hpo.data.split_by import forward_folds, group_folds, latest, whole_groups
from hpo.data.strata import Strata, strata_of
from hpo.errors import DataError

Purpose = Literal["limit", "test", "validation"]
_FOLDS = ("dataset", "validation", "folds")


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
    by: Array | None
    """The group or the time of each row; None: rows are drawn at random."""
    is_time: bool
    stratify: bool | None
    seed: int
    source: str
    draws: list[Draw] = field(default_factory=list)

    def hold_out(self, rows: Array, size: float, part: Purpose) -> tuple[Array, Array]:
        """Draws a share below 1 (rounded up) or a number of the rows; returns the rest and the drawn."""
        count = int(size) if size >= 1 else math.ceil(size * len(rows))
        if count >= len(rows):
            raise DataError(
                f"{self.source}: {part}: {size:g} asks for {count} of {len(rows)} samples and leaves none to "
                "train on; ask for fewer"
            )
        return self.divide(rows, count, part)

    def divide(self, rows: Array, count: int, purpose: Purpose) -> tuple[Array, Array]:
        """Draws about `count` of the rows; returns the rest and the drawn."""
        if self.by is not None and self.is_time:
            rest, drawn = latest(self.by, rows, count)
            if not len(rest):
                raise DataError(f"{self.source}: all {len(rows)} samples have the same time, so none can be the latest")
            self.draws.append(Draw(purpose, len(drawn), stratified=False, method="latest"))
            return rest, drawn
        if self.by is not None and purpose != "limit":
            self._check_groups(rows, 2, purpose)
            classes = None if self.stratify is False else self.classes
            (rest, drawn), draw = whole_groups(self.by, classes, rows, count, self.seed)
            self.draws.append(replace(draw, purpose=purpose))
            return rest, drawn
        return self._shuffled(rows, count, purpose)

    def _shuffled(self, rows: Array, count: int, purpose: Purpose) -> tuple[Array, Array]:
        from sklearn.model_selection import train_test_split

        strata = self._strata(rows, count, purpose)
        pooled = (strata.pooled, strata.pooled_as) if strata else ((), -1)
        self.draws.append(Draw(purpose, count, strata is not None, "shuffled", *pooled))
        labels = None if strata is None else strata.labels
        rest, drawn = train_test_split(rows, test_size=count, random_state=self.seed, stratify=labels)
        return rest, drawn

    def _strata(self, rows: Array, count: int, purpose: str) -> Strata | None:
        """The strata of the rows; None where they are not drawn by strata."""
        if self.stratify is False:
            return None
        problem = "the task is regression, which has no classes"
        if self.classes is not None:
            strata = strata_of(self.classes[rows], 2)
            # What `limit` leaves out may well lack a class.
            least = count if purpose == "limit" else min(count, len(rows) - count)
            if strata.count < 2:
                problem = "no two classes have two samples"
            elif least < strata.count:
                problem = f"{least} samples cannot hold {strata.count} classes"
            else:
                return strata if len(rows) - count >= strata.count else None
        if self.stratify:
            raise DataError(f"{self.source}: cannot stratify for {purpose}: {problem}; leave out stratify")
        return None

    def into_folds(self, rows: Array, folds: int) -> tuple[tuple[Array, Array], ...]:
        """Divides the rows into folds; returns the other folds' rows and its own for each.

        In the order of time, the rows before a fold are its others.
        """
        if folds > len(rows):
            message = f"{folds} folds need as many samples, and there are {len(rows)} to train on; ask for fewer"
            raise DataError(f"{self.source}: {message}", _FOLDS)
        strata = self._fold_strata(rows, folds)
        if self.by is None:
            found, method = self._shuffled_folds(rows, folds, strata), "shuffled"
        elif self.is_time:
            times = len(np.unique(self.by[rows]))
            if times <= folds:
                message = f"{folds} folds in the order of time need more times than that, and there are {times}"
                raise DataError(f"{self.source}: {message}; ask for fewer", _FOLDS)
            found, method = [*forward_folds(self.by, rows, folds)], "latest"
        else:
            self._check_groups(rows, folds, "folds")
            classes = None if self.stratify is False else self.classes
            found, method = group_folds(self.by, classes, rows, folds, self.seed), "group folds"
        self.draws.append(Draw("validation", len(found[0][1]), strata is not None, method))  # type: ignore[arg-type]
        return tuple(found)

    def _shuffled_folds(self, rows: Array, folds: int, strata: Strata | None) -> list[tuple[Array, Array]]:
        from sklearn.model_selection import KFold, StratifiedKFold

        kind = KFold if strata is None else StratifiedKFold
        divider = kind(folds, shuffle=True, random_state=self.seed)
        return [(rows[rest], rows[own]) for rest, own in divider.split(rows, None if strata is None else strata.labels)]

    def _fold_strata(self, rows: Array, folds: int) -> Strata | None:
        if self.stratify is False or (self.by is not None and self.is_time):
            return None
        problem = "the task is regression, which has no classes"
        if self.classes is not None:
            strata = strata_of(self.classes[rows], folds)
            if strata.count > 1:
                return strata
            problem = f"no two classes have {folds} samples"
        if self.stratify:
            message = f"cannot stratify {folds} folds: {problem}; leave out stratify"
            raise DataError(f"{self.source}: {message}", _FOLDS)
        return None

    def _check_groups(self, rows: Array, least: int, purpose: str) -> None:
        assert self.by is not None
        groups = len(np.unique(self.by[rows]))
        if groups < least:
            message = f"{purpose}: needs at least {least} groups, and {len(rows)} samples have {groups}"
            raise DataError(f"{self.source}: {message}", ("dataset", "validation", "group"))


def split(
    classes: Array | None,
    total: int,
    spec: DatasetSpec,
    given: frozenset[str],
    source: str,
    by: Array | None = None,
) -> Rows:
    """Decides which of the `total` rows of the training data go where; the same for the same seed.

    First `limit`, then the test part, then the validation part or the folds; parts in `given` come from elsewhere and
    stay whole. `classes`, shape (total,), is the class of each row, or None; `by`, shape (total,), is its value in the
    column of `validation.group` or `validation.time`.

    Rows are drawn at random by scikit-learn's train_test_split, KFold and StratifiedKFold. Unless `stratify` says
    otherwise, they are stratified wherever both sides can hold every class; classes with a single member (in folds:
    with fewer members than folds) are then taken together. With groups, whole groups are drawn. In the order of time,
    the latest rows are drawn; folds go forward. There is then nothing random.

    Raises:
        DataError: a part larger than the data, more folds than samples, groups or times, folds of data that bring a
            validation part, or `stratify: true` where it cannot be done.
    """
    is_time = by is None or spec.validation.group is None
    by = by if spec.shuffle else np.arange(total)
    divider = _Divider(classes, by, is_time, spec.stratify, spec.seed, source)
    rows: Array = np.arange(total)
    validation = test = None
    if spec.limit is not None and spec.limit < total:
        _, rows = divider.divide(rows, spec.limit, "limit")
    if "test" not in given:
        rows, test = divider.hold_out(rows, spec.test, "test")
    divider, folds = replace(divider, seed=spec.validation_seed), spec.validation.folds
    if folds is not None:
        if "validation" in given:
            rule = "the data have a validation part of their own, so they cannot be split into folds"
            raise DataError(f"{source}: {rule}; leave out folds", _FOLDS)
        pairs = divider.into_folds(rows, folds)
        return Rows(*pairs[0], test, tuple(divider.draws), pairs)
    if "validation" not in given:
        rows, validation = divider.hold_out(rows, spec.validation.size, "validation")
    return Rows(rows, validation, test, tuple(divider.draws))


def split_notes(spec: DatasetSpec, rows: Rows, by: Array | None) -> Iterator[str]:
    """What a user should know of a division that is not at random."""
    parts = {"training": rows.training, "validation": rows.validation, "test": rows.test}
    own = {name: part for name, part in parts.items() if part is not None}
    inputs = "is an input, too" if spec.validation.as_input else "is no input"
    if spec.validation.group is not None and by is not None:
        counts = ", ".join(f"{name} {len(np.unique(by[part]))}" for name, part in own.items())
        yield f"parts hold whole groups of column {spec.validation.group}, which {inputs}; groups: {counts}"
    elif not spec.shuffle:
        counts = ", ".join(f"{name} {len(part)}" for name, part in own.items())
        yield f"parts follow each other in the order of the samples: {counts}"
    elif spec.validation.time is not None and by is not None:
        spans = ", ".join(f"{name} {_time(by[part].min())} to {_time(by[part].max())}" for name, part in own.items())
        yield f"parts follow each other by column {spec.validation.time}, which {inputs}: {spans}"


def _time(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(np.datetime_as_string(value, unit="auto"))
    return str(int(value)) if isinstance(value, np.floating) and value.is_integer() else str(value)
