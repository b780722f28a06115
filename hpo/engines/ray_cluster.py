"""The connection to a Ray cluster: joined or started, its machines, and what is installed on them."""

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpo.engines import ray_probe
from hpo.engines.ray_compat import cluster_uses_token, on_loopback, print_nothing, token_mode
from hpo.errors import UserError
from hpo.system.scratch import process_folder
from hpo.system.signals import ENDING

# A socket's path may have 107 bytes, of which Ray needs 62.
_LONGEST_FOLDER = 44
# Seconds that a connection to the address of a cluster may take.
_REACHED_WITHIN = 5.0
_TOKEN = Path.home() / ".ray" / "auth_token"


class Cluster:
    """This process's connection to a cluster. A process has one, which all its engines share."""

    _users = 0
    _ours = False
    _folder: Path | None = None
    """Of the files of a cluster that was started here."""

    def __init__(
        self, address: str | None, runtime_env: Mapping[str, Any] | None, cpus: int | None, dashboard: bool
    ) -> None:
        """Joins the cluster at an address, or starts one of this machine alone, with so many CPUs; None: all it has.

        A connection that this process has already, such as that of a notebook, is used as it is.

        Raises:
            UserError: there is no such cluster, or its versions of Ray or Python are others.
        """
        if not ray.is_initialized():
            told = {"runtime_env": dict(runtime_env or {}), "log_to_driver": False, "logging_level": logging.ERROR}
            # That it uses tokens, Ray would print at each start.
            logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
            with _own_signals():
                if address is None:
                    Cluster._folder = _start(told, cpus, dashboard)
                else:
                    _join(address, told)
            print_nothing()
            Cluster._ours = True
        Cluster._users += 1
        self.alone = Cluster._folder is not None
        """Whether it is a cluster of this machine, which no other can join."""

    def close(self) -> None:
        """Leaves the cluster, once all engines of the process have; ends one that was started here."""
        Cluster._users -= 1
        if Cluster._users == 0 and Cluster._ours:
            with _own_signals():
                ray.shutdown()
            Cluster._ours = False
            if Cluster._folder is not None:
                shutil.rmtree(Cluster._folder, ignore_errors=True)
                Cluster._folder = None

    @property
    def nodes(self) -> Mapping[str, Mapping[str, Any]]:
        """The machines that are there, by Ray's identifier, as Ray describes them."""
        return {str(node["NodeID"]): node for node in ray.nodes() if node["Alive"]}


def _start(told: Mapping[str, Any], cpus: int | None, dashboard: bool) -> Path:
    """Starts a cluster of this machine; returns the folder of its files."""
    folder = process_folder() / "ray"
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        folder = Path(tempfile.mkdtemp(prefix="hpo-ray-", dir="/tmp"))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys() and not _TOKEN.exists():
        # Ray would put one there: other users of this machine must not run code in the cluster.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    with on_loopback(), token_mode(True):
        ray.init("local", num_cpus=cpus, include_dashboard=dashboard, _temp_dir=str(folder), **told)
    return folder


def _join(address: str, told: Mapping[str, Any]) -> None:
    if address.startswith("ray://"):
        raise UserError(
            f"engine.address: {address}: must be HOST:PORT or auto: the coordinator runs on a machine of the cluster, "
            "one that `ray start --address=HOST:PORT --num-cpus=0` has made part of it"
        )
    port = None
    if address != "auto":
        host, port = _host_of(address)
        _check_reached(host, port)
    try:
        with token_mode(cluster_uses_token(port)):
            ray.init(address, **told)
    except (ConnectionError, RuntimeError, ValueError, OSError, AssertionError) as error:
        raise UserError(f"engine.address: {address}: {_plain(error)}") from None


def _host_of(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"engine.address: must be HOST:PORT as `ray start` prints it, or auto, got {address!r}")
    return host.strip("[]"), int(port)


def _check_reached(host: str, port: int) -> None:
    """Ray itself would try for a minute."""
    try:
        socket.create_connection((host, port), _REACHED_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise UserError(f"engine.address: no Ray cluster can be reached at {host}:{port}: {error}") from None


def _plain(error: Exception) -> str:
    text = " ".join(str(error).split())
    if "matched Raylet" in text or "expects this IP" in text:
        return f"this machine is not part of the cluster; `ray start --address=HOST:PORT` makes it so ({text})"
    if "Failed to connect" in text and "RAY_AUTH_MODE" not in os.environ:
        return f"{text}; if it wants a token, set RAY_AUTH_MODE=token as for `ray start`"
    return text


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keeps what this process does at signals: Ray would exit at once, and orphan what is written last."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def probed(node: str) -> Any:
    """Asks a machine what is installed there; returns the reference of `ray_probe.probe`'s answer."""
    ray.cloudpickle.register_pickle_by_value(ray_probe)
    try:
        on_node = NodeAffinitySchedulingStrategy(node, soft=False)
        return ray.remote(num_cpus=0, scheduling_strategy=on_node)(ray_probe.probe).remote()
    finally:
        ray.cloudpickle.unregister_pickle_by_value(ray_probe)


def differences(found: Mapping[str, str]) -> Sequence[str]:
    """What of a machine's software is other than here, so that it cannot train."""
    here = ray_probe.probe()
    wrong = []
    for name, version in here.items():
        there = found.get(name, "missing")
        if name == "machine" or _alike(name, there, version):
            continue
        if name == "hpo":
            wrong.append("hpo is missing" if there == "missing" else "its hpo has other code than this one")
        else:
            wrong.append(f"{name} {there}, not {version}" if there != "missing" else f"{name} is missing")
    return wrong


def _alike(name: str, one: str, other: str) -> bool:
    # Pickles and wheels are the same for all versions 3.11.x.
    return one.split(".")[:2] == other.split(".")[:2] if name == "Python" else one == other


def in_words(found: Mapping[str, str], node: Mapping[str, Any]) -> str:
    """What is known of a machine, in a line."""
    has = node["Resources"]
    resources = [f"{has[kind]:g} {kind}" for kind in ("CPU", "GPU") if has.get(kind)]
    software = [f"{name} {version}" for name, version in found.items() if name not in ("machine", "hpo")]
    return f"{named(found, node)}: {', '.join([*resources, *software])}"


def named(found: Mapping[str, str], node: Mapping[str, Any]) -> str:
    """The address and the name of a machine."""
    return f"{node['NodeManagerAddress']} ({found.get('machine', node['NodeManagerHostname'])})"
