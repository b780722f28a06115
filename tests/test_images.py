"""A study of images from end to end: augmentation that is tuned, and extra tests that are scored beside the test."""

import re
from pathlib import Path

import pandas as pd
import pytest
from tiny import tiny

import hpo
from hpo.cli.check_output import print_check
from hpo.cli.preview.check import check
from hpo.compare.compare import read_studies, table
from hpo.errors import FileMistakes
from hpo.system.csv_files import write_csv
from hpo.text.console import console


def test_scores_of_extra_tests_are_logged_and_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import mlflow

    noise = {"type": "categorical", "choices": [0.0, 0.9], "sets": "dataset.augmentation.noise"}
    experiment = tiny(
        dataset={
            "name": "digits",
            "limit": 300,
            "augmentation": {"rotation": 0.02},
            "extra_tests": {"shifted": {"shift": [0, 3]}},
        },
        search_space={"model": "mlp", "parameters": {"depth": 1, "width": 16, "noise": noise}},
        training={"epochs": 6, "learning_rate": 0.02},
        study={"sampler": "grid", "pruner": "none"},
        engine={"workers": 1},
    )
    result = hpo.run(experiment, home=tmp_path)
    assert [trial.state for trial in result.trials] == ["complete"] * 2
    for trial in result.trials:
        assert set(trial.test) == {"loss", "accuracy", "shifted_loss", "shifted_accuracy"}
        assert trial.test["shifted_accuracy"] < trial.test["accuracy"]
    by_noise = {trial.params["noise"]: trial for trial in result.trials}
    assert by_noise[0.0].curves["accuracy"][-1] > by_noise[0.9].curves["accuracy"][-1]
    client = mlflow.MlflowClient(result.tracking_uri)
    (kind,) = client.search_experiments(filter_string="name = 'tiny'")
    logged = [run.data.metrics.get("test_shifted_accuracy") for run in client.search_runs([kind.experiment_id])]
    assert sorted(filter(None, logged)) == pytest.approx(sorted(t.test["shifted_accuracy"] for t in result.trials))
    write_csv(table(read_studies(["tiny"], tmp_path)), tmp_path / "trials.csv")
    assert sorted(pd.read_csv(tmp_path / "trials.csv")["test_shifted_accuracy"]) == pytest.approx(
        sorted(trial.test["shifted_accuracy"] for trial in result.trials)
    )
    print_check(console(), check(experiment))
    told = capsys.readouterr().out
    assert re.search(r"augmentation +rotation 0\.02, fill constant", told)
    assert re.search(r"test_shifted +the test part, shift \[0, 3\]", told)


def test_an_augmentation_of_a_table_is_a_mistake_before_training(tmp_path: Path) -> None:
    with pytest.raises(FileMistakes, match=r"dataset\.augmentation\.zoom: needs images.* iris have shape \(4,\)"):
        hpo.run(tiny(dataset={"name": "iris", "augmentation": {"zoom": 0.1}}, engine="serial"), home=tmp_path)
    assert list(tmp_path.iterdir()) == []
