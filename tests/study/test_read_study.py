"""A study as hpo reads it from the store, and as plain Optuna does."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from studies import OBJECTIVE, definition, flat, run, score, two_epochs

from hpo.config.experiment import StudySpec
from hpo.errors import NotFound
from hpo.storage import batched_storage
from hpo.storage.open import open_database, open_storage
from hpo.study.open import open_study
from hpo.study.read import StudyView, confirming_runs, decided_before, read_study, study_names
from hpo.study.record import TrialRecord
from hpo.training.messages import Failed

RECORD = TrialRecord(
    4, "complete", {"depth": 2}, 7, 4, value=0.6, best_epoch=2, curves={"val_loss": [0.9, 0.6]}, test={"loss": 0.5},
    ended_by="epochs", model_parameters=17,
)  # fmt: skip


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/runs/optuna.db"


def open_(url, what=None, **spec):
    return open_study(url, "s", what or definition(), StudySpec(**{"sampler": "random", "pruner": "none", **spec}))


def view(*numbers: int) -> StudyView:
    trials = [replace(RECORD, number=number) for number in numbers]
    return StudyView("s", definition().identity, {}, {}, {}, trials, "sqlite://")


def test_a_trial_is_found_by_its_number_or_those_that_are_there_are_named() -> None:
    assert view(3, 7, 5).trial(5).number == 5
    with pytest.raises(NotFound, match="study s has no trial 4; its trials are 3 to 7"):
        view(3, 7, 5).trial(4)
    with pytest.raises(NotFound, match="has no trial 0; it has none yet"):
        view().trial(0)


def test_names_are_those_of_studies_that_hpo_made(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    assert study_names(url) == []
    with pytest.raises(NotFound, match=r"no studies yet: there is no .*optuna\.db"):
        open_database(url, must_exist=True)
    # A store that need not exist is made.
    assert open_storage(url).get_all_studies() == []
    with pytest.raises(NotFound, match=r"no study 's' in sqlite:.*; there are none yet"):
        read_study(url, "s")
    run(url, flat, trials=1)
    optuna.create_study(study_name="theirs", storage=url)
    assert study_names(url) == ["s"]
    assert confirming_runs(url, "s") == []
    assert (tmp_path / "optuna.db").stat().st_mode & 0o077 == 0


def test_reading_what_is_not_there(url, tmp_path):
    with pytest.raises(NotFound, match=r"no studies yet: there is no .*optuna\.db; start one with hpo run"):
        read_study(url, "s")
    assert list(tmp_path.iterdir()) == []
    open_(url)
    with pytest.raises(NotFound, match=r"no study 'ss' in sqlite.*; did you mean s\?"):
        read_study(url, "ss")


READ = """
import json, sys, optuna
optuna.logging.disable_default_handler()
study = optuna.load_study(study_name="s", storage={url!r})
print(json.dumps({{
    "states": [trial.state.name for trial in study.trials],
    "values": [trial.value for trial in study.trials],
    "curves": [list(trial.intermediate_values.values()) for trial in study.trials],
    "params": [trial.params for trial in study.trials],
    "test": [trial.user_attrs.get("test_loss") for trial in study.trials],
    "best": study.best_trial.number,
    "names": study.metric_names,
}}))
"""


def plain_optuna(url):
    """What another process reads with Optuna alone."""
    shown = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ.format(url=url)], capture_output=True, text=True, check=True
    )
    return json.loads(shown.stdout)


def test_plain_optuna_reads_the_study_while_it_runs_and_afterwards(url, monkeypatch):
    monkeypatch.setattr(batched_storage, "WRITE_SECONDS", 0.0)
    seen = []

    def script(job):
        if job.trial == 1:
            return [Failed(job.trial, "error", "no")]
        if job.trial == 3:
            return watched(job)
        return two_epochs(job)

    def watched(job):
        yield 0.1
        seen.append(plain_optuna(url))
        yield 0.2

    ran = run(url, script, trials=4)
    assert seen[0]["states"] == ["COMPLETE", "FAIL", "COMPLETE", "RUNNING"]
    assert seen[0]["curves"][3] == [0.1]
    after = plain_optuna(url)
    assert after["states"] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert after["values"] == after["test"] == [trial.value for trial in ran.trials]
    assert after["curves"][0] == ran.trials[0].curves["val_accuracy"]
    assert after["best"] == max(ran.trials, key=lambda trial: trial.value or 0).number
    assert after["names"] == ["val_accuracy"]
    for trial, params in zip(ran.trials, after["params"], strict=True):
        assert params["depth"] == trial.params["depth"]
        assert json.loads(params["widths"]) == trial.params["widths"]


def test_the_view_is_what_was_run(url):
    ran = run(url, two_epochs, trials=2)
    view = read_study(url, "s")
    assert view.trials == ran.trials
    assert view.objective == OBJECTIVE
    assert view.identity["seed"] == 0
    assert view.files == {"experiment": "name: s\n", "search_space": "model: mlp\n"}
    assert view.versions["optuna"] == optuna.__version__
    first = view.trials[0]
    assert first.value == score(first.params)
    assert first.best_epoch == 2
    assert first.test == {"loss": first.value}
    assert first.model_parameters == 1
    assert first.seconds is not None


def test_nonfinite_values_are_not_stored(url):
    def script(job):
        return {1: [math.inf], 2: [0.3, -math.inf], 3: [math.nan]}.get(job.trial, [0.5])

    ran = run(url, script, trials=5)
    assert ran.states == ["complete", "nonfinite", "nonfinite", "nonfinite", "complete"]
    assert ran.trials[2].curves["val_accuracy"] == [0.3]
    assert ran.trials[1].failure.message == "val_accuracy not finite in epoch 1"
    trials = optuna.load_study(study_name="s", storage=url).trials
    assert [list(trial.intermediate_values.values()) for trial in trials] == [[0.5], [], [0.3], [], [0.5]]
    assert [trial.value for trial in trials] == [0.5, None, None, None, 0.5]
    assert all(word not in str(trial.user_attrs) for trial in trials for word in ("inf,", "nan,", "inf]", "nan]"))


def test_a_missing_store_is_not_created_by_asking_what_a_study_decided(tmp_path):
    with pytest.raises(NotFound):
        decided_before(f"sqlite:///{tmp_path}/none.db", "s", None)
    assert list(tmp_path.iterdir()) == []
