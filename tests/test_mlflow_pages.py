"""A study in MLflow's own pages, as a real browser shows them."""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from browser import Browser, browser  # noqa: F401
from tiny import tiny

import hpo
from hpo.data import load
from hpo.engines.scripted import ScriptedEngine, Step
from hpo.experiment import DatasetSpec
from hpo.export.export import Targets, export
from hpo.training.messages import Failed, Job
from hpo.training.saved import write_info

SPACE = {
    "model": "mlp",
    "parameters": {
        "depth": {"type": "int", "low": 1, "high": 4},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
    },
}
TRIALS = 30
# Early enough that no pruner stops it first.
FAILS = 3
EXPERIMENT = tiny(
    name="many",
    search_space=SPACE,
    training={"epochs": 5},
    study={"trials": TRIALS, "sampler": "random", "pruner": "median", "seed": 1},
)


def script(job: Job) -> Iterator[Step]:
    """Curves that rise to a score that depends on the configuration; one trial diverges."""
    if job.save_to is not None:
        # All that the registry asks of a model's file: what it knows of its data.
        Path(job.save_to).parent.mkdir(parents=True, exist_ok=True)
        Path(job.save_to).unlink(missing_ok=True)
        write_info(Path(job.save_to), load(DatasetSpec(name="iris"), []).info)
    top = 0.97 - 0.1 * abs(job.params["depth"] - 2) - 3 * abs(job.params["learning_rate"] - 0.01)
    for epoch in range(1, 6):
        if job.trial == FAILS and epoch == 2:
            yield Failed(FAILS, "nonfinite", "loss is nan in epoch 2", "Traceback of it")
            return
        yield max(0.1, top * (1 - 0.5**epoch))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real pipeline and real stores; scripts in the place of training. The best model is registered."""
    home = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpo.jobs.make_engine", lambda *_: ScriptedEngine(script, 2))
        hpo.run(EXPERIMENT, home=home)
    assert len(list(export("many", Targets(register="flowers"), home=home))) == 2
    return home


@pytest.fixture(scope="module")
def runs(home: Path) -> dict[str, Any]:
    """The runs by their names."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    (experiment,) = client.search_experiments(filter_string="name = 'many'")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Any]:
    """`hpo ui many`: its link, and the address of the server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-u", "-m", "hpo", "ui", "many", "--home", str(home), "--port", port]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    link = process.stdout.readline().strip()
    yield SimpleNamespace(link=link, address=link.partition("/#/")[0])
    process.terminate()
    process.wait(60)
    process.stdout.close()


TEXT = "document.body.innerText"
EXPANDER = ".ag-row [col-id='attributes.`Run Name`'] button"


def has(browser: Browser, *wanted: str) -> str:  # noqa: F811
    """Waits until a page shows texts; returns all of its text."""
    end = time.monotonic() + 90
    while True:
        text = str(browser.run(f"return {TEXT}"))
        missing = [one for one in wanted if one not in text]
        if not missing:
            return text
        assert time.monotonic() < end, f"the page lacks {missing}: {text}"
        time.sleep(0.1)


def names(browser: Browser) -> list[str]:  # noqa: F811
    """The runs of the table, from above."""
    links = "[...document.querySelectorAll(\"a[href*='/runs/']\")].map(one => one.innerText.trim())"
    return [name for name in browser.run(f"return {links}") if name == "many" or name.startswith("trial-")]


def visit(browser: Browser, address: str) -> None:  # noqa: F811
    """Opens a page anew: within one, the pages keep what the one before had chosen."""
    browser.open("about:blank")
    browser.open(address)


def page(server: Any, run: Any, tab: str = "") -> str:
    return f"{server.address}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}{tab}"


def test_the_link_shows_charts_of_trials_best_first(browser: Browser, server: Any, runs: dict[str, Any]) -> None:  # noqa: F811
    browser.size(1600, 2400)
    visit(browser, server.link)
    has(browser, f"{TRIALS + 1} matching runs", "Sort: best_val_accuracy")
    best = sorted(
        (name for name in runs if "best_val_accuracy" in runs[name].data.metrics),
        key=lambda name: -runs[name].data.metrics["best_val_accuracy"],
    )
    shown = names(browser)
    # The study has the score of its best trial; the trial that failed after a good epoch has none.
    assert set(shown[:2]) == set(best[:2])
    assert "many" in shown[:2]
    scores = [runs[name].data.metrics["best_val_accuracy"] for name in shown[:10]]
    assert scores == [runs[name].data.metrics["best_val_accuracy"] for name in best[:10]]
    assert shown[-1] == f"trial-{FAILS:04}"
    # A line for each of several trials, from epoch 1 on; the best so far of the study in a chart of its own.
    text = has(browser, f"{best[2]} (val_accuracy)", f"{best[3]} (val_accuracy)", "many (best_so_far_val_accuracy)")
    for chart in ("best_epoch", "best_val_accuracy", "model_parameters", "test_loss", "learning_rate"):
        assert f"\n{chart}\n" in text


def test_the_best_so_far_never_goes_back(home: Path, runs: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home}/mlflow.db")
    curve = client.get_metric_history(runs["many"].info.run_id, "best_so_far_val_accuracy")
    assert [point.step for point in curve] == list(range(1, TRIALS + 1))
    assert [point.value for point in curve] == sorted(point.value for point in curve)
    assert runs["many"].data.metrics["best_val_accuracy"] == curve[-1].value
    assert all(runs["many"].info.start_time <= run.info.start_time for run in runs.values())


def test_children_stand_under_the_study(browser: Browser, server: Any) -> None:  # noqa: F811
    by_time = "?workflowType=machine_learning&orderByKey=attributes.start_time&orderByAsc=false"
    visit(browser, re.sub(r"\?.*", by_time, server.link))
    has(browser, f"{TRIALS + 1} matching runs", "Sort: Created")
    browser.until(f"return {TEXT}.includes('many') && !/trial-\\d{{4}}/.test({TEXT})")
    # The data's digest is short enough to be read.
    assert re.search(r"iris \([0-9a-f]{8}\)", has(browser, "iris ("))
    browser.driver.find_element("css selector", EXPANDER).click()
    browser.until(f"return /trial-\\d{{4}}/.test({TEXT})")
    assert names(browser)[0] == "many"


def test_trials_compared_in_parallel_coordinates(browser: Browser, server: Any, runs: dict[str, Any]) -> None:  # noqa: F811
    ids = [runs[f"trial-{number:04}"].info.run_id for number in range(6)]
    experiment = runs["many"].info.experiment_id
    query = f"runs={quote(json.dumps(ids))}&experiments={quote(json.dumps([experiment]))}"
    visit(browser, f"{server.address}/#/compare-runs?{query}")
    has(browser, "Comparing 6 Runs from 1 Experiment", "Parallel Coordinates Plot", "trial-0003")
    axes = "return [...document.querySelectorAll('.parcoords text, .axis-title, .parcoords .axis-title')]"
    browser.until(f"{axes}.some(one => one.textContent.includes('val_accuracy'))", seconds=40)
    shown = set(browser.run(f"{axes}.map(one => one.textContent)"))
    assert {"depth", "learning_rate", "optimizer"} <= shown


def test_pages_of_a_pruned_and_of_a_failed_trial(browser: Browser, server: Any, runs: dict[str, Any]) -> None:  # noqa: F811
    pruned = next(run for run in runs.values() if run.data.tags.get("hpo.state") == "pruned")
    visit(browser, page(server, pruned))
    text = has(browser, "About this run", "Killed", "pruned, val_accuracy", "hpo.ended_by", "Parent run")
    # The optimizer varies: the file's own would be that of no trial.
    assert "\noptimizer\n" in text
    assert "training.optimizer" not in text
    failed = runs[f"trial-{FAILS:04}"]
    visit(browser, page(server, failed))
    has(browser, "Failed", "failed (nonfinite)", "hpo.failure")
    visit(browser, page(server, failed, "/artifacts/error.txt"))
    has(browser, "loss is nan in epoch 2", "Traceback of it")


def test_artifacts_and_description_of_the_study(browser: Browser, server: Any, runs: dict[str, Any]) -> None:  # noqa: F811
    visit(browser, page(server, runs["many"]))
    has(browser, "val_accuracy, maximize. Trials:", "Best: trial", "Child runs", "hpo.data_digest")
    visit(browser, page(server, runs["many"], "/artifacts"))
    has(browser, "best.yaml", "experiment.yaml", "search_space.yaml")
    browser.driver.find_element("xpath", "//*[text()='best.yaml']").click()
    has(browser, "hpo train THIS_FILE", "parameters:")


def test_the_registered_model_leads_back_to_its_trial(browser: Browser, server: Any, runs: dict[str, Any]) -> None:  # noqa: F811
    best = runs[f"trial-{int(runs['many'].data.tags['hpo.best_trial']):04}"]
    visit(browser, f"{server.address}/#/models/flowers")
    has(browser, "Aliases", "Version 1", "hpo.study", "is the one to use")
    visit(browser, f"{server.address}/#/models/flowers/versions/1")
    text = has(browser, best.info.run_name, f"the best single run of {TRIALS}", "hpo predict models:/flowers@champion")
    assert "a probability for each of 3 classes: setosa, versicolor, virginica" in text
    assert "**" not in text
    for tag in ("champion", "hpo.trial", "hpo.data_digest", "hpo.version", "hpo.confirmed"):
        assert tag in text
    visit(browser, page(server, best))
    has(browser, "Registered models", "flowers")
