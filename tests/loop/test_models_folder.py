"""The folder of a study's models: the best trial's file, and nothing that killed workers left."""

from pathlib import Path

from hpo.config.experiment import Objective
from hpo.loop.models_folder import ModelsFolder
from hpo.study.record import TrialRecord

OBJECTIVE = Objective(metric="val_accuracy", direction="maximize")


def touched(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_model_goes_with_what_a_killed_worker_wrote_of_it(tmp_path: Path) -> None:
    touched(tmp_path, "trial-0003.keras", "trial-0003.4711.keras", "trial-0030.keras")
    models = ModelsFolder(tmp_path, [], OBJECTIVE)
    for _ in range(2):
        models.trial_ended(TrialRecord(3, "failed", {}, 0, 3), None)
    assert names(tmp_path) == ["trial-0030.keras"]


def test_what_failed_trials_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    touched(tmp_path, "trial-0001.keras", "trial-0001.9.keras", "trial-0002.keras", "trial-0003.keras", "mine.keras")
    trials = [TrialRecord(1, "failed", {}, 0, 1), TrialRecord(2, "complete", {}, 0, 2)]
    ModelsFolder(tmp_path, trials, OBJECTIVE)
    assert names(tmp_path) == ["mine.keras", "trial-0002.keras", "trial-0003.keras"]


def test_a_model_that_was_beaten_as_its_coordinator_was_killed_is_removed(tmp_path: Path) -> None:
    touched(tmp_path, *(f"trial-000{number}.keras" for number in range(4)))
    files = [str(tmp_path / f"trial-000{number}.keras") for number in (1, 2)]
    trials = [
        TrialRecord(number, "complete", {}, 0, number, 0, number / 10, model_file=files[number - 1])
        for number in (1, 2)
    ]
    ModelsFolder(tmp_path, trials, OBJECTIVE)
    assert names(tmp_path) == ["trial-0000.keras", "trial-0002.keras", "trial-0003.keras"]


def test_a_folder_that_is_none_ends_no_study(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    for name in ("models", "missing"):
        ModelsFolder(tmp_path / name, [], OBJECTIVE).trial_ended(TrialRecord(1, "failed", {}, 0, 1), None)
