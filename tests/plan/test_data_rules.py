"""What does not suit the data is refused at its line."""

import numpy as np
import pytest

from hpo.errors import FileMistakes
from hpo.loop.jobs import check_space, variants_of
from hpo.plan.plan import load_plan

TABLE = "a,b,kind\n" + "".join(
    f"{a:.3f},{b:.3f},{'spam' if a > b else 'ham'}\n" for a, b in np.random.default_rng(0).random((40, 2))
)
EXPERIMENT = """\
name: rules
dataset: {path: table.csv, target: TARGET}
search_space:
  model: mlp
  parameters:
    PARAMETER
objective: val_loss
training:
  TRAINING
"""


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """What an experiment on a small table is refused for, line by line; nothing where it is not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.csv").write_text(TABLE)

    def of(training="epochs: 1", parameter="depth: 1", target="kind", objective="val_loss", table="table.csv"):
        text = EXPERIMENT.replace("TARGET", target).replace("PARAMETER", parameter).replace("TRAINING", training)
        text = text.replace("val_loss", objective).replace("table.csv", table)
        (tmp_path / "exp.yaml").write_text(text)
        plan = load_plan("exp.yaml")
        try:
            check_space(plan, variants_of(plan))
        except FileMistakes as error:
            return [str(mistake) for mistake in error.mistakes]
        return []

    return of


def test_classes_that_the_data_lack(refused):
    assert refused("class_weight: {ham: 2, 1: 3}") == []
    assert refused("class_weight: {eggs: 2}") == [
        "exp.yaml:9: training.class_weight.eggs: there is no class eggs; valid: ham, spam"
    ]
    assert refused("class_weight: balanced", target="a") == [
        "exp.yaml:9: training.class_weight: only classification has classes, and the task is regression"
    ]
    choices = "class_weight: {type: categorical, choices: [null, balanced, {spam: 3}, {spem: 2}]}"
    assert refused(parameter=choices) == [
        "exp.yaml:6: search_space.parameters.class_weight.choices[3].spem: there is no class spem; did you mean spam?"
    ]
    one = "weight: {type: float, low: 1, high: 9, sets: class_weight.SPAM}"
    assert refused(parameter=one.replace("SPAM", "spam")) == []
    assert refused(parameter=one.replace("SPAM", "7")) == [
        "exp.yaml:6: search_space.parameters.weight: there is no class 7; valid: ham, spam"
    ]


def test_metrics_that_the_task_has_not(refused):
    every = "metrics: [auc, {name: recall, threshold: 0.3}, balanced_accuracy]"
    assert refused(every, objective="val_balanced_accuracy") == []
    assert refused(every, target="a") == [
        f"exp.yaml:9: training.metrics[{index}]: only classification has {name}, and the task is regression"
        for index, name in enumerate(["auc", "recall", "balanced_accuracy"])
    ]
    assert refused("metrics: [r2, rmse]", target="a", objective="val_r2") == []
    assert refused("metrics: [r2]") == [
        "exp.yaml:9: training.metrics[0]: only regression has r2, and the task is classification"
    ]


def test_what_needs_two_classes_or_all_of_them(refused, tmp_path):
    rows = "".join(f"{number},{number % 3},{'abc'[number % 3]}\n" for number in range(30))
    (tmp_path / "three.csv").write_text(f"a,b,kind\n{rows}")
    three = {"table": "three.csv", "target": "kind, validation: 2, stratify: false"}
    assert refused("metrics: [{name: f1_score, average: binary}]", **three) == [
        "exp.yaml:9: training.metrics[0]: f1_score: average binary needs two classes, and the data have 3"
    ]
    (undefined,) = refused("metrics: [auc, pr_auc]", objective="val_auc", **three)
    assert undefined.startswith("exp.yaml:7: objective: val_auc is not defined, since the validation part has no")
    assert refused("metrics: [auc, pr_auc]", objective="val_pr_auc", **three) == []


def test_metrics_of_other_labels_than_the_loss_takes(refused):
    every = "metrics: [categorical_accuracy, SparseTopKCategoricalAccuracy]"
    numbers = "takes one-hot labels, and the loss takes class numbers; sparse_categorical_accuracy is the same figure"
    assert refused(every) == [f"exp.yaml:9: training.metrics[0]: categorical_accuracy {numbers}"]
    (one_hot,) = refused(f"{every}\n  loss: categorical_crossentropy")
    assert "SparseTopKCategoricalAccuracy takes class numbers, and the loss takes one-hot labels" in one_hot
    every_number = "metrics: [mse, KLDivergence, true_positives, accuracy, crossentropy, auc, 'own:f']"
    compared = refused(every_number)
    assert [line.split(" compares ")[0] for line in compared] == [
        f"exp.yaml:9: training.metrics[{index}]: {name}"
        for index, name in enumerate(["mse", "KLDivergence", "true_positives"])
    ]
    assert refused(f"{every_number}\n  loss: categorical_crossentropy") == []
    # Labels are smoothed as one-hot rows. Of a loss that varies nothing is known.
    assert len(refused(f"{every}\n  label_smoothing: 0.1")) == 1
    loss = "{type: categorical, choices: [categorical_crossentropy, kl_divergence]}"
    assert refused(every, parameter=f"loss: {loss}") == []


def test_a_loss_with_options_is_known_by_its_name(refused):
    metrics = "metrics: [sparse_categorical_accuracy]"
    for loss in ("{name: categorical_focal_crossentropy, gamma: 2.0}", '"own:loss"', "{kind: mse}"):
        assert refused(f"{{loss: {loss}, {metrics}}}".replace("\n", "")) == [], loss
    assert refused(f"{{loss: {{name: categorical_crossentropy, axis: -1}}, {metrics}}}") == [
        "exp.yaml:9: training.metrics[0]: sparse_categorical_accuracy takes class numbers, and the loss takes one-hot "
        "labels; categorical_accuracy is the same figure"
    ]


def test_metrics_that_need_an_option(refused):
    one_hot = "\n  loss: categorical_crossentropy"
    (of_each_class,) = refused(f"metrics: [f_beta_score]{one_hot}")
    assert of_each_class.endswith("{name: f_beta_score, average: macro} is their mean")
    assert refused(f"metrics: [{{name: f_beta_score, average: macro}}]{one_hot}") == []
    number = {"target": "a", "objective": "val_mae"}
    (within,) = refused("metrics: [PearsonCorrelation]", **number)
    assert "{name: PearsonCorrelation, axis: 0} is taken over the samples of each batch" in within
    assert refused("metrics: [{name: PearsonCorrelation, axis: 0}]", **number) == []
