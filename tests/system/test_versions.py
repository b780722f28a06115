"""What a figure was made with."""

import platform
import subprocess

import optuna

from hpo.system.versions import git_commit, versions


def test_versions_are_those_of_the_packages():
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["optuna"] == optuna.__version__
    assert {"hpo", "tensorflow", "keras", "mlflow", "numpy"} <= set(found)


def test_the_commit_of_the_folder_around(tmp_path):
    assert git_commit(tmp_path) is None
    me = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert git_commit(tmp_path) is None
    subprocess.run(["git", *me, "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path, check=True)
    commit = git_commit(tmp_path)
    shown = subprocess.run(["git", "log", "--format=%H"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert commit == shown.stdout.strip()


def test_no_git_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_commit() is None
