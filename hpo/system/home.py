"""The home folder, which holds all files of runs, and the default stores."""

import os
from pathlib import Path

from hpo.errors import UserError
from hpo.system.environment import resolved, unset_variables
from hpo.text.urls import masked


def home_folder(home: str | Path | None = None) -> Path:
    """The folder of all files that runs write: the argument, else HPO_HOME, else ./mlruns."""
    return Path(home or os.environ.get("HPO_HOME") or "mlruns").absolute()


def expanded(path: str) -> Path:
    """A path with ~ and ~USER as home folders; as it was given where there is no such user, so that nothing is there.

    Keras does the same; `Path.expanduser` raises an error.
    """
    return Path(os.path.expanduser(path))


def cache_folder() -> Path:
    """The folder of what all runs of a user share, and may be deleted: HPO_CACHE, else hpo in the system's place.

    Raises:
        UserError: there is none, since the user has no home folder.
    """
    named = os.environ.get("HPO_CACHE")
    found = expanded(named or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/hpo")
    if not named and found.parts[0] == "~":
        # Such as in a container that was started with the number of a user whom it does not know.
        rule = "this user has no home folder, in which files that runs share are kept"
        raise UserError(f"{rule}; set the environment variable HPO_CACHE to a folder for them")
    return found.absolute()


def default_storage(home: Path) -> str:
    """SQLAlchemy URL of Optuna's database where no file or option names one: HPO_STORAGE, else the home folder's."""
    return resolved(os.environ.get("HPO_STORAGE") or f"sqlite:///{home / 'optuna.db'}")


def default_tracking(home: Path) -> str:
    """MLflow tracking URI where no file or option names one: HPO_TRACKING_URI, else the home folder's database."""
    return resolved(os.environ.get("HPO_TRACKING_URI") or f"sqlite:///{home / 'mlflow.db'}")


def storage_url(named: str | None, home: str | Path | None) -> str:
    """SQLAlchemy URL of Optuna's database: the one that an option names, else the default.

    Raises:
        UserError: it refers to an environment variable that is not set.
    """
    return _known(named or default_storage(home_folder(home)), "storage")


def tracking_address(named: str | None, home: str | Path | None) -> str:
    """MLflow tracking URI: the one that an option names, else the default.

    Raises:
        UserError: it refers to an environment variable that is not set.
    """
    return _known(named or default_tracking(home_folder(home)), "tracking URI")


def _known(address: str, what: str) -> str:
    for name in unset_variables(address):
        raise UserError(f"{what} {masked(address)}: the environment variable {name} is not set")
    return resolved(address)
