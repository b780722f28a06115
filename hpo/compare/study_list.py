"""The list of a store's studies, read quickly from Optuna's tables where possible, else study by study."""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hpo.config.metrics import Direction
from hpo.config.score import Score
from hpo.storage.optuna_compat import has_known_tables, studies_with, trials_without
from hpo.storage.read_only import may_only_be_read, opener
from hpo.study.attributes import IDENTITY, OBSERVED, RESULT
from hpo.system.home import storage_url
from hpo.text.credentials import hidden_in

if TYPE_CHECKING:
    from hpo.study.read import StudyView

# Optuna's names of states.
_STATES = {"RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


@dataclass(frozen=True)
class StudyLine:
    """One line of the list: a study."""

    study: str
    objective: str
    best: float | None
    """The best validation score."""
    trial: int | None
    """The trial that has it."""
    states: Mapping[str, int]
    """State -> number of trials."""
    dataset: str
    model: str


def study_lines(home: str | Path | None = None, storage: str | None = None) -> list[StudyLine]:
    """All studies of a store; none where there is no store yet.

    Raises:
        UserError: the database cannot be opened.
        StoreAway: the database is unavailable for longer than a reading command waits.
    """
    url = storage_url(storage, home)
    found = lines_read_quickly(url)
    if found is not None:
        return found
    from hpo.compare.compare import read_studies

    return [line_of(view) for view in read_studies((), None, url)]


def line_of(view: "StudyView") -> StudyLine:
    """The line of a study that has been read."""
    from hpo.study.record import best_trial, count_states

    best = best_trial(view.trials, view.objective)
    return StudyLine(
        study=view.name,
        objective=view.objective.metric,
        best=best.value if best else None,
        trial=best.number if best else None,
        states=count_states(view.trials),
        dataset=view.identity["dataset"]["name"],
        model=view.identity["search_space"]["model"],
    )


def lines_read_quickly(url: str) -> list[StudyLine] | None:
    """All studies of an SQLite file. Avoids Optuna, SQLAlchemy and pydantic, which take most of a second to import.

    None if the URL names no SQLite file, or the file has unknown tables or is locked. The ordinary way of reading
    then finds out more.
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
    """The trials of a study, summed up one by one."""

    direction: Direction
    best: Score | None = None
    trial: int | None = None
    states: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, number: int, state: str, value: float | None, failure: str | None) -> None:
        """Adds a trial; of trials with equal scores the first is the best."""
        ended = state != "running"
        state = "failed" if ended and failure is not None else state
        # One that runs has a value once it has paused.
        self.states["paused" if not ended and value is not None else state] += 1
        if state != "failed" and value is not None:
            score = Score(value, self.direction)
            if score.better_than(self.best):
                self.best, self.trial = score, number


def _lines(connection: sqlite3.Connection) -> list[StudyLine]:
    connection.execute("BEGIN")
    if not has_known_tables(connection):
        raise ValueError("tables of another version")
    studies = {study: (name, hidden_in(json.loads(text))) for study, name, text in studies_with(connection, IDENTITY)}
    sums = {study: _Sum(identity["objective"]["direction"]) for study, (_, identity) in studies.items()}
    # Reads trials as `hpo.study.stored_trial.record_of` does.
    for study, number, state, value, failure in trials_without(connection, OBSERVED, RESULT, ("value", "failure")):
        if study in sums:
            sums[study].add(number, _STATES[state], *map(_parsed, (value, failure)))
    return [
        StudyLine(
            study=name,
            objective=identity["objective"]["metric"],
            best=best.value if (best := sums[study].best) else None,
            trial=sums[study].trial,
            states=dict(sums[study].states),
            dataset=identity["dataset"]["name"],
            model=identity["search_space"]["model"],
        )
        for study, (name, identity) in studies.items()
    ]


def _parsed(text: str | None) -> Any:
    return None if text is None else json.loads(text)
