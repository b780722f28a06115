"""Times where clocks do not show UTC: what Optuna's record says without a zone is local time, everywhere."""

import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from logged import complete, look, opened
from studies import flat, run

from hpo.storage.batched_storage import BatchedStorage
from hpo.storage.open import open_database
from hpo.study.read import read_study
from hpo.study.stored_trial import record_of
from hpo.tracking import entities


@pytest.fixture(params=["Asia/Tokyo", "America/St_Johns"])
def hours(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """Lets local time be that of another place; gives its distance from UTC in March."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield {"Asia/Tokyo": 9.0, "America/St_Johns": -3.5}[request.param]
    monkeypatch.undo()
    time.tzset()


def test_runs_in_mlflow_begin_and_end_when_their_trials_did(hours: float, tmp_path: Path, empty_database: Path) -> None:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    tracker = opened(uri, tmp_path, resume=True)
    tracker.sync([complete(0)])
    assert tracker.close()
    noon = 1772366400000 - int(hours * 3600_000)
    trial = look(uri)["trial-0000"]
    assert (trial["start"], trial["end"]) == (noon, noon + 30_000)
    assert [point[2] for point in trial["metrics"]["loss"]] == [noon + 1000, noon + 2000, noon + 3000]
    assert trial["metrics"]["best_val_accuracy"] == [[0, 0.9, noon + 30_000]]


def test_the_record_gives_local_time_however_it_is_read(hours: float, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    before = datetime.now()
    run(url, flat, trials=2)
    after = datetime.now()
    storage = BatchedStorage(open_database(url))
    (study,) = storage.get_all_studies()
    readings = [read_study(url, "s").trials, [record_of(trial) for trial in storage.get_all_trials(study._study_id)]]
    for trials in readings:
        for trial in trials:
            assert trial.started is not None
            assert trial.ended is not None
            assert before <= trial.started <= trial.ended <= after
            assert 0 <= time.time() * 1000 - entities.milliseconds(trial.ended) < 60_000
