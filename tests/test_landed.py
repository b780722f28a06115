"""A store that earlier code made: it opens, lists, shows, compares, resumes, confirms and exports."""

import json
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hpo
from hpo.cli.commands import app
from hpo.compare.compare import read_studies
from hpo.confirm.confirm import confirm
from hpo.plan.exported_file import read_exported

STORE = Path(__file__).parent / "data_files/landed/landed.tar.xz"


@pytest.fixture
def landed(tmp_path, monkeypatch):
    """The folder of the study `landed`: five trials on iris, confirmed with two finalists."""
    with tarfile.open(STORE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(*arguments):
    """What a command prints, in this process."""
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_study_of_earlier_code_is_read(landed):
    studies = json.loads(typed("list", "--json"))["studies"]
    assert [(one["study"], one["states"]) for one in studies] == [("landed", {"complete": 5})]
    assert json.loads(typed("show", "landed", "--json"))["states"] == {"complete": 5}
    trial = json.loads(typed("show", "landed", "3", "--json"))
    assert (trial["state"], trial["resolved"]) == ("complete", None)
    rows = json.loads(typed("compare", "landed", "--json"))
    assert len(rows["trials"]) == 5
    assert "Trained again over 2 seeds" in typed("report", "landed", "--format", "md")
    typed("export", "landed", "--to", landed / "best.yaml")
    assert read_exported(landed / "best.yaml").study == "landed"


def test_a_study_of_earlier_code_goes_on_and_is_confirmed_further(landed):
    (before,) = read_studies(["landed"], landed / "mlruns")
    ran = hpo.run("exp.yaml", overrides=["study.trials=6", "engine=serial"], home=landed / "mlruns")
    assert ran.trials[:5] == before.trials
    assert [trial.state for trial in ran.trials] == ["complete"] * 6
    confirmed = confirm("landed", 2, 3, home=landed / "mlruns", workers=1)
    assert confirmed.ended == "done"
    assert confirmed.trained >= 2
