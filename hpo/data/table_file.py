"""Table files as they come: text with any separator, decimal sign and encoding, gzipped or not, and Parquet."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.config.dataset import TABLE_ENDINGS, DatasetSpec
from hpo.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
MISSING = ("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "none", "?", "-", ".")
"""What stands for a missing number or date in text files; between other texts these are texts."""
_LOOKED_AT = 100
"""Lines from which the separator is told."""
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_DECIMAL_COMMA = r"\s*[+-]?\d+(,\d+)?([eE][+-]?\d+)?\s*"
_LEADING_ZERO = re.compile(r'(?:^|[,;\t|"\n])0\d')


@dataclass(frozen=True)
class Format:
    """How a text file is written; what is None is told from the file."""

    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class TableFile:
    """A table that was read."""

    path: Path
    frame: "pd.DataFrame"
    """Missing values are NaN; a text such as NA is a text."""
    text: str | None = None
    """The whole file, if it is text."""
    separator: str = ","
    options: Mapping[str, str] = field(default_factory=dict)
    """How a text file was read: the options of pandas's read_csv that are not its defaults."""
    notes: tuple[str, ...] = ()
    """What was told from the file, and could have been meant otherwise."""

    def row(self, number: int) -> str:
        """What messages call a row, counted from 0: its line in a text file."""
        if self.text is None:
            return f"row {number} (counted from 0)"
        reader = csv.reader(io.StringIO(self.text), delimiter=self.separator)
        rows = (reader.line_num for fields in reader if fields)
        line = next((line for place, line in enumerate(rows, -1) if place == number), number + 2)
        return f"line {line}"


def is_table(path: Path) -> bool:
    """Whether a file's name says that it is a table."""
    return path.name.lower().endswith(TABLE_ENDINGS)


def read_table_file(path: Path, form: Format, as_text: Collection[str] = ()) -> TableFile:
    """Reads a table; the columns `as_text` are texts whatever they hold.

    Raises:
        DataError: it cannot be read, or how it is written cannot be told.
    """
    import pandas as pd

    if path.name.lower().endswith(".parquet"):
        try:
            frame = pd.read_parquet(path)
        except (OSError, ValueError) as error:  # the errors of pandas and pyarrow are ValueErrors
            raise DataError(f"{path}: cannot be read as .parquet: {error}") from None
        frame.columns = [str(name) for name in frame.columns]
        for name in frame.columns.intersection(list(as_text)):
            frame[name] = frame[name].astype(str).where(frame[name].notna())
        return TableFile(path, frame)
    text, encoding, encoding_note = _decoded(path, form.encoding)
    separator, decimal = form.separator or _separator(path, text), form.decimal or "."
    frame = _parsed(path, text, separator, decimal, as_text)
    decimal_note = None
    if form.decimal is None and separator != "," and _has_decimal_commas(frame):
        decimal = ","
        frame = _parsed(path, text, separator, decimal, as_text)
        decimal_note = f"{path.name}: numbers are read with a decimal comma; dataset.decimal says otherwise"
    separator_note = None
    if form.separator is None and separator != ("\t" if ".tsv" in path.name.lower() else ","):
        name = _SEPARATORS[separator]
        separator_note = f"{path.name}: columns are separated by a {name}; dataset.separator says otherwise"
    zeros = _with_leading_zeros(path, text, separator, frame)
    notes = (encoding_note, separator_note, decimal_note, *zeros)
    usual = {"sep": ",", "decimal": ".", "encoding": "utf-8"}
    used = {"sep": separator, "decimal": decimal, "encoding": encoding}
    options = {name: value for name, value in used.items() if value != usual[name]}
    return TableFile(path, frame, text, separator, options, tuple(note for note in notes if note is not None))


def table_of(path: Path, spec: DatasetSpec) -> TableFile:
    """Reads the table of a dataset section, written as that says.

    Raises:
        DataError: see `read_table_file`.
    """
    return read_table_file(path, Format(spec.separator, spec.decimal, spec.encoding), spec.categorical)


