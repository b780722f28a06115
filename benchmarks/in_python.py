"""Python beside what it replaces: `hpo.tune` beside the same study as a file, and KerasTuner's code beside itself.

    python -m benchmarks.in_python --repeats 3

Each command runs in a fresh process and an empty folder, with two workers where it is hpo's; both of a pair train in
turn. Trials are drawn at random. Both studies of the first pair train the same configurations, so the ratio of their
times is that of the samples a minute; those of the second draw from the same space, each in its own way.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import job
from benchmarks.processes import environment, python

_DATA = """
import time

from benchmarks import job

data = job.load_data()
"""

_FUNCTION = """
import keras
from keras import layers


def build(params, dataset):
    model = keras.Sequential([keras.Input(dataset.input_shape), layers.Flatten()])
    for _ in range(params["depth"]):
        model.add(layers.Dense(params["width"], activation=params["activation"]))
    model.add(layers.Dense(10, activation="softmax"))
    optimizer = keras.optimizers.Adam(params["learning_rate"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""

_STUDY = """
name: build
dataset: {path: data.npz, scaling: none}
search_space:
  model: my_model:build
  parameters:
    depth: {type: int, low: 1, high: 3}
    width: {type: int, low: 32, high: 256, log: true}
    activation: {type: categorical, choices: [relu, tanh]}
    learning_rate: {type: float, low: 1.0e-4, high: 1.0e-2, log: true}
objective: val_accuracy
training: {epochs: EPOCHS, batch_size: 128, early_stopping: false}
study: {trials: TRIALS, sampler: random, schedule: one_pass, pruner: none, seed: SEED}
engine: {workers: 2}
"""

_FILE = """
import time

import hpo

began = time.monotonic()
study = hpo.run("study.yaml", progress=False)
print("took", time.monotonic() - began, "best", study.best.value)
"""

_TUNE = (
    _DATA
    + """
import hpo
from my_model import build

space = hpo.Space(
    depth=hpo.Int(1, 3), width=hpo.Int(32, 256, log=True), activation=hpo.Choice("relu", "tanh"),
    learning_rate=hpo.Float(1e-4, 1e-2, log=True),
)
began = time.monotonic()
study = hpo.tune(
    build, space, data=(data.x_train, data.y_train), validation=(data.x_val, data.y_val),
    test=(data.x_test, data.y_test), objective="val_accuracy", epochs=EPOCHS, trials=TRIALS, workers=2, progress=False,
    training={"batch_size": 128, "early_stopping": False}, dataset={"scaling": "none"},
    study={"sampler": "random", "schedule": "one_pass", "pruner": "none", "seed": SEED},
)
print("took", time.monotonic() - began, "best", study.best.value)
"""
)

# Written anew after the guide "Getting started with KerasTuner" of keras.io: the same space, calls and sizes.
_TUNER = """
import keras
from keras import layers
from PACKAGE import RandomSearch


def build_model(hp):
    model = keras.Sequential([layers.Flatten()])
    for number in range(hp.Int("num_layers", 1, 3)):
        model.add(layers.Dense(hp.Int(f"units_{number}", 32, 512, step=32), hp.Choice("activation", ["relu", "tanh"])))
    if hp.Boolean("dropout"):
        model.add(layers.Dropout(rate=0.25))
    model.add(layers.Dense(10, activation="softmax"))
    optimizer = keras.optimizers.Adam(hp.Float("lr", 1e-4, 1e-2, sampling="log"))
    model.compile(optimizer, "categorical_crossentropy", metrics=["accuracy"])
    return model


y_train, y_val = keras.utils.to_categorical(data.y_train, 10), keras.utils.to_categorical(data.y_val, 10)
began = time.monotonic()
tuner = RandomSearch(
    build_model, objective="val_accuracy", max_trials=TRIALS, executions_per_trial=2, seed=SEED, overwrite=True,
    directory="here", project_name="guide",
)
tuner.search(data.x_train, y_train, epochs=EPOCHS, validation_data=(data.x_val, y_val))
print("took", time.monotonic() - began, "best", max(trial.score for trial in tuner.oracle.get_best_trials(TRIALS)))
"""

_MAINS = {
    "file": _FILE,
    "hpo.tune": _TUNE,
    "keras_tuner": _DATA + _TUNER.replace("PACKAGE", "keras_tuner"),
    "hpo.keras_tuner": _DATA + _TUNER.replace("PACKAGE", "hpo.keras_tuner"),
}
_PAIRS = {
    "tune": ("file", "hpo.tune"),
    "keras_tuner": ("keras_tuner", "hpo.keras_tuner"),
}
"""What is replaced, and what takes its place."""
_SIZES = {"tune": (12, 3), "keras_tuner": (3, 2)}
"""Trials and epochs; KerasTuner's are those of the guide."""


def main() -> None:
    """Runs the pairs in turn, and prints each run and the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.in_python", description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", nargs="+", choices=list(_PAIRS), default=list(_PAIRS))
    parser.add_argument("--repeats", type=int, default=3, help="with seeds 0, 1, ...")
    parser.add_argument("--trials", type=int, help="by default 12 and 3")
    parser.add_argument("--epochs", type=int, help="by default 3 and 2")
    options = parser.parse_args()
    for pair in options.pairs:
        trials, epochs = _SIZES[pair]
        values = {"TRIALS": options.trials or trials, "EPOCHS": options.epochs or epochs}
        ratios: list[tuple[float, float]] = []
        for seed in range(options.repeats):
            # Turn and turn about, so that a machine that grows slower or faster favours neither.
            order = _PAIRS[pair] if seed % 2 == 0 else _PAIRS[pair][::-1]
            took = {way: _timed(way, {**values, "SEED": seed}) for way in order}
            old, new = (took[way] for way in _PAIRS[pair])
            ratios.append((old[0] / new[0], old[1] / new[1]))
        for name, found in zip(("the call", "the whole process"), zip(*ratios, strict=True), strict=True):
            spread = f"{min(found):.2f} to {max(found):.2f}"
            print(f"{' / '.join(_PAIRS[pair])}, {name}: {statistics.median(found):.2f} ({spread})", flush=True)


def _timed(way: str, values: dict[str, int]) -> tuple[float, float]:
    """Wall seconds of the call and of its process, which imports Keras and loads the arrays first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "my_model.py").write_text(_FUNCTION, encoding="utf-8")
        if way == "file":
            _write_data(folder / "data.npz")
        for file, text in {"study.yaml": _STUDY, "main.py": _MAINS[way]}.items():
            for key, value in values.items():
                text = text.replace(key, str(value))
            (folder / file).write_text(text, encoding="utf-8")
        began = time.monotonic()
        command = python("main.py")
        done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
        whole = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"{way} ended with exit code {done.returncode}:\n{done.stdout}\n{done.stderr}")
    took, _, best = done.stdout.rpartition("took ")[2].partition(" best ")
    print(f"{way}, seed {values['SEED']}: {float(took):.1f} s, whole {whole:.1f} s, best {float(best):.4f}", flush=True)
    return float(took), whole


def _write_data(path: Path) -> None:
    data = job.load_data()
    parts = {f"{one}_{part}": getattr(data, f"{one}_{part}") for one in "xy" for part in ("train", "val", "test")}
    np.savez(path, **parts)


if __name__ == "__main__":
    main()
