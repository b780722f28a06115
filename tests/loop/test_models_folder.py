"""The folder of a study's models: the best trial's file, and nothing that killed workers left."""

from pathlib import Path

from hpo.loop.models_folder import drop_left_behind, drop_model, file_of
from hpo.study.record import TrialRecord


def touched(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_model_goes_with_what_a_killed_worker_wrote_of_it(tmp_path: Path) -> None:
    touched(tmp_path, "trial-0003.keras", "trial-0003.4711.keras", "trial-0030.keras")
    drop_model(file_of(tmp_path, 3))
    drop_model(file_of(tmp_path, 3))
    assert names(tmp_path) == ["trial-0030.keras"]


def test_what_failed_trials_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    touched(tmp_path, "trial-0001.keras", "trial-0001.9.keras", "trial-0002.keras", "trial-0003.keras", "mine.keras")
    trials = [TrialRecord(1, "failed", {}, 0, 1), TrialRecord(2, "complete", {}, 0, 2)]
    drop_left_behind(tmp_path, trials, None)
    assert names(tmp_path) == ["mine.keras", "trial-0002.keras", "trial-0003.keras"]


def test_a_model_that_was_beaten_as_its_coordinator_was_killed_is_removed(tmp_path: Path) -> None:
    touched(tmp_path, *(f"trial-000{number}.keras" for number in range(4)))
    first, best = (
        TrialRecord(number, "complete", {}, 0, number, model_file=str(file_of(tmp_path, number))) for number in (1, 2)
    )
    drop_left_behind(tmp_path, [first, best], best)
    assert names(tmp_path) == ["trial-0000.keras", "trial-0002.keras", "trial-0003.keras"]


def test_a_folder_that_is_none_ends_no_study(tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    drop_model(file_of(tmp_path / "models", 1))
    drop_left_behind(tmp_path / "models", [], None)
    drop_left_behind(tmp_path / "missing", [], None)
