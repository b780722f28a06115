"""Scripts of pretrained networks: those of keras.applications, and training in phases, also of models of one's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from formatting import formatted
from script_runs import executed, losses_of_both

from hpo.data import load
from hpo.export.script import script_of
from hpo.loop.jobs import make_job
from hpo.plan.exported_file import Exported
from hpo.plan.plan import load_plan
from hpo.training.building import made_for
from hpo.training.phases import stages_of

# A network within the network, as some of keras.applications have, with a layer of statistics of its own.
OWN = """
import keras
from transfer_models import build


def nested(params, dataset):
    stem = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()])
    network = keras.Sequential([stem, keras.layers.Conv2D(4, 3, activation="relu")])
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(dataset.classes, "softmax")]
    return keras.Sequential([keras.Input((8, 8, 1)), network, *head])
"""
DIGITS = {"name": "digits", "limit": 100}
TINY = {"architecture": "MobileNet", "alpha": 0.25, "weights": "none", "image_size": 32}
PHASES: list[dict[str, Any]] = [{"train": "head", "epochs": 2}, {"unfreeze": 4, "learning_rate": 0.002, "epochs": 3}]
# One batch an epoch, whose order says nothing.
TRAINING = {"phases": PHASES, "batch_size": 1000, "learning_rate": 0.01}


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exported]:
    (tmp_path / "own_networks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)

    def make(training: dict[str, Any], model: str = "own_networks:build", **more: Any) -> Exported:
        data, scores, parameters = more.pop("data", DIGITS), more.pop("scores", {}), {"dropout": 0.0, **more}
        space = {"model": model, "parameters": parameters}
        plan = load_plan(
            {"name": "s", "dataset": data, "search_space": space, "objective": "val_loss", "training": training}
        )
        scores = {"val_loss": 1.0, "epochs": 4, "best_epoch": 4, "test": {}, **scores}
        return Exported("s", 3, plan, parameters, 7, scores["epochs"], scores, "0" * 32)

    return make


TRAINED: dict[str, tuple[dict[str, Any], int]] = {
    "cosine": ({"early_stopping": False, "schedule": {"name": "cosine", "warmup_epochs": 1}}, 5),
    # The first epoch of all sets what to beat, and the second phase has begun when patience ends.
    "stopping": ({"early_stopping": {"patience": 2, "min_delta": 100.0}}, 3),
    "plateau": ({"reduce_on_plateau": {"patience": 1, "min_delta": 100.0}, "learning_rate": 0.3}, 5),
}


@pytest.mark.parametrize("name", TRAINED)
def test_a_script_trains_in_the_phases_of_the_trial(
    exported: Callable[..., Exported], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    more, epochs = TRAINED[name]
    assert len(losses_of_both(exported({**TRAINING, **more}), tmp_path, capsys)) == epochs


def test_a_script_of_a_network_of_keras_reaches_what_the_trial_reached(
    exported: Callable[..., Exported], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    losses_of_both(exported(TRAINING, "application", **TINY), tmp_path, capsys)


@pytest.mark.parametrize("model", ["application", "own_networks:build", "own_networks:nested"])
def test_the_models_weights_are_those_of_the_trial_and_the_same_train(
    exported: Callable[..., Exported], tmp_path: Path, model: str
) -> None:
    phases = [*PHASES, {"unfreeze": "all", "epochs": 1}]
    given = {**TINY, "depth": 1, "width": 8} if model == "application" else {}
    file = exported({"phases": phases}, model, **given)
    text = script_of(file)
    formatted(text, tmp_path)
    assert ("def layers_of(" in text) == (model == "own_networks:nested")
    script = executed(text)
    keras.utils.set_random_seed(7)
    theirs, network = script["build_model"]()
    job = make_job(file.plan, file.parameters, file.seed, lambda _: tmp_path)
    made = made_for(job, load(file.plan.experiment.dataset, file.plan.folders))
    for mine, other in zip(made.model.get_weights(), theirs.get_weights(), strict=True):
        assert np.array_equal(mine, other)
    trained = []
    for stage, (epochs, last, rate) in zip(stages_of(job), script["PHASES"], strict=True):
        stage.begin(made)
        script["freeze"](network, last)
        kinds = [[one.shape for one in each.trainable_weights] for each in (made.model, theirs)]
        assert kinds[0] == kinds[1]
        trained.append((epochs, last, rate, len(kinds[0])))
    assert [one[:3] for one in trained] == [(2, 0, 0.001), (3, 4, 0.002), (1, "all", 0.001)]
    counts = [one[3] for one in trained]
    assert counts[0] < counts[-1]


def test_a_network_without_phases(exported: Callable[..., Exported], tmp_path: Path) -> None:
    keras.applications.MobileNet((32, 32, 3), alpha=0.25, include_top=False, weights=None).save_weights("a.weights.h5")
    for unfreeze in (0, 30, "all"):
        given = {**TINY, "weights": "a.weights.h5", "unfreeze": unfreeze}
        file = exported({"epochs": 1}, "application", **given)
        text = script_of(file)
        formatted(text, tmp_path)
        assert f'weights="{tmp_path}/a.weights.h5"' in text
        assert ("def freeze(" in text) == (unfreeze != 0)
        model = executed(text)["build_model"]()
        job = make_job(file.plan, file.parameters, file.seed, lambda _: tmp_path)
        made = made_for(job, load(file.plan.experiment.dataset, file.plan.folders)).model
        assert [one.shape for one in model.trainable_weights] == [one.shape for one in made.trainable_weights]
        x = np.random.default_rng(0).random((2, 8, 8, 1))
        # The heads are drawn from different seeds.
        model.layers[-1].set_weights(made.layers[-1].get_weights())
        np.testing.assert_allclose(model.predict(x, verbose=0), made.predict(x, verbose=0), atol=1e-5)
    # All of random weights trains as Keras makes it.
    assert ".trainable" not in script_of(exported({"epochs": 1}, "application", **TINY))


def test_a_trial_that_was_stopped_trains_the_phases_until_then(exported: Callable[..., Exported]) -> None:
    phases = [*PHASES, {"unfreeze": "all", "epochs": 5}]
    text = script_of(exported({"phases": phases, "schedule": "cosine"}, scores={"ended_by": "pruner"}))
    assert "\nEPOCHS = 4\n" in text
    assert "PHASES = [(2, 0, 0.001), (3, 4, 0.002)]" in text
    assert "epochs=min(end, EPOCHS)" in text
    # A phase's schedule is that of all its epochs.
    assert "CosineDecay(rate, decay_steps=epochs * steps)" in text


def test_targets_that_are_scaled(exported: Callable[..., Exported], tmp_path: Path) -> None:
    (tmp_path / "own_data.py").write_text(
        "import numpy as np\n\n\ndef sums():\n    x = np.random.default_rng(0).integers(0, 256, (90, 32, 32, 1))\n"
        "    x = x.astype('uint8')\n    y = x.mean((1, 2, 3)) * 9.0\n    return (x[:60], y[:60]), (x[60:], y[60:])\n"
    )
    given = {**TINY, "data": {"function": "own_data:sums"}}
    text = script_of(exported({"phases": PHASES}, "application", **given))
    formatted(text, tmp_path)
    model, network = executed(text)["build_model"]()
    assert isinstance(model.layers[-1], keras.layers.Rescaling)
    assert network in model.layers[0].layers
