"""Commands under observation: the CPU time and memory of a process and all that it starts, and a deadline."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks import job

SAMPLE_SECONDS = 1.0
# How long a command may take to write what it has once it was asked to stop.
_GRACE_SECONDS = 30.0
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}


@dataclass
class Usage:
    """What a tree of processes used."""

    cpu: dict[str, float] = field(default_factory=dict)
    """CPU seconds, user and system, by role: coordinator, forkserver, worker, other."""
    peak_memory: int = 0
    """Bytes: the largest sum of proportional set sizes (shared pages counted once) of all samples."""

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all roles."""
        return sum(self.cpu.values())


class Meter:
    """Samples a tree of processes. What a process uses after its last sample is not seen."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = [psutil.Process(pid) for pid in roots]
        self._seconds: dict[psutil.Process, tuple[str, float]] = {}
        self._peak = 0

    def sample(self) -> Usage:
        """Looks at all processes; returns what was used so far."""
        memory = 0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                known = self._seconds.get(process)
                role = known[0] if known else self._role(process)
                self._seconds[process] = (role, times.user + times.system)
                memory += process.memory_full_info().pss
        self._peak = max(self._peak, memory)
        return self.usage()

    def usage(self) -> Usage:
        """What was used up to the last sample."""
        cpu: dict[str, float] = {}
        for role, seconds in self._seconds.values():
            cpu[role] = cpu.get(role, 0.0) + seconds
        return Usage(cpu, self._peak)

    def processes(self) -> list[psutil.Process]:
        """The roots and their descendants that live."""
        found: list[psutil.Process] = []
        for root in self._roots:
            with contextlib.suppress(psutil.Error):
                found += [root, *root.children(recursive=True)]
        return found

    def _role(self, process: psutil.Process) -> str:
        if process in self._roots:
            return "coordinator"
        # Workers are forks of the forkserver, with its command line.
        if not any("forkserver" in word for word in process.cmdline()):
            return "other"
        return "forkserver" if process.parent() in self._roots else "worker"


def environment() -> dict[str, str]:
    """The environment of every command: this repository importable, the data found, no chatter."""
    return {**os.environ, **_QUIET, "PYTHONPATH": str(job.ROOT), "HPO_DATA": str(job.data_folder())}


def python(*arguments: str | Path) -> list[str]:
    """A command of this interpreter."""
    return [sys.executable, *map(str, arguments)]


def observe(
    commands: Sequence[Sequence[str]],
    log: Path,
    seconds: float | None = None,
    seen: Callable[[Usage], None] = lambda usage: None,
) -> Usage:
    """Runs commands side by side, until they end or for some seconds, and returns what they used.

    `seen` is called with what was used up to each sample.

    Raises:
        RuntimeError: a command failed before its time; with the last lines that it printed.
    """
    began = time.monotonic()
    with log.open("wb") as output:
        started = [
            subprocess.Popen(command, cwd=job.ROOT, env=environment(), stdout=output, stderr=subprocess.STDOUT)
            for command in commands
        ]
    meter = Meter([process.pid for process in started])
    try:
        while any(process.poll() is None for process in started):
            seen(meter.sample())
            left = SAMPLE_SECONDS if seconds is None else min(SAMPLE_SECONDS, seconds - (time.monotonic() - began))
            if left <= 0:
                return meter.usage()
            time.sleep(left)
    finally:
        _stop(started, meter.processes())
    codes = [process.returncode for process in started]
    if any(codes) or seconds is not None:
        raise RuntimeError(f"{commands[0]} ended with {codes} before its time:\n{_last_lines(log)}")
    return meter.usage()


def _stop(started: Sequence[subprocess.Popen[bytes]], tree: Sequence[psutil.Process]) -> None:
    for process in started:
        process.terminate()
    for process in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    for left in tree:
        with contextlib.suppress(psutil.Error):
            left.kill()
    for process in started:
        process.wait()


def _last_lines(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def cpu_seconds() -> float:
    """CPU seconds of this process and its living descendants so far, with those of the children that they reaped."""
    me = psutil.Process()
    total = 0.0
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
            if process != me:
                total += times.children_user + times.children_system
    return float(total)
