"""Models drawn from Keras's layers, optimizers, losses and metrics, and small data for them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from drawn_pools import ACTIVATION, ANYWHERE, LOSSES, METRICS, OPTIMIZERS, OPTIONS, POOLS, RATE, WIDTH
from hypothesis import strategies as st

from hpo.data.dataset import Dataset, DatasetInfo, Part, Scaling, Task

SIZES = {"training": 22, "validation": 10, "test": 10}
SHAPES = {"table": (5,), "sequence": (6, 4), "tokens": (6,), "image": (6, 6, 2), "volume": (4, 4, 4, 2)}
CLASSES = 3


@dataclass(frozen=True)
class Trial:
    """The values in which the trials of one search space differ."""

    width: int = 4
    rate: float = 0.3
    learning_rate: float = 0.05
    seed: int = 1
    batch: int = 8


@dataclass(frozen=True)
class Drawn:
    """A model: everything except what a `Trial` sets."""

    data: str
    layers: tuple[tuple[str, dict[str, Any]], ...]
    """Names and arguments; width and rate are placeholders for a trial's values."""
    functional: bool
    optimizer: tuple[str, dict[str, Any]]
    task: str
    loss: str
    metrics: tuple[str, ...]


@keras.saving.register_keras_serializable("drawn")
class Own(keras.layers.Layer):
    """A layer of the user's."""

    def call(self, x: Any) -> Any:
        return keras.ops.tanh(2 * x)


def own_loss(y: Any, prediction: Any) -> Any:
    return keras.ops.mean(keras.ops.abs(y - prediction) ** 1.5, axis=-1)


def options(draw: Any, pool: dict[str, Any]) -> dict[str, Any]:
    return {name: draw(one) if isinstance(one, st.SearchStrategy) else one for name, one in pool.items()}


@st.composite
def drawn_models(draw: Any) -> Drawn:
    data = draw(st.sampled_from([*SHAPES]))
    layers = tuple(draw(layers_for(data)))
    task = draw(st.sampled_from([*LOSSES]))
    metrics = draw(st.lists(st.sampled_from(METRICS[task]), min_size=1, max_size=2, unique=True))
    loss = draw(st.sampled_from(LOSSES[task]))
    return Drawn(data, layers, draw(st.booleans()), draw(optimizers()), task, loss, tuple(metrics))


@st.composite
def layers_for(draw: Any, data: str) -> list[tuple[str, dict[str, Any]]]:
    rank = len(SHAPES[data])
    found: list[tuple[str, dict[str, Any]]] = []
    if data == "tokens":
        found.append(("Embedding", {"input_dim": 9, "output_dim": 3, "mask_zero": draw(st.booleans())}))
        rank = 2
    for _ in range(draw(st.integers(1, 4))):
        pool = ANYWHERE if draw(st.booleans()) else POOLS[rank]
        name = draw(st.sampled_from([*pool]))
        found.append((name, options(draw, pool[name])))
        rank = _rank_after(rank, *found[-1])
    if rank > 1:
        found.append(("Flatten", {}))
    if draw(st.booleans()):
        found.append(("Dense", {"units": WIDTH, "activation": draw(ACTIVATION)}))
    return found


def _rank_after(rank: int, name: str, given: dict[str, Any]) -> int:
    if name in ("Flatten", "Dot") or name.startswith("Global"):
        return 1
    if name in ("LSTM", "GRU", "SimpleRNN"):
        return 2 if given["return_sequences"] else 1
    return 2 if name in ("RepeatVector", "Reshape") else rank


@st.composite
def optimizers(draw: Any) -> tuple[str, dict[str, Any]]:
    # The usual ones more often.
    name = draw(st.sampled_from([*OPTIMIZERS, "Adam", "Adam", "SGD", "RMSprop"]))
    given = options(draw, OPTIMIZERS[name])
    for extra in draw(st.lists(st.sampled_from([*OPTIONS]), max_size=2, unique=True)):
        given[extra] = draw(OPTIONS[extra])
    return name, given


trials = st.builds(
    Trial, st.integers(1, 4).map(lambda n: 2 * n), st.sampled_from([0.1, 0.4, 0.7]), st.sampled_from([0.01, 0.05]),
    st.integers(0, 9), st.sampled_from([4, 8, 30]),
)  # fmt: skip


