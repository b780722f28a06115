"""The software behind a result: the versions of packages, and the git commit of a folder."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_DISTRIBUTION = "keras-hpo"
"""The name of hpo's distribution; `hpo` is another project on the package index."""
_PACKAGES = ("tensorflow", "keras", "keras-tuner", "optuna", "mlflow", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """Package -> version, and Python's own; packages that are not installed are left out."""
    found = {"python": platform.python_version(), "hpo": _own()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _own() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return "0, from a folder that is not installed"


def git_commit(folder: Path | None = None) -> str | None:
    """The commit of the git repository around a folder (the working directory's); None where there is none."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
