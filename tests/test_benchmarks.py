"""The benchmarks' bookkeeping; what they measure takes minutes, and is in benchmarks/README.md."""

import json
import shutil
import subprocess
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from studies import INFO

from benchmarks import confirmed, gpu, gpu_parts, job, logging_rate, processes, rows, throughput
from benchmarks.peers.jobs import JOBS
from hpo import models
from hpo.data import load
from hpo.engines.gpus import Share
from hpo.plan.plan import load_plan
from hpo.study.failure import Failure
from hpo.study.record import TrialRecord, failed


def row(peer, t, score, trial=0, repeat=0):
    return {"peer": peer, "repeat": repeat, "trial": trial, "epoch": 1, "t": t, "val_accuracy": score, "samples": 500}


def used(*runs):
    return [{"peer": peer, "repeat": repeat, "cpu_seconds": 9.0, "peak_memory": 2**21} for peer, repeat in runs]


ROWS = [
    row("optuna", 30.0, 0.70),
    row("optuna", 99.0, 0.90, trial=1),
    row("hpo2", 10.0, 0.80),
    row("hpo2", 20.0, 0.91, trial=1),
    row("hpo2", 90.0, 0.85, trial=2),
    row("optuna", 101.0, 0.99, trial=2),
]


def test_the_table_of_a_repeat():
    optuna, hpo = rows.figures(ROWS, used(("optuna", 0), ("hpo2", 0)), 100).to_dict("records")
    assert (optuna["trials"], hpo["trials"]) == (2, 3)
    assert hpo["epochs/min"] == pytest.approx(3 * 0.6)
    assert hpo["samples/min"] == pytest.approx(1500 * 0.6)
    assert [hpo[f"best@{mark}s"] for mark in (20, 40, 100)] == [0.91, 0.91, 0.91]
    assert np.isnan(optuna["best@20s"])
    assert [optuna[f"best@{mark}s"] for mark in (40, 100)] == [0.70, 0.90]
    assert (hpo["cpu_s"], hpo["peak_MiB"]) == (9.0, 2.0)


def test_the_target_is_the_best_of_the_other_libraries_in_time():
    optuna, hpo = rows.figures(ROWS, used(("optuna", 0), ("hpo2", 0)), 100).to_dict("records")
    assert (optuna["reached"], hpo["reached"]) == (99.0, 20.0)


def test_a_run_without_an_epoch_keeps_its_line():
    table: Any = rows.figures(ROWS, used(("optuna", 0), ("ray", 0)), 100)
    assert table.set_index("peer").loc["ray", "trials"] == 0
    assert np.isnan(table.set_index("peer").loc["ray", "reached"])


def test_a_median_counts_a_target_not_reached_as_late():
    more = [row("optuna", 50.0, 0.9, repeat=1), row("hpo2", 50.0, 0.8, repeat=1)]
    runs = used(("optuna", 0), ("hpo2", 0), ("optuna", 1), ("hpo2", 1))
    middle: Any = rows.medians(rows.figures(ROWS + more, runs, 100))
    assert middle.loc["optuna", "reached"] == pytest.approx((99 + 50) / 2)
    assert np.isnan(middle.loc["hpo2", "reached"])
    assert list(middle.index) == ["optuna", "hpo2"]


def test_the_curves_of_the_plot_never_fall():
    assert rows.best_so_far(ROWS)["hpo2", 0] == ([10.0, 20.0, 90.0], [0.80, 0.91, 0.91])


def test_ratios_are_taken_within_a_repeat():
    rates = pd.DataFrame({"fit1": [1.0, 10.0, 2.0], "hpo2": [3.0, 20.0, 8.0]})
    (line,) = throughput.ratios(rates, [("hpo2", "fit1"), ("hpo2", "loop2")]).to_dict("records")
    assert line == {"ratio": "hpo2 / fit1", "median": 3.0, "least": 2.0, "largest": 4.0}


def test_the_lists_of_configurations_are_always_the_same():
    assert throughput.lists() == throughput.lists()
    standard = throughput.lists()["standard"]
    assert len(standard) == 8
    assert all(job.WIDTH[0] <= config["width"] <= job.WIDTH[1] for config in standard)


