"""The wheel, in an environment of its own outside the repository: shipped search spaces are found by name."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from tiny import ROOT

EXPERIMENT = """\
name: first
dataset: digits
search_space: mlp
objective: val_accuracy
training: {epochs: 1}
study: {trials: 1}
engine: {workers: 1}
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that holds the wheel; what hpo depends on is that of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=ROOT, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("keras_hpo-*.whl")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # After its own, so that the wheel's hpo is the one that is found.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_an_empty_folder_to_a_first_result(python: Path, tmp_path: Path) -> None:
    (tmp_path / "first.yaml").write_text(EXPERIMENT)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, check=False, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def hpo(*arguments: str) -> str:
        return run(python.with_name("hpo"), *arguments)

    assert hpo("--version").startswith("hpo 0.")
    assert "first: done" in hpo("run", "first.yaml")
    assert "wrote new/experiment.yaml" in hpo("init", "new")
    where = run(python, "-c", "import hpo; print(hpo.__file__)")
    assert Path(where.strip()).is_relative_to(python.parent.parent)
    # Templates, styles and schemas among them.
    for path in (ROOT / "hpo").rglob("*.*"):
        if path.is_file() and path.suffix != ".pyc":
            assert (Path(where.strip()).parent / path.relative_to(ROOT / "hpo")).is_file()
