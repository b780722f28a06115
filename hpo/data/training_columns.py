"""The columns of a table as its training part shows them: which texts are categories, and where values may miss.

A table is read as a whole, and its digest is that of all its texts. What a model learns from is then fitted on the
training part, as the scaling is: a text that only other parts hold is no category, and an input that says where a
value is missing would never have been other than zero while the model was trained.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpo.data.column import Column, feature_names, in_order
from hpo.data.dataset import Array, Part, PartName
from hpo.data.table_features import filled, fitted_fill, table_of_codes


@dataclass(frozen=True)
class Texts:
    """A column of texts that are categories."""

    values: tuple[str, ...]
    """All of them, in the order of the categories."""
    codes: Array
    """The place among them of the text of each row, shape (n,); -1 where it is missing."""

    def take(self, rows: Array) -> "Texts":
        """Those of some rows."""
        return Texts(self.values, self.codes[rows])


@dataclass(frozen=True)
class RawColumns:
    """The columns of a table as a whole, and the texts in them."""

    columns: tuple[Column, ...]
    texts: Mapping[str, Texts]
    """Column -> its texts, for columns that have categories."""
    most: int
    """How many texts of a column may be categories of their own, where they are one-hot."""

    def take(self, rows: Array) -> "RawColumns":
        """The same for some rows."""
        return replace(self, texts={name: texts.take(rows) for name, texts in self.texts.items()})

    def in_training(self, x: Array) -> tuple[Column, ...]:
        """The columns as these rows show them, which are those of the training part.

        `x`, shape (n, features), has their features as they were read.
        """
        found = {}
        for column, _, indicator in _layout(self.columns):
            if column.name in self.texts:
                column = _with_categories(column, self.texts[column.name], self.most)
            may_miss = indicator is not None and bool(x[:, indicator].any())
            found[column.name] = replace(column, may_miss=may_miss)
        return tuple(found[column.name] for column in self.columns)

    def features(self, x: Array, columns: Sequence[Column]) -> Array:
        """The features of these rows in other columns, shape (n, features): NaN where missing, zeros at the end.

        `x`, shape (n, features), has their features as they were read.
        """
        if tuple(columns) == self.columns:
            return x
        wanted = {column.name: column for column in columns}
        blocks, indicators = [], []
        for column, block, indicator in _layout(self.columns):
            own, values = wanted[column.name], x[:, block]
            if column.name in self.texts:
                values = _features(self.texts[column.name], own)
            blocks.append(values)
            if indicator is not None and own.may_miss:
                indicators.append(x[:, [indicator]])
        found = np.concatenate([*blocks, *indicators], axis=1)
        return np.pad(found, ((0, 0), (0, x.shape[1] - found.shape[1])))

    def unknown(self, columns: Sequence[Column]) -> dict[str, tuple[int, str]]:
        """Column -> how many of these rows hold a text that is none of its categories, nor other; and such a text."""
        found = {}
        for column in columns:
            if column.name in self.texts and not column.has_other:
                texts = self.texts[column.name]
                known = np.isin(texts.values, column.categories or ())
                rows = np.flatnonzero(~np.append(known, True)[texts.codes])
                if len(rows):
                    found[column.name] = len(rows), texts.values[texts.codes[rows[0]]]
        return found


def _with_categories(column: Column, texts: Texts, most: int) -> Column:
    """The column with the categories that its texts are."""
    counts = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.values))
    frequent = sorted(np.flatnonzero(counts), key=lambda place: (-counts[place], texts.values[place]))
    kept = frequent if column.ordinal else frequent[:most]
    categories = tuple(texts.values[place] for place in sorted(kept))
    return replace(column, categories=categories, has_other=len(kept) < len(frequent))


def _features(texts: Texts, column: Column) -> Array:
    place = {name: number for number, name in enumerate(column.categories or ())}
    codes = np.array([*(place.get(one, len(place)) for one in texts.values), len(place)])[texts.codes]
    return np.where((texts.codes < 0)[:, np.newaxis], np.nan, table_of_codes(column)[codes])


def _layout(columns: Sequence[Column]) -> Iterator[tuple[Column, slice, int | None]]:
    """Each column in the order of features, where its features are, and the one that says where it is missing."""
    ordered = in_order(columns)
    place, indicator = 0, sum(len(column.features) for column in ordered)
    for column in ordered:
        block = slice(place, place + len(column.features))
        yield column, block, indicator if column.may_miss else None
        place, indicator = block.stop, indicator + column.may_miss


@dataclass(frozen=True)
class FittedTable:
    """What a training part shows of a table; see the fields of the same names of `DatasetInfo`."""

    columns: tuple[Column, ...] = ()
    unused: int = 0
    fill: tuple[float, ...] | None = None
    by_column: bool = False
    notes: tuple[str, ...] = ()


NO_TABLE = FittedTable()


def fitted_table(
    raw: RawColumns, parts: Mapping[PartName, Part], places: Mapping[PartName, Array | None], impute: bool
) -> tuple[FittedTable, Mapping[PartName, Part]]:
    """What the training part shows of a table, and the parts with the features that follow.

    Args:
        raw: the columns of the whole table.
        parts: with the features as they were read.
        places: the rows of the table in each part.
        impute: whether missing values are filled in.
    """
    own = {name: raw.take(rows) for name, rows in places.items() if rows is not None}
    columns = own["training"].in_training(parts["training"].x)
    unused = len(feature_names(raw.columns)) - len(feature_names(columns))
    by_column = any(not column.is_number or column.may_miss for column in raw.columns)
    features = {name: own[name].features(part.x, columns) for name, part in parts.items()}
    fill = fitted_fill(features["training"], columns) if impute else None
    fitted = FittedTable(columns, unused, fill, by_column, tuple(_unknown_notes(own, columns)))
    return fitted, {name: replace(part, x=filled(features[name], fill)) for name, part in parts.items()}


def _unknown_notes(parts: Mapping[PartName, RawColumns], columns: Sequence[Column]) -> Iterator[str]:
    """What a user should know of texts that the training part lacks, a sentence for each column.

    `parts`: part -> the columns of its rows; `columns`: as the training part shows them.
    """
    found = {name: part.unknown(columns) for name, part in parts.items()}
    for column in columns:
        counts = {name: unknown[column.name] for name, unknown in found.items() if column.name in unknown}
        if counts:
            rows = " and ".join(
                f"{count} row{'s' * (count != 1)} of the {name} part" for name, (count, _) in counts.items()
            )
            example = next(iter(counts.values()))[1]
            what = "the number after the last category" if column.ordinal else "none of its categories"
            yield (
                f"column {column.name}: texts that the training part lacks, such as {example}, count as {what}, as "
                f"other texts will in use; they stand in {rows}"
            )
