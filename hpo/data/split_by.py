"""Divisions that keep together what belongs together: whole groups, and samples of one time, in the order of time."""

from collections.abc import Iterator

import numpy as np

from hpo.data.dataset import Array
from hpo.data.draw import Draw
from hpo.data.strata import strata_of

_MOST_FOLDS = 20
"""Smaller shares than this many folds give are drawn without strata: dividing into more takes long."""

Pair = tuple[Array, Array]
"""The row numbers of the rest and of what was drawn."""


def latest(times: Array, rows: Array, count: int) -> Pair:
    """The last `count` of the rows in time, and those of the same time as the first of these; the rest before them.

    If that leaves nothing, the samples of the first time of all are the rest.
    """
    ordered = rows[np.argsort(times[rows], kind="stable")]
    boundary = times[ordered[-count]]
    if boundary == times[ordered[0]]:
        later = times[ordered][times[ordered] > boundary]
        boundary = later[0] if len(later) else boundary
    is_rest = times[ordered] < boundary
    return ordered[is_rest], ordered[~is_rest]


def forward_folds(times: Array, rows: Array, folds: int) -> Iterator[Pair]:
    """Folds by scikit-learn's TimeSeriesSplit over the distinct times: each is validated on what follows its training.

    There must be more distinct times than folds.
    """
    from sklearn.model_selection import TimeSeriesSplit

    ordered = rows[np.argsort(times[rows], kind="stable")]
    distinct, place = np.unique(times[ordered], return_inverse=True)
    for rest, own in TimeSeriesSplit(folds).split(distinct):
        yield ordered[place <= rest[-1]], ordered[(place >= own[0]) & (place <= own[-1])]


def whole_groups(groups: Array, classes: Array | None, rows: Array, count: int, seed: int) -> tuple[Pair, Draw]:
    """Draws groups with about `count` of the rows together; `classes`, shape as `groups`, is for stratifying.

    With classes, one of the folds of scikit-learn's StratifiedGroupKFold, the one whose size is nearest; otherwise by
    its GroupShuffleSplit. There must be two groups.
    """
    from sklearn.model_selection import GroupShuffleSplit

    number, folds = len(np.unique(groups[rows])), max(2, round(len(rows) / count))
    if classes is not None and folds <= min(number, _MOST_FOLDS):
        pairs = group_folds(groups, classes, rows, folds, seed)
        fold = min(range(folds), key=lambda one: abs(len(pairs[one][1]) - count))
        found = pairs[fold]
        strata = strata_of(classes[rows], folds)
        return found, Draw(
            "test", len(found[1]), strata.count > 1, "group folds", strata.pooled, strata.pooled_as, folds, fold
        )
    drawn = min(number - 1, max(1, round(number * count / len(rows))))
    divider = GroupShuffleSplit(1, test_size=drawn, random_state=seed)
    rest, own = next(divider.split(rows, groups=groups[rows]))
    return (rows[rest], rows[own]), Draw("test", len(own), False, "groups", groups=drawn)


def group_folds(groups: Array, classes: Array | None, rows: Array, folds: int, seed: int) -> list[Pair]:
    """Folds of whole groups by scikit-learn's StratifiedGroupKFold, without classes of about equal sizes."""
    from sklearn.model_selection import StratifiedGroupKFold

    strata = np.zeros(len(rows), int) if classes is None else strata_of(classes[rows], folds).labels
    divider = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return [(rows[rest], rows[own]) for rest, own in divider.split(rows, strata, groups[rows])]
