"""The report of a study that was really trained: its best model's predictions, and the page within MLflow's UI."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from processes import free_port

from hpo.report.page import Reported, report
from hpo.report.predictions import predictions
from hpo.study.read import read_study
from hpo.tracking.lookup import study_run


@pytest.fixture(scope="module")
def home(finished) -> Path:
    """The home of the study; the page is added to its run in MLflow, all else is only read."""
    return finished


@pytest.fixture(scope="module")
def made(home, tmp_path_factory) -> Reported:
    return report(["tiny"], tmp_path_factory.mktemp("page") / "report.html", home=home)


@pytest.fixture(scope="module")
def view(home):
    return read_study(f"sqlite:///{home}/optuna.db", "tiny")


def test_the_best_models_predictions_agree_with_its_score(view):
    best = max(view.trials, key=lambda trial: trial.value)
    found: Any = predictions(view, [best])
    assert found.trial == best.number
    assert found.accuracy == pytest.approx(best.value, abs=1e-6)
    assert sum(row.samples for row in found.classes) == found.samples == 64
    assert found.mistakes == round((1 - best.value) * 64)
    assert len(found.wrong) == min(24, found.mistakes)
    assert all(picture.true != picture.predicted for picture in found.wrong)
    assert all(picture.true == picture.predicted for picture in found.right)
    sure = [float(picture.sure.rstrip("%")) for picture in found.wrong]
    assert sure == sorted(sure, reverse=True)


def test_the_report_names_missing_parts(view):
    gone = [replace(trial, model_file="/nowhere/model.keras") for trial in view.trials]
    assert predictions(view, gone).reason == "The best model was not saved, or its file is gone."
    changed = replace(view, identity={**view.identity, "dataset": {**view.identity["dataset"], "digest": "0"}})
    assert predictions(changed, view.trials).reason.startswith("The data have changed since the study was run")
    best = [trial for trial in view.trials if trial.model_file]
    lost = replace(view, experiment={**view.experiment, "dataset": {"path": "nowhere.npz"}})
    assert re.search(r"cannot be shown: .*nowhere\.npz", predictions(lost, best).reason)


def test_the_report_names_a_broken_model_file(view, tmp_path):
    broken = tmp_path / "model.keras"
    broken.write_bytes(b"")
    best = replace(view.trials[0], model_file=str(broken))
    assert re.search(r"cannot be shown: .*model\.keras", predictions(view, [best]).reason)


def test_the_page_is_logged_once_with_the_studys_run(home, made):
    assert made.logged == f"logged to sqlite:///{home}/mlflow.db as report.html of the study's run"
    client, run = study_run(f"sqlite:///{home}/mlflow.db", "tiny")
    assert [one.path for one in client.list_artifacts(run.info.run_id) if "report" in one.path] == ["report.html"]
    again = report(["tiny"], None, home=home)
    (page,) = (one for one in client.list_artifacts(run.info.run_id) if "report" in one.path)
    assert page.file_size == len(again.text.encode())


@pytest.fixture(scope="module")
def server(home) -> Iterator[str]:
    """The address of `hpo ui`."""
    code = "import sys; from pathlib import Path; from hpo.tracking import ui; "
    code += "ui.serve(Path(sys.argv[1]), port=int(sys.argv[2]), say=lambda s: print(s, flush=True))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(home), str(free_port())],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    yield process.stdout.readline().partition("/#/")[0]
    process.terminate()
    process.wait(20)
    process.stdout.close()


def test_mlflows_ui_shows_the_page_with_its_figures_and_pictures(home, made, server, browser: Browser):
    _, run = study_run(f"sqlite:///{home}/mlflow.db", "tiny")
    browser.size(1280)
    browser.open(f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/artifacts/report.html")
    browser.until("return document.querySelector('iframe.mlflow-html-iframe')")
    browser.driver.switch_to.frame(browser.driver.find_element("css selector", "iframe.mlflow-html-iframe"))
    browser.until("return document.querySelector('.plot')")
    browser.run("document.querySelector('.plot').scrollIntoView()")
    browser.until("return document.querySelector('.plot .main-svg .trace')")
    browser.until("return [...document.querySelectorAll('.pictures img')].every(image => image.complete)")
    pictures = "return [...document.querySelectorAll('.pictures img')].map(image => image.naturalWidth)"
    assert set(browser.run(pictures)) == {8}
    browser.driver.switch_to.default_content()
    assert [url for url in browser.requests() if not url.startswith(server)] == []


def test_a_page_leads_to_the_runs_on_a_server_and_has_no_password(home, server, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token-0f-the-server")
    uri = server.replace("//", "//anna:s3cret-pa55word@")
    text = report(["tiny"], None, log=False, home=home, tracking_uri=f"{uri}/").text
    client, run = study_run(f"sqlite:///{home}/mlflow.db", "tiny")
    runs = client.search_runs([run.info.experiment_id], "tags.`hpo.role` = 'trial'")
    page = f'href="{server}/#/experiments/{run.info.experiment_id}/runs'
    assert f'{page}/{run.info.run_id}"' in text
    linked = dict(re.findall(rf'{re.escape(page)}/(\w+)"[^>]*>(\d+)</a>', text))
    assert linked == {one.info.run_id: one.data.tags["hpo.trial"] for one in runs}
    assert not re.search("anna|s3cret|token-0f", text)


def test_a_store_without_a_server_is_shown_by_a_command(home, made):
    assert f'<code class="command">hpo ui tiny --home {home}</code>' in made.text
    assert not re.search("The study in MLflow|<td[^>]*><a ", made.text)


def test_the_command_writes_the_page_and_says_what_it_did(home, command, tmp_path):
    done = command("report", "tiny", "--home", home, "--no-log", "-o", "r.md", "--json")
    assert done.returncode == 0, done.stderr
    assert '"file": "r.md", "format": "md", "mlflow": null' in done.stdout
    assert (tmp_path / "r.md").read_text().startswith("## tiny")
    wrong = command("report", "tinny", "--home", home)
    assert (wrong.returncode, "Traceback" in wrong.stderr) == (2, False)
    assert "did you mean tiny?" in wrong.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["r.md"]
