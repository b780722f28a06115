"""A real Ray cluster for tests: each machine is a raylet of its own on this one, and can be killed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from processes import free_port

_RAY = Path(sys.executable).parent / "ray"


@dataclass
class RayCluster:
    """Its machines are the processes of `ray start --block`, each in a process group of its own."""

    folder: Path
    """For Ray's files: sockets have short paths."""
    port: int
    machines: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """For `--address`."""
        return f"127.0.0.1:{self.port}"

    def temporary(self, number: int) -> Path:
        """The folder for temporary files of a machine, counted from 0."""
        return self.folder / f"tmp-{number}"

    def join(self, cpus: int = 1) -> subprocess.Popen[bytes]:
        """Adds a machine, the first one as head; each has 80 MB for objects, and its own folder for temporary files."""
        head = ["--head", f"--port={self.port}", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        where = [f"--address={self.address}"] if self.machines else head
        command = [str(_RAY), "start", *where, f"--num-cpus={cpus}", "--object-store-memory=80000000", "--block"]
        command.append("--disable-usage-stats")
        number = len(self.machines)
        self.temporary(number).mkdir()
        own = {"RAY_AUTH_MODE": "disabled", "HOME": str(self.folder), "TMPDIR": str(self.temporary(number))}
        environment = {**os.environ, **own}
        log = self.folder / f"machine-{number}.txt"
        with log.open("wb") as file:
            machine = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
        self.machines.append(machine)
        deadline = time.monotonic() + 60
        while "Ray runtime started" not in (said := log.read_text()):
            assert machine.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        return machine


def kill(machine: "subprocess.Popen[bytes]") -> None:
    """Kills all processes of a machine, as the loss of its power would."""
    processes = [psutil.Process(machine.pid), *psutil.Process(machine.pid).children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGKILL)
    machine.wait()
    psutil.wait_procs(processes, timeout=10)


@contextmanager
def start_cluster() -> Iterator[RayCluster]:
    """A cluster of one machine with one CPU; others may join."""
    cluster = RayCluster(Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp")), free_port())
    try:
        cluster.join()
        yield cluster
    finally:
        for machine in reversed(cluster.machines):
            if machine.poll() is None:
                kill(machine)
        shutil.rmtree(cluster.folder, ignore_errors=True)
