"""A whole study with passwords wherever they may be, and none of them in anything that it leaves or prints."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy
from mlflow_server import MlflowServer
from postgres import PASSWORD
from sqlalchemy import create_engine, make_url
from tiny import Command

# In a URL, with signs that are escaped there; in PostgreSQL's file; for MLflow in its URL and in the environment.
IN_URL, IN_FILE, IN_TRACKING, IN_ENVIRONMENT = "c4nary/one:@%", "c4nary-two", "c4nary/three", "c4nary-four"
CANARIES = {form for one in (IN_URL, IN_FILE, IN_TRACKING, IN_ENVIRONMENT) for form in (one, quote(one, safe=""))}

MODEL = """
import os, keras

def make(params, dataset):
    if params["units"] == 4:
        raise ValueError(f"cannot reach {os.environ['HPO_STORAGE']} with {os.environ['MLFLOW_TRACKING_PASSWORD']}")
    return keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Dense(dataset.outputs, "softmax")])
"""

EXPERIMENT = """\
# Stored at {storage} once, with password={in_file}
name: canary
dataset: {{name: "iris of https://ada:{quoted}@host/iris?token={quoted}", path: iris.csv, target: species}}
search_space: {{model: "own_model:make", parameters: {{units: {{type: int, low: 3, high: 5}}}}}}
objective: val_accuracy
training: {{epochs: 1, metrics: [accuracy]}}
study: {{sampler: grid, storage: "{storage}", seed: 1}}   # {storage}
tracking: {{uri: "{tracking}"}}
engine: {{workers: 1}}
"""


@pytest.fixture
def storage(postgres: str) -> Iterator[str]:
    """A database of its own, whose user has one password in the URL and another in PostgreSQL's file."""
    admin = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(
            sqlalchemy.text(f"CREATE ROLE canary SUPERUSER LOGIN PASSWORD '{IN_URL}'".replace(":", "\\:"))
        )
    url = make_url(postgres)
    yield f"postgresql+psycopg://canary:{quote(IN_URL, safe='')}@{url.host}:{url.port}/{url.database}"
    with admin.connect() as connection:
        connection.exec_driver_sql("REASSIGN OWNED BY canary TO hpo")
        connection.exec_driver_sql("DROP OWNED BY canary")
        connection.exec_driver_sql("DROP ROLE canary")
    admin.dispose()


@pytest.fixture
def tracking(tmp_path: Path) -> Iterator[str]:
    """The address, with a password, of an MLflow server; its store is in the folder `server`."""
    home = tmp_path / "server"
    home.mkdir()
    server = MlflowServer(home)
    server.start()
    yield f"http://ada:{quote(IN_TRACKING, safe='')}@127.0.0.1:{server.port}"
    server.kill()


def test_no_password_is_kept_exported_logged_or_printed(
    storage: str, tracking: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.datasets import load_iris

    data = load_iris(as_frame=True).frame.rename(columns={"target": "species"})
    data.to_csv(tmp_path / "iris.csv", index=False)
    (tmp_path / "own_model.py").write_text(MODEL)
    home = tmp_path / "user"
    home.mkdir()
    (home / ".pgpass").write_text(f"*:*:*:canary:{IN_FILE}\n")
    (home / ".pgpass").chmod(0o600)
    values = {"storage": storage, "tracking": tracking, "quoted": quote(IN_URL, safe=""), "in_file": IN_FILE}
    (tmp_path / "e.yaml").write_text(EXPERIMENT.format(**values))
    environment = {
        "HOME": str(home), "HPO_STORAGE": storage, "HPO_TRACKING_URI": tracking,
        "MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": IN_ENVIRONMENT,
    }  # fmt: skip
    again = ["--set", f"tracking.uri={tracking}", "--set", f"study.storage={storage}"]
    commands: list[tuple[list[str], int]] = [
        (["run", "e.yaml", *again], 0),
        (["check", "e.yaml", "--json", *again], 0),
        (["run", "e.yaml", "--set", f"study.storage={storage}x"], 2),
        (["run", "e.yaml", "--set", f"study.storag={storage}"], 2),
        (["show", "canary", "--json"], 0),
        (["compare", "canary", "--csv", "-"], 0),
        (["report", "canary", "-o", "r.html"], 0),
        (["export", "canary", "--to", "best.yaml"], 0),
        (["confirm", "canary", "--top", "1", "--seeds", "2"], 0),
        (["log", "canary"], 0),
    ]
    told = []
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for words, code in commands:
        done = command(*words)
        said, left = done.stdout + done.stderr, done.returncode
        assert left == code, said
        told.append(said)
    found = {f"output {number}": text for number, text in enumerate(told)} | contents(tmp_path) | rows(storage)
    assert any("cannot reach postgresql+psycopg://canary:***@" in text for text in found.values())
    assert any("error.txt" in place for place in found)
    leaks = {(place, canary) for place, text in found.items() for canary in CANARIES if canary in text}
    assert not leaks
    for word in ("storage", "tracking", "postgresql"):
        assert word not in (tmp_path / "best.yaml").read_text()


def contents(folder: Path) -> dict[str, str]:
    """The files below a folder, but those in which the test itself wrote passwords."""
    written = {"e.yaml", ".pgpass"}
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in written)
    return {str(path.relative_to(folder)): path.read_bytes().decode("utf-8", "replace") for path in files}


def rows(url: str) -> dict[str, str]:
    """Every row of every table of a database."""
    engine = create_engine(url)
    tables = sqlalchemy.MetaData()
    with engine.connect() as connection:
        tables.reflect(connection)
        found = {name: str(connection.execute(table.select()).all()) for name, table in tables.tables.items()}
    engine.dispose()
    assert "canary" in found["studies"]
    return found


def test_a_study_that_kept_passwords_is_read_exported_and_resumed_without_them(tmp_path: Path) -> None:
    import json

    import optuna
    from studies import run, two_epochs
    from tiny import tiny

    from hpo.plan.exported_file import as_yaml
    from hpo.study.attributes import EXPERIMENT as EXPERIMENT_KEY
    from hpo.study.attributes import FILES
    from hpo.study.read import read_study

    url, secret = f"sqlite:///{tmp_path}/optuna.db", f"postgresql://me:{PASSWORD}@h/d"
    run(url, two_epochs, trials=1)
    kept = optuna.load_study(study_name="s", storage=url)
    text = f"name: s\nstudy: {{storage: '{secret}'}}\ntracking: {secret}\n"
    kept.set_user_attr(FILES, {"experiment": f"{text}# overridden by --set study.storage={secret}\n"})
    kept.set_user_attr(EXPERIMENT_KEY, {**tiny(), "study": {"storage": secret}, "tracking": {"uri": secret}})
    view = read_study(url, "s")
    assert view.files == {"experiment": "name: s\n"}
    assert PASSWORD not in as_yaml(view, view.trials[0]) + json.dumps(view.experiment)
    run(url, two_epochs, trials=2)
    assert PASSWORD not in str(optuna.load_study(study_name="s", storage=url).user_attrs)
