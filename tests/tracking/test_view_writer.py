"""The views of a study in a real store: there from the beginning, up to date, the same by either way of logging."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from logged import BEGAN, STUDY, complete, log_trial, look, unexpected, unpacked
from mlflow import MlflowClient

from hpo.study.record import Confirms
from hpo.tracking import Ending, StudyInfo, Tracker, tracker
from hpo.tracking.log_study import log_study
from hpo.tracking.lookup import find_study

DONE = Ending("finished", "done")
TRIALS = [
    replace(complete(number, 0.1 * number), params={"width": 32 + number, "optimizer": "adam"}) for number in range(4)
]
CONFIRMING = replace(complete(0), confirms=Confirms(3, 1), params=TRIALS[3].params)
DECLARED = replace(STUDY, varied=["width", "optimizer"])
TRIALS_KEY = "mlflow.sharedViewState.hpo-trials-toy-study"
CONFIRMATION_KEY = "mlflow.sharedViewState.hpo-confirmation-toy-study"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "FLUSH_SECONDS", 0.05)


def views(uri: str) -> dict[str, str]:
    return {key: value for key, value in MlflowClient(uri).get_experiment_by_name("toy").tags.items() if "hpo-" in key}


def shown(uri: str) -> list[str]:
    """The parameters that the view of the trials has as columns."""
    columns = unpacked((TRIALS_KEY, views(uri)[TRIALS_KEY]))["selectedColumns"]
    return [name.removeprefix("params.").strip("`") for name in columns if name.startswith("params.")]


def opened(uri: str, home: Path, study: StudyInfo = DECLARED, resume: bool = False) -> Tracker:
    log = Tracker.open(uri, home / "artifacts", study, resume=resume, warn=unexpected)
    log.ready()
    return log


def ended(log: Tracker) -> None:
    log.finish(DONE)
    assert log.close()


def test_a_view_grows_with_the_study_and_is_the_same_by_either_way(uri, home, tmp_path, empty_database):
    (home / "mlflow.db").write_bytes(empty_database.read_bytes())
    log = opened(uri, home)
    assert list(views(uri)) == [TRIALS_KEY]
    assert shown(uri) == ["width", "optimizer"]
    for record in TRIALS:
        log_trial(log, record)
    ended(log)
    assert shown(uri) == ["width"]
    assert find_study(uri, "toy-study").confirmation is None
    once = views(uri)

    log = opened(uri, home, resume=True)
    assert views(uri) == once, "what is known is not taken back"
    log.sync(TRIALS)
    log.start_trial(replace(CONFIRMING, state="running"))
    log.end_trial(CONFIRMING)
    ended(log)
    both = views(uri)
    assert set(both) == {TRIALS_KEY, CONFIRMATION_KEY}
    assert both[TRIALS_KEY] == once[TRIALS_KEY]
    assert find_study(uri, "toy-study").trials == "hpo-trials-toy-study"
    assert find_study(uri, "toy-study").confirmation == "hpo-confirmation-toy-study"

    other = f"sqlite:///{tmp_path}/other.db"
    (tmp_path / "other.db").write_bytes(empty_database.read_bytes())
    for _ in range(2):
        log_study(other, tmp_path / "artifacts", DECLARED, [*TRIALS, CONFIRMING], DONE, lambda: None)
    mine, theirs = both, views(other)
    for key in (TRIALS_KEY, CONFIRMATION_KEY):
        left, right = unpacked((key, mine[key])), unpacked((key, theirs[key]))
        # Their runs have other ids.
        assert left.pop("searchFilter")[:-34] == right.pop("searchFilter")[:-34]
        assert left == right


def test_a_study_of_the_same_name_has_a_view_of_its_own_runs(uri, home, empty_database):
    (home / "mlflow.db").write_bytes(empty_database.read_bytes())
    for day, records in enumerate(([*TRIALS, CONFIRMING], TRIALS[:1])):
        log = opened(uri, home, replace(DECLARED, began=BEGAN + timedelta(days=day)))
        run_id = log.ready()
        log.sync(records)
        ended(log)
    assert run_id in unpacked((TRIALS_KEY, views(uri)[TRIALS_KEY]))["searchFilter"]
    found = find_study(uri, "toy-study")
    assert found.trials == "hpo-trials-toy-study"
    assert found.confirmation is None, "that of the older study is of other runs"


def test_a_store_that_refuses_views_takes_all_the_rest(uri, home, empty_database, monkeypatch):
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

    (home / "mlflow.db").write_bytes(empty_database.read_bytes())

    def refuse(*_: object) -> None:
        raise MlflowException("not yours", PERMISSION_DENIED)

    monkeypatch.setattr(MlflowClient, "set_experiment_tag", refuse)
    log = opened(uri, home)
    log_trial(log, TRIALS[0])
    ended(log)
    assert views(uri) == {}
    assert {run["status"] for run in look(uri).values()} == {"FINISHED"}
    assert len(look(uri)) == 2
