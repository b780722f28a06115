"""Remembers which MLflow servers have answered: one that is away is then waited for, and an unknown address refused."""

from pathlib import Path

from hpo.system.private_files import private_file, private_folder
from hpo.text.urls import masked


def has_answered(home: Path, uri: str) -> bool:
    """Whether the store at an address has answered to a run from this home folder before."""
    try:
        return masked(uri) in _file(home).read_text(encoding="utf-8").splitlines()
    except OSError:
        return False


def note_answer(home: Path, uri: str) -> None:
    """Notes that the store at an address has answered; its password is not stored. SQLite files are left out."""
    if uri.startswith("sqlite:") or has_answered(home, uri):
        return
    private_folder(home)
    private_file(_file(home))
    with _file(home).open("a", encoding="utf-8") as file:
        file.write(f"{masked(uri)}\n")


def _file(home: Path) -> Path:
    return home / "mlflow-servers.txt"
