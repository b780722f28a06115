"""The command `hpo report`: where the report goes, and what the command prints."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from hpo.errors import UserError
from hpo.report.page import Format, Reported, report
from hpo.text.values import megabytes

_SUFFIXES: dict[str, Format] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}
_STDOUT = Path("-")


@dataclass(frozen=True)
class Done:
    """The result of the command."""

    path: Path | None
    """The file; None for stdout."""
    form: Format
    report: Reported

    def lines(self) -> Iterator[str]:
        """The output for people: the Markdown itself where no file is named, else the file and its size."""
        if self.path is None:
            yield self.report.text
            return
        yield f"{self.path}: {megabytes(len(self.report.text.encode()))}"
        if self.report.logged:
            yield self.report.logged

    def as_json(self) -> dict[str, Any]:
        """The output for programs, with the text itself where no file is named."""
        text = {"text": self.report.text} if self.path is None else {}
        return {
            "file": None if self.path is None else str(self.path),
            "format": self.form,
            "mlflow": self.report.logged or None,
            **text,
        }


def report_command(  # noqa: PLR0913, PLR0917 - one argument, one option of the command
    studies: Sequence[str], output: Path | None, form: Format | None, log: bool, home: Path | None,
    storage: str | None, console: Console, tracking_uri: str | None = None,
) -> Done:  # fmt: skip
    """Writes a report to `output`. By default a page goes to report.html, and Markdown to stdout.

    Raises:
        UserError: no such study, or a file that has the wrong suffix or cannot be written.
    """
    form = chosen_format(output, form)
    if output is None and form == "html":
        output = Path("report.html")
    path = None if output == _STDOUT else output
    with console.status("") as status:
        done = report(
            studies, path, form=form, log=log and form == "html", home=home, storage=storage,
            tracking_uri=tracking_uri, tell=lambda what: status.update(Text(f"{what} ...")),
        )  # fmt: skip
    return Done(path, form, done)


def chosen_format(output: Path | None, wanted: Format | None) -> Format:
    """The format: `wanted`, else that of the file's suffix, else a page.

    Raises:
        UserError: the suffix belongs to no format, or to the other one.
    """
    if output is None or output == _STDOUT:
        return wanted or "html"
    suffix = _SUFFIXES.get(output.suffix)
    if suffix is None or (wanted or suffix) != suffix:
        valid = {"md": ".md", "html": ".html", None: ".html or .md"}[wanted]
        raise UserError(f"{output}: a report must end in {valid}")
    return suffix
