"""A model of a series has the figures of a plain script with `timeseries_dataset_from_array` and `model.fit`."""

from pathlib import Path

import keras
import keras_tasks
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from toys import make_variables

from hpo.data import open_prepared
from hpo.export.predict import predict
from hpo.training.messages import EpochDone, Finished

ROWS, WINDOW, HORIZON, EPOCHS, SEED = 150, 6, 2, 2, 3
BORDERS = ((0, 96), (96, 120), (120, ROWS))


def table(path: Path) -> pd.DataFrame:
    place = np.arange(ROWS)
    frame = pd.DataFrame({"load": np.sin(place / 5) * 20 + place, "heat": np.cos(place / 7)})
    frame.to_csv(path, index=False, float_format="%.17g")
    return frame


def windows_of(rows, target, scale):
    """The windows of some rows, and what follows each of them, by Keras alone."""
    values = np.array(rows)
    count = len(values) - WINDOW - HORIZON + 1
    batches = keras.utils.timeseries_dataset_from_array(
        scale(values)[: count + WINDOW - 1], None, WINDOW, batch_size=512
    )
    x = np.concatenate([batch.numpy() for batch in batches])
    column = list(rows.columns).index(target)
    y = [values[start + WINDOW : start + WINDOW + HORIZON, column] for start in range(count)]
    return x.astype("float32"), np.array(y, "float32")


def script_of(frame):
    past = np.array(frame[: BORDERS[0][1]])
    parts = [
        windows_of(frame[begin:end], "load", lambda rows: (rows - past.mean(axis=0)) / past.std(axis=0))
        for begin, end in BORDERS
    ]
    keras.utils.set_random_seed(SEED)
    layers = [keras.Input((WINDOW, 2)), keras.layers.GRU(4), keras.layers.Dense(HORIZON)]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mean_squared_error", metrics=["mae"])
    (x, y), validation, test = parts
    make_variables(model, x=x[:2], y=y[:2])
    curves = []
    for epoch in range(EPOCHS):
        order = np.random.default_rng([SEED, epoch]).permutation(len(x))
        model.fit(tf.gather(x, order), tf.gather(y, order), batch_size=20, shuffle=False, verbose=0)
        curves.append(model.evaluate(*validation, batch_size=512, return_dict=True, verbose=0))
    return curves, model.evaluate(*test, batch_size=512, return_dict=True, verbose=0)


def test_a_series_has_the_figures_of_a_plain_script(run_job, prepared, tmp_path):
    frame, file = table(tmp_path / "load.csv"), tmp_path / "model.keras"
    section = {"path": str(tmp_path / "load.csv"), "target": "load", "series": {"window": WINDOW, "horizon": HORIZON}}
    folder = prepared(**section, target_scaling="none")
    training = {"epochs": EPOCHS, "batch_size": 20, "early_stopping": False}
    line = run_job(
        "keras_tasks:forecast", data=folder, objective="val_loss", params={}, training=training, save_to=str(file)
    )
    assert isinstance(line.last, Finished), line.last
    assert keras_tasks.TASKS["forecast"].training == {}
    curves, test = script_of(frame)
    epochs = [event.metrics for event in line.events if isinstance(event, EpochDone)]
    for mine, theirs in zip(epochs, curves, strict=True):
        assert {key: mine[f"val_{key}"] for key in theirs} == pytest.approx(theirs, rel=1e-4)
    assert line.last.best_epoch == EPOCHS
    assert {key: line.last.test[key] for key in test} == pytest.approx(test, rel=1e-4)

    # The saved model takes the windows as they came, and predicts a new table row by row.
    model, part = keras.saving.load_model(file), open_prepared(folder).test
    outputs = model.predict(np.array(part.x), verbose=0)
    assert np.abs(outputs - part.y).mean() == pytest.approx(test["mae"], rel=1e-4)
    frame[120:].to_csv(tmp_path / "new.csv", index=False, float_format="%.17g")
    found = predict(str(file), tmp_path / "new.csv").table
    assert list(found.columns) == ["row", "load_1", "load_2"]
    assert found["row"].tolist() == list(range(WINDOW - 1, 30))
    # From the last rows on nothing is known that the script could compare.
    np.testing.assert_allclose(found[["load_1", "load_2"]][: len(outputs)], outputs, rtol=1e-4)
