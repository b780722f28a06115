"""Exported scripts: laid out as formatters do, fed as in training, and run where there is no hpo."""

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from formatting import formatted

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load
from hpo.data.dataset import PartName
from hpo.export.script import script_of
from hpo.export.script.tolerance import tolerance
from hpo.plan.exported_file import Confirmed, Exported
from hpo.plan.plan import load_plan
from hpo.study.confirmation import Estimate

OWN = """
import keras
import keras_tuner
import numpy as np
import tensorflow as tf

RNG = np.random.default_rng(0)
X, Y = RNG.random((120, 6)), RNG.integers(0, 3, 120)


def pair():
    return (X[:80], Y[:80]), (X[80:], Y[80:])


def mapping():
    named = np.array(["ant", "bee", "cat"])[Y]
    parts = {"train": slice(0, 60), "validation": slice(60, 90), "test": slice(90, 120)}
    return {name: (X[rows], named[rows]) for name, rows in parts.items()}


def pipelines():
    def part(rows):
        return tf.data.Dataset.from_tensor_slices((X[rows], Y[rows]))

    return {"train": part(slice(0, 60)), "validation": part(slice(60, 90)).batch(10), "test": part(slice(90, 120))}


def build(params, dataset):
    layers = [keras.Input(dataset.input_shape), keras.layers.Dense(params["units"], "relu")]
    return keras.Sequential([*layers, keras.layers.Dense(dataset.outputs, "softmax")])


class Tuned(keras_tuner.HyperModel):
    def __init__(self, input_shape):
        super().__init__()
        self.shape = input_shape

    def build(self, hp):
        model = keras.Sequential([keras.Input(self.shape), keras.layers.Dense(hp.Int("units", 4, 64), "relu")])
        model.add(keras.layers.Dense(3, "softmax"))
        model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [16, 64]), **kwargs)
"""

# Names that a script has for something else.
TAKEN = """
import numpy as np


def load_data():
    return (np.arange(80.0)[:, None], np.arange(80) % 3), (np.arange(40.0)[:, None], np.arange(40) % 3)


def build_model(params, dataset):
    from own_for_script import build

    return build(params, dataset)
"""

MLP = {"model": "mlp", "parameters": {"depth": 2, "width": 32, "dropout": 0.1, "learning_rate": 0.003}}
CNN = {"model": "cnn", "parameters": {"blocks": 1, "filters": 8, "dense": 16, "batch_normalization": True}}
MANY = {"model": "own_for_script:build", "parameters": {"units": 8, **{f"unused_{n}": f"value {n}" for n in range(9)}}}
TUNED = {"model": "own_for_script:Tuned", "parameters": {}}


def write_files(folder: Path) -> None:
    """Data of every kind, and code of the user's."""
    (folder / "own_for_script.py").write_text(OWN)
    (folder / "read_idx.py").write_text(TAKEN)
    rng = np.random.default_rng(1)
    town = np.array(["Ulm", "Bonn", "Jena"])[rng.integers(0, 3, 300)]
    size, rooms = rng.random(300), rng.integers(1, 6, 300)
    price = 3 * size + rooms + (town == "Ulm") + rng.normal(0, 0.1, 300)
    table = pd.DataFrame({"size": size, 'the "town", or village, of it': town, "rooms": rooms, "price": price})
    table.to_csv(folder / "houses.csv", index=False)
    table.assign(dear=np.where(price > 4, "yes", "no")).to_parquet(folder / "houses.parquet")
    images = {name: rng.integers(0, 256, (90, 6, 6), dtype=np.uint8) for name in ("train", "test")}
    labels = {name: rng.integers(0, 3, 90).astype(np.int64) for name in images}
    arrays: dict[str, Any] = {f"x_{name}": image for name, image in images.items()}
    arrays |= {f"y_{name}": np.eye(3)[one] for name, one in labels.items()}
    np.savez(folder / "images.npz", **arrays)
    np.savez(folder / "series.npz", x_train=rng.random((60, 5, 2)), y_train=labels["train"][:60])
    idx = folder / "idx"
    idx.mkdir()
    for name, prefix in (("train", "train"), ("test", "t10k")):
        header = struct.pack(">4B3I", 0, 0, 8, 3, *images[name].shape)
        (idx / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + images[name].tobytes()))
        label = struct.pack(">4BI", 0, 0, 8, 1, 90) + labels[name].astype(np.uint8).tobytes()
        (idx / f"{prefix}-labels-idx1-ubyte").write_bytes(label)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("script")
    write_files(folder)
    return folder


