"""A home for a store of MLflow's."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def home(empty_database, tmp_path) -> Path:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def uri(home) -> str:
    return f"sqlite:///{home}/mlflow.db"
