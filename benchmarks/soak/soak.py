"""The soak: studies killed at random moments from the first to the last second, and resumed, until all have ended."""

import io
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

from benchmarks.soak.processes import MARK, left_after, workers
from benchmarks.soak.stores import Place, complaints, doubled_runs, ended, final_complaints, trials_of

ROOT = Path(__file__).parents[2]

_GONE_SECONDS = 5.0
"""How long a run's processes may outlive it."""
_LONGEST_SECONDS = 300.0
"""A run that takes longer hangs."""
_KINDS = {
    ("coordinator", signal.SIGKILL): 4, ("coordinator", signal.SIGTERM): 2, ("worker", signal.SIGKILL): 2,
    ("worker", signal.SIGTERM): 1,
}  # fmt: skip
"""Which process is killed by which signal, and how often in nine."""


@dataclass
class Soak:
    """Kills runs of studies in `folder`, and keeps what was found wrong.

    Each study has `trials` trials on iris, with random search, two local workers. The first run of all is not
    killed: its length says from when to when later ones are, then that of the last run of each study.
    """

    folder: Path
    trials: int
    seed: int
    storage: str | None = None
    """SQLAlchemy URL of the studies; a SQLite file in each study's home where it is None."""
    complaints: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    short: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="soak-")))
    """Where the folders for temporary files are."""
    _idle: int = 0
    """How many runs in a row ended no trial."""
    gone_after: list[float] = field(default_factory=list)
    """Seconds from each kill of a coordinator until its last process was gone."""
    say: Callable[[str], None] = print
    """Called with each fault when it is found, and with the progress of the soak."""

    def run(self, kills: int) -> None:
        """Runs studies until the number of kills is reached, and the last study to its end."""
        self._random = random.Random(self.seed)
        try:
            self._length = self._study(lambda: None)
            while sum(self.kills.values()) < kills:
                # The machine may have become faster, and kills would come too late.
                self._length = self._study(lambda: self._moment() if sum(self.kills.values()) < kills else None)
        finally:
            shutil.rmtree(self.short, ignore_errors=True)

    def _moment(self) -> float:
        """When the next kill comes, in seconds from the start: later on a machine that has become slower, where runs
        that are killed before their first trial ends would never come to an end.
        """
        return self._random.uniform(0, self._length) * 1.5**self._idle

    def figures(self) -> dict[str, Any]:
        """The results, as a line of a table."""
        return {
            "kills": sum(self.kills.values()), **{f"of {who}": count for who, count in sorted(self.kills.items())},
            "studies": self.studies, "trials": self.trials * self.studies, "faults": len(self.complaints),
            "processes gone after, median s": round(statistics.median(self.gone_after or [0.0]), 1),
            "at most s": round(max(self.gone_after, default=0.0), 1),
        }  # fmt: skip

    def _study(self, moment: Callable[[], float | None]) -> float:
        """Runs one study to its end, with kills on the way; returns the seconds of its last run."""
        self.studies += 1
        home = self.folder / f"home-{self.studies}"
        home.mkdir()
        name = f"soak-{self.seed}-{self.studies}"
        place = Place(home, name, self.storage or f"sqlite:///{home / 'optuna.db'}")
        (home / "experiment.yaml").write_text(_yaml(self._experiment(name)), encoding="utf-8")
        finished, seconds = False, 0.0
        while not finished:
            before = len(self._ended(place))
            finished, seconds = self._run(place, moment)
            self._idle = 0 if len(self._ended(place)) > before else self._idle + 1
        found = [*final_complaints(place, self.trials), *self._left(home)]
        # What the last run printed tells why.
        self._complain(place, [*found, f"the last run printed:\n{self._printed(place)}"] if found else [])
        self.say(f"study {self.studies}: {sum(self.kills.values())} kills, {len(self.complaints)} faults")
        return seconds

    def _run(self, place: Place, moment: Callable[[], float | None]) -> tuple[bool, float]:
        """One run of the study; returns whether it came to its end, and how long it took."""
        mark = f"{place.study}-{time.monotonic_ns()}"
        before = self._ended(place)
        began = time.monotonic()
        process = self._start(place, mark)
        killed = False
        try:
            while (at := moment()) is not None and not killed:
                if not self._wait(process, began + at):
                    break
                before |= self._ended(place)
                killed = self._kill(process, mark)
            code = process.wait(_LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            self._complain(place, ["the run hangs"])
            process.kill()
            code = process.wait()
        seconds = time.monotonic() - began
        if left := left_after(mark, _GONE_SECONDS):
            self._complain(place, [f"processes outlive the run by {_GONE_SECONDS:g} s: {left}"])
        if killed:
            self.gone_after.append(time.monotonic() - began - seconds)
        if self._has_store(place):
            self._complain(place, complaints(trials_of(place), before))
            self._complain(place, doubled_runs(place))
        printed = self._printed(place)
        allowed = (0, 143, -signal.SIGTERM, -signal.SIGKILL) if killed else (0,)
        if code not in allowed or "Traceback" in printed:
            self._complain(place, [f"exit code {code}:\n{printed[-3000:]}"])
        return code == 0, seconds

    @staticmethod
    def _printed(place: Place) -> str:
        return (place.home / "output.txt").read_text(encoding="utf-8", errors="replace")

    def _start(self, place: Place, mark: str) -> subprocess.Popen[bytes]:
        temporary = self._temporary(place.home)
        temporary.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "hpo", "run", "experiment.yaml", "--home", str(place.home)]
        if self.storage:
            command += ["--set", f"study.storage={self.storage}"]
        with (place.home / "output.txt").open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=place.home,
                env={**os.environ, MARK: mark, "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _wait(self, process: subprocess.Popen[bytes], until: float) -> bool:
        """Waits for a moment; returns whether the run is still going on."""
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return True
        return False

    def _kill(self, process: subprocess.Popen[bytes], mark: str) -> bool:
        """Kills the coordinator or a worker; returns whether that ends the run."""
        ((who, number),) = self._random.choices(list(_KINDS), list(_KINDS.values()))
        if who == "worker":
            found = workers(mark)
            if found:
                try:
                    self._random.choice(found).send_signal(number)
                except psutil.Error:
                    return False
                self.kills[f"workers, {number.name}"] += 1
            return False
        process.send_signal(number)
        self.kills[f"coordinator, {number.name}"] += 1
        return True

    def _left(self, home: Path) -> list[str]:
        """What a study that has ended leaves in the folder for temporary files."""
        return [f"left in the folder for temporary files: {path.name}" for path in self._temporary(home).iterdir()]

    def _temporary(self, home: Path) -> Path:
        """A study's folder for temporary files: of a short path, as sockets want it."""
        return self.short / home.name

    def _ended(self, place: Place) -> dict[int, str]:
        return ended(trials_of(place)) if self._has_store(place) else {}

    def _has_store(self, place: Place) -> bool:
        return self.storage is not None or (place.home / "optuna.db").exists()

    def _complain(self, place: Place, found: Any) -> None:
        for one in found:
            self.complaints.append(f"{place.study}: {one}")
            self.say(self.complaints[-1])

    def _experiment(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "dataset": "iris",
            "search_space": {
                "model": "mlp",
                "parameters": {
                    "depth": {"type": "int", "low": 1, "high": 2},
                    "width": {"type": "int", "low": 4, "high": 16},
                    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
                },
            },
            "objective": "val_accuracy",
            "training": {"epochs": 4, "early_stopping": False},
            # A worker that is killed several times costs no configuration: what is counted is what the tool loses.
            "study": {
                "trials": self.trials,
                "sampler": "random",
                "pruner": "none",
                "seed": self.studies,
                "retries": 99,
            },
            "engine": {"workers": 2},
        }


def _yaml(value: dict[str, Any]) -> str:
    text = io.StringIO()
    YAML(typ="safe").dump(value, text)
    return text.getvalue()