def test_all_peers_are_given_the_space_that_hpo_is_given():
    plan = load_plan(job.EXPERIMENT)
    ranges = {name: parameter.model_dump() for name, parameter in plan.space.parameters.items()}
    for name, bounds in {
        "depth": job.DEPTH, "width": job.WIDTH, "learning_rate": job.LEARNING_RATE, "dropout": job.DROPOUT,
    }.items():  # fmt: skip
        assert (ranges[name]["low"], ranges[name]["high"]) == bounds
    assert list(ranges["activation"]["choices"]) == job.ACTIVATIONS
    assert list(ranges["batch_size"]["choices"]) == job.BATCH_SIZES
    training = plan.experiment.training
    assert training.early_stopping is not None
    assert (training.epochs, training.early_stopping.patience) == (job.EPOCHS, job.PATIENCE)
    assert plan.experiment.dataset.validation.size == job.VALIDATION_SAMPLES


@pytest.mark.parametrize(("name", "inputs", "classes"), [("cnn", (28, 28, 1), 10), ("table", (20,), 4)])
def test_the_peers_build_what_hpo_builds(name, inputs, classes):
    given = JOBS[name]
    plan = load_plan(given.experiment)
    assert given.space.keys() == plan.space.parameters.keys()
    config = plan.space.defaults()
    info = replace(INFO, input_shape=inputs, classes=classes, outputs=classes)
    ours, theirs = models.build(plan.space.model, config, info).model, given.build(config)
    assert [weight.shape for weight in theirs.weights] == [weight.shape for weight in ours.weights]


@pytest.mark.skipif(not (job.data_folder() / "fashion-mnist").is_dir(), reason="needs Fashion-MNIST in HPO_DATA")
def test_all_peers_are_given_the_parts_that_hpo_is_given(monkeypatch):
    monkeypatch.setenv("HPO_DATA", str(job.data_folder()))
    plan = load_plan(job.EXPERIMENT)
    theirs, ours = job.load_data(), load(plan.experiment.dataset, plan.folders)
    for part, x, y in (
        (ours.training, theirs.x_train, theirs.y_train),
        (ours.validation, theirs.x_val, theirs.y_val),
        (ours.test, theirs.x_test, theirs.y_test),
    ):
        assert (np.sort(part.y) == np.sort(y)).all()
        assert np.allclose(ours.info.scaling.apply(part.x).sum(axis=(1, 2, 3)), x.sum(axis=(1, 2, 3)), rtol=1e-3)


@pytest.mark.parametrize("name", ["ten_seconds.yaml", "one_step.yaml", "table_mlp.yaml", "mnist_cnn.yaml"])
def test_the_other_experiments_are_sound(name):
    load_plan(job.EXPERIMENT.with_name(name))


