"""What is needed of Ray beyond its documentation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import ray
from ray._private import ray_constants, worker

_MODE = "RAY_AUTH_MODE"


@contextmanager
def on_loopback() -> Iterator[None]:
    """Lets a cluster that is started within listen on 127.0.0.1 alone.

    Ray does so by itself on macOS and Windows. On Linux it takes the address of the network even if it is given
    127.0.0.1, so that other machines may join.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def cluster_uses_token(port: int | None) -> bool | None:
    """Whether the cluster at a port wants tokens, by what its process on this machine was started with; None: unknown.

    `port`: that of the cluster's address; None: any cluster. Ray brings this user's token to whatever cluster it finds,
    and loses all workers of one that does not know it; and it brings none to a cluster that was named.
    """
    import psutil

    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] != "raylet":
            continue
        addresses = [part for part in process.info["cmdline"] or () if part.startswith("--gcs-address=")]
        if port is None or any(address.endswith(f":{port}") for address in addresses):
            with suppress(psutil.Error):
                return str(process.environ().get(_MODE)) == "token"
    return None


@contextmanager
def token_mode(wanted: bool | None) -> Iterator[None]:
    """Whether connections that are begun within bring a token; None, or a variable that is set: as Ray decides."""
    if wanted is not None and _MODE not in os.environ:
        _set_mode("token" if wanted else "disabled")
        try:
            yield
        finally:
            # Processes that this one starts are told otherwise.
            del os.environ[_MODE]
    else:
        yield


def _set_mode(mode: str) -> None:
    os.environ[_MODE] = mode
    vars(ray._raylet)["Config"].initialize("")


def print_nothing() -> None:
    """Keeps what the cluster reports, such as machines that are lost, off this process's output.

    The engine tells what matters; and the display of the progress must not be torn.
    """
    worker.print_to_stdstream = lambda data, ignore_prefix: None


def first_lines(error: Exception) -> str:
    """The beginning of what an error of Ray's says, which may be pages."""
    return " ".join(str(error).split())[:500]
