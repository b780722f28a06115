"""Tables: the target, categories, and what cannot be learnt from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_info import info_of

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load
from hpo.data.column import Column
from hpo.data.dataset import DatasetInfo
from hpo.data.table_columns import columns_of
from hpo.data.table_features import encode
from hpo.data.table_file import TableFile
from hpo.data.tables import read_features
from hpo.errors import DataError

N = 120
FRAME = pd.DataFrame(
    {
        "size": np.linspace(0, 1, N),
        "rooms": np.arange(N) % 7,
        "garden": np.arange(N) % 2 == 0,
        "town": [("Ulm", "Bonn", "Jena")[i % 3] for i in range(N)],
        "price": np.linspace(10, 20, N),
    }
)


def read(folder: Path, frame: pd.DataFrame, suffix: str = ".csv", **options: Any) -> Dataset:
    path = folder / f"houses{suffix}"
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    return load(DatasetSpec(path=path.name, **{"target": "price", **options}), [folder])


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_table_of_all_kinds_of_columns(tmp_path: Path, suffix: str) -> None:
    dataset = read(tmp_path, FRAME, suffix)
    assert (dataset.info.task, dataset.info.outputs, dataset.info.classes) == ("regression", 1, None)
    # size, rooms, garden, and one column for each of three towns
    assert dataset.info.input_shape == (6,)
    assert set(np.unique(dataset.training.x[:, 3:])) == {0.0, 1.0}
    assert (dataset.training.x[:, 3:].sum(axis=1) == 1).all()
    assert dataset.training.y.dtype == np.float32


def test_csv_and_parquet_hold_the_same_data(tmp_path: Path) -> None:
    assert read(tmp_path, FRAME).info.digest == read(tmp_path, FRAME, ".parquet").info.digest


@pytest.mark.parametrize(
    ("target", "task", "names"),
    [
        ("town", "classification", ("Bonn", "Jena", "Ulm")),
        ("garden", "classification", ("False", "True")),
        ("rooms", "classification", ()),
        ("grade", "classification", ("-3", "10", "50")),
        ("income", "regression", ()),
    ],
)
def test_task_of_a_column(tmp_path: Path, target: str, task: str, names: tuple[str, ...]) -> None:
    frame = FRAME.assign(grade=np.array([10, -3, 50])[np.arange(N) % 3], income=np.arange(N) * 37)
    info = read(tmp_path, frame, target=target).info
    assert (info.task, info.class_names) == (task, names)


def test_class_numbers_follow_the_names(tmp_path: Path) -> None:
    dataset = read(tmp_path, FRAME[["town"]].assign(code=FRAME["town"].str.len() * 10 + FRAME.index % 3), target="town")
    # Ulm comes with x ending in 0, Bonn in 1, Jena in 2.
    codes = dataset.training.x[:, 0] % 10
    np.testing.assert_array_equal(dataset.training.y, np.array([2, 0, 1])[codes.astype(int)])


def test_task_overrides(tmp_path: Path) -> None:
    assert read(tmp_path, FRAME, target="rooms", task="regression").info.task == "regression"
    whole = FRAME.assign(price=np.arange(N) % 2 * 1.0)
    assert read(tmp_path, whole).info.classes == 2
    assert read(tmp_path, whole, task="regression").info.task == "regression"
    with pytest.raises(DataError, match="column 'town': regression needs numbers, got Ulm"):
        read(tmp_path, FRAME, target="town", task="regression")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rooms": [None, None] + [1.0] * (N - 2)}, "'rooms': .* 2 are missing, the first in line 2; missing: impute"),
        ({"town": ["Ulm"] * (N - 1) + [None]}, f"'town': .* 1 are missing, the first in line {N + 1}"),
        ({"price": [1.0, None] + [1.0] * (N - 2)}, "'price': .* 1 are missing, the first in line 3"),
        ({"price": ["1.5", "NA"] + ["2.5"] * (N - 2)}, "'price': .* 1 are missing, the first in line 3"),
        ({"size": [np.inf] + [1.0] * (N - 1)}, "must be finite numbers .* got 1 .* the first in line 2"),
        ({"rooms": [1] * (N - 1) + ["2a"]}, f"'rooms': line {N + 1} holds 2a, and all but 1 of {N} values are numbers"),
        ({"town": ["03/04/2024", "05/06/2023"] * (N // 2)}, "'town': day and month cannot be told apart, as in 03/04"),
        ({"rooms": [None] * N}, r"'rooms': has no value; drop: \[rooms\]"),
        ({"price": [1e300] * N}, f"column 'price': all values must be finite numbers .* got {N}"),
        ({"town": [f"house {i}" for i in range(N)]}, r"'town': has another text in each row.*drop: \[town\]"),
    ],
)
def test_columns_that_cannot_be_learnt(tmp_path: Path, change: dict[str, list], message: str) -> None:
    with pytest.raises(DataError, match=rf"houses\.csv.*{message}"):
        read(tmp_path, FRAME.assign(**change), missing="refuse")


def test_what_is_neither_number_nor_text_nor_date_is_refused(tmp_path: Path) -> None:
    frame = FRAME.assign(lasted=pd.to_timedelta(np.arange(N), unit="D"))
    with pytest.raises(DataError, match=r"'lasted': must hold numbers, truth values, texts or dates, got timedelta"):
        read(tmp_path, frame, ".parquet")


def test_a_column_of_texts_is_the_only_input(tmp_path: Path) -> None:
    frame = FRAME.assign(told=[f"house {row}" for row in range(N)])
    dataset = read(tmp_path, frame, text="told", target="town", validation={"group": "rooms"})
    assert (dataset.info.is_text, dataset.info.text, dataset.info.input_shape) == (True, "told", ())
    assert dataset.info.class_names == ("Bonn", "Jena", "Ulm")
    assert str(dataset.training.x[0]).startswith("house ")
    for text, change, message in (
        ("tolt", {}, "has no column 'tolt'; did you mean told"),
        ("price", {}, "column 'price' cannot be the text and the target"),
        ("told", {"told": [None, *["a"] * (N - 1)]}, "column 'told': must have a value in every row, line 2 has none"),
    ):
        with pytest.raises(DataError, match=message):
            read(tmp_path, frame.assign(**change), text=text)
    with pytest.raises(DataError, match="told names a column of a table, and iris is none"):
        load(DatasetSpec(name="iris", text="told"), [])


def test_target_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"houses\.csv: has no column 'prize'; did you mean price\?"):
        read(tmp_path, FRAME, target="prize")
    with pytest.raises(DataError, match="needs target:, the column to predict; columns: size, rooms"):
        read(tmp_path, FRAME, target=None)
    with pytest.raises(DataError, match="needs columns besides 'price'"):
        read(tmp_path, FRAME[["price"]])
    with pytest.raises(DataError, match="target: species names a column"):
        load(DatasetSpec(name="iris", target="species"), [tmp_path])


def test_row_numbers_are_no_feature(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "houses.csv")
    with pytest.raises(DataError, match=r"first column has no name.*to_csv\(index=False\).*drop"):
        load(DatasetSpec(path="houses.csv", target="price"), [tmp_path])


@pytest.mark.parametrize(("name", "content"), [("t.csv", b""), ("t.csv", b"a,b\n1,2\n3,4,5\n"), ("t.parquet", b"PAR1")])
def test_unreadable_tables(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: cannot be read as \.(csv|parquet)"):
        load(DatasetSpec(path=name, target="a"), [tmp_path])


COLUMNS = (Column("size", None), Column("town", ("Bonn", "Jena", "Ulm")), Column("old", ("no", "yes")))
TABLE = pd.DataFrame({"old": ["yes", "no", "no"], "kind": [1, 2, 3], "town": ["Ulm", "Ulm", "Bonn"], "size": [4, 5, 6]})


def described(columns: tuple[Column, ...] = COLUMNS) -> DatasetInfo:
    return replace(info_of((6,)), columns=columns)


def features(folder: Path, frame: pd.DataFrame, columns: tuple[Column, ...] = COLUMNS) -> tuple[np.ndarray, list[str]]:
    frame.to_csv(folder / "f.csv", index=False)
    found = read_features(folder / "f.csv", described(columns))
    return found.features, list(found.ignored)


def test_features_are_found_by_name_in_the_order_of_training(tmp_path: Path) -> None:
    x, ignored = features(tmp_path, TABLE)
    assert ignored == ["kind"]
    np.testing.assert_array_equal(x, [[4, 0, 0, 1, 0, 1], [5, 0, 0, 1, 1, 0], [6, 1, 0, 0, 1, 0]])
    # Categories of which none occurs keep their column.
    np.testing.assert_array_equal(features(tmp_path, TABLE[:2])[0], x[:2])


@pytest.mark.parametrize("row", [0, 1, 2])
def test_one_unknown_category_in_any_row_is_none_of_them(tmp_path: Path, row: int) -> None:
    known, _ = features(tmp_path, TABLE)
    x, _ = features(tmp_path, TABLE.assign(town=TABLE["town"].where(np.arange(3) != row, "Köln")))
    known[row, 1:4] = 0
    np.testing.assert_array_equal(x, known)
    with pytest.raises(DataError, match=rf"'old': must have a value in every row, 1 are missing.* line {row + 2}"):
        features(tmp_path, TABLE.assign(old=TABLE["old"].where(np.arange(3) != row, None)))


def test_features_that_are_not_those_of_training(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="trained on columns size, town, old; missing: town, old; town: did you mean twn"
    ):
        features(tmp_path, TABLE.rename(columns={"town": "twn"}).drop(columns="old"))
    with pytest.raises(DataError, match="missing: town, old; the file has no others"):
        features(tmp_path, TABLE[["size"]])
    with pytest.raises(DataError, match="'size': must hold numbers, line 2 holds big"):
        features(tmp_path, TABLE.assign(size="big"))
    # A CSV file's are told apart by pandas.
    TABLE.rename(columns={"kind": "size"}).iloc[:, 1:].to_csv(tmp_path / "f.csv", index=False)
    with pytest.raises(DataError, match=r"missing: old; old: valid: size\.1"):
        read_features(tmp_path / "f.csv", described())
    with pytest.raises(DataError, match="must have at least one row"):
        features(tmp_path, TABLE[:0])
    # Numbers that are categories are read as such.
    x, _ = features(tmp_path, TABLE, (Column("kind", ("1", "2", "3")),))
    np.testing.assert_array_equal(x, np.eye(3))


def table_of(frame: pd.DataFrame) -> TableFile:
    return TableFile(Path("t.parquet"), frame)


@pytest.mark.parametrize("names", [20, 21])
def test_up_to_twenty_texts_are_categories_and_the_others_are_one_more(names: int) -> None:
    # The first ones are the most frequent.
    towns = [f"t{number:02}" for number in range(names) for _ in range(names + 1 - number)]
    frame = pd.DataFrame({"n": 1.5, "town": towns})
    columns = columns_of(table_of(frame), ["n", "town"], DatasetSpec(name="t"))
    kept = tuple(f"t{number:02}" for number in range(20))
    assert columns == (Column("n"), Column("town", kept, has_other=names > 20))
    x = encode(table_of(frame), columns).features
    assert (x.shape, x.dtype) == ((len(towns), 1 + names), np.float64)
    assert (x[:, 1:].sum(axis=1) == 1).all()
    few = columns_of(table_of(frame), ["town"], DatasetSpec(name="t", max_categories=2))
    assert few == (Column("town", ("t00", "t01"), has_other=True),)


def test_a_table_of_two_columns_is_enough_and_parquet_may_have_unnamed_ones(tmp_path: Path) -> None:
    assert read(tmp_path, FRAME[["size", "price"]]).info.input_shape == (1,)
    frame = FRAME[["size", "price"]].rename(columns={"size": "Unnamed: 0"})
    assert read(tmp_path, frame, ".parquet").info.input_shape == (1,)
