"""The tracker against real MLflow stores, read again by plain MLflow clients."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from logged import BEGAN, STUDY, complete, failed, log_trial, look, opened, pruned, running, unexpected
from mlflow_server import MlflowServer
from processes import free_port, start

from hpo.errors import UserError
from hpo.study.failure import Failure
from hpo.text.urls import masked
from hpo.tracking import Ending, Tracker
from hpo.tracking.connection import connect

# A process that saves a Keras model, waits for the id of the run that it was logged to, loads it from there, and
# tells all that plain MLflow finds. One process, for TensorFlow takes seconds to import.
OTHER_PROCESS = """
    import json, sys, keras, mlflow, numpy as np
    uri, path, tests = sys.argv[1:]
    sys.path.insert(0, tests)
    from logged import look
    saved = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    saved.save(path)
    print("saved", flush=True)
    model = f"runs:/{input()}/model"
    mlflow.set_tracking_uri(uri)
    x = np.ones((2, 4), np.float32)
    keras_model, pyfunc = mlflow.keras.load_model(model), mlflow.pyfunc.load_model(model)
    assert np.allclose(saved.predict(x, verbose=0), keras_model.predict(x, verbose=0))
    assert np.allclose(saved.predict(x, verbose=0), pyfunc.predict(x))
    requirements = open(mlflow.artifacts.download_artifacts(model + "/requirements.txt")).read()
    assert all(f"{name}==" in requirements for name in ("mlflow", "tensorflow", "keras", "numpy"))
    signature = pyfunc.metadata.signature
    shapes = [schema.inputs[0].shape for schema in (signature.inputs, signature.outputs)]
    print(json.dumps([look(uri), shapes]))