def build(drawn: Drawn, trial: Trial) -> keras.Model:
    """The compiled model of a trial, as in a fresh process."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(trial.seed)
    shape = SHAPES[drawn.data]
    head = keras.layers.Dense(1 if drawn.task == "numbers" else CLASSES, None if drawn.task == "numbers" else "softmax")
    if drawn.functional:
        inputs = x = keras.Input(shape)
        for name, given in drawn.layers:
            x = _apply(name, given, trial, x)
        model = keras.Model(inputs, head(x))
    else:
        inputs = keras.Input(shape)
        model = keras.Sequential([inputs])
        for name, given in drawn.layers:
            for layer in _layers(name, given, trial, model.layers[-1].output if model.layers else inputs):
                model.add(layer)
        model.add(head)
    loss: Any = drawn.loss
    if loss == "own":
        loss = own_loss
    elif loss == "smoothed":
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    model.compile(optimizer_of(*drawn.optimizer, trial), loss, metrics=[_metric(name) for name in drawn.metrics])
    return model


def optimizer_of(name: str, given: dict[str, Any], trial: Trial) -> Any:
    given = dict(given)
    if clip := given.pop("clip", None):
        given[clip] = 0.1
    if "ema_overwrite_frequency" in given:
        given["use_ema"] = True
    rate: Any = trial.learning_rate * {"Lion": 0.01, "Adafactor": 0.1, "Muon": 0.1, "Adadelta": 20}.get(name, 1)
    if given.pop("scheduled", False):
        rate = keras.optimizers.schedules.ExponentialDecay(rate, 3, 0.5)
    around = given.pop("around", None)
    inner = getattr(keras.optimizers, name)(learning_rate=rate, **given)
    return keras.optimizers.LossScaleOptimizer(inner, initial_scale=16.0) if around == "scaled" else inner


def _metric(name: str) -> Any:
    if name == "own":
        return own_loss
    if name == "F1Score":
        return keras.metrics.F1Score(average="macro")
    return getattr(keras.metrics, name)() if name[0].isupper() else name


def _apply(name: str, given: dict[str, Any], trial: Trial, x: Any) -> Any:
    layers = keras.layers
    if name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"):
        return getattr(layers, name)()([x, layers.Dense(x.shape[-1])(x)])
    if name == "Dot":
        flat = layers.Flatten()(x)
        return layers.Dot(axes=1)([flat, layers.Dense(flat.shape[-1])(flat)])
    if name == "shared":
        twice = layers.Dense(x.shape[-1], "tanh")
        return twice(twice(x))
    if name == "arithmetic":
        return keras.ops.tanh(x) + 0.5 * x
    if name in ("MultiHeadAttention", "Attention"):
        own = layers.MultiHeadAttention(2, 3, dropout=trial.rate)
        return own(x, x) if name[0] == "M" else layers.Attention(use_scale=True)([x, x])
    for layer in _layers(name, given, trial, x):
        x = layer(x)
    return x


def _layers(name: str, given: dict[str, Any], trial: Trial, x: Any) -> list[Any]:
    numbers = {WIDTH: trial.width, RATE: trial.rate}
    given = {key: numbers.get(value, value) if isinstance(value, str) else value for key, value in given.items()}
    if given.get("noise_shape") == "rows":
        given["noise_shape"] = (None, *(1 for _ in x.shape[2:]), x.shape[-1])[: len(x.shape)]
        if len(x.shape) == 2:
            given["noise_shape"] = (None, 1)
    layers = keras.layers
    special: dict[str, Callable[[], list[Any]]] = {
        "Dropout of rows": lambda: [layers.Dropout(**given)],
        "nested": lambda: [keras.Sequential([layers.Dense(trial.width, "relu"), layers.Dropout(trial.rate)])],
        "normalized": lambda: [layers.SpectralNormalization(layers.Dense(trial.width))],
        "dense again": lambda: [layers.Dense(trial.width), layers.BatchNormalization(), layers.Dense(**given)],
        "own": lambda: [Own()],
        "lambda": lambda: [layers.Lambda(lambda x: 0.5 * x)],
        "Bidirectional": lambda: [layers.Bidirectional(layers.GRU(trial.width, return_sequences=True))],
        "TimeDistributed": lambda: [layers.TimeDistributed(layers.Dense(trial.width, "relu"))],
    }
    if name in special:
        return special[name]()
    if name in ("Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract", "Dot", "shared",
                "arithmetic", "MultiHeadAttention", "Attention"):  # fmt: skip
        return [layers.Identity()]
    return [getattr(layers, name)(**given)]


def data_for(drawn: Drawn) -> Dataset:
    rng = np.random.default_rng(5)
    count, shape = sum(SIZES.values()), SHAPES[drawn.data]
    tokens = drawn.data == "tokens"
    x = (rng.integers(0, 9, (count, *shape)) if tokens else rng.normal(size=(count, *shape))).astype(np.float32)
    classes = rng.integers(0, CLASSES, count)
    labels: dict[str, np.ndarray] = {"classes": classes, "one-hot": np.eye(CLASSES, dtype=np.float32)[classes]}
    y = labels.get(drawn.task, x.reshape(count, -1)[:, :1])
    task: Task = "regression" if drawn.task == "numbers" else "classification"
    known = None if task == "regression" else CLASSES
    scaling = Scaling("none", np.array(0, np.float32), np.array(1, np.float32))
    info = DatasetInfo("drawn", "drawn", task, shape, known, known or 1, y.ndim == 2, SIZES, {}, "", scaling)
    ends = np.cumsum([0, *SIZES.values()])
    training, validation, test = (Part(x[a:b], y[a:b]) for a, b in itertools.pairwise(ends))
    return Dataset(info, training, validation, test)
