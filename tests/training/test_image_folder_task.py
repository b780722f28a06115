"""A folder of images trains as a script with `image_dataset_from_directory` and `model.fit` does."""

import keras
import numpy as np
import pytest
from image_folders import CLASSES, SIZE, build, write_images, write_parts
from toys import make_variables

from hpo.export.predict import predict
from hpo.training.messages import EpochDone, Finished

EPOCHS, SEED = 2, 3


def script_of(folder):
    """Loss and accuracy of each epoch's validation, and of the test."""
    parts = {}
    for part in ("train", "validation", "test"):
        data = keras.utils.image_dataset_from_directory(
            folder / part, image_size=SIZE, batch_size=None, shuffle=False, verbose=False
        )
        parts[part] = tuple(map(np.stack, zip(*data.as_numpy_iterator(), strict=True)))
    low, high = parts["train"][0].min(), parts["train"][0].max()
    keras.utils.set_random_seed(SEED)
    model = build({}, None)
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    y_of_test = parts["test"][1]
    scaled = {part: ((x - low) / (high - low), y) for part, (x, y) in parts.items()}
    x, y = scaled["train"]
    make_variables(model, x[:2], y[:2])
    curves = []
    for epoch in range(EPOCHS):
        order = np.random.default_rng([SEED, epoch]).permutation(len(x))
        model.fit(x[order], y[order], batch_size=20, shuffle=False, verbose=0)
        curves.append(model.evaluate(*scaled["validation"], return_dict=True, verbose=0))
    return curves, model.evaluate(*scaled["test"], return_dict=True, verbose=0), y_of_test


def test_the_figures_are_those_of_keras_own_loader(run_job, prepared, tmp_path, monkeypatch):
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    folder = write_parts(tmp_path / "parts")
    file = tmp_path / "model.keras"
    line = run_job(
        "image_folders:build",
        data=prepared(path=str(folder)),
        objective="val_loss",
        params={},
        training={"epochs": EPOCHS, "batch_size": 20, "early_stopping": False},
        save_to=str(file),
    )
    assert isinstance(line.last, Finished), line.last
    curves, test, y = script_of(folder)
    epochs = [event.metrics for event in line.events if isinstance(event, EpochDone)]
    for mine, theirs in zip(epochs, curves, strict=True):
        assert {key: mine[f"val_{key}"] for key in theirs} == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    assert {key: line.last.test[key] for key in test} == pytest.approx(test, rel=1e-4, abs=1e-5)

    # Pictures of other sizes are made like those that the model was trained on, one alone as well as a folder.
    table = predict(str(file), folder / "test").table
    assert list(table["file"]) == [f"{name}/{number}.{end}" for name in CLASSES for number, end in named()]
    likely = table[[f"probability_{name}" for name in CLASSES]].to_numpy()
    entropy = -np.log(likely[np.arange(len(y)), y]).mean()
    assert entropy == pytest.approx(line.last.test["loss"], abs=1e-4)
    other = write_images(tmp_path / "large", 1, size=(30, 40)) / "red" / "0.png"
    assert list(predict(str(file), other).table["file"]) == ["0.png"]

    # Read from disk while it trains, in another order; by `fit` in the same one.
    (folder / "train" / "dark" / "0.png").unlink()
    on_disk = prepared(path=str(folder), memory_limit=1e-6, shuffle_window=24)
    training = {"epochs": EPOCHS, "batch_size": 20, "early_stopping": False, "class_weight": "balanced"}
    window, by_fit = (
        run_job(
            "image_folders:build",
            data=on_disk,
            objective="val_loss",
            params={},
            training={**training, "callbacks": callbacks},
        )
        for callbacks in ([], ["own_code:CountBatches"])
    )
    assert isinstance(window.last, Finished), window.last
    assert window.last.test["loss"] == pytest.approx(test["loss"], rel=0.3)
    assert isinstance(by_fit.last, Finished), by_fit.last
    assert by_fit.last.test == pytest.approx(window.last.test, rel=1e-4)


def named():
    return [(number, ("png", "jpg")[number % 2]) for number in range(6)]
