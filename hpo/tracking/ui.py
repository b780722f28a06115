"""MLflow's own user interface of a store, on the loopback address only."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from hpo.errors import HpoError, NotFound, UserError
from hpo.system.home import tracking_address
from hpo.system.signals import deferred
from hpo.text.urls import masked
from hpo.tracking.address import cannot_open, set_environment

HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0

# At its end the server waits for answers that somebody still reads, and without a limit for ever.
_OPTIONS = "--log-level warning --timeout-graceful-shutdown 2"


def link(uri: str, study: str | None = None, server: str = f"http://{HOST}:5000") -> str:
    """The address of the UI; for a study that of the view of its trials, best first, with charts.

    Args:
        uri: MLflow tracking URI of the store.
        study: The study's name.
        server: The address of the MLflow server that shows the store.

    Raises:
        NotFound: the store has no such study.
        UserError: the store cannot be opened.
    """
    return links(uri, study, server)[0]


def links(uri: str, study: str | None, server: str) -> list[str]:
    """Like `link`, followed by the address of the study's confirming runs if it was confirmed."""
    if study is None:
        return [f"{server}/#/experiments"]
    set_environment()
    from hpo.tracking.lookup import find_study
    from hpo.tracking.mlflow_compat import view_query

    try:
        found = find_study(uri, study)
    except Exception as error:
        raise cannot_open(uri, error) from None
    if found is None:
        raise NotFound(f"{masked(uri)} has no study {study!r}; `hpo list` names the studies")
    place = f"{server}/#/experiments/{found.experiment}/runs"
    views = [view_query(key) for key in (found.trials, found.confirmation) if key is not None]
    by_score = {
        **view_query(),
        "orderByKey": f"metrics.`best_{found.tags['hpo.objective']}`",
        "orderByAsc": str(found.tags["hpo.direction"] == "minimize").lower(),
    }
    return [f"{place}?{urlencode(view, quote_via=quote)}" for view in views or [by_score]]


def _printed(text: str) -> None:
    # Flushed, since the reader of a pipe waits for it while the server runs.
    print(text, flush=True)


def serve(
    home: Path,
    uri: str | None = None,
    study: str | None = None,
    port: int = 5000,
    say: Callable[[str], None] = _printed,
) -> None:
    """Runs MLflow's server on 127.0.0.1 until Ctrl-C. If the URI is that of a server, only its link is given.

    Args:
        home: The folder in which runs leave everything.
        uri: MLflow tracking URI; None: HPO_TRACKING_URI if it is set, else mlflow.db in the home folder.
        study: The study that the link opens.
        port: The port to listen on.
        say: Called with the link when the server answers, and once more with that of a confirmation.

    Raises:
        UserError: the port is taken, or there is nothing to show.
        HpoError: the server does not start.
    """
    uri = uri or os.environ.get("HPO_TRACKING_URI") or None
    uri = None if uri is None else tracking_address(uri, home)
    if uri is not None and uri.startswith(("http:", "https:")):
        _say(say, links(uri, study, re.sub("//[^/@]*@", "//", uri).rstrip("/")))
        return
    if uri is None:
        database = home.resolve() / "mlflow.db"
        if not database.exists():
            raise NotFound(f"{database}: no such file; `hpo run EXPERIMENT` creates it, --home names its folder")
        uri = f"sqlite:///{database}"
    server = f"http://{HOST}:{port}"
    addresses = links(uri, study, server)
    _check_free(port)
    with _ended_by_a_signal():
        process = _start(home, uri, port)
        try:
            _wait_until_up(process, server)
            _say(say, addresses)
            process.wait()
            raise HpoError(f"MLflow's server ended by itself, exit {process.returncode}")
        finally:
            _stop(process)


@contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """SIGINT or SIGTERM ends the block, in good order; SIGINT too, which background jobs of a shell ignore.

    The signal is deferred, since MLflow's server may need longer to end than a command has after a signal.
    """
    with deferred(), contextlib.suppress(KeyboardInterrupt):
        numbers = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _say(say: Callable[[str], None], addresses: Sequence[str]) -> None:
    """Passes the link on, and that of the confirmation."""
    say(addresses[0])
    for more in addresses[1:]:
        say(f"its confirmation: {more}")


def shown_in_browser(message: str) -> None:
    """Prints a message, and opens it in a browser if it is an address and this machine has a screen."""
    print(message, flush=True)
    if message.startswith(("http:", "https:")) and has_screen():
        # If there is no browser, or it fails, the printed address is enough.
        with contextlib.suppress(webbrowser.Error, OSError):
            webbrowser.open(message)


def has_screen() -> bool:
    """Whether a browser may open a window: the command was typed in a terminal, and not over a network."""
    if not sys.stdout.isatty() or "SSH_CONNECTION" in os.environ or os.environ.get("CI"):
        return False
    displays = (os.environ.get("DISPLAY"), os.environ.get("WAYLAND_DISPLAY"))
    return sys.platform == "darwin" or any(displays)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        # As the server does, so that a port that was closed a moment ago counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            raise UserError(f"cannot listen on {HOST}:{port} ({error}): choose another with --port") from None


def _start(home: Path, uri: str, port: int) -> "subprocess.Popen[bytes]":
    """Starts the server; its URI is passed in the environment, since every user can see arguments."""
    environment = {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_ARTIFACTS_DESTINATION": str(home.resolve() / "artifacts"),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "PYTHONWARNINGS": "ignore",
        # A module of the working folder is not taken for one of Python's own of the same name.
        "PYTHONSAFEPATH": "1",
    }
    arguments = ["--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", _OPTIONS]
    hosts = ["--allowed-hosts", f"{HOST}:{port},localhost:{port}"]
    # Besides these, MLflow always accepts pages from other ports of this machine.
    hosts += ["--cors-allowed-origins", f"http://{HOST}:{port},http://localhost:{port}"]
    command = [sys.executable, "-m", "mlflow", "server", *arguments, *hosts]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def _wait_until_up(process: "subprocess.Popen[bytes]", server: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise HpoError(f"MLflow's server did not start, exit {process.returncode}; its reason is above")
        try:
            urllib.request.urlopen(f"{server}/health", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise HpoError(f"MLflow's server did not answer on {server} within {_START_SECONDS:.0f} s")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ends the server and the processes that it started: by then it answers nobody, and nothing may outlive it."""
    import psutil

    children: list[psutil.Process] = []
    with contextlib.suppress(psutil.NoSuchProcess):
        children = psutil.Process(process.pid).children(recursive=True)
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    process.kill()
    process.wait()
    _, left = psutil.wait_procs(children, 1)
    for one in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    # What was killed ends a moment later.
    psutil.wait_procs(left, _STOP_SECONDS)