"""


@pytest.fixture
def other_process(uri, tmp_path) -> Iterator["subprocess.Popen[str]"]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    code = [textwrap.dedent(OTHER_PROCESS), uri, str(tmp_path / "best.keras"), str(Path(__file__).parents[1])]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    process = start([sys.executable, "-c", *code], env=environment, **pipes)
    yield process
    process.kill()
    process.communicate()


def test_a_study_is_found_by_plain_mlflow(uri, home, other_process):
    tracker = opened(uri, home)
    parent_id = tracker.ready()
    for record in (complete(0), pruned(1), failed(2)):
        log_trial(tracker, record)
    config = "params: {width: 32}\n"
    assert other_process.stdout.readline() == "saved\n"
    tracker.finish(Ending("finished", "# Best: trial 0", complete(0), config, home / "best.keras"))
    assert tracker.close()

    output, errors = other_process.communicate(parent_id + "\n")
    assert other_process.returncode == 0, errors
    runs, signature = json.loads(output.splitlines()[-1])
    assert signature == [[-1, 4], [-1, 3]]
    assert set(runs) == {"toy-study", "trial-0000", "trial-0001", "trial-0002"}
    parent, best = runs["toy-study"], runs["trial-0000"]
    assert parent["id"] == parent_id
    assert parent["status"] == "FINISHED"
    assert parent["experiment"]["mlflow.experimentKind"] == "custom_model_development"
    assert parent["files"] == ["best.yaml", "experiment.yaml", "search_space.yaml"]
    assert parent["tags"]["mlflow.note.content"] == "# Best: trial 0"
    assert parent["tags"]["hpo.role"] == "study"
    assert [point[:2] for point in parent["metrics"]["best_so_far_val_accuracy"]] == [[1, 0.9], [2, 0.9], [3, 0.9]]
    assert [point[:2] for point in parent["metrics"]["best_val_accuracy"]] == [[0, 0.9]]
    assert len(parent["models"]) == 1
    for run in (parent, best):
        assert set(run["inputs"]) == {"training", "validation", "test"}
        assert run["inputs"]["test"][:3] == ["toy", "c" * 8, '{"num_rows": 30, "num_elements": 120}']
        assert "mlflow_tensorspec" in json.loads(run["inputs"]["test"][3])
        assert {"mlflow.user", "mlflow.source.name", "mlflow.source.type"} <= set(run["tags"])

    expected = {"epochs": "3", "early_stopping.patience": "2", "nesterov": "false"}
    assert best["params"] == {**expected, "width": "32", "optimizer": "adam", "seed": "7"}
    tags = best["tags"]
    assert tags["mlflow.parentRunId"] == parent_id
    assert tags["hpo.study"] == "toy-study"
    assert tags["hpo.trial"] == "0"
    assert tags["hpo.attempt"] == "0"
    assert tags["hpo.space_hash"] == "0123456789abcdef"
    assert tags["hpo.version"] == "0.1.0"
    assert tags["mlflow.note.content"] == "complete, val_accuracy 0.9000 at epoch 2 of 3, on the test part 0.8800"
    for name, curve in complete(0).curves.items():
        assert [point[:2] for point in best["metrics"][name]] == [list(p) for p in enumerate(curve, 1)]
    now = time.time() * 1000
    assert all(now - 60_000 < stamp <= now for _, _, stamp in best["metrics"]["loss"]), "true timestamps, live"
    last = best["last"]
    assert (last["best_val_accuracy"], last["best_val_loss"], last["best_epoch"], last["epochs"]) == (0.9, 0.6, 2, 3)
    assert (last["model_parameters"], last["test_loss"], last["test_accuracy"]) == (123, 0.61, 0.88)
    states = {name: (run["status"], run["tags"].get("hpo.state")) for name, run in runs.items()}
    assert states["trial-0000"] == ("FINISHED", "complete")
    assert states["trial-0001"] == ("KILLED", "pruned")
    assert states["trial-0002"] == ("FAILED", "failed")
    assert runs["trial-0002"]["tags"]["hpo.failure"] == "error"
    assert runs["trial-0002"]["files"] == ["error.txt"]


def test_the_coordinator_imports_no_tensorflow_and_prints_nothing(tmp_path):
    code = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import hpo.tracking
        assert "mlflow" not in sys.modules
        from pathlib import Path
        from hpo.tracking import Ending
        from logged import complete, opened, log_trial
        home, model = Path(sys.argv[2]), Path(sys.argv[2]) / "best.keras"
        model.write_bytes(b"not looked into")
        tracker = opened(f"sqlite:///{home}/mlflow.db", home)
        log_trial(tracker, complete(0))
        tracker.finish(Ending("finished", "", complete(0), "", model))
        assert tracker.close()
        assert not {"tensorflow", "keras"} & set(sys.modules)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(Path(__file__).parents[1]), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["artifacts", "best.keras", "mlflow.db"]


KILLED = """
    import os, signal, sys, time
    sys.path.insert(0, sys.argv[1])
    from pathlib import Path
    from hpo.training.messages import EpochDone
    from logged import complete, opened, running, log_trial
    home = Path(sys.argv[2])
    tracker = opened(f"sqlite:///{home}/mlflow.db", home)
    log_trial(tracker, complete(0))
    tracker.start_trial(running(1))
    tracker.epoch(EpochDone(1, 1, {name: curve[0] for name, curve in complete(1).curves.items()}))
    tracker.ready()
    time.sleep(2)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_while_the_tables_are_made_is_no_harm(tmp_path):
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    code = "import sys; from hpo.tracking.connection import connect; connect(sys.argv[1])"
    process = start([sys.executable, "-c", code, uri])
    unfinished = tmp_path / ".mlflow.db.new"
    while not (unfinished.exists() and unfinished.stat().st_size > 100_000):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "mlflow.db").exists()

    assert [found.name for found in connect(uri).search_experiments()] == ["Default"]
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_a_killed_coordinator_is_mended_once(uri, home):
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(Path(__file__).parents[1]), str(home)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    left = look(uri)
    assert left["trial-0001"]["status"] == "RUNNING"
    assert len(left["trial-0001"]["metrics"]["loss"]) == 1

    lost = replace(complete(1), state="failed", failure=Failure("lost"), value=None, best_epoch=None, test={})
    records = [complete(0), lost, complete(2, 0.95), running(3)]

    def mend() -> dict:
        tracker = opened(uri, home, resume=True)
        tracker.ready()
        tracker.sync(records)
        tracker.finish(Ending("interrupted", "not yet"))
        assert tracker.close()
        return look(uri)

    repaired = mend()
    assert set(repaired) == {"toy-study", "trial-0000", "trial-0001", "trial-0002"}
    assert repaired["toy-study"]["id"] == left["toy-study"]["id"]
    assert repaired["toy-study"]["status"] == "KILLED"
    assert repaired["trial-0000"] == left["trial-0000"]
    assert repaired["trial-0001"]["status"] == "FAILED"
    assert repaired["trial-0001"]["tags"]["hpo.failure"] == "lost"
    assert [step for step, _, _ in repaired["trial-0001"]["metrics"]["loss"]] == [1, 2, 3]
    assert repaired["trial-0002"]["last"]["best_val_accuracy"] == 0.95
    start, end = (repaired["trial-0002"][name] for name in ("start", "end"))
    assert (start, end) == tuple(int(m.timestamp() * 1000) for m in (records[2].started, records[2].ended))
    assert [p[:2] for p in repaired["toy-study"]["metrics"]["best_so_far_val_accuracy"]] == [
        [1, 0.9],
        [2, 0.9],
        [3, 0.95],
    ]
    assert repaired["toy-study"]["last"]["best_val_accuracy"] == 0.95

    again = mend()
    for runs in (repaired, again):
        runs["toy-study"].pop("end")
    assert again == repaired


