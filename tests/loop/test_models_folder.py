"""The folder of a study's models: the best trial's file, and nothing that killed workers left."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from studies import run

from hpo.config.experiment import Objective
from hpo.loop.models_folder import ModelsFolder
from hpo.study.record import TrialRecord

OBJECTIVE = Objective(metric="val_accuracy", direction="maximize")


def folder_of(
    folder: Path, trials: Sequence[TrialRecord] = (), written: Callable[[], bool] = lambda: True
) -> ModelsFolder:
    return ModelsFolder(folder, trials, OBJECTIVE, written)


def touched(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_the_partial_files_of_a_killed_worker_are_removed(tmp_path: Path) -> None:
    touched(tmp_path, "trial-0003.keras", "trial-0003.4711.keras", "trial-0030.keras")
    models = folder_of(tmp_path)
    for _ in range(2):
        models.trial_ended(TrialRecord(3, "failed", {}, 0, 3), None)
    assert names(tmp_path) == ["trial-0030.keras"]


def test_only_files_of_failed_trials_are_removed(tmp_path: Path) -> None:
    touched(tmp_path, "trial-0001.keras", "trial-0001.9.keras", "trial-0002.keras", "trial-0003.keras", "mine.keras")
    trials = [TrialRecord(1, "failed", {}, 0, 1), TrialRecord(2, "complete", {}, 0, 2)]
    folder_of(tmp_path, trials)
    assert names(tmp_path) == ["mine.keras", "trial-0002.keras", "trial-0003.keras"]


def test_a_model_that_was_beaten_as_its_coordinator_was_killed_is_removed(tmp_path: Path) -> None:
    touched(tmp_path, *(f"trial-000{number}.keras" for number in range(4)))
    files = [str(tmp_path / f"trial-000{number}.keras") for number in (1, 2)]
    trials = [
        TrialRecord(number, "complete", {}, 0, number, 0, number / 10, model_file=files[number - 1])
        for number in (1, 2)
    ]
    folder_of(tmp_path, trials)
    assert names(tmp_path) == ["trial-0000.keras", "trial-0002.keras", "trial-0003.keras"]


def test_a_models_folder_that_is_a_file_or_missing_does_not_end_the_study(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    for name in ("models", "missing"):
        folder_of(tmp_path / name).trial_ended(TrialRecord(1, "failed", {}, 0, 1), None)


def test_the_first_of_equal_trials_keeps_its_model_though_another_ends_before_it(tmp_path: Path) -> None:
    url, models = f"sqlite:///{tmp_path}/optuna.db", tmp_path / "models" / "s"
    ran = run(url, lambda job: [0.4, 0.5] if job.trial == 0 else [0.5], trials=2, workers=2)
    assert [trial.number for trial in ran.log.ended] == [1, 0]
    assert names(models) == ["trial-0000.keras"]
    run(url, lambda job: [0.3], trials=3)
    assert names(models) == ["trial-0000.keras"]


def test_a_beaten_model_stays_until_the_better_trial_is_written(tmp_path: Path) -> None:
    stored: list[str] = []
    models = folder_of(tmp_path, written=lambda: "better" in stored)
    for number in range(2):
        file = tmp_path / f"trial-000{number}.keras"
        file.touch()
        record = TrialRecord(number, "complete", {}, 0, number, 0, number / 10, model_file=str(file))
        models.trial_ended(record, record)
    models.drop_beaten()
    assert names(tmp_path) == ["trial-0000.keras", "trial-0001.keras"]
    stored.append("better")
    models.drop_beaten()
    assert names(tmp_path) == ["trial-0001.keras"]


def test_the_only_model_stays_though_its_trial_went_on_and_failed(tmp_path: Path) -> None:
    (file := tmp_path / "trial-0001.keras").touch()
    record = TrialRecord(1, "pruned", {}, 0, 1, 0, 0.5, ended_by="deadline", model_file=str(file))
    models = folder_of(tmp_path, [record])
    models.trial_started(replace(record, state="running"))
    failed = replace(record, state="failed", value=None, ended_by=None)
    models.trial_ended(failed, None)
    folder_of(tmp_path, [failed])
    assert names(tmp_path) == ["trial-0001.keras"]
    (better := tmp_path / "trial-0002.keras").touch()
    folder_of(tmp_path, [failed, TrialRecord(2, "complete", {}, 0, 2, 0, 0.6, model_file=str(better))])
    assert names(tmp_path) == ["trial-0002.keras"]
