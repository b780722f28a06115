"""A page as an artifact of a study's run, for MLflow's UI to show."""

from hpo.tracking.address import quiet, reason_of
from hpo.urls import masked, missing_database


def log_page(uri: str, study: str, name: str, text: str) -> str | None:
    """Logs a text as the artifact `name` of a study's newest run; returns why it could not, else None.

    A page that is there already is replaced. Nothing is created where there is no store.
    """
    if (database := missing_database(uri)) is not None:
        return f"there is no {database}"
    with quiet():
        from hpo.tracking.store import study_run

        try:
            found = study_run(uri, study)
            if found is None:
                return f"{masked(uri)} has no run of study {study}"
            client, run = found
            client.log_text(run.info.run_id, text, name)
        except Exception as error:  # the page is written; where it is shown as well must not fail it
            return f"{masked(uri)} cannot be written: {reason_of(uri, error)}"
    return None
