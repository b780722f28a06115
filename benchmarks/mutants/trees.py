"""Copies of the checkout in which one module is changed at a time, and the tests that are run there."""

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# Imported once, since a mutant's tests run in a fork. TensorFlow and MLflow start threads, which a fork has not.
_HEAVY = ("numpy", "pandas", "scipy.stats", "sklearn.model_selection", "sqlalchemy", "optuna", "pydantic", "pytest")


@dataclass
class Running:
    """Tests under way."""

    pid: int
    began: float
    limit: float
    log: Path

    def ended(self) -> bool | None:
        """Whether the tests passed; None while they run. Those that take too long did not pass."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0 and time.monotonic() - self.began < self.limit:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        if pid == 0:
            os.waitpid(self.pid, 0)
            return False
        return os.waitstatus_to_exitcode(status) == 0


class Tree:
    """A copy of the checkout."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        """Copies what git knows or would add, as it stands."""
        self.folder = folder
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=checkout, capture_output=True, text=True, check=True).stdout.split("\n"):
            if name and (checkout / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(checkout / name, folder / name)
        # What is compiled is valid as long as the text is the same, whatever the second in which that changed.
        compiling = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "hpo"]
        subprocess.run([sys.executable, *compiling], cwd=folder, check=True)

    @contextlib.contextmanager
    def changed(self, module: str, source: str) -> Iterator[None]:
        """The tree with another text of a module in the block."""
        path = self.folder / module
        before = path.read_bytes()
        path.write_text(source, encoding="utf-8")
        try:
            yield
        finally:
            path.write_bytes(before)

    def start(self, tests: Sequence[str], limit: float) -> Running:
        """Runs tests in a fork of this process, until the first that fails."""
        log = self.folder.with_suffix(".log")
        pid = os.fork()
        if pid:
            return Running(pid, time.monotonic(), limit, log)
        code = 1
        try:
            os.setsid()
            self._become(log)
            import pytest

            options = ["-p", "no:xdist", "-p", "no:cacheprovider", "-o", "addopts=", "-x", "-q", "--tb=line"]
            code = int(pytest.main([*options, *tests]))
        finally:
            os._exit(code)

    def _become(self, log: Path) -> None:
        """Makes this process one that was started in the tree."""
        # A shell has what runs in the background ignore Ctrl-C, which tests send.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        here = os.getcwd()
        os.chdir(self.folder)
        sys.path[:] = [str(self.folder), *(path for path in sys.path if path not in ("", here))]
        os.environ |= {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        sys.dont_write_bytecode = True
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)


def prepare() -> None:
    """Imports what most tests need, before the first fork."""
    for name in _HEAVY:
        importlib.import_module(name)
