"""MLflow's server as `hpo ui` starts it: a real one on a free port of the loopback address."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from processes import free_port

from hpo.errors import NotFound, UserError
from hpo.tracking import ui


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A store as plain MLflow writes it, with the tags of a study."""
    from mlflow import MlflowClient

    home = tmp_path_factory.mktemp("home")
    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    experiment = client.create_experiment("toy", (home / "artifacts").as_uri())
    tags = {"hpo.role": "study", "hpo.study": "toy-2", "hpo.objective": "val_loss", "hpo.direction": "minimize"}
    run = client.create_run(experiment, tags=tags)
    client.log_text(run.info.run_id, "name: toy\n", "experiment.yaml")
    return home


@pytest.fixture
def server(home, tmp_path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`serve` in a process of its own, and the link that it printed."""
    # A signal has half a second to end what does not ask for more.
    code = "import sys; from pathlib import Path; from hpo.system import signals; from hpo.tracking import ui; "
    code += "signals._PATIENCE = 0.5; signals.heed(); "
    code += "ui.serve(Path(sys.argv[1]), study='toy-2', port=int(sys.argv[2]), say=lambda s: print(s, flush=True))"
    command = [sys.executable, "-P", "-c", code, str(home), str(free_port())]
    # A module of the user's has the name of one of Python's own.
    (tmp_path / "queue.py").write_text("raise RuntimeError\n")
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    link = process.stdout.readline().strip()
    yield process, link
    if process.poll() is None:
        process.terminate()
        process.wait(60)
    process.stdout.close()
    process.stderr.close()


def get(url: str, **headers: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
        return answer.read().decode()


def test_the_server_shows_the_study_on_loopback_only_and_ends_cleanly(server, home):
    process, link = server
    address = link.partition("/#/")[0]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    experiment = re.search(r"/experiments/(\d+)/runs\?", link).group(1)
    assert "<title>MLflow" in get(address)
    runs = urllib.request.Request(
        f"{address}/api/2.0/mlflow/runs/search",
        json.dumps({"experiment_ids": [experiment]}).encode(),
        {"Content-Type": "application/json"},
    )
    found = json.loads(urllib.request.urlopen(runs, timeout=60).read())["runs"]
    assert len(found) == 1
    run = found[0]["info"]["run_id"]
    assert get(f"{address}/get-artifact?path=experiment.yaml&run_uuid={run}") == "name: toy\n"

    port = int(address.rpartition(":")[2])
    assert get(address, Host=f"localhost:{port}")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        get(f"{address}/api/2.0/mlflow/experiments/get?experiment_id={experiment}", Host="evil.example")
    change = json.dumps({"name": "made"}).encode()
    for origin in ("http://evil.example", "http://127.0.0.1.evil.example", "null"):
        foreign = {"Content-Type": "application/json", "Origin": origin}
        creation = urllib.request.Request(f"{address}/api/2.0/mlflow/experiments/create", change, foreign)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(creation, timeout=60)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    listening = {c.laddr for p in family for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    assert {place.ip for place in listening} == {"127.0.0.1"}
    assert {place.port for place in listening} == {port}
    assert not any("sqlite:" in argument for p in family for argument in p.cmdline())

    # On a busy machine MLflow's server takes longer to end than other commands may.
    for one in family[1:]:
        one.suspend()
    os.kill(process.pid, signal.SIGINT)
    time.sleep(1)
    for one in family[1:]:
        one.resume()
    assert process.wait(60) == 0
    assert "Traceback" not in process.stderr.read()
    assert not any(p.is_running() for p in family[1:])
    assert not Path("mlartifacts").exists()


def test_a_server_that_does_not_end_is_killed_with_the_processes_that_it_started(monkeypatch):
    monkeypatch.setattr(ui, "_STOP_SECONDS", 0.5)
    deaf = "trap '' TERM; sleep 600 & echo started; wait"
    process = subprocess.Popen(["sh", "-c", deaf], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"started\n"
    ui._stop(process)
    assert process.returncode == -signal.SIGKILL
    # The child has inherited the pipe, which ends when nobody holds it any more.
    assert process.communicate(timeout=10)[0] == b""


def test_the_link_of_a_study_opens_its_charts_in_machine_learning_mode(home):
    link = ui.link(f"sqlite:///{home}/mlflow.db", "toy-2", "http://host:1")
    place, _, query = link.partition("?")
    assert re.fullmatch(r"http://host:1/#/experiments/\d+/runs", place)
    assert dict(urllib.parse.parse_qsl(query)) == {
        "workflowType": "machine_learning",
        "compareRunsMode": "CHART",
        "orderByKey": "metrics.`best_val_loss`",
        "orderByAsc": "true",
    }


def test_the_words_of_the_link_are_those_of_the_installed_ui():
    import mlflow

    bundle = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
    text = "".join(path.read_text(errors="replace") for path in bundle.glob("*.js"))
    for word in ('get("workflowType")', '"machine_learning"', '"compareRunsMode"', "orderByKey", "orderByAsc"):
        assert word in text, word
    assert "custom_model_development" in text
    assert "/experiments/:experimentId/runs" in text


def test_without_a_study_the_link_is_the_list_of_experiments():
    assert ui.link("sqlite:///nowhere.db") == "http://127.0.0.1:5000/#/experiments"


def test_an_unknown_study_is_named(home):
    with pytest.raises(NotFound, match="has no study 'toi'"):
        ui.link(f"sqlite:///{home}/mlflow.db", "toi")


def test_a_home_without_a_store_is_a_mistake(tmp_path):
    with pytest.raises(NotFound, match=r"mlflow\.db: no such file; `hpo run"):
        ui.serve(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_a_mistake(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen on 127\.0\.0\.1:{port} .*choose another with --port"):
            ui.serve(home, port=port)


def test_a_server_of_the_users_is_only_linked_to(tmp_path):
    said: list[str] = []
    ui.serve(tmp_path, "http://ada:s3cret@tracking.example:5000/", say=said.append)
    assert said == ["http://tracking.example:5000/#/experiments"]


def test_the_server_that_runs_are_logged_to_is_the_one_that_is_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("HPO_TRACKING_URI", "http://tracking.example:5000")
    said: list[str] = []
    ui.serve(tmp_path, say=said.append)
    assert said == ["http://tracking.example:5000/#/experiments"]


@pytest.mark.parametrize(
    ("terminal", "environment", "opened"),
    [
        (True, {"DISPLAY": ":0"}, True),
        (True, {"WAYLAND_DISPLAY": "wayland-0"}, True),
        (True, {}, False),
        (False, {"DISPLAY": ":0"}, False),
        (True, {"DISPLAY": ":0", "SSH_CONNECTION": "there"}, False),
        (True, {"DISPLAY": ":0", "CI": "true"}, False),
    ],
)
def test_a_browser_opens_where_somebody_looks_at_a_screen(
    terminal: bool, environment: dict[str, str], opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "CI"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    asked: list[str] = []
    monkeypatch.setattr("webbrowser.open", asked.append)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    ui.shown_in_browser("http://127.0.0.1:5000/#/experiments")
    ui.shown_in_browser("its confirmation: http://127.0.0.1:5000")
    assert asked == ["http://127.0.0.1:5000/#/experiments"] * opened
