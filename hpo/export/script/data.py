"""The part of a script that prepares the data: read, labelled, split and scaled as they were in the study."""

from collections.abc import Sequence
from pathlib import Path

from hpo.config.experiment import DatasetSpec
from hpo.data.dataset import Dataset, DatasetInfo, Draw, PartName
from hpo.data.function import FunctionStream
from hpo.errors import UserError
from hpo.export.script.fragments import Script
from hpo.export.script.layout import literal, statement
from hpo.export.script.reading import SHORT, given_parts, own_code, read_lines
from hpo.export.script.recipe import Labels


def add_data(script: Script, spec: DatasetSpec, dataset: Dataset, folders: Sequence[Path], labels: Labels) -> None:
    """Adds the function load_data, which returns three pairs (x, y), features scaled and labels as the loss takes them.

    Of a user's `tf.data` pipelines it returns three pipelines.

    Raises:
        UserError: the data are generated.
    """
    info = dataset.info
    if dataset.batches is not None:
        raise UserError(
            f"{info.name}: generated data make no plain script; --to best.yaml exports a file that hpo train takes"
        )
    if isinstance(dataset.stream, FunctionStream):
        _add_pipelines(script, str(spec.function), dataset.stream, info)
        return
    lines = [
        *read_lines(script, spec, info, folders),
        *_in_shape(info),
        *_targets(script, spec, info),
        *(line for draw in info.draws for line in _draw(script, spec, info, draw)),
        *_scaling(script, info),
        *_as_the_loss_takes_them(script, info, labels),
        "    return (x, y), (x_val, y_val), (x_test, y_test)",
    ]
    doc = '    """The training, validation and test parts, the same as in the study."""'
    script.functions.append("\n".join(["def load_data():", doc, *lines]))
    script.main.append("    (x_train, y_train), (x_val, y_val), (x_test, y_test) = load_data()")
    sizes = ", ".join(str(info.sizes[part]) for part in SHORT)
    script.main.append(f'    assert (len(x_train), len(x_val), len(x_test)) == ({sizes}), "other data"')


def _in_shape(info: DatasetInfo) -> list[str]:
    """Images get the dimension of their channels, where their files lack it."""
    if len(info.input_shape) != 3:
        return []
    shape = ", ".join(map(str, (-1, *info.input_shape)))
    return [f"    x{short} = x{short}.reshape({shape})" for short in _shorts(given_parts(info))]


def _targets(script: Script, spec: DatasetSpec, info: DatasetInfo) -> list[str]:
    shorts = _shorts(given_parts(info))
    if info.task == "regression":
        flat = ".ravel()" if info.outputs == 1 else ""
        return [f'    y{short} = y{short}.astype("float32"){flat}' for short in shorts]
    if info.one_hot:
        return [f'    y{short} = y{short}.astype("float32")' for short in shorts]
    own = spec.path is not None or spec.function is not None
    if info.columns or (own and info.class_names):
        script.imports.add("import numpy as np")
        others = [f"    y{short} = np.searchsorted(classes, y{short})" for short in shorts if short]
        return [f"    {'classes' if others else '_'}, y = np.unique(y, return_inverse=True)", *others]
    return [f'    y{short} = y{short}.astype("int32").ravel()' for short in shorts]


def _draw(script: Script, spec: DatasetSpec, info: DatasetInfo, draw: Draw) -> list[str]:
    script.imports.add("from sklearn.model_selection import train_test_split")
    stratify = ["stratify=y.argmax(axis=1)" if info.one_hot else "stratify=y"] if draw.stratified else []
    seed = spec.validation_seed if draw.purpose == "validation" else spec.seed
    arguments = ["x", "y", f"test_size={draw.count}", f"random_state={seed}", *stratify]
    names = {"limit": "_, x, _, y", "test": "x, x_test, y, y_test", "validation": "x, x_val, y, y_val"}
    return [statement(f"{names[draw.purpose]} = train_test_split(", arguments, ")")]


def _scaling(script: Script, info: DatasetInfo) -> list[str]:
    """Fitted on the training part, x by now."""
    method, shape = info.scaling.method, info.input_shape
    shorts = _shorts([*SHORT])
    if method == "none":
        return [f'    x{short} = x{short}.astype("float32")' for short in shorts]
    if len(shape) >= 3:
        offset, unit = ("x.min()", "float(x.max()) - offset") if method == "minmax" else ("x.mean()", "float(x.std())")
        fit = [f"    offset = float({offset})", f"    unit = {unit}"]
        scaled = "((x{0} - offset) / unit)"
    else:
        scaler = "MinMaxScaler" if method == "minmax" else "StandardScaler"
        script.imports.add(f"from sklearn.preprocessing import {scaler}")
        series = len(shape) == 2
        fit = [f"    scaler = {scaler}().fit(x{f'.reshape(-1, {shape[-1]})' if series else ''})"]
        flat = f"x{{0}}.reshape(-1, {shape[-1]})"
        scaled = f"scaler.transform({flat})\n    x{{0}} = x{{0}}.reshape(-1, {shape[0]}, {shape[-1]})" if series else ""
        scaled = scaled or "scaler.transform(x{0})"
    # The training part last: it is what the others are scaled by.
    order = [short for short in shorts if short] + [""]
    return [*fit, *(f'    x{short} = {scaled.format(short)}.astype("float32")' for short in order)]


def _as_the_loss_takes_them(script: Script, info: DatasetInfo, labels: Labels) -> list[str]:
    if labels == "as they are":
        return []
    if labels == "numbers":
        return [f"    y{short} = y{short}.argmax(axis=1)" for short in _shorts([*SHORT])]
    script.imports.add("import keras")
    return [f"    y{s} = keras.utils.to_categorical(y{s}, {info.classes})" for s in _shorts([*SHORT])]


def _add_pipelines(script: Script, function: str, stream: FunctionStream, info: DatasetInfo) -> None:
    called = own_code(script, function, stream.folders)
    lines = [f"    data = {called}()"]
    scaled = info.scaling.method != "none"
    if scaled:
        script.imports.add("import tensorflow as tf")
        script.constants.append("# Of the features, fitted on the training part.")
        script.constants += [
            literal(values.tolist(), f"{name} = ")
            for name, values in (("OFFSET", info.scaling.offset), ("FACTOR", info.scaling.factor))
        ]
        script.functions.append(
            "def scale(x, y):\n"
            '    """The features as the model takes them."""\n'
            "    return (tf.cast(x, tf.float32) - OFFSET) * FACTOR, y"
        )
    for part, key in (("training", "train"), ("validation", "validation"), ("test", "test")):
        batch = "" if stream.batched(part) else ".batch(BATCH_SIZE)"  # type: ignore[arg-type]
        lines.append(f'    {part} = data["{key}"]{batch}' + (".map(scale)" if scaled else ""))
    doc = '    """The training, validation and test parts, the same as in the study."""'
    script.functions.append("\n".join(["def load_data():", doc, *lines, "    return training, validation, test"]))
    script.main.append("    training, validation, test = load_data()")


def _shorts(parts: Sequence[PartName]) -> list[str]:
    return [SHORT[part] for part in parts]
