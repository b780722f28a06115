"""The README's commands are typed in its order, as they stand but for a shorter confirmation."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from docs_blocks import blocks_of
from tiny import ROOT

BLOCKS = blocks_of(ROOT / "README.md")
LINES = [line for block in BLOCKS if block.language == "shell" for line in block.text.splitlines()]
COMMANDS = [line.partition("  #")[0].strip() for line in LINES if "hpo " in line]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The commands run in the repository, and leave what they leave elsewhere."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HPO_HOME": str(tmp_path_factory.mktemp("home"))}
    # As it is for most: what is said shows whether or not a stream is kept back.
    environment.pop("PYTHONUNBUFFERED", None)
    return environment


def run(command: str, environment: dict[str, str], folder: Path) -> str:
    """Runs a command in a folder that looks like the repository's."""
    told = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert told.returncode == 0, f"{command}\n{told.stdout}\n{told.stderr}"
    return told.stdout


@pytest.mark.timeout(1500)
def test_the_commands_of_the_first_page_work_in_order(environment: dict[str, str], tmp_path: Path) -> None:
    for name in ("experiments", "search_spaces", "hpo"):
        (tmp_path / name).symlink_to(ROOT / name)
    first, *others = [command for command in COMMANDS if "pytest" not in command]
    assert first == "python3 -m pip install -e . && hpo run experiments/digits_mlp.yaml"
    # The installation is what this test runs in.
    shown = run(first.partition(" && ")[2], environment, tmp_path)
    assert "[30/30]" in shown
    for command in others:
        if command.startswith("hpo ui"):
            serve_and_stop(command, environment, tmp_path)
        else:
            # Two runs of two finalists say as much of the command as five of five.
            fewer = " --top 2 --seeds 2" if command.startswith("hpo confirm") else ""
            run(command + fewer, environment, tmp_path)
    assert (tmp_path / "best.keras").exists()


def serve_and_stop(command: str, environment: dict[str, str], folder: Path) -> None:
    process = subprocess.Popen(
        [*command.split(), "--port", "5617"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        link = next(line for line in process.stdout if "http://127.0.0.1:5617/" in line)
        assert "compareRunsMode=CHART" in link
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                with urllib.request.urlopen("http://127.0.0.1:5617/health", timeout=5) as answer:
                    assert answer.status == 200
                    break
            except OSError:
                time.sleep(0.3)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_the_example_in_python_works(environment: dict[str, str]) -> None:
    (code,) = [block.text for block in BLOCKS if "import hpo" in block.text]
    assert "hpo.run(" in code
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert told.returncode == 0, told.stderr
