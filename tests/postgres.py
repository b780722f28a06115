"""A PostgreSQL server of the tests' own: on loopback, with a password, gone with the tests."""

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from processes import free_port
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

PASSWORD = "s3cret-of-the-tests"


@dataclass(frozen=True)
class Server:
    """A server that can be stopped and started."""

    url: str
    tool: str
    data: Path
    settings: str
    options: Mapping[str, Any]

    def _do(self, *what: str) -> None:
        subprocess.run([self.tool, "-D", self.data, *what], check=True, **self.options)

    def start(self) -> None:
        self._do("-l", str(self.data / "log"), "-o", self.settings, "-w", "start")

    def stop(self) -> None:
        """At once, as in a crash."""
        self._do("-m", "immediate", "stop")

    def restart(self) -> None:
        self._do("-l", str(self.data / "log"), "-o", self.settings, "-m", "immediate", "-w", "restart")


@pytest.fixture
def postgres(postgres_server: Server) -> Iterator[str]:
    """The URL of a new, empty database, which goes with the test."""
    name = f"test_{uuid.uuid4().hex}"
    server = create_engine(postgres_server.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield f"{postgres_server.url.rpartition('/')[0]}/{name}"
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A new, empty server; skips where PostgreSQL is not installed."""
    initdb, pg_ctl = _tool("initdb"), _tool("pg_ctl")
    if initdb is None or pg_ctl is None:
        pytest.skip("PostgreSQL's server is not installed")
    # Not pytest's own folder, which none but its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="hpo-test-postgres-"))
    options: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        options["user"] = "nobody"
    data, secret = folder / "data", folder / "secret"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    authentication = ["-U", "hpo", "-A", "scram-sha-256", f"--pwfile={secret}"]
    subprocess.run([initdb, "-D", data, *authentication, "--no-sync", "-E", "UTF8"], check=True, **options)
    port = free_port()
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    url = f"postgresql+psycopg://hpo:{PASSWORD}@127.0.0.1:{port}/postgres"
    server = Server(url, pg_ctl, data, settings, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _tool(name: str) -> str | None:
    debian = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(name, path=os.pathsep.join([*debian, os.environ.get("PATH", "")]))
