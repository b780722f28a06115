"""What a table's training part shows of its columns, whatever its other parts hold."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data.column import Column
from hpo.data.dataset import Dataset
from hpo.data.prepare import load

TOWNS = ["Bonn", "Ulm", "Bonn", "Jena", "Ulm", "Bonn", "Bonn", "Bonn", "Oslo", "Oslo"]
"""The last two rows are the test part, the two before them the validation part: Oslo is known from neither other."""


def read(folder: Path, towns: list[str | None] = TOWNS, size: float = 9.5, **options: Any) -> Dataset:
    sizes = [float(number) for number in range(9)]
    frame = pd.DataFrame({"size": [*sizes, size], "town": towns, "price": np.arange(10.0) + 0.5})
    frame.to_csv(folder / "t.csv", index=False)
    section = {"path": str(folder / "t.csv"), "target": "price", "shuffle": False, "test": 2, **options}
    return load(DatasetSpec.model_validate({"validation": 2, **section}), [folder])


@pytest.mark.parametrize(
    ("options", "town", "of_oslo"),
    [
        ({}, Column("town", ("Bonn", "Jena", "Ulm")), [0, 0, 0, 0]),
        ({"categories": "ordinal"}, Column("town", ("Bonn", "Jena", "Ulm"), ordinal=True), [3]),
        # Of the whole table Oslo is as frequent as Ulm, and first in the alphabet.
        ({"max_categories": 2}, Column("town", ("Bonn", "Ulm"), has_other=True), [0, 0, 1]),
        # All but Oslo: there is no other text in the training part.
        ({"max_categories": 3}, Column("town", ("Bonn", "Jena", "Ulm")), [0, 0, 0, 0]),
    ],
)
def test_texts_of_other_parts_are_no_categories(
    tmp_path: Path, options: dict[str, Any], town: Column, of_oslo: list[int]
) -> None:
    found = read(tmp_path, **options)
    assert found.info.columns == (Column("size"), town)
    np.testing.assert_array_equal(found.test.x[0], [8, *of_oslo])
    assert found.info.input_shape == (1 + len(of_oslo),) == (len(found.info.feature_names),)
    told = [note for note in found.info.notes if "Oslo" in note]
    assert len(told) == (not town.has_other)
    assert all(note.endswith("they stand in 2 rows of the test part") for note in told)


def test_what_is_missing_in_other_parts_alone_is_filled_and_has_no_input(tmp_path: Path) -> None:
    found = read(tmp_path, towns=["Ulm", "Bonn"] * 5, size=float("nan"))
    assert found.info.columns == (Column("size"), Column("town", ("Bonn", "Ulm")))
    assert (found.info.unused, found.info.by_column) == (1, True)
    # The median of the training part, 0 to 5.
    np.testing.assert_array_equal(found.test.x[1], [2.5, 1, 0, 0])
    assert not found.training.x[:, -1].any()


def test_each_fold_has_its_own_categories_and_all_have_one_shape(tmp_path: Path) -> None:
    towns = ["Bonn", "Ulm", "Bonn", "Jena", None, "Bonn", "Bonn", "Bonn", "Bonn", "Bonn"]
    found = read(tmp_path, towns, shuffle=True, validation={"folds": 4})
    assert {fold.training.x.shape[1] for fold in found.folds} == {5}
    for fold in found.folds:
        categories = fold.info.columns[1].categories or ()
        assert fold.info.feature_names[1 : 1 + len(categories)] == tuple(f"town_{one}" for one in categories)
        assert (fold.training.x[:, 1 : 1 + len(categories)].sum(axis=0) > 0).all()
    assert len({fold.info.columns for fold in found.folds}) > 1


def test_the_digest_does_not_depend_on_what_is_fitted(tmp_path: Path) -> None:
    """It is that of what was read, as of earlier versions of hpo."""
    assert read(tmp_path).info.digest == "998725c62c621abdd1a99656617cc7e4"
    assert read(tmp_path, max_categories=2).info.digest == "cd967a49425aa0afcfb7f0aca1ddd636"
