"""What docs/security.md promises and no other test holds: permissions, files that are loaded, paths, systems."""

import json
import os
import re
import shutil
import sqlite3
import sys
import zipfile
from pathlib import Path

import pytest
from studies import run, two_epochs
from tiny import ROOT, tiny

from hpo.cli import main
from hpo.errors import FileMistakes, UserError
from hpo.plan.exported_file import read_exported
from hpo.plan.plan import load_plan
from hpo.storage.lock import sole_coordinator
from hpo.study.read import read_study
from hpo.system.platforms import refuse_other_backends
from hpo.system.private_files import private_file, private_folder
from hpo.system.safe_paths import file_name, is_kept_model


def test_every_line_of_the_page_names_a_test_that_there_is() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    named = [word.strip("`") for line in page.splitlines() for word in line.split() if word.startswith("`tests/")]
    assert len(named) > 15
    for name in named:
        file, _, test = name.partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(), name


def test_databases_and_folders_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        run(f"sqlite:///{tmp_path}/a/b/optuna.db", two_epochs, trials=1)
        private_folder(tmp_path / "x" / "artifacts")
        private_file(tmp_path / "x" / "mlflow.db")
    finally:
        os.umask(before)
    made = [path for path in tmp_path.rglob("*") if path.suffix != ".lock"]
    assert {path.name for path in made} >= {"a", "b", "optuna.db", "locks", "artifacts", "mlflow.db"}
    for path in made:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_stores_of_a_run_are_their_owners_alone(finished: Path) -> None:
    for name in ("optuna.db", "mlflow.db", "artifacts", "models", "locks"):
        assert (finished / name).stat().st_mode & 0o077 == 0, name


@pytest.mark.parametrize("name", ["../x", "a/b", "a\0b", "..", ".hidden", "-dash", "a" * 201, "x\n", "", "a b"])
def test_a_study_is_called_nothing_that_is_a_path(name: str) -> None:
    with pytest.raises(FileMistakes, match="name"):
        load_plan(tiny(name=name))


def test_an_exported_file_cannot_name_a_path_either(tmp_path: Path) -> None:
    content = {"study": "../../x", "trial": 0, "parameters": {}, "seed": 0, "scores": {"epochs": 1}, "data": {}}
    (tmp_path / "best.yaml").write_text(json.dumps({**content, "experiment": tiny(name="../../x")}))
    with pytest.raises(FileMistakes, match=r"name: must match"):
        read_exported(tmp_path / "best.yaml")


def test_a_lock_stays_in_its_folder_whatever_a_store_calls_its_studies(tmp_path: Path) -> None:
    for name in ("../../out", "a" * 500, "plain-name_1.x"):
        with sole_coordinator(f"sqlite:///{tmp_path}/home/optuna.db", name):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    assert len(list((tmp_path / "home" / "locks").iterdir())) == 3
    assert (tmp_path / "home" / "locks" / "optuna.db.plain-name_1.x.lock").exists()
    assert len(file_name("ä" * 300)) <= 200


def test_a_store_can_name_no_file_but_a_kept_model(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    run(url, two_epochs, trials=1)
    with sqlite3.connect(tmp_path / "optuna.db") as database:
        (text,) = database.execute("SELECT value_json FROM trial_user_attributes WHERE key = 'hpo:result'").fetchone()
        changed = json.dumps({**json.loads(text), "model_file": "/etc/passwd"})
        database.execute("UPDATE trial_user_attributes SET value_json = ? WHERE key = 'hpo:result'", (changed,))
    database.close()
    assert read_study(url, "s").trials[0].model_file is None
    assert is_kept_model("/home/me/mlruns/models/digits/trial-0007.keras")
    assert is_kept_model("/home/me/mlruns/models/digits/carried-0007.keras")
    for path in ("/models/../etc/trial-1.keras", "/etc/trial-1.keras", "/models/s/x.keras", None, "models/s/a\0.keras"):
        assert not is_kept_model(path)


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".pkl", ""])
def test_only_keras_files_are_loaded(suffix: str, tmp_path: Path) -> None:
    from hpo.errors import ModelError
    from hpo.training.predict import load

    (tmp_path / f"model{suffix}").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(ModelError, match=r"must be a \.keras file"):
        load(tmp_path / f"model{suffix}")


def test_a_model_runs_no_code_that_its_file_brings(tmp_path: Path) -> None:
    import keras

    from hpo.errors import ModelError
    from hpo.training.predict import load

    ran = tmp_path / "ran"
    target = str(ran)
    layer = keras.layers.Lambda(lambda x: (open(target, "w").close(), x)[1])  # type: ignore[func-returns-value]
    model = keras.Sequential([keras.Input((1,)), layer])
    model.save(tmp_path / "model.keras")
    ran.unlink(missing_ok=True)
    with pytest.raises(ModelError, match=r"cannot be loaded: .*(Lambda|lambda)"):
        load(tmp_path / "model.keras")
    assert not ran.exists()
    shutil.copy(tmp_path / "model.keras", tmp_path / "other.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as source, zipfile.ZipFile(tmp_path / "other.keras", "w") as made:
        for item in source.namelist():
            content = source.read(item)
            if item == "config.json":
                config = {"module": "os", "class_name": "system", "config": {"command": f"touch {ran}"}}
                content = json.dumps(config).encode()
            made.writestr(item, content)
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(tmp_path / "other.keras")
    assert not ran.exists()


def test_another_backend_is_refused_by_name_before_anything_is_made(tmp_path: Path, monkeypatch) -> None:
    import hpo

    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match="KERAS_BACKEND: hpo trains by Keras over tensorflow, got 'jax'"):
        hpo.run(tiny(), home=tmp_path / "home")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    with pytest.raises(UserError, match=r"keras\.json: .* got 'torch'"):
        refuse_other_backends()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    refuse_other_backends()


def test_windows_is_refused_by_name(monkeypatch, capsys) -> None:
    monkeypatch.setattr("hpo.system.platforms.sys.platform", "win32")
    monkeypatch.setattr(sys, "argv", ["hpo", "list"])
    assert main.command() == 2
    assert "not on Windows itself" in capsys.readouterr().err


def test_a_warning_says_that_threads_cannot_be_limited_any_more(caplog) -> None:
    import tensorflow as tf

    from hpo.training.process import limit_threads

    tf.constant(1) + 1
    limit_threads(61)
    assert "figures may differ in their last digits" in caplog.text


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (BOMB, r"bad\.yaml:\d+: .*must hold at most 50,000 values, aliases expanded"),
        ("name: x\nname: y\n", r"bad\.yaml:2: name: this key is there twice"),
        ("name: !!python/object/apply:os.system [id]\n", r"bad\.yaml:1: name: must be a plain value, not one tagged"),
        (f"name: {'x' * 10_000_000}\n", r"bad\.yaml: must be at most 250,000 bytes long"),
        ("name: " + "[" * 1000 + "]" * 1000, r"bad\.yaml.*must be nested at most 50 levels deep"),
    ],
    ids=["aliases", "twice", "tag", "large", "deep"],
)  # fmt: skip
def test_hostile_yaml_is_refused_with_file_and_rule(text: str, rule: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text(text)
    monkeypatch.setattr(sys, "argv", ["hpo", "run", "bad.yaml"])
    assert main.command() == 2
    assert re.search(rule, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]