@pytest.fixture
def exported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exported]:
    """An exported trial of an experiment on some data."""
    monkeypatch.chdir(folder)

    def make(dataset: Any, space: dict[str, Any] = MLP, value: float = 0.9, **more: Any) -> Exported:
        objective = more.pop("objective", "val_accuracy")
        training = {"epochs": 8, **more.pop("training", {})}
        experiment = {"name": "s", "dataset": dataset, "search_space": space, "objective": objective}
        plan = load_plan({**experiment, "training": training})
        scores = {objective: value, "epochs": 8, "best_epoch": 8, "test": {}, **more.pop("scores", {})}
        params = more.pop("parameters", space["parameters"])
        return Exported("s", 3, plan, params, 7, scores["epochs"], scores, "0" * 32, **more)

    return make


SOURCES: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "digits": ({"name": "digits", "limit": 300}, MLP, {}),
    "digits, standard": ({"name": "digits", "limit": 300, "scaling": "standard"}, CNN, {}),
    "iris, none": ({"name": "iris", "scaling": "none", "validation": 30}, MLP, {}),
    "csv": ({"path": "houses.csv", "target": "price"}, MLP, {"objective": "val_mae"}),
    "parquet": ({"path": "houses.parquet", "target": "dear", "scaling": "minmax"}, MLP, {}),
    "one-hot npz": ("images.npz", CNN, {}),
    "series": ("series.npz", MLP, {"training": {"early_stopping": False, "optimizer": "sgd", "momentum": 0.9}}),
    "idx": ("./idx", MLP, {"training": {"early_stopping": {"patience": 2, "min_delta": 0.01}}}),
    "pair": ("own_for_script:pair", MANY, {}),
    "taken names": ("read_idx:load_data", {"model": "read_idx:build_model", "parameters": {"units": 2}}, {}),
    "mapping": ("own_for_script:mapping", TUNED, {"parameters": {"units": 12, "batch_size": 16}}),
}


PARTS: tuple[PartName, ...] = ("training", "validation", "test")


def parts_of(dataset: Dataset, name: PartName) -> tuple[Any, Any]:
    part = dataset.part(name)
    return dataset.info.scaling.apply(part.x), part.y


@pytest.mark.parametrize("source", SOURCES)
def test_a_script_is_well_laid_out_and_prepares_the_data_of_the_study(
    exported: Callable[..., Exported], tmp_path: Path, source: str
) -> None:
    data, space, more = SOURCES[source]
    file = exported(data, space, **more)
    text = script_of(file)
    formatted(text, tmp_path)
    assert "hpo" not in text.replace("hpo.", "")
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "best.py", "exec"), names)
    dataset = load(file.plan.experiment.dataset, file.plan.folders)
    for name, (x, y) in zip(PARTS, names["load_data"](), strict=True):
        expected_x, expected_y = parts_of(dataset, name)
        assert x.dtype == np.float32
        np.testing.assert_allclose(x, expected_x, atol=2e-5)
        np.testing.assert_array_equal(y, np.eye(3)[expected_y] if source == "mapping" else expected_y)
    model = names["build_model"]()
    assert model.compiled
    assert model.input_shape[1:] == dataset.info.input_shape


def test_own_code_is_searched_for_as_in_the_study(exported: Callable[..., Exported], folder: Path) -> None:
    later = folder / "later"
    later.mkdir()
    (later / "own_for_script.py").write_text("pair = None")
    (later / "only_later.py").write_text("from own_for_script import pair")
    file = exported("own_for_script:pair", MANY)
    experiment = file.plan.experiment.model_copy(update={"dataset": DatasetSpec(function="only_later:pair")})
    plan = replace(file.plan, experiment=experiment, folders=(folder, later))
    first, second = (line for line in script_of(replace(file, plan=plan)).splitlines() if "sys.path" in line)
    assert str(later) in first
    assert str(later) not in second


