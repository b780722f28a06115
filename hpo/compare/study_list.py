"""What a list of studies says of each: read at once from the tables that Optuna makes, or as every study is read."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hpo.storage.read_only import may_only_be_read, opener
from hpo.system.home import default_storage, home_folder
from hpo.text.credentials import hidden_in

if TYPE_CHECKING:
    from hpo.study.read import StudyView

# The tables of Optuna 3.2 to 5; of any other kind the ordinary reading knows more.
_SCHEMA, _REVISION = 12, "v3.2.0.a"
_STATES = {"RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
_STUDIES = """
    SELECT studies.study_id, study_name, value_json FROM studies JOIN study_user_attributes AS attributes
    ON attributes.study_id = studies.study_id AND "key" = 'hpo:identity' ORDER BY studies.study_id
"""
# As `hpo.study.stored_trial.record_of` reads trials, without those that only wait, or that only the sampler knows.
_TRIALS = """
    SELECT study_id, number, state, result.value_json -> '$.value', result.value_json -> '$.failure' FROM trials
    LEFT JOIN trial_user_attributes AS result ON result.trial_id = trials.trial_id AND result."key" = 'hpo:result'
    LEFT JOIN trial_user_attributes AS seen ON seen.trial_id = trials.trial_id AND seen."key" = 'hpo:observed'
    WHERE state <> 'WAITING' AND seen.trial_id IS NULL ORDER BY number
"""


@dataclass(frozen=True)
class StudyLine:
    """A study in a line."""

    study: str
    objective: str
    best: float | None
    """The best validation score."""
    trial: int | None
    """The trial that has it."""
    states: Mapping[str, int]
    """How many trials are in each state."""
    dataset: str
    model: str


def study_lines(home: str | Path | None = None, storage: str | None = None) -> list[StudyLine]:
    """All studies of a store; none where there is no store yet.

    Raises:
        UserError: the database cannot be opened.
        StoreAway: it is away for longer than a command that reads waits for it.
    """
    url = storage or default_storage(home_folder(home))
    found = lines_at_once(url)
    if found is not None:
        return found
    from hpo.compare.compare import read_studies

    return [line_of(view) for view in read_studies((), None, url)]


def line_of(view: "StudyView") -> StudyLine:
    """The line of a study that has been read."""
    from hpo.study.record import ranked

    best = next(iter(ranked(view.trials, view.objective)), None)
    states = [trial.state for trial in view.trials]
    return StudyLine(
        study=view.name,
        objective=view.objective.metric,
        best=best.value if best else None,
        trial=best.number if best else None,
        states={state: states.count(state) for state in dict.fromkeys(states)},
        dataset=view.identity["dataset"]["name"],
        model=view.identity["search_space"]["model"],
    )


def lines_at_once(url: str) -> list[StudyLine] | None:
    """All studies of an SQLite file, without Optuna, SQLAlchemy and pydantic, which take most of a second to import.

    None: it is no such file, or not as this code knows it, or it is locked; the ordinary reading then says more.
    """
    path = url.removeprefix("sqlite:///")
    if path == url or not path or any(letter in path for letter in "?:%"):
        return None
    if not Path(path).exists():
        return []
    try:
        with closing(_opened(Path(path))) as connection:
            return _lines(connection)
    except (sqlite3.Error, OSError, ValueError, TypeError, LookupError, AttributeError):
        return None


def _opened(file: Path) -> sqlite3.Connection:
    if may_only_be_read(file):
        return opener(file)()
    return sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True, timeout=0.5)


@dataclass
class _Sum:
    """What there is to say of a study's trials."""

    sign: int
    best: float | None = None
    trial: int | None = None
    states: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, number: int, state: str, value: float | None, failure: str | None) -> None:
        """Adds a trial; of equal ones the first counts."""
        ended = state != "running"
        state = "failed" if ended and failure is not None else state
        self.states[state] += 1
        scored = state in ("complete", "pruned") and value is not None
        if scored and (self.best is None or self.sign * (value - self.best) > 0):  # type: ignore[operator]
            self.best, self.trial = value, number


def _lines(connection: sqlite3.Connection) -> list[StudyLine]:
    connection.execute("BEGIN")
    known = (
        connection.execute("SELECT schema_version FROM version_info").fetchone()[0],
        connection.execute("SELECT version_num FROM alembic_version").fetchone()[0],
    )
    if known != (_SCHEMA, _REVISION):
        raise ValueError("tables of another version")
    studies = {study: (name, hidden_in(json.loads(text))) for study, name, text in connection.execute(_STUDIES)}
    sums = {study: _Sum(_sign(identity["objective"])) for study, (_, identity) in studies.items()}
    for study, number, state, value, failure in connection.execute(_TRIALS):
        if study in sums:
            sums[study].add(number, _STATES[state], *map(_parsed, (value, failure)))
    return [
        StudyLine(
            study=name,
            objective=identity["objective"]["metric"],
            best=sums[study].best,
            trial=sums[study].trial,
            states=dict(sums[study].states),
            dataset=identity["dataset"]["name"],
            model=identity["search_space"]["model"],
        )
        for study, (name, identity) in studies.items()
    ]


def _sign(objective: Mapping[str, Any]) -> int:
    return {"maximize": 1, "minimize": -1}[objective["direction"]]


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
