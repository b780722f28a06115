"""Logs a whole study to an MLflow store, or the part of it that is missing there."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import HpoError
from hpo.study.record import TrialRecord
from hpo.text.urls import masked, missing_database
from hpo.tracking.address import cannot_open, quiet, reason_of
from hpo.tracking.study_info import Ending, StudyInfo

if TYPE_CHECKING:
    from hpo.tracking.study_runs import Store


@quiet()
def log_study(
    uri: str,
    artifacts: Path,
    study: StudyInfo,
    records: Sequence[TrialRecord],
    ending: Ending,
    done: Callable[[], None],
) -> int:
    """Writes a study, its trials and its end; returns how many runs were repaired. A second call changes nothing.

    Args:
        uri: MLflow tracking URI: a server's or a database's.
        artifacts: folder of a new experiment's artifacts, if the URI is a database's.
        study: what is logged with the study.
        records: its trials and confirming runs.
        ending: its summary and best model.
        done: called after each ended record.

    Raises:
        UserError: the store cannot be reached, or refuses.
        HpoError: it failed on the way.
    """
    from hpo.tracking.study_runs import Store

    try:
        store = Store(uri, None if uri.startswith(("http:", "https:")) else artifacts, study, resume=True)
    except HpoError:
        raise
    except Exception as error:  # MLflow's, SQLAlchemy's, the network's
        raise cannot_open(uri, error) from None
    try:
        repaired = _write(store, study, records, done)
        store.finish(ending, as_before=True)
    except Exception as error:
        raise HpoError(
            f"the MLflow store {masked(uri)} failed: {reason_of(uri, error)}\n"
            "What was logged is kept; the same command logs what is missing."
        ) from None
    finally:
        store.close()
    return repaired


def _write(store: "Store", study: StudyInfo, records: Sequence[TrialRecord], done: Callable[[], None]) -> int:
    """Writes the trials that the store lacks; returns their number."""
    from hpo.tracking.unlogged import Unlogged

    unlogged = Unlogged(study.objective)
    missing, points = store.missing(records, unlogged.resume(records))
    unlogged.add_missing(missing, points)
    for _ in range(len(records) - len(missing)):
        done()
    while unlogged:
        news, points = unlogged.take(store.batch_size)
        store.write(news, points)
        for _ in news:
            done()
    return len(missing)


def tag_study(uri: str, study: str, key: str, value: str) -> bool:
    """Sets a tag of a study's run; returns whether there is such a run in a store that answers."""
    if missing_database(uri) is not None:
        return False
    with quiet():
        from hpo.tracking.lookup import study_run

        try:
            found = study_run(uri, study)
            if found is not None:
                client, run = found
                client.set_tag(run.info.run_id, key, value)
        except Exception:  # a store that is away must not undo what has been done
            return False
        return found is not None
