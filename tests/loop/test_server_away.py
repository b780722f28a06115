"""Studies whose MLflow server wants a password, goes away, or loses answers: nothing is lost, nothing is doubled."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import ADMIN, PASSWORD, MlflowServer
from studies import INFO, NoData, planned

from hpo.cli.reuse.log_again import log_again
from hpo.config.experiment import TrackingSpec
from hpo.engines.scripted import Script, ScriptedEngine
from hpo.errors import UserError
from hpo.loop import mlflow_observer
from hpo.loop.driving import opened, run_study
from hpo.loop.jobs import Prepared
from hpo.loop.mlflow_observer import tracked
from hpo.study.read import study_names
from hpo.tracking import tracker
from hpo.training.messages import Failed, Job

TRIALS, EPOCHS = 3, 3
SPACE = {
    "model": "mlp",
    "parameters": {
        "depth": {"type": "int", "low": 1, "high": 2},
        "width": {"type": "int", "low": 4, "high": 16},
    },
}


class Reporter:
    """Collects what a run tells its user."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def logging(self) -> Any:
        return nullcontext(lambda left: None)


class Way:
    """The way to a server: a proxy that can be closed, and that can lose the answers to changes."""

    def __init__(self, port: int) -> None:
        self.lost: Counter[str] = Counter()
        """How many answers were lost, by the end of the path that was asked for."""
        self.loses = 0
        """How many answers to changes are lost at each path."""
        self._server, self._proxy = port, ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._port = self._proxy.server_port
        self.uri = f"http://127.0.0.1:{self._port}"
        self._serve()

    def open(self) -> None:
        self._proxy = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler())
        self._serve()

    def close(self) -> None:
        self._proxy.shutdown()
        self._proxy.server_close()

    def _serve(self) -> None:
        threading.Thread(target=self._proxy.serve_forever, args=(0.05,), daemon=True).start()

    def _is_lost(self, command: str, path: str) -> bool:
        kind = "artifacts" if "mlflow-artifacts" in path else path.partition("?")[0].partition("/mlflow/")[2]
        lost = command != "GET" and "search" not in kind and self.lost[kind] < self.loses
        self.lost[kind] += lost
        return lost

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        way = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one_request(self) -> None:
                self.close_connection = True
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    return
                there = http.client.HTTPConnection("127.0.0.1", way._server)
                headers = {key: value for key, value in self.headers.items() if key != "Transfer-Encoding"}
                there.request(self.command, self.path, self._body(), headers)
                answer = there.getresponse()
                content = answer.read()
                there.close()
                if way._is_lost(self.command, self.path):
                    return
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("transfer-encoding", "content-length", "connection"):
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_request(self, *arguments: Any) -> None:
                pass

        return Handler


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"FLUSH_SECONDS": 0.05, "RETRY_SECONDS": 0.1, "LAST_SECONDS": 0.1}.items():
        monkeypatch.setattr(tracker, name, seconds)
    monkeypatch.setattr(tracker, "LAST_TRIES", 20)
    monkeypatch.setattr(tracker, "AWAY_TIMEOUT", 300.0)
    monkeypatch.setattr(mlflow_observer, "_SECONDS", 300.0)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server with passwords."""
    pytest.importorskip("flask_wtf")
    server = MlflowServer(tmp_path_factory.mktemp("server"), basic_auth=True)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def way(server: MlflowServer) -> Iterator[Way]:
    """The way to the server, which is open."""
    way = Way(server.port)
    yield way
    way.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder of all studies: it remembers which servers have answered."""
    return tmp_path_factory.mktemp("home")


def script(job: Job) -> Any:
    return [0.3, Failed(job.trial, "error", "ValueError: no", "Traceback ...")] if job.trial == 1 else [0.1, 0.2, 0.3]


def ran(
    home: Path, uri: str, name: str, script: Script = script, reporter: Reporter | None = None
) -> tuple[int, list[str]]:
    """Runs a study, or goes on with it; returns how many runs wait for MLflow, and the warnings."""
    plan = planned(f"sqlite:///{home}/optuna.db", SPACE, name=name, epochs=EPOCHS, trials=TRIALS, seed=0)
    object.__setattr__(plan, "experiment", plan.experiment.model_copy(update={"tracking": TrackingSpec(uri=uri)}))
    reporter = reporter or Reporter()
    with opened(plan, INFO) as study, tracked(plan, INFO, bool(study.trials()), reporter) as log:
        run_study(study, Prepared(plan, ScriptedEngine(script), INFO, NoData()), time.monotonic(), (log,))
    return log.waiting, reporter.warnings


