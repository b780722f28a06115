"""Tasks of many kinds have the figures of a plain script with `model.fit`, and their exported models the test score."""

from pathlib import Path

import keras
import keras_tasks
import keras_tasks_of_images
import keras_tasks_of_sequences
import keras_tasks_of_tables
import numpy as np
import pytest
import tensorflow as tf
from toys import make_variables

from hpo.data import open_prepared
from hpo.data.adapting import adapting
from hpo.system.imports import load_object
from hpo.training.messages import EpochDone, Finished

EPOCHS, SEED = 1, 3
MODULES = {
    name: module
    for module in (keras_tasks, keras_tasks_of_images, keras_tasks_of_sequences, keras_tasks_of_tables)
    for name in module.TASKS
}


def script_of(name, prepared):
    """Loss and metrics of each epoch's validation, and of the test, by a script that knows nothing of hpo."""
    task, data = MODULES[name].TASKS[name], data_of(name)
    scale = scaling_of(task, data["train"])
    keras.utils.set_random_seed(SEED)
    dataset = open_prepared(prepared)
    with adapting(dataset):
        model = getattr(MODULES[name], name)({}, dataset.info)
    # Tracing takes longer than these few steps.
    model.compile(optimizer=optimizer_of(task), run_eagerly=True, **compiled_of(task))
    parts = {part: arguments(task, scale, values) for part, values in data.items()}
    make_variables(model, **keras.tree.map_structure(lambda values: values[:2], parts["train"]))
    curves = []
    for epoch in range(EPOCHS):
        order = np.random.default_rng([SEED, epoch]).permutation(60)
        shuffled = keras.tree.map_structure(lambda values, order=order: tf.gather(values, order), parts["train"])
        model.fit(**shuffled, **task.fit, batch_size=task.batch, shuffle=False, verbose=0)
        curves.append(model.evaluate(**parts["validation"], batch_size=512, return_dict=True, verbose=0))
    return curves, model.evaluate(**parts["test"], batch_size=512, return_dict=True, verbose=0)


def data_of(name):
    return getattr(MODULES[name], f"{name}_data")()


def optimizer_of(task):
    named = task.training.get("optimizer")
    return (load_object(named, ()) if isinstance(named, str) else keras.optimizers.Adam)(0.01)


def compiled_of(task):
    """How the script compiles: its own loss is named by an import path, as in a file."""
    loss = task.compiled.get("loss")
    own = isinstance(loss, str) and ":" in loss
    return {**task.compiled, "loss": load_object(loss, ())} if own else task.compiled


def arguments(task, scale, part):
    x, y, weights = keras.utils.unpack_x_y_sample_weight(part)
    x = scale(x)
    y = {"y": y, "x": x, "none": None}[task.target]
    # Keras takes arrays of text as tensors alone.
    x = keras.tree.map_structure(lambda one: tf.constant(one) if one.dtype.kind == "U" else one, x)
    given = {"x": x, "y": y, "sample_weight": weights}
    return {name: values for name, values in given.items() if values is not None}


def scaling_of(task, part):
    """What the script does with inputs: numbers that are named are standardized, images get the range from 0 to 1."""
    x, *_ = keras.utils.unpack_x_y_sample_weight(part)
    moments = {
        name: (values.mean(axis=tuple(range(values.ndim - 1))), values.std(axis=tuple(range(values.ndim - 1))))
        for name, values in (x.items() if isinstance(x, dict) else [("", x)])
        if name in task.scaled
    }
    images = keras.tree.flatten(x)

    def one(name, values):
        if name in moments:
            return ((values - moments[name][0]) / moments[name][1]).astype("float32")
        if values.dtype != np.uint8:
            return values
        low, high = images[0].min(), images[0].max()
        return ((values.astype("float32") - low) / (high - low)).reshape(*values.shape[:3], 1)

    def scale(x):
        if isinstance(x, dict):
            return {name: one(name, values) for name, values in x.items()}
        return [one("", values) for values in x] if isinstance(x, list) else one("", x)

    return scale


@pytest.mark.parametrize("name", MODULES)
def test_a_task_has_the_figures_of_a_plain_script_and_its_model_takes_raw_inputs(run_job, prepared, tmp_path, name):
    module = MODULES[name]
    task = module.TASKS[name]
    folder = prepared(function=f"{module.__name__}:{name}_data", **task.dataset)
    file = tmp_path / "model.keras"
    training = {"epochs": EPOCHS, "batch_size": task.batch, "early_stopping": False, **task.training}
    line = run_job(
        f"{module.__name__}:{name}",
        data=folder,
        objective="val_loss",
        params={},
        training=training,
        save_to=str(file),
        callbacks_folder=str(tmp_path),
    )
    assert isinstance(line.last, Finished), line.last
    assert line.last.model_note is None
    epochs = [event.metrics for event in line.events if isinstance(event, EpochDone)]
    curves, test = script_of(name, folder)
    for mine, theirs in zip(epochs, curves, strict=True):
        assert {key: mine[f"val_{key}"] for key in theirs} == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    assert {key: line.last.test[key] for key in test} == pytest.approx(test, rel=1e-4, abs=1e-5)
    assert_predicts_as_tested(task, name, file, line.last.test)
    if name == "own_parts":
        assert epochs[0]["val_largest"] > 0
        assert (tmp_path / "trial-0007" / "noted").read_text() == "seen 7 {}"
        assert len((tmp_path / "trial-0007" / "log.csv").read_text().splitlines()) == 1 + EPOCHS


def assert_predicts_as_tested(task, name, file: Path, tested):
    """The exported model, on the inputs as they came, has the loss that was logged for the test."""
    model = keras.saving.load_model(file)
    if not model.compiled:
        assert name != "wide_and_deep", "its loss is Keras's own"
        return
    model.run_eagerly = True
    x, y, weights = keras.utils.unpack_x_y_sample_weight(data_of(name)["test"])
    if task.target != "x":
        x = keras.tree.map_structure(tf.constant, x)
        y = None if y is None else keras.tree.map_structure(tf.constant, y)
        found = model.evaluate(x, y, sample_weight=weights, batch_size=512, return_dict=True, verbose=0)
        assert found["loss"] == pytest.approx(tested["loss"], abs=1e-4)
