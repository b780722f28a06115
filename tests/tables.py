"""New databases of SQLite get their tables by a copy: Optuna takes 0.1 s of CPU to make its own, MLflow 1.5 s."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url


@pytest.fixture(scope="session", autouse=True)
def _tables_are_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Other processes, PostgreSQL and what is not imported yet make theirs as ever."""
    folder = tmp_path_factory.mktemp("tables")
    with pytest.MonkeyPatch.context() as patched:
        if (opening := sys.modules.get("hpo.storage.open")) is not None:
            patched.setattr(opening, "_connect", _with_optunas_tables(opening._connect, folder / "optuna.db"))
        if (connection := sys.modules.get("hpo.tracking.connection")) is not None:
            patched.setattr(
                connection, "make_tables", _with_mlflows_tables(connection.make_tables, folder / "mlflow.db")
            )
        yield


def _with_optunas_tables(connect: Any, made: Path) -> Any:
    def connect_to(url: str, options: dict[str, Any]) -> Any:
        address = make_url(url)
        file = Path(address.database or "")
        if address.get_backend_name() == "sqlite" and file.is_file() and not file.stat().st_size:
            if not made.exists():
                connect(f"sqlite:///{made}", {}).engine.dispose()
            file.write_bytes(made.read_bytes())
        return connect(url, options)

    return connect_to


def _with_mlflows_tables(make: Any, made: Path) -> Any:
    def make_tables(file: Path) -> None:
        if not made.exists():
            make(made)
        file.write_bytes(made.read_bytes())

    return make_tables
