"""Table files as they come: separators, decimal signs, encodings, endings, and texts that look like something else."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data import load
from hpo.data.table_columns import identifiers
from hpo.data.table_file import Format, read_table_file
from hpo.errors import DataError

ROWS = [("Größe", "Ort", "y"), ("1.5", "Köln", "0"), ("2.25", "NA", "1"), ("3", "None", "0")]


def written(separator: str = ",", decimal: str = ".") -> str:
    return "\n".join(separator.join(row).replace(".", decimal) for row in ROWS) + "\n"


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("t.csv", written().encode(), None),
        ("T.CSV", written().encode("utf-8-sig"), None),
        ("t.tsv", written("\t").encode(), None),
        ("t.csv.gz", gzip.compress(written().encode(), mtime=0), None),
        ("t.csv", written(";").encode(), "separated by a semicolon; dataset.separator"),
        ("t.csv", written(";", ",").encode(), "read with a decimal comma; dataset.decimal"),
        ("t.csv", written("\t").encode("utf-16"), "separated by a tab"),
        ("t.csv", written("|").encode("cp1252"), "read as cp1252"),
    ],
)
def test_a_table_is_read_however_it_was_written(tmp_path: Path, name: str, content: bytes, note: str | None) -> None:
    (tmp_path / name).write_bytes(content)
    table = read_table_file(tmp_path / name, Format())
    expected = pd.DataFrame({"Größe": [1.5, 2.25, 3.0], "Ort": ["Köln", "NA", "None"], "y": [0, 1, 0]})
    pd.testing.assert_frame_equal(table.frame, expected)
    assert (note is None and not table.notes) or any(note in found for found in table.notes if note)


def test_a_given_format_of_a_table_is_not_guessed_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(written(";", ",").encode("latin-1"))
    table = read_table_file(file, Format(";", ",", "latin-1"))
    assert (table.notes, table.frame["Größe"].tolist()) == ((), [1.5, 2.25, 3.0])
    with pytest.raises(DataError, match=r"t\.csv: must be text in utf-8, and byte 0xf6 in line 1 is not; set another"):
        read_table_file(file, Format(encoding="utf-8"))
    with pytest.raises(DataError, match="unknown encoding klingon"):
        read_table_file(file, Format(encoding="klingon"))
    file.write_bytes(b"a,b\n\x81\x8d,1\n")
    with pytest.raises(DataError, match=r"byte 0x81 in line 2 is not, nor in cp1252; set dataset\.encoding"):
        read_table_file(file, Format())


def test_codes_keep_their_zeros_and_tokens_are_missing_among_numbers_alone(tmp_path: Path) -> None:
    lines = [
        f"{number % 7:03},{number},{'NA' if number == 3 else number},{'NA' if number % 2 else 'EU'}\n"
        for number in range(60)
    ]
    (tmp_path / "t.csv").write_text("code,n,gap,region\n" + "".join(lines))
    info = load(DatasetSpec(path="t.csv", target="n"), [tmp_path]).info
    names = {column.name: (column.categories, column.may_miss) for column in info.columns}
    assert names["code"][0] == tuple(f"{number:03}" for number in range(7))
    assert names["region"] == (("EU", "NA"), False)
    assert names["gap"] == (None, True)
    assert any("column code holds codes such as 000, which are texts" in note for note in info.notes)


def test_decimal_commas_beside_what_stands_for_a_missing_number(tmp_path: Path) -> None:
    lines = [f"{number}.5;{number}.25;{number % 7}.5\n".replace(".", ",") for number in range(60)]
    lines[3] = "NA;3,25;?\n"
    (tmp_path / "t.csv").write_text("gap;y;other\n" + "".join(lines))
    dataset = load(DatasetSpec(path="t.csv", target="y"), [tmp_path])
    assert dataset.info.feature_names == ("gap", "other", "gap_missing", "other_missing")
    assert set(dataset.training.x[:, 1]) <= {number + 0.5 for number in range(7)}
    with pytest.raises(DataError, match=r"column 'gap': must have a value in every row, 1 are missing, .* line 5"):
        load(DatasetSpec(path="t.csv", target="gap"), [tmp_path])


def test_columns_that_tell_rows_apart(tmp_path: Path) -> None:
    n = range(50)
    frame = pd.DataFrame({"PassengerId": n, "Name": [f"n{i}" for i in n], "paid": n, "kind": ["a", "b"] * 25})
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert identifiers(read_table_file(tmp_path / "t.csv", Format())) == ["PassengerId", "Name"]
