"""Sigmoid heads after training: the report and `hpo predict` read classes where the model puts out one number, or one
for each class."""

import numpy as np
import pytest
from tiny import tiny

import hpo
from hpo.config.experiment import DatasetSpec
from hpo.data import load
from hpo.export.predict import predict
from hpo.report.predictions import predictions
from hpo.study.read import read_study

SPACE = {"model": "mlp", "parameters": {"depth": 1, "learning_rate": 0.02, "output_activation": "sigmoid"}}


@pytest.mark.parametrize(("data", "kind"), [("breast_cancer", "probability"), ("iris", "output")])
def test_predictions_have_the_accuracy_that_was_measured(tmp_path, data, kind):
    experiment = tiny(dataset=data, search_space=SPACE, training={"epochs": 8}, study={"trials": 1}, engine="serial")
    hpo.run(experiment, home=tmp_path)
    view = read_study(f"sqlite:///{tmp_path}/optuna.db", "tiny")
    (trial,) = view.trials
    found = predictions(view, [trial])
    assert found.accuracy == pytest.approx(trial.value, abs=1e-6)
    assert found.accuracy > 0.8
    assert all(row.recall > 0 for row in found.classes)
    dataset = load(DatasetSpec(name=data), [])
    np.save(tmp_path / "x.npy", dataset.test.x)
    table = predict(trial.model_file, tmp_path / "x.npy").table
    names = dataset.info.class_names
    assert list(table) == ["class", *(f"{kind}_{name}" for name in names)]
    right = table["class"] == np.array(names)[dataset.test.y]
    assert right.mean() == pytest.approx(trial.test["accuracy"], abs=1e-6)
