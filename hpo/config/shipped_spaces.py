"""What comes with hpo beside its code: the search spaces, within an installed package or beside a checkout's."""

from pathlib import Path

_PACKAGE = Path(__file__).parent.parent


def search_spaces() -> Path:
    """The folder of the shipped search spaces."""
    installed = _PACKAGE / "search_spaces"
    return installed if installed.is_dir() else _PACKAGE.parent / "search_spaces"
