"""The rows of a table for which an SQL expression holds: `state = 'complete' and depth >= 2`."""

import json
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from hpo.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas as pd

_TABLE = "trials"
# Text in single quotes, or a name in double quotes; a doubled quote in either means the quote itself.
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"((?:[^"]|"")*)\"""")
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}


def where(frame: "pd.DataFrame", expression: str) -> "pd.DataFrame":
    """The rows for which an expression holds, in their order. SQLite evaluates it on a copy in memory, read only.

    Names of columns go in double quotes if they are words of SQL or have characters other than letters, digits and
    underscores. Text goes in single quotes. Empty cells are NULL, true is 1, lists are JSON.

    Raises:
        UserError: the expression is wrong, or names an unknown column.
    """
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            plain = frame.map(_plain) if len(frame) else frame
            plain.reset_index(drop=True).to_sql(_TABLE, connection, index_label="_place")
        except (sqlite3.Error, ValueError) as error:
            raise UserError(f"--where cannot use these columns: {error}") from None
        connection.set_authorizer(_authorize)
        query = f"SELECT _place FROM {_TABLE} WHERE (\n{_named(expression)}\n) ORDER BY _place"
        try:
            places = [place for (place,) in connection.execute(query)]
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise UserError(f"--where {expression}: {_reason(str(error), list(map(str, frame.columns)))}") from None
    return frame.iloc[places].reset_index(drop=True)


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


def _named(expression: str) -> str:
    """The expression with backticks for double quotes, in which SQLite would take an unknown name for text."""

    def quoted(match: re.Match[str]) -> str:
        name = match.group(1)
        return match.group(0) if name is None else "`" + name.replace('""', '"').replace("`", "``") + "`"

    return _QUOTED.sub(quoted, expression)


def _authorize(action: int, *_: Any) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _reason(message: str, columns: list[str]) -> str:
    unknown = re.search(r"no such column: (.*)", message)
    if unknown is not None:
        name = unknown.group(1)
        return f"there is no column {name}; {nearest(name, columns)}; text goes in single quotes: '{name}'"
    if "syntax error" in message or "incomplete input" in message:
        example = "state = 'complete' and depth >= 2"
        return f"{message}; write SQL such as {example}, with names that are words of SQL in double quotes"
    return message
