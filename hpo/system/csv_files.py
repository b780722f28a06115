"""Tables as CSV files: written whole or not at all, and without cells that a spreadsheet takes for formulas."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.system.whole_files import replaced
from hpo.text.cleaning import visible
from hpo.text.values import is_number

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t")


def write_csv(frame: "pd.DataFrame", path: Path | None) -> None:
    """Writes a table to a file, whole or not at all; to stdout where no path is given.

    Raises:
        UserError: it cannot be written.
    """
    safe = frame.rename(columns=as_text)
    for name in [name for name in safe.columns if safe[name].dtype.kind not in "biufc"]:
        safe[name] = safe[name].map(as_text)
    if path is None:
        safe.to_csv(sys.stdout, index=False)
        return
    with replaced(path) as temporary:
        safe.to_csv(temporary, index=False)


def as_text(value: Any) -> Any:
    """A cell. A text that a spreadsheet would run as a formula gets a leading apostrophe, as in spreadsheets."""
    if not isinstance(value, str):
        return value
    value = visible(value)
    return f"'{value}" if value.startswith(_FORMULA) and not is_number(value) else value
