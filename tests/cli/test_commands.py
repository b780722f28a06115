"""The commands as a user types them."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tiny import ROOT, Command, tiny

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["list", "datasets"], ["list", "models"], ["schema", "experiment"], ["run", "missing.yaml"]],
)
def test_commands_without_training_import_neither_tensorflow_nor_mlflow(arguments: list[str]) -> None:
    code = (
        "import sys\nsys.argv = ['hpo', *sys.argv[1:]]\nfrom hpo.cli.main import command\n"
        "command()\n"
        "print([name for name in ('tensorflow', 'keras', 'mlflow') if name in sys.modules], file=sys.stderr)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=180, check=False
    )
    assert told.stderr.splitlines()[-1] == "[]"


def test_all_mistakes_of_both_files_at_once_and_nothing_is_created(
    command: Command, write: Write, tmp_path: Path
) -> None:
    write("search_spaces/net.yaml", "model: mlp\nparameters:\n  depth: {type: int, low: 5, high: 2}\n")
    write(
        "experiments/x.yaml",
        "name: x\ndataset: iris\nsearch_space: net\nobjective: val_accuracy\n"
        "training:\n  epochs: 3\n  batchsize: 8\nstudy: {sampler: tpee, trials: 2}\n",
    )
    told = command("run", "experiments/x.yaml")
    assert told.returncode == 2
    assert "experiments/x.yaml:7: training.batchsize: unknown key; did you mean batch_size?" in told.stderr
    assert "experiments/x.yaml:8: study.sampler: unknown sampler 'tpee'; did you mean tpe?" in told.stderr
    assert re.search(r"net\.yaml:3: parameters\.depth: low must not exceed high, got 5 and 2", told.stderr)
    assert "Traceback" not in told.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["experiments", "search_spaces"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "none.yaml"], "none.yaml: no such file"),
        (["show", "none"], "no studies yet"),
        (["compare", "none"], "no studies yet"),
        (["train", "none.yaml"], "none.yaml: no such file"),
        (["ui", "none", "--port", "1"], "mlflow.db: no such file"),
    ],
)
def test_missing_files_and_studies_are_user_errors(command: Command, arguments: list[str], message: str) -> None:
    told = command(*arguments)
    assert told.returncode == 2, told.stderr
    assert message in told.stderr
    assert "Traceback" not in told.stderr


def test_run_prints_plain_progress_and_the_next_commands(command: Command, write: Write) -> None:
    file = write("e.yaml", json.dumps(tiny(study={"trials": 2, "pruner": "none"})))
    told = command("run", file)
    assert told.returncode == 0, told.stderr
    assert "\x1b" not in told.stdout + told.stderr
    assert len(re.findall(r"^\[\d/2\] trial", told.stdout, flags=re.MULTILINE)) == 2
    assert "Study store: sqlite:///" in told.stdout
    assert "hpo compare tiny" in told.stdout
    assert told.stderr == ""


def test_a_run_as_json_keeps_stdout_for_the_object_and_counts_time_from_its_command(
    write: Write, tmp_path: Path
) -> None:
    """A shell makes way for its last command, whose process is then older than the command."""
    file = write("e.yaml", json.dumps(tiny(study={"trials": 2, "pruner": "none"})))
    words = [sys.executable, "-m", "hpo", "run", str(file), "--json", "--trials", "1", "--name", "one"]
    began = time.monotonic()
    told = subprocess.run(
        ["sh", "-c", 'sleep 2; exec "$@"', "sh", *words], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    elapsed = time.monotonic() - began
    result = json.loads(told.stdout)
    assert (result["study"], result["ended"], sum(result["states"].values())) == ("one", "done", 1)
    assert result["best"]["test"]["accuracy"] <= 1
    assert 0.5 * (elapsed - 2) < result["seconds"] < elapsed - 2
    assert "[1/1] trial" in told.stderr


def test_list_show_and_compare_read_the_store(command: Command, finished: Path) -> None:
    home = ("--home", finished)
    (line,) = json.loads(command("list", "--json", *home).stdout)["studies"]
    assert (line["study"], line["dataset"], line["model"]) == ("tiny", "digits", "mlp")
    assert "tiny" in command("list", *home).stdout
    trials = json.loads(command("show", "tiny", "--json", *home).stdout)["trials"]
    scores = [trial["val_accuracy"] for trial in trials]
    assert scores == sorted(scores, reverse=True)
    shown = json.loads(command("show", "tiny", "0", "--json", *home).stdout)
    assert len(shown["curves"]["val_loss"]) == shown["epochs"]
    assert "Curves" in command("show", "tiny", "0", *home).stdout
    unknown = command("show", "tiny", "99", *home)
    assert (unknown.returncode, unknown.stderr.strip()) == (2, "study tiny has no trial 99; its trials are 0 to 5")


def test_an_empty_store_lists_nothing(command: Command) -> None:
    told = command("list")
    assert (told.returncode, told.stdout.strip()) == (0, "no studies yet; start one with hpo run EXPERIMENT")
    assert json.loads(command("list", "--json").stdout) == {"studies": []}


def test_compare_ranks_by_validation_and_writes_csv(command: Command, finished: Path, tmp_path: Path) -> None:
    rows = json.loads(command("compare", "tiny", "--json", "--home", finished).stdout)["trials"]
    assert [row["val_accuracy"] for row in rows] == sorted((row["val_accuracy"] for row in rows), reverse=True)
    assert command("compare", "tiny", "--csv", "t.csv", "--top", "3", "--home", finished).returncode == 0
    frame = pd.read_csv(tmp_path / "t.csv")
    assert list(frame["trial"]) == [row["trial"] for row in rows[:3]]
    assert list(frame.columns)[-3:] == ["test_accuracy", "test_loss", "failure"]


def test_export_train_and_model_come_back_to_the_same_score(command: Command, finished: Path, tmp_path: Path) -> None:
    told = command("export", "tiny", "--to", "best.yaml", "--model", "best.keras", "--home", finished)
    assert told.returncode == 0, told.stderr
    again = command("train", "best.yaml", "--json")
    assert again.returncode == 0, again.stderr
    result = json.loads(again.stdout)
    assert result["same_data"] is True
    for name, pair in result["scores"].items():
        assert pair["exported"] == pair["trained_again"], name
    code = (
        "import keras, sys, numpy as np; from sklearn.datasets import load_digits;"
        "m = keras.models.load_model(sys.argv[1]); d = load_digits();"
        "p = m.predict(d.images[..., None], verbose=0).argmax(1); print((p == d.target).mean())"
    )
    # The model takes the pixels as they came: its scaling is in it.
    told = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "best.keras")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert float(told.stdout) == pytest.approx(result["scores"]["test_accuracy"]["exported"], abs=0.1)


def test_the_model_of_another_trial_is_trained_again(command: Command, finished: Path, tmp_path: Path) -> None:
    ranked = json.loads(command("compare", "tiny", "--json", "--home", finished).stdout)["trials"]
    worst = ranked[-1]
    told = command("export", "tiny", "--trial", str(worst["trial"]), "--model", "w.keras", "--home", finished)
    assert told.returncode == 0, told.stderr
    assert f"trained again from its seed to {worst['val_accuracy']:.4f}" in told.stdout
    assert (tmp_path / "w.keras").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to export"),
        (["--to", "best.txt"], "best.txt: must end in .yaml"),
        (["--trial", "77", "--to", "b.yaml"], "has no trial 77"),
    ],
)
def test_export_says_what_is_wrong(command: Command, finished: Path, arguments: list[str], message: str) -> None:
    told = command("export", "tiny", *arguments, "--home", finished)
    assert told.returncode == 2
    assert message in told.stderr


def test_check_reports_the_extremes_and_writes_nothing(command: Command, tmp_path: Path) -> None:
    told = command("check", ROOT / "experiments" / "digits_mlp.yaml", "--json")
    assert told.returncode == 0, told.stderr
    checked = json.loads(told.stdout)
    # 64-32-10 and 64-512-512-512-512-10, by hand.
    assert checked["smallest"]["cost"]["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    assert checked["largest"]["cost"]["parameters"] == 64 * 512 + 512 + 3 * (512 * 512 + 512) + 512 * 10 + 10
    assert checked["largest"]["cost"]["memory"] > checked["smallest"]["cost"]["memory"] > 0
    assert 0 < checked["estimated_seconds"][0] <= checked["estimated_seconds"][1]
    assert list(tmp_path.iterdir()) == []


def test_too_many_failures_exit_with_3(command: Command, write: Write) -> None:
    write("broken_model.py", "def build(params, dataset):\n    raise RuntimeError('no luck')\n")
    space = {"model": "broken_model:build", "parameters": {"x": {"type": "float", "low": 0, "high": 1}}}
    file = write(
        "e.yaml", json.dumps(tiny(search_space=space, study={"trials": 9, "pruner": "none"}, engine={"workers": 1}))
    )
    told = command("run", file)
    assert told.returncode == 3
    assert "3 configurations in a row failed with the same error" in told.stderr
    assert "RuntimeError: no luck" in told.stderr
    assert "broken_model.py" in command("show", "tiny", "0").stdout
