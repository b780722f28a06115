"""What a saved model says of samples: features as they came, for its scaling is inside."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.data.dataset import Array
from hpo.data.several import Arrays, Several, as_keras, is_text
from hpo.errors import ModelError, first_line
from hpo.training.heads import Logits
from hpo.training.model_data import read_logits
from hpo.training.table_inputs import OF_COLUMNS, input_name


def predict(model_file: Path, x: Arrays | Mapping[str, Array], batch_size: int = 512) -> Array:
    """The outputs of a saved model, shape (n, outputs), in float32; of one that puts out logits, their probabilities.

    `x` has shape (n, *input_shape), unscaled, in the type in which it came, or is `Several` such arrays. For a model
    that takes the columns of a table it may be these, name -> shape (n,), as `hpo.data.table_features.Encoded` has
    them. Loading runs no code that the file brings along. Of several outputs it returns the first; `outputs_by_name`
    returns all.

    Raises:
        ModelError: the file is no Keras model, needs code of its own, or takes samples of another shape.
    """
    if isinstance(x, Several) or (not isinstance(x, Mapping) and is_text(x)):
        return next(iter(outputs_by_name(model_file, x, batch_size).values()))
    model = load(model_file)
    found = _of_columns(model, x, batch_size) if isinstance(x, Mapping) else _of_array(model_file, model, x, batch_size)
    return _probabilities(found, read_logits(model_file), "", 0)


def _probabilities(outputs: Array, logits: Logits, name: str, number: int) -> Array:
    """What an output of a name says, the first of which has number 0: probabilities of logits, else as it is."""
    if isinstance(logits, Mapping):
        # Of an output without a name only the place is known.
        logits = logits.get(name) if name else next(iter(logits.values()), None)
    elif isinstance(logits, list):
        logits = logits[number] if number < len(logits) else None
    elif number:
        # The loss is that of the first.
        logits = None
    if logits is None:
        return outputs
    return np.asarray(tf.sigmoid(outputs) if logits == "sigmoid" or outputs.shape[-1] == 1 else tf.nn.softmax(outputs))


def outputs_by_name(model_file: Path, x: Arrays, batch_size: int = 512) -> dict[str, Array]:
    """The outputs of a saved model by name, each in float32, shape (n, ...); of logits the probabilities.

    Raises:
        ModelError: see `predict`.
    """
    found, logits = _outputs(load(model_file), x, batch_size), read_logits(model_file)
    return {name: _probabilities(outputs, logits, name, number) for number, (name, outputs) in enumerate(found.items())}


def _outputs(model: keras.Model, x: Arrays, batch_size: int) -> dict[str, Array]:
    pieces: dict[str, list[Array]] = {}
    for start in range(0, len(x), batch_size):
        batch = as_keras(x[start : start + batch_size], lambda _, array: tf.constant(array))
        found = model(batch, training=False)
        if not isinstance(found, Mapping):
            found = found if isinstance(found, list | tuple) else [found]
            names = getattr(model, "output_names", None) or [f"output_{number}" for number, _ in enumerate(found, 1)]
            found = dict(zip(names, found, strict=True))
        for name, output in found.items():
            pieces.setdefault(name, []).append(np.asarray(tf.cast(output, tf.float32)))
    return {name: np.concatenate(arrays) for name, arrays in pieces.items()}


def _of_array(model_file: Path, model: keras.Model, x: Array, batch_size: int) -> Array:
    if model.name == OF_COLUMNS:
        # What takes the features, behind what makes them of columns.
        model = model.layers[-1]
    shape = tf.TensorShape(model.input_shape[1:])
    if not shape.is_compatible_with(x.shape[1:]):
        raise ModelError(f"{model_file}: the model takes samples of shape {tuple(shape)}, got {x.shape[1:]}")
    # Keras would round float64 to float32 before the scaling takes the difference of large numbers.
    dtype = "float64" if x.dtype == np.float64 else "float32"

    def outputs(batch: tf.Tensor) -> tf.Tensor:
        return tf.cast(_first(model(batch, training=False)), tf.float32)

    traced = tf.function(outputs, input_signature=[tf.TensorSpec([None, *x.shape[1:]], dtype)])
    pieces = [traced(x[start : start + batch_size].astype(dtype)) for start in range(0, len(x), batch_size)]
    return np.concatenate([np.asarray(piece) for piece in pieces])


def _of_columns(model: keras.Model, columns: Mapping[str, Array], batch_size: int) -> Array:
    named = {input_name(name): values for name, values in columns.items()}
    kinds = {name: tf.float64 if values.dtype.kind == "f" else tf.string for name, values in named.items()}

    def outputs(batch: dict[str, tf.Tensor]) -> tf.Tensor:
        return tf.cast(_first(model(batch, training=False)), tf.float32)

    traced = tf.function(outputs, input_signature=[{name: tf.TensorSpec([None, 1], kinds[name]) for name in named}])
    rows = len(next(iter(named.values())))
    pieces = []
    for start in range(0, rows, batch_size):
        chosen = {name: values[start : start + batch_size].tolist() for name, values in named.items()}
        pieces.append(traced({name: tf.constant(values, kinds[name])[:, None] for name, values in chosen.items()}))
    return np.concatenate([np.asarray(piece) for piece in pieces])


def _first(outputs: Any) -> Any:
    if isinstance(outputs, Mapping):
        return next(iter(outputs.values()))
    return outputs[0] if isinstance(outputs, list | tuple) else outputs


def by_class(outputs: Array) -> Array:
    """Outputs with a number for each class, shape (n, classes).

    A single number, shape (n, 1), is the probability of the second of two classes, as a sigmoid unit says it.
    """
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def load(model_file: Path, compiled: bool = False) -> keras.Model:
    """A saved model, which takes features as they came; `compiled`: ready to evaluate or train, too.

    Raises:
        ModelError: the file is no Keras model, or needs code of its own.
    """
    if model_file.suffix != ".keras":
        # HDF5 files and folders of TensorFlow's are loaded without Keras's safe mode.
        raise ModelError(f"{model_file}: must be a .keras file; files of other kinds may run code as they are loaded")
    try:
        return keras.saving.load_model(model_file, compile=compiled, safe_mode=True)
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{model_file}: cannot be read as a Keras model: {error}") from None
    except (TypeError, ValueError, KeyError, ImportError, AttributeError) as error:
        raise ModelError(
            f"{model_file}: cannot be loaded: {first_line(error)}\n"
            "Layers of your own must be decorated with @keras.saving.register_keras_serializable() and imported first."
        ) from None