def test_a_new_study_of_an_old_name_starts_afresh(uri, home):
    for days in range(2):
        tracker = opened(uri, home, began=BEGAN + timedelta(days=days))
        log_trial(tracker, complete(0))
        assert tracker.close()
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("toy").experiment_id
    runs = client.search_runs([experiment])
    assert len(runs) == 4
    assert len({run.data.tags["mlflow.parentRunId"] for run in runs if run.data.tags["hpo.role"] == "trial"}) == 2


def test_a_run_that_the_user_deleted_stays_deleted(uri, home):
    from mlflow import MlflowClient

    tracker = opened(uri, home)
    log_trial(tracker, complete(0))
    assert tracker.close()
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("toy").experiment_id
    client.delete_run(client.search_runs([experiment], "tags.`hpo.role` = 'trial'")[0].info.run_id)
    tracker = opened(uri, home, resume=True)
    tracker.sync([complete(0)])
    assert tracker.close()
    assert client.search_runs([experiment], "tags.`hpo.role` = 'trial'") == []


def test_the_last_best_is_the_best_though_trials_end_out_of_order(uri, home):
    tracker = opened(uri, home)
    later = replace(complete(0, 0.95), ended=BEGAN + timedelta(minutes=9))
    for record in (complete(1, 0.8), later):
        log_trial(tracker, record)
    assert tracker.close()
    assert look(uri)["toy-study"]["last"]["best_val_accuracy"] == 0.95


def test_a_deleted_experiment_is_named_and_how_to_restore_it(uri, home):
    from mlflow import MlflowClient

    assert opened(uri, home).close()
    client = MlflowClient(uri)
    client.delete_experiment(client.get_experiment_by_name("toy").experiment_id)
    with pytest.raises(UserError, match=r"experiment 'toy' was deleted: restore it \(mlflow experiments restore"):
        opened(uri, home).ready()


def test_the_commit_is_that_of_the_working_directory(uri, home, tmp_path, monkeypatch):
    code = tmp_path / "code"
    code.mkdir()
    git = ["git", "-C", str(code), "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.chdir(code)
    assert opened(uri, home).close()
    assert look(uri)["toy-study"]["tags"]["mlflow.source.git.commit"] == commit


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://ada:s3c/ret@db/x", "postgresql://ada:***@db/x"),
        ("postgresql://ada:s3%2Fc@db/x", "postgresql://ada:***@db/x"),
        ("http://ada:secret@host:5000", "http://ada:***@host:5000"),
        ("postgresql://db/x?password=secret", "postgresql://db/x?password=***"),
        ("sqlite:////tmp/mlflow.db", "sqlite:////tmp/mlflow.db"),
    ],
)
def test_passwords_are_masked(uri, shown):
    assert masked(uri) == shown


@pytest.mark.parametrize("scheme", ["http", "postgresql"])
def test_a_store_that_cannot_be_reached_is_named_without_its_password(scheme, tmp_path):
    uri = f"{scheme}://ada:s3cret@127.0.0.1:{free_port()}/x"
    with pytest.raises(UserError, match=r"cannot be opened: (\n|.)*--set tracking.uri") as raised:
        opened(uri, tmp_path).ready()
    assert f"{scheme}://ada:***@127.0.0.1" in str(raised.value)
    assert "s3cret" not in str(raised.value)


@pytest.fixture
def server(home) -> Iterator[MlflowServer]:
    server = MlflowServer(home)
    server.start()
    yield server
    server.kill()


def test_a_server_that_dies_is_warned_of_once_and_mended_later(server, home):
    warnings: list[str] = []
    tracker = Tracker.open(server.uri, home / "artifacts", STUDY, warn=warnings.append)
    tracker.ready()
    log_trial(tracker, complete(0))
    tracker.start_trial(running(1))
    deadline = time.monotonic() + 60
    while look(server.uri).get("trial-0000", {}).get("status") != "FINISHED":
        assert time.monotonic() < deadline
    server.kill()

    began = time.monotonic()
    for record in (complete(1), complete(2)):
        log_trial(tracker, record)
    assert time.monotonic() - began < 5, "training does not wait"
    tracker.finish(Ending("finished", "done"))
    assert not tracker.close(timeout=60)
    assert len(warnings) == 1
    assert "Training goes on" in warnings[0]

    server.start()
    tracker = Tracker.open(server.uri, home / "artifacts", STUDY, resume=True, warn=unexpected)
    tracker.sync([complete(0), complete(1), complete(2)])
    tracker.finish(Ending("finished", "done"))
    assert tracker.close()
    runs = look(server.uri)
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    for number in range(3):
        assert [p[:2] for p in runs[f"trial-000{number}"]["metrics"]["loss"]] == [[1, 1.0], [2, 0.5], [3, 0.4]]
    assert runs["toy-study"]["files"] == ["experiment.yaml", "search_space.yaml"]