def logged(server: MlflowServer, name: str) -> list[Any]:
    """All that the server's database has of a study but keys and times, each metric with all its points."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    client = MlflowClient(f"sqlite:///{server.home}/mlflow.db")
    experiment = client.get_experiment_by_name(name).experiment_id
    found = []
    for run in client.search_runs([experiment], "", ViewType.ALL):
        points = {key: client.get_metric_history(run.info.run_id, key) for key in run.data.metrics}
        tags = {key: text for key, text in run.data.tags.items() if key.startswith("hpo.") and key != "hpo.study"}
        files = (server.home / "artifacts" / experiment / run.info.run_id / "artifacts").glob("*")
        found.append(
            (
                run.info.run_name.replace(name, "study"), run.info.status, run.data.params, tags,
                {key: sorted((point.step, point.value) for point in history) for key, history in points.items()},
                [(one.dataset.name, one.tags[0].value) for one in run.inputs.dataset_inputs],
                sorted(file.name for file in files),
            )
        )  # fmt: skip
    assert len(found) == 1 + TRIALS
    return sorted(found, key=lambda one: one[0])


@pytest.fixture(scope="module")
def undisturbed(server: MlflowServer, way: Way, home: Path) -> list[Any]:
    """What MLflow has of a study whose server was there all the time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLFLOW_TRACKING_USERNAME", ADMIN)
        patched.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
        assert ran(home, way.uri, "undisturbed") == (0, [])
        return logged(server, "undisturbed")


@pytest.mark.parametrize("known", [False, True], ids=["new server", "known server"])
def test_a_wrong_password_is_told_before_the_first_trial(
    way: Way, home: Path, undisturbed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another one")
    folder = home if known else tmp_path
    with pytest.raises(UserError, match=r"refuses the user: .*401(.*\n)+Set MLFLOW_TRACKING_USERNAME and") as caught:
        ran(folder, way.uri, "refused")
    assert "another one" not in str(caught.value)
    assert "refused" not in study_names(f"sqlite:///{folder}/optuna.db")


def test_a_server_that_is_away_for_a_while_gets_all_when_it_is_back(
    server: MlflowServer, way: Way, home: Path, undisturbed: Any
) -> None:
    reporter = Reporter()

    def away(job: Job) -> Iterator[Any]:
        for epoch, value in enumerate(script(job), 1):
            if (job.trial, epoch) == (0, 2):
                way.close()
            if (job.trial, epoch) == (2, 2):
                end = time.monotonic() + 120
                while not reporter.warnings and time.monotonic() < end:
                    time.sleep(0.05)
                way.open()
            yield value

    waiting, warnings = ran(home, way.uri, "interrupted", away, reporter)
    assert waiting == 0
    assert len(warnings) == 1
    assert "Training goes on; what is missing is logged once the store is back" in warnings[0]
    assert logged(server, "interrupted") == undisturbed


def test_a_server_that_is_away_for_a_whole_study_gets_all_by_the_next_command(
    server: MlflowServer, way: Way, home: Path, undisturbed: Any, tmp_path: Path
) -> None:
    way.close()
    began = time.monotonic()
    waiting, warnings = ran(home, way.uri, "missed")
    assert time.monotonic() - began < 100
    assert waiting >= TRIALS
    assert len(warnings) == 2
    command = f"hpo log missed --home {home} --tracking-uri {way.uri}"
    assert f"{waiting} runs wait for the MLflow store {way.uri}, and nothing is lost" in warnings[1]
    assert f"{command} sends them, and so does the same command." in warnings[1]
    with pytest.raises(UserError, match="cannot be opened"):
        ran(tmp_path, way.uri, "never")
    way.open()
    assert ran(home, way.uri, "missed") == (0, [])
    assert logged(server, "missed") == undisturbed
    assert log_again("missed", way.uri, home=home).repaired == 0
    assert logged(server, "missed")[1:] == undisturbed[1:]


def test_changes_whose_answers_are_lost_are_not_made_twice(
    server: MlflowServer, way: Way, home: Path, undisturbed: Any
) -> None:
    way.loses = 1
    assert ran(home, way.uri, "doubtful")[0] == 0
    way.loses = 0
    changes = ("experiments/set-experiment-tag", "runs/create", "runs/log-batch", "runs/log-inputs", "runs/update")
    assert all(way.lost[kind] == 1 for kind in (*changes, "artifacts")), way.lost
    assert logged(server, "doubtful") == undisturbed
