"""The home folder, which holds all files of runs, and the default stores."""

import os
from pathlib import Path


def home_folder(home: str | Path | None = None) -> Path:
    """The folder of all files that runs write: the argument, else HPO_HOME, else ./mlruns."""
    return Path(home or os.environ.get("HPO_HOME") or "mlruns").absolute()


def default_storage(home: Path) -> str:
    """SQLAlchemy URL of Optuna's database where no file or option names one: HPO_STORAGE, else the home folder's."""
    return os.environ.get("HPO_STORAGE") or f"sqlite:///{home / 'optuna.db'}"


def default_tracking(home: Path) -> str:
    """MLflow tracking URI where no file or option names one: HPO_TRACKING_URI, else the home folder's database."""
    return os.environ.get("HPO_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}"
