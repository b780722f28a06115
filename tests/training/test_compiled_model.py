"""A model that comes compiled: what can be set of training is set, the rest is refused at its line."""

import textwrap

import keras
import pytest
from tiny import tiny

import hpo
from hpo.cli.preview.check import check
from hpo.config.experiment import TrainingSpec
from hpo.errors import FileMistakes
from hpo.models import Built, NotApplied
from hpo.models.read_params import ReadParams
from hpo.study.read import read_study
from hpo.training.compiled_model import adopt_training

SCRIPT = """
    import keras
    def compiled(params, dataset):
        layers = keras.layers
        model = keras.Sequential([
            keras.Input(dataset.input_shape), layers.Flatten(), layers.Dense(dataset.classes, activation="softmax"),
        ])
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
    def reads(params, dataset):
        model = compiled(params, dataset)
        model.compile(params["optimizer"], "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
OWN = """
    import keras
    def build(params, dataset):
        model = keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1e-6), "mse", metrics=["mae"])
        return model
"""
FILE = """
name: compiled
dataset: iris
search_space:
  model: compiled_models:compiled
  parameters:
    learning_rate: {type: categorical, choices: [0.000001, 0.1]}
    optimizer: {type: categorical, choices: [adam, sgd]}
objective: val_accuracy
training:
  epochs: 1
  label_smoothing: 0.1
engine: serial
study: {trials: 2, sampler: grid, pruner: none}
"""


def model(optimizer="adam", **options):
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    made.compile(optimizer, **{"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **options})
    return made


def adopt(made, reads=(), **training):
    return adopt_training(Built(made, reads=frozenset(reads)), TrainingSpec.model_validate(training))


def test_what_an_optimizer_takes_is_set():
    made = model("sgd")
    asked = {"learning_rate": 0.25, "momentum": 0.5, "nesterov": True, "weight_decay": 0.125, "clipnorm": 2.0}
    assert adopt(made, **asked) == asked
    optimizer = made.optimizer
    assert float(optimizer.learning_rate) == 0.25
    assert (optimizer.momentum, optimizer.nesterov, optimizer.weight_decay, optimizer.clipnorm) == (0.5, True, 0.125, 2)
    inner = keras.optimizers.Adam()
    assert adopt(model(keras.optimizers.LossScaleOptimizer(inner)), beta_1=0.5) == {"beta_1": 0.5}
    assert inner.beta_1 == 0.5


def test_what_the_code_of_a_model_reads_is_its_own_concern():
    made = model("sgd")
    assert adopt(made, ["optimizer", "training.learning_rate"], optimizer="adam", learning_rate=0.5) == {}
    assert float(made.optimizer.learning_rate) != 0.5


@pytest.mark.parametrize(
    ("made", "training", "message"),
    [
        (model, {"optimizer": "sgd"}, "optimizer: sgd would have no effect, since the model comes compiled with Adam"),
        (lambda: model("sgd"), {"optimizer": "adam"}, "optimizer: adam would .* compiled with SGD"),
        (model, {"momentum": 0.5}, "momentum: 0.5 .* with Adam, which takes no momentum"),
        (model, {"loss": "categorical_hinge"}, "loss: .* with the loss sparse_categorical_crossentropy"),
        (model, {"label_smoothing": 0.1}, "label_smoothing: 0.1 .* with a loss that smooths by 0"),
        (model, {"metrics": ["cosine_similarity"]}, "metrics: cosine_similarity .* with the metrics accuracy"),
        (lambda: model(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9))), {"learning_rate": 0.5},
         "learning_rate: .* with a learning-rate schedule"),
        (lambda: model(keras.optimizers.SGD(clipvalue=1.0)), {"clipnorm": 0.5}, "clipnorm: .* with clipvalue, beside"),
    ],
)  # fmt: skip
def test_what_would_have_no_effect_is_refused(made, training, message):
    with pytest.raises(NotApplied, match=message):
        adopt(made(), **training)


def test_what_a_model_was_compiled_with_may_be_named():
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    made = model("sgd", loss=loss, metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
    named = {"optimizer": "SGD", "loss": "CategoricalCrossentropy", "label_smoothing": 0.1, "metrics": ["accuracy"]}
    assert adopt(made, **named) == {}
    assert adopt(model("sgd")) == {}


@pytest.mark.parametrize(
    "read",
    [
        lambda params: params["width"],
        lambda params: params.get("width"),
        lambda params: "width" in params,
        lambda params: dict(**params),
        dict,
        lambda params: params.items(),
        lambda params: params | {},
        lambda params: {**params},
    ],
)
def test_reading_is_noticed(read):
    params = ReadParams({"width": 4, "rate": 0.5})
    assert not params.read
    read(params)
    assert "width" in params.read


def test_all_is_refused_at_its_line_before_anything_is_created(tmp_path, monkeypatch):
    (tmp_path / "compiled_models.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "exp.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    for command in (hpo.run, check):
        with pytest.raises(FileMistakes) as refused:
            command("exp.yaml", home=tmp_path / "mlruns")
        assert {str(one).partition(" would have no effect")[0] for one in refused.value.mistakes} == {
            "exp.yaml:8: search_space.parameters.optimizer: sgd",
            "exp.yaml:12: training.label_smoothing: 0.1",
        }
        assert not (tmp_path / "mlruns").exists()
    reads = FILE.replace("compiled_models:compiled", "compiled_models:reads").replace("  label_smoothing: 0.1", "")
    (tmp_path / "exp.yaml").write_text(reads)
    ran = hpo.run("exp.yaml", home=tmp_path / "mlruns", overrides=["study.trials=4"])
    assert len({trial.params["optimizer"] for trial in ran.trials}) == 2
    for trial in ran.trials:
        assert trial.curves["learning_rate"] == pytest.approx([trial.params["learning_rate"]])


def test_the_record_says_what_the_compiled_model_has(tmp_path, monkeypatch):
    (tmp_path / "own_compile.py").write_text(textwrap.dedent(OWN))
    monkeypatch.syspath_prepend(tmp_path)
    experiment = tiny(
        dataset={"name": "diabetes", "limit": 60}, search_space={"model": "own_compile:build", "parameters": {"w": 2}},
        objective="val_mae", training={"epochs": 1}, study={"trials": 1}, engine="serial",
    )  # fmt: skip
    ran = hpo.run(experiment, home=tmp_path / "mlruns")
    (stored,) = read_study(ran.storage, ran.name).trials
    for resolved in (ran.trials[0].resolved, stored.resolved):
        assert (resolved.dataset["target_scaling"], resolved.training["optimizer"]) == ("none", "sgd")
        # Nor is there anything said of a table.
        assert "missing" not in resolved.dataset
