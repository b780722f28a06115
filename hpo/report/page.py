"""The steps of a report: read the studies, gather, render, write, log. Trials are never changed.

names -> Source -> StudyPart -> template -> report.html -> MLflow
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hpo.errors import UserError
from hpo.statistics.decision import verdict
from hpo.statistics.sampling import clause
from hpo.system.versions import versions
from hpo.system.whole_files import replaced

if TYPE_CHECKING:
    from hpo.report.gathered import Overview, StudyPart

Format = Literal["html", "md"]
_SCRIPTS = ("figures.js", "sorting.js", "copying.js")


@dataclass(frozen=True)
class Reported:
    """A finished report."""

    text: str
    logged: str
    """Where the page was logged, or why it was not; empty where logging was not requested."""


def report(  # noqa: PLR0913 - one argument, one option of the command
    names: Sequence[str],
    output: Path | None,
    *,
    form: Format = "html",
    log: bool = True,
    home: str | Path | None = None,
    storage: str | None = None,
    tracking_uri: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Reported:
    """Writes a report on studies to a file or only returns it, and logs the page to the study's run in MLflow.

    Args:
        names: the studies; several are compared first.
        output: the file, which is overwritten; None writes no file.
        form: html or md.
        log: whether a page of one study is logged to MLflow.
        home: the folder of the stores: HPO_HOME or ./mlruns where not given.
        storage: SQLAlchemy URL of the studies, where it is not the home folder's.
        tracking_uri: MLflow tracking URI, where it is not the home folder's.
        tell: called with a text that says what is being done.

    Raises:
        UserError: there is no such study, or the file cannot be written.
    """
    from hpo.report.copied_commands import Stores
    from hpo.report.gathered import overview, study_part
    from hpo.report.markdown import markdown
    from hpo.report.mlflow_links import links_of
    from hpo.report.table import listed
    from hpo.report.thinning import read_source
    from hpo.system.home import storage_url, tracking_address

    _check_writable(output)
    url = storage_url(storage, home)
    uri = tracking_address(tracking_uri, home)
    stores = Stores(Path(home) if home is not None else None, storage, tracking_uri)
    sources = []
    for name in dict.fromkeys(names):
        tell(f"reading {name}")
        sources.append(read_source(url, name))
    if form == "md":
        text = markdown(sources, stores)
    else:
        parts = []
        for source in sources:
            tell(f"drawing {source.view.name}")
            numbers = [trial.number for trial in listed(source)]
            links = links_of(uri, source.view.name, numbers, stores.ui(source.view.name))
            parts.append(study_part(source, stores, links))
        text = render(parts, overview(sources) if len(sources) > 1 else None)
    if output is not None:
        with replaced(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    wanted = log and form == "html"
    if wanted:
        tell("logging to MLflow")
    logged = _log(uri, [s.view.name for s in sources], text) if wanted else ""
    return Reported(text, logged)


def render(parts: "Sequence[StudyPart]", together: "Overview | None") -> str:
    """The page as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from hpo.report.plotly_json import Drawing, for_script
    from hpo.text import values
    from hpo.text.cleaning import cut

    environment = Environment(
        loader=PackageLoader("hpo", "report"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    for name in ("score", "interval", "number", "count", "counts", "duration", "percent", "listing"):
        environment.filters[name] = getattr(values, name)
    environment.filters |= {"cut": cut, "verdict": verdict, "clause": clause, "for_script": for_script}
    environment.globals["NOTHING"] = values.NOTHING
    environment.tests["drawing"] = lambda value: isinstance(value, Drawing)
    folder = Path(__file__).parent
    names = [part.view.name for part in parts]
    return environment.get_template("template.html.jinja").render(
        title=f"{names[0]}: report" if len(names) == 1 else f"{len(names)} studies: report",
        parts=parts,
        together=together,
        made=datetime.now().strftime("%Y-%m-%d %H:%M"),
        version=versions()["hpo"],
        style=Markup((folder / "style.css").read_text(encoding="utf-8")),
        script=Markup("\n".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)),
        plotly=Markup(_plotly()),
    )


def _plotly() -> str:
    """The plotly.js of the plotly package; it does not contain `</script`."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _check_writable(output: Path | None) -> None:
    """Refuses a file that could not be written, before minutes of work."""
    if output is None:
        return
    if output.is_dir():
        raise UserError(f"{output}: is a folder; name a file in it, -o {output / 'report.html'}")
    if not output.absolute().parent.is_dir():
        raise UserError(f"{output}: there is no folder {output.parent}; create it first")


def _log(uri: str, names: Sequence[str], page: str) -> str:
    """Logs the page with the study's run; returns where, or why not."""
    from hpo.text.urls import masked
    from hpo.tracking.links import log_page

    if len(names) > 1:
        return "not logged to MLflow: a page of several studies belongs to none of their runs"
    problem = log_page(uri, names[0], "report.html", page)
    where = masked(uri)
    return f"not logged to MLflow: {problem}" if problem else f"logged to {where} as report.html of the study's run"