def test_a_script_with_pipelines_scales_as_in_training(exported: Callable[..., Exported], tmp_path: Path) -> None:
    file = exported("own_for_script:pipelines", MANY)
    text = script_of(file)
    formatted(text, tmp_path)
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "best.py", "exec"), names)
    dataset = load(file.plan.experiment.dataset, file.plan.folders)
    for name, part in zip(PARTS, names["load_data"](), strict=True):
        raw = np.concatenate([x for x, _ in dataset.stream(name, 50)])
        np.testing.assert_allclose(np.concatenate([x for x, _ in part]), dataset.info.scaling.apply(raw), atol=1e-6)


WITHOUT_HPO = """
import runpy, sys

class Blocks:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "hpo":
            raise ImportError("hpo is blocked")

sys.meta_path.insert(0, Blocks())
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="__main__")
"""


def test_scripts_train_without_hpo_and_reach_their_score(exported: Callable[..., Exported], tmp_path: Path) -> None:
    scripts = {
        "mlp": exported("digits", value=0.96, training={"epochs": 12}),
        "cnn": exported(
            {"name": "digits", "limit": 500}, CNN, value=0.95, training={"epochs": 25, "learning_rate": 0.01}
        ),
        "csv": exported(
            SOURCES["csv"][0], value=0.3, objective="val_mae", scores={"epochs": 60}, training={"epochs": 60}
        ),
    }
    confirmed = Confirmed(0.05, True, Estimate(mean=0.3, deviation=0.05, low=0.24, high=0.36, seeds=5))
    scripts["csv"] = Exported(**{**vars(scripts["csv"]), "confirmed": confirmed})
    for name, file in scripts.items():
        (tmp_path / f"{name}.py").write_text(script_of(file))
    command = [sys.executable, "-I", "-c", WITHOUT_HPO, *(f"{name}.py" for name in scripts)]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count("on the test part") == len(scripts)


def test_a_script_ends_by_saying_that_its_score_is_another(exported: Callable[..., Exported]) -> None:
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(script_of(exported("iris", value=0.02, training={"epochs": 2})), "best.py", "exec"), names)
    with pytest.raises(AssertionError, match=r"not from 0 to 0\.1"):
        names["main"]()


def test_the_tolerance_of_an_exported_script(exported: Callable[..., Exported]) -> None:
    file = exported("iris", value=0.95)
    info = load(file.plan.experiment.dataset, file.plan.folders).info
    guess = tolerance(file, info)
    assert "is not known. A guess: 4 standard errors" in guess.why
    assert guess.low < 0.95 < guess.high
    noise = Exported(**{**vars(file), "confirmed": Confirmed(0.01, False)})
    found = tolerance(noise, info)
    assert (found.low, found.high) == (pytest.approx(0.91), pytest.approx(0.99))
    assert "4 times the noise floor" in found.why
    estimate = Estimate(mean=0.9, deviation=0.01, low=0.8876, high=0.9124, seeds=5)
    known = tolerance(Exported(**{**vars(file), "confirmed": Confirmed(0.005, True, estimate)}), info)
    # scipy.stats.t.ppf(0.995, 4) = 4.604, times 0.01 * sqrt(1 + 1 / 5).
    assert (known.low, known.high) == (pytest.approx(0.8496, abs=1e-4), pytest.approx(0.9504, abs=1e-4))
    assert "Confirmed over 5 seeds: mean 0.9000" in known.why


def test_a_trial_that_was_stopped_is_trained_as_long_unless_it_was_confirmed(
    exported: Callable[..., Exported],
) -> None:
    scores = {"epochs": 3, "ended_by": "pruner"}
    file = exported("iris", scores=scores)
    assert "\nEPOCHS = 3\n" in script_of(file)
    estimate = Estimate(mean=0.9, deviation=0.01, low=0.88, high=0.92, seeds=5)
    assert "\nEPOCHS = 8\n" in script_of(Exported(**{**vars(file), "confirmed": Confirmed(0.01, True, estimate)}))