def ended(pid, within=30.0):
    """Whether a process ends soon; one that nobody has waited for has ended too."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_a_command_is_stopped_at_its_deadline_with_all_that_it_started(tmp_path):
    pid = tmp_path / "pid"
    child = f"import os\nopen({str(pid)!r}, 'w').write(str(os.getpid()))\nwhile True: sum(range(10**5))"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    meters: list[Any] = []
    began = time.monotonic()
    usage = processes.observe([processes.python("-c", parent)], tmp_path / "log", 3.0, meters.append)
    assert time.monotonic() - began >= 3.0
    assert usage.cpu["other"] > 0.5
    assert usage.peak_memory > 2**20
    assert len(meters) >= 3
    assert ended(int(pid.read_text()))


def test_a_command_that_fails_before_its_deadline_says_why(tmp_path):
    with pytest.raises(RuntimeError, match=r"before its time:\n(?s:.*)ValueError: no such thing"):
        processes.observe([processes.python("-c", "raise ValueError('no such thing')")], tmp_path / "log", 30.0)


def test_the_table_of_confirmed_studies():
    study = {
        "dataset": "digits", "noise_floor": 0.01, "tied": 3, "single": 4, "chosen": 7, "best_mean": 4,
        "single_overstated": 0.02, "single_test": 0.90, "chosen_test": 0.91, "single_parameters": 100,
        "chosen_parameters": 50, "worker_seconds_searching": 80.0, "worker_seconds_confirming": 40.0,
    }  # fmt: skip
    same = {**study, "chosen": 4, "single_overstated": 0.0, "chosen_test": 0.90, "chosen_parameters": 100}
    (line,) = confirmed.figures([study, same]).to_dict("records")
    assert (line["studies"], line["another chosen"], line["another mean is best"]) == (2, "1 of 2", "0 of 2")
    assert line["single overstated by"] == "1.00 (0.00 to 2.00)"
    assert (line["test, chosen - single"], line["size, chosen / single"]) == ("+0.50", "0.75")
    assert line["cost, confirming / searching"] == "0.50"


@pytest.mark.parametrize("dataset", list(confirmed.DATASETS))
def test_the_experiments_of_confirmed_studies_are_sound(dataset):
    plan = load_plan(confirmed.experiment(dataset, seed=3, trials=40, workers=2))
    assert (plan.trials, plan.experiment.study.seed) == (40, 3)
    assert plan.experiment.dataset.limit == (10_000 if dataset == "fashion_mnist" else None)


def test_logging_a_tiny_trial_costs_little_and_a_resumed_study_next_to_nothing(tmp_path, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    uri, records = f"sqlite:///{tmp_path}/mlflow.db", logging_rate.trials(300, 3)
    live, resumed = (told(uri, tmp_path, records) for told in (logging_rate.live, logging_rate.resumed))
    assert live.cpu / 300 < 0.01, "by MLflow's client it takes 0.037"
    assert resumed.cpu / 300 < 0.003


def test_the_benchmark_of_gpus_runs_without_one_and_says_what_it_left_out(tmp_path):
    command = processes.python("-m", "benchmarks.gpu", "--cpu", "--json", tmp_path / "gpu.json")
    done = subprocess.run(
        command, cwd=job.ROOT, env=processes.environment(), capture_output=True, text=True, check=True
    )
    assert "no GPU is used: the sizes are tiny, and the figures say nothing" in done.stdout
    assert "memory: left out: without a GPU no trial runs out of a GPU's memory" in done.stdout
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert (found["gpus"], list(found["left_out"])) == ([], ["memory"])
    assert [(row["had"], row["had_mib"], row["ok"]) for row in found["assignment"]] == [("", [], True)] * 2
    assert [row["trials"] for row in found["fit"]] == ["mlp", "cnn"]
    assert [row["way"] for row in found["hpo"]] == ["hpo, 2 at a time"] * 2
    assert all(row["samples_a_minute"] > 0 for row in found["fit"] + found["hpo"])


def test_a_part_of_the_benchmark_of_gpus_that_fails_or_takes_too_long_says_so(tmp_path):
    rows, why = gpu.measured("fit", tmp_path, [], 60.0)
    assert (rows, str(why).splitlines()[0]) == ([], "its process failed:")
    assert gpu.measured("fit", tmp_path, [], 0.0) == ([], "the time was over")


def test_a_worker_that_has_another_gpu_than_it_should_is_found():
    share, had = Share("GPU-a", 5488, 24_000), {"visible": "GPU-a", "gpus": 1, "limits": [5488]}
    assert gpu_parts.compared(share, had)["ok"]
    others: list[dict[str, Any]] = [{"visible": "GPU-b"}, {"gpus": 0}, {"limits": []}, {"limits": [24_000]}]
    for other in others:
        assert not gpu_parts.compared(share, had | other)["ok"]
    assert gpu_parts.compared(Share("GPU-a,GPU-b"), {"visible": "GPU-a,GPU-b", "gpus": 2, "limits": []})["ok"]


def test_an_attempt_that_ends_otherwise_than_it_should_is_found():
    starved = failed(TrialRecord(0, "running", {"mib": 9}, 0, 0), Failure("out_of_memory", "OOM"))
    again = TrialRecord(1, "complete", {"mib": 9}, 0, 0, attempt=1, gpu_memory=9 * 2**20)
    for expected, ok in ((["out_of_memory", "complete"], True), (["complete"], False)):
        found = list(gpu_parts.attempts([again, starved], {9: expected}, 5))
        assert [(row["attempt"], row["end"], row["took_mib"], row["ok"]) for row in found] == [
            (1, "out_of_memory", None, ok), (2, "complete", 9, ok),
        ]  # fmt: skip
    assert [(row["end"], row["ok"]) for row in gpu_parts.attempts([], {9: ["complete"]}, 5)] == [
        ("was not begun", False)
    ]


def test_the_study_of_trials_without_memory_is_sound_and_its_model_keeps_what_it_takes(tmp_path):
    gpu.write_data(tmp_path, gpu.SMALL)
    plan = load_plan(gpu_parts.experiment(tmp_path, [1, 2]))
    assert plan.experiment.engine.gpus_per_trial == 0.25
    model = models.build(plan.space.model, {"mib": 3}, replace(INFO, input_shape=(28, 28, 1), classes=10), ()).model
    losses = [model.train_on_batch(np.ones((4, 28, 28, 1)), np.zeros(4))[0] for _ in range(2)]
    assert losses[1] < losses[0]