def _decoded(path: Path, encoding: str | None) -> tuple[str, str, str | None]:
    """The text of a file, its encoding, and a note where that is a guess."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.name.lower().endswith(".gz") else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as {''.join(path.suffixes)}: {error}") from None
    marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding or marked).removeprefix("\ufeff"), encoding or marked, None
    except LookupError:
        raise DataError(
            f"unknown encoding {encoding}; Python's names, such as cp1252", ("dataset", "encoding")
        ) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        wrong = f"byte {content[error.start]:#04x} in line {line}"
        rule = f"{path}: must be text in {encoding or marked}, and {wrong} is not"
        if encoding is not None or marked != "utf-8":
            raise DataError(f"{rule}; set another dataset.encoding", ("dataset", "encoding")) from None
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        raise DataError(f"{rule}, nor in cp1252; set dataset.encoding to what wrote it") from None
    note = f"{path.name}: is no UTF-8 and is read as cp1252 (Western Windows); dataset.encoding says otherwise"
    return text, "cp1252", note


def _separator(path: Path, text: str) -> str:
    """The separator that gives all of the first lines the same number of columns, the largest where several do."""
    lines = [line for line in text[: 1 << 20].splitlines() if line.strip()][:_LOOKED_AT]
    if len(text) > 1 << 20:
        lines = lines[:-1]
    widths = {}
    for separator in _SEPARATORS:
        rows = list(csv.reader(lines, delimiter=separator))
        widths[separator] = {len(row) for row in rows}
    even = {separator: min(found) for separator, found in widths.items() if len(found) == 1 and min(found) > 1}
    usual = "\t" if ".tsv" in path.name.lower() else ","
    if not even or (usual in even and even[usual] == max(even.values())):
        return usual
    # Decimal commas may separate a file as evenly as its semicolons do: the header knows better.
    named = {one: len(next(csv.reader(lines[:1], delimiter=one))) for one in even}
    return max(even, key=lambda one: (named[one], one != ","))


def _parsed(path: Path, text: str, separator: str, decimal: str, as_text: Collection[str]) -> "pd.DataFrame":
    import pandas as pd

    try:
        # In one go, so that a column has one type throughout. Only an empty field is missing for certain: NA and None
        # are texts where others are.
        frame = pd.read_csv(
            io.StringIO(text), sep=separator, decimal=decimal, low_memory=False, keep_default_na=False,
            na_values=[""], dtype=dict.fromkeys(as_text, str),
        )  # fmt: skip
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as {path.suffix}: {error}") from None
    frame.columns = [str(name) for name in frame.columns]
    if decimal == ",":
        # pandas leaves a column as text where NA, for one, stands between its numbers.
        for name in frame.columns.difference(list(as_text)):
            if _are_decimals(frame[name]):
                frame[name] = frame[name].str.replace(",", ".")
    return frame


def _are_decimals(column: "pd.Series") -> bool:
    """Whether a column of texts holds numbers, with a decimal comma if any, and what stands for missing ones."""
    values = column.dropna()
    if values.dtype.kind in "biufM":
        return False
    told = values.astype(str)[~values.astype(str).str.strip().isin(MISSING)]
    return bool(len(told) and told.str.fullmatch(_DECIMAL_COMMA).all())


def _has_decimal_commas(frame: "pd.DataFrame") -> bool:
    """Whether texts are numbers with a decimal comma in some column, and numbers with a point in none."""
    found = False
    for name in frame.columns:
        values = frame[name].dropna()
        if values.dtype.kind == "f" and (values % 1 != 0).any():
            return False
        found |= _are_decimals(values) and bool(values.astype(str).str.contains(",").any())
    return found


def _with_leading_zeros(path: Path, text: str, separator: str, frame: "pd.DataFrame") -> Iterator[str]:
    """Makes columns of digits texts, in place, in which a number begins with a zero, as codes do; yields notes."""
    import pandas as pd

    whole = [name for name in frame.columns if frame[name].dtype.kind in "iuf"]
    if not whole or not _LEADING_ZERO.search(text):
        return
    texts = pd.read_csv(
        io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, na_values=[""], usecols=whole
    )
    for name in whole:
        codes = texts[name].dropna()
        if codes.str.fullmatch(r"\d+").all() and codes.str.match(r"0\d").any():
            frame[name] = texts[name]
            row = int(codes.index[codes.str.match(r"0\d")][0])
            yield f"{path.name}: column {name} holds codes such as {texts[name][row]}, which are texts and no numbers"
