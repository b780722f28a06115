"""Writes an exported trial as a plain Keras script, which does not need hpo and looks as if written by hand."""

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.system.tensorflow_import import without_import_messages

if TYPE_CHECKING:
    from hpo.plan.exported_file import Exported

# Arguments on a line of their own without a trailing comma, which a formatter with longer lines would join again.
_ARGUMENTS_ON_A_LINE = re.compile(r"(?<=\w\(\n)( +.*[^,\n])(?=\n *\))")


def script_of(exported: "Exported") -> str:
    """The script's text. To write it, this reads the data and builds the model once.

    Raises:
        DataError: the data can no longer be read.
        UserError: its kind of training cannot be written as a plain script.
        ModelError: the model can no longer be built.
    """
    from jinja2 import Environment, StrictUndefined

    with without_import_messages():
        from hpo.export.script.values import template_values
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["source"] = repr
    template = Path(__file__).with_name("template.py.jinja").read_text(encoding="utf-8")
    values = template_values(exported, taken=set(re.findall(r"\w+", template)))
    return formatted(environment.from_string(template).render(values))


def formatted(source: str) -> str:
    """Python source without unused imports, formatted so that `ruff format` and `black` keep it for any line length."""
    imported = _ruff("check", "--select=F401,I", "--fix-only", "--config=src=[]", source=source)
    return _ruff("format", source=_ARGUMENTS_ON_A_LINE.sub(r"\1,", _ruff("format", source=imported)))


def _ruff(*command: str, source: str) -> str:
    from ruff.__main__ import find_ruff_bin

    # --isolated ignores the user's own settings of ruff.
    arguments = [find_ruff_bin(), *command, "--isolated", "--no-cache", "--quiet", "--stdin-filename=best.py", "-"]
    return subprocess.run(arguments, input=source, capture_output=True, text=True, encoding="utf-8", check=True).stdout
