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
from hpo.config.experiment import DatasetSpec
from hpo.confirm.confirm import confirm
from hpo.data import load
from hpo.engines.scripted import ScriptedEngine, Step
from hpo.export.export import Targets, export
from hpo.training.messages import Failed, Job
from hpo.training.model_data import write_info

SPACE = {
    "model": "mlp",
    "parameters": {
        "activation": "relu",
        "depth": {"type": "int", "low": 1, "high": 4},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "optimizer": {"type": "categorical", "choices": ["adam", "sgd"]},
        "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    },
}
TRIALS = 30
FINALISTS, SEEDS = 3, 2
RUNS = 1 + TRIALS + FINALISTS * SEEDS
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


def again(job: Job) -> list[Step]:
    """A finalist over another seed: better than any trial."""
    return [0.5, 0.98 + 0.001 * (job.seed % 7)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real pipeline and real stores; scripts in the place of training. The best model is registered, then the study
    confirmed."""
    home = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpo.loop.jobs.make_engine", lambda *_: ScriptedEngine(script, 2))
        hpo.run(EXPERIMENT, home=home)
        assert len(list(export("many", Targets(register="flowers"), home=home))) == 2
        patch.setattr("hpo.loop.jobs.make_engine", lambda *_: ScriptedEngine(again, 2))
        confirm("many", FINALISTS, SEEDS, home=home)
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
    confirmation = process.stdout.readline().strip().removeprefix("its confirmation: ")
    yield SimpleNamespace(link=link, confirmation=confirmation, address=link.partition("/#/")[0])
    process.terminate()
    process.wait(60)
    process.stdout.close()


TEXT = "document.body.innerText"
EXPANDER = ".ag-row [col-id='attributes.`Run Name`'] button"


def has(browser: Browser, *wanted: str) -> str:  # noqa: F811
    """Waits until a page shows texts; returns all of its text."""
    end = time.monotonic() + 180
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
    return [
        name for name in browser.run(f"return {links}") if name == "many" or name.startswith(("trial-", "confirm-"))
    ]


def visit(browser: Browser, address: str) -> None:  # noqa: F811
    """Opens a page anew: within one, the pages keep what the one before had chosen."""
    browser.open("about:blank")
    browser.open(address)


def page(server: Any, run: Any, tab: str = "") -> str:
    return f"{server.address}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}{tab}"


AXES = "[...document.querySelectorAll('.parcoords .dimension:not([style*=none]) .label')].map(one => one.textContent)"
HEADINGS = "[...document.querySelectorAll('.ag-header-cell')].map(one => one.innerText.trim()).filter(Boolean)"


def test_the_link_opens_on_the_trials(browser: Browser, server: Any, runs: dict[str, Any], home: Path) -> None:  # noqa: F811
    browser.size(1400, 2400)
    visit(browser, server.link)
    text = has(browser, f"{TRIALS} matching runs", "Sort: best_val_accuracy", "Trials of many", "Parallel Coordinates")
    assert "Something went wrong" not in text
    scores = {
        name: run.data.metrics["best_val_accuracy"]
        for name, run in runs.items()
        if name.startswith("trial-") and "best_val_accuracy" in run.data.metrics
    }
    found = names(browser)
    assert {name for name in found if not name.startswith("trial-")} == set()
    assert [scores[name] for name in found[:10]] == sorted(scores.values(), reverse=True)[:10]
    # What all trials have, and what is not the same in all of them; the objective colours the lines.
    browser.until(f"return {AXES}.length")
    assert browser.run(f"return {AXES}") == ["depth", "learning_rate", "optimizer", "best_val_accuracy"]
    # The curves of the best in a chart, and their losses; the charts of all other metrics are a click away.
    best = max(scores, key=scores.__getitem__)
    text = has(browser, f"{best} (val_accuracy)", "Parameters and val_accuracy", "The best of them", "Model metrics")
    assert "\nbest_epoch\n" not in text


def test_the_link_has_a_table_of_what_varies(browser: Browser, server: Any) -> None:  # noqa: F811
    browser.size(1800, 1400)
    visit(browser, server.link.replace("=CHART", "=TABLE"))
    has(browser, f"{TRIALS} matching runs")
    varied = ["depth", "learning_rate", "optimizer", "momentum"]
    browser.until(f"return {HEADINGS}.includes('momentum')")
    shown = browser.run(f"return {HEADINGS}")
    first = shown.index("best_val_accuracy")
    assert shown[first : first + 5] == ["best_val_accuracy", *varied]
    assert not {"activation", "seed", "model", "loss"} & set(shown)


def test_the_second_link_opens_on_the_confirmation(browser: Browser, server: Any, runs: dict[str, Any]) -> None:  # noqa: F811
    browser.size(1400, 1400)
    visit(browser, server.confirmation)
    finalists = {run.data.tags["hpo.trial"] for name, run in runs.items() if name.startswith("confirm-")}
    assert len(finalists) == FINALISTS
    text = has(
        browser, f"{FINALISTS * SEEDS} matching runs", "Confirmation of many", *(f"Group: {n}" for n in finalists)
    )
    assert "Something went wrong" not in text
    found = names(browser)
    assert len(found) == FINALISTS * SEEDS
    assert all(name.startswith("confirm-") for name in found)
    # Those of a finalist stand together.
    order = [name.split("-seed-")[0] for name in found]
    assert len(list(dict.fromkeys(order))) == sum(1 for n, name in enumerate(order) if n == 0 or order[n - 1] != name)


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
    has(browser, f"{RUNS} matching runs", "Sort: Created")
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
    browser.until(f"{axes}.some(one => one.textContent.includes('val_accuracy'))")
    shown = set(browser.run(f"{axes}.map(one => one.textContent)"))
    # The page chooses some of the parameters that differ.
    assert {"depth", "learning_rate"} <= shown


def test_pages_of_a_pruned_and_of_a_failed_trial(browser: Browser, server: Any, runs: dict[str, Any]) -> None:  # noqa: F811
    pruned = next(run for run in runs.values() if run.data.tags.get("hpo.state") == "pruned")
    visit(browser, page(server, pruned))
    text = has(browser, "About this run", "Killed", "pruned, val_accuracy", "hpo.ended_by", "Parent run")
    # The optimizer varies: the file's own would be that of no trial.
    assert "\noptimizer\n" in text
    own = pruned.data.params["optimizer"]
    assert pruned.data.params.get("training.optimizer", own) == own
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
