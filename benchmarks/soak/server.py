"""A PostgreSQL server of the soak's own, on loopback, gone at its end."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PASSWORD = "of-the-soak"


@contextmanager
def own_server() -> Iterator[str]:
    """The SQLAlchemy URL of a new server.

    Raises:
        SystemExit: PostgreSQL is not installed.
    """
    initdb, pg_ctl = _tool("initdb"), _tool("pg_ctl")
    folder = Path(tempfile.mkdtemp(prefix="hpo-soak-postgres-"))
    options: dict[str, Any] = {"cwd": "/", "stdout": subprocess.DEVNULL}
    if os.getuid() == 0:  # PostgreSQL refuses to run as root
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        options["user"] = "nobody"
    data, secret = folder / "data", folder / "secret"
    secret.write_text(_PASSWORD, encoding="utf-8")
    secret.chmod(0o644)
    authentication = ["-U", "hpo", "-A", "scram-sha-256", f"--pwfile={secret}"]
    subprocess.run([initdb, "-D", data, *authentication, "--no-sync", "-E", "UTF8"], check=True, **options)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    subprocess.run([pg_ctl, "-D", data, "-l", data / "log", "-o", settings, "-w", "start"], check=True, **options)
    try:
        yield f"postgresql+psycopg://hpo:{_PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([pg_ctl, "-D", data, "-m", "immediate", "stop"], check=True, **options)
        shutil.rmtree(folder)


def _tool(name: str) -> str:
    debian = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    found = shutil.which(name, path=os.pathsep.join([*debian, os.environ.get("PATH", "")]))
    if found is None:
        raise SystemExit(f"PostgreSQL's {name} is not installed")
    return found
