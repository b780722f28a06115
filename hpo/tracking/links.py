"""Logs a page as an artifact of a study's run, and finds the pages of MLflow's UI."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from hpo.text.urls import masked, missing_database
from hpo.tracking.address import quiet, reason_of


def log_page(uri: str, study: str, name: str, text: str) -> str | None:
    """Logs a text as the artifact `name` of a study's newest run; returns the reason if it could not.

    An earlier page is replaced. If there is no store, nothing is created.
    """
    if (database := missing_database(uri)) is not None:
        return f"there is no {database}"
    with quiet():
        from hpo.tracking.lookup import study_run

        try:
            found = study_run(uri, study)
            if found is None:
                return f"{masked(uri)} has no run of study {study}"
            client, run = found
            client.log_text(run.info.run_id, text, name)
        except Exception as error:  # the page itself is written; that it cannot be logged too is no failure
            return f"{masked(uri)} cannot be written: {reason_of(uri, error)}"
    return None


@dataclass(frozen=True)
class RunPages:
    """The pages of a study's run and of its trials' runs in MLflow's UI."""

    study: str
    trials: Mapping[int, str]
    """Number of a trial -> the address of its page."""


def run_pages(uri: str, study: str, numbers: Collection[int]) -> RunPages | None:
    """The pages of a study's newest run and of some of its trials; None if no server shows them, or none answers."""
    server = server_address(uri)
    if server is None:
        return None
    with quiet():
        from hpo.tracking.lookup import study_run
        from hpo.tracking.paging import search_runs

        try:
            found = study_run(uri, study)
            if found is None:
                return None
            client, run = found
            experiment = str(run.info.experiment_id)
            below = f"tags.`mlflow.parentRunId` = '{run.info.run_id}' and tags.`hpo.role` = 'trial'"
            wanted, ids = set(numbers), {}
            for child in search_runs(client, [experiment], below):
                number = int(child.data.tags["hpo.trial"])
                if number in wanted:
                    ids[number] = child.info.run_id
                    if len(ids) == len(wanted):
                        break
        except Exception:  # links are a convenience: without them the page shows the command
            return None
    page = f"{server}/#/experiments/{quote(experiment, safe='')}/runs"
    trials = {number: f"{page}/{quote(run_id, safe='')}" for number, run_id in ids.items()}
    return RunPages(f"{page}/{quote(run.info.run_id, safe='')}", trials)


def server_address(uri: str) -> str | None:
    """The address of a tracking server for a browser, without user, password and query; None for other stores."""
    try:
        parts = urlsplit(uri)
        number = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{number}" if number is not None else ""
    address = f"{parts.scheme}://{host}{port}{quote(parts.path.rstrip('/'), safe='/%')}"
    # An address with a token in its path, or whose host looks like a password, must not be published.
    return address if masked(uri, address) == address else None
