"""What tests share: a home of their own, small experiments, and one finished study for all tests that only read."""

import gc
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from browser import browser  # noqa: F401
from measured import (  # noqa: F401
    pytest_collection,
    pytest_collection_modifyitems,
    pytest_runtest_protocol,
    pytest_terminal_summary,
)
from postgres import postgres, postgres_server  # noqa: F401
from processes import _no_process_outlives_its_test  # noqa: F401
from tables import _tables_are_made_once  # noqa: F401
from tiny import Command, tiny

# A shell has what it starts in the background ignore Ctrl-C, and so would all that tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# nohup does the same with a hang-up.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# What a display looks like depends on the machine: each test of it sets its own.
for _name in ("CI", "COLUMNS", "FORCE_COLOR", "LINES", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(_name, None)
os.environ["TERM"] = "xterm"

# TensorFlow's chatter would drown a failing test's own words.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


# Not while libraries and tests are imported, which takes longer otherwise; see `pytest_collection_finish`.
gc.disable()


def pytest_collection_finish() -> None:
    """Keeps the garbage collector from searching what was imported, as in hpo's workers: 0.2 s each time.

    Hypothesis must come first: it looks for references to Trio's random generator, and sees none in frozen objects.
    """
    import hypothesis  # noqa: F401

    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HPO_HOME", "HPO_STORAGE", "HPO_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _migrations_are_read_once() -> Iterator[None]:
    """Alembic runs all migration scripts of Optuna or MLflow, up to three times for each new database: 30 ms a time."""
    from alembic.script import ScriptDirectory

    read, known = ScriptDirectory.from_config, dict[str, ScriptDirectory]()

    def from_config(config: Any) -> ScriptDirectory:
        folder = config.get_main_option("script_location")
        if folder not in known:
            known[folder] = read(config)
        return known[folder]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ScriptDirectory, "from_config", from_config)
        yield


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of a finished study, `tiny`: 6 trials on digits, its stores as a run leaves them."""
    import hpo

    home = tmp_path_factory.mktemp("finished")
    experiment = tiny(dataset={"name": "digits", "limit": 400}, study={"trials": 6, "sampler": "random", "seed": 1})
    hpo.run(experiment, home=home)
    return home


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with MLflow's tables, made once: that takes seconds."""
    from hpo.tracking.connection import connect

    path = tmp_path_factory.mktemp("empty") / "mlflow.db"
    connect(f"sqlite:///{path}")
    return path


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `hpo` in this process, in an empty working directory: libraries and workers' server are there already."""

    def run(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Any:
        from hpo.cli.main import command

        words = ["hpo", *map(str, arguments)]
        output, errors = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        with monkeypatch.context() as patched, redirect_stdout(output), redirect_stderr(errors):
            patched.chdir(tmp_path)
            patched.setattr(sys, "argv", words)
            for name, value in (env or {}).items():
                patched.setenv(name, value)
            code = command()
        for stream in (output, errors):
            stream.seek(0)
        return subprocess.CompletedProcess(words, code, output.read(), errors.read())

    return run


@pytest.fixture
def command_process(tmp_path: Path) -> Command:
    """Runs `hpo` as a user would, in a process of its own, in an empty working directory."""

    def run(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Any:
        return subprocess.run(
            [sys.executable, "-m", "hpo", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a file below the test's folder."""

    def save(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return save
