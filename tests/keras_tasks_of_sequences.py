"""Tasks of texts and series on made data; see `keras_task.Task`."""

from typing import Any

import keras
import numpy as np
from keras_task import BINARY, SPARSE, Task, made, parts

L, ops = keras.layers, keras.ops

NONE = {"scaling": "none"}
WORDS, STEPS = 12, 6

TASKS = {
    "bidirectional": Task(
        "Text classification by a bidirectional LSTM over padded words", {"loss": BINARY, "metrics": ["accuracy"]}
    ),
    "transformer_block": Task("Text classification by a Transformer block", {"loss": SPARSE, "metrics": ["accuracy"]}),
    "language_model": Task(
        "Text generation by a miniature GPT: each next word",
        {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "metrics": ["accuracy"]},
        dataset={"task": "classification"},
    ),
    "masked_words": Task(
        "Masked language model: a weight for each word",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        dataset={"task": "classification"},
    ),
    "intent_and_slots": Task(
        "What a sentence asks for, and the role of each word: padding has weight 0",
        {"loss": {"intent": SPARSE, "roles": SPARSE}, "metrics": {"intent": ["accuracy"], "roles": ["accuracy"]}},
        dataset={"task": "classification", "scaling": "none"},
    ),
    "addition": Task(
        "Adding numbers, sequence to sequence: one-hot letters",
        {"loss": "categorical_crossentropy", "metrics": ["accuracy"]},
        dataset=NONE,
    ),
    "translation": Task(
        "Translation, sequence to sequence: an encoder's state, and what the decoder has said so far",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        dataset={"task": "classification"},
    ),
    "similar_sentences": Task(
        "Whether two sentences mean the same: two columns of text", {"loss": BINARY, "metrics": ["accuracy"]}
    ),
    "masked_steps": Task(
        "Series of different lengths, padded and masked", {"loss": BINARY, "metrics": ["accuracy"]}, dataset=NONE
    ),
    "series_convolution": Task(
        "Time series classification by convolutions and batch normalization",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        scaled=("",),
    ),
    "speech": Task(
        "Audio classification: a spectrogram made in the model", {"loss": SPARSE, "metrics": ["accuracy"]}, dataset=NONE
    ),
    "probabilistic_forecast": Task(
        "Forecasting a mean and a deviation: a loss of one's own over two numbers for one target",
        {"loss": "keras_tasks_of_sequences:unlikely"},
        training={"loss": "keras_tasks_of_sequences:unlikely"},
        dataset={**NONE, "task": "custom"},
    ),
}


def _tokens(length: int = STEPS) -> Any:
    rng = made()
    x = rng.integers(1, WORDS, (100, length))
    return np.where(np.arange(length) < rng.integers(2, length + 1, 100)[:, None], x, 0)


def words_data() -> Any:
    x = _tokens()
    return parts(x, ((x == 3).any(axis=1)).astype(int))


bidirectional_data = transformer_block_data = words_data


def bidirectional(params: Any, dataset: Any) -> keras.Model:
    layers = [L.Embedding(WORDS, 4, mask_zero=True), L.Bidirectional(L.LSTM(3)), L.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input(dataset.input_shape, dtype="int32"), *layers])


@keras.saving.register_keras_serializable()
class Placed(keras.layers.Layer):
    """Vectors of words and of their places."""

    def __init__(self, words: int, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.words, self.units = words, units
        self.of_words, self.of_places = L.Embedding(words, units), L.Embedding(STEPS, units)

    def build(self, shape: Any) -> None:
        self.of_words.build(shape)
        self.of_places.build(shape[1:])

    def call(self, x: Any) -> Any:
        return self.of_words(x) + self.of_places(ops.arange(ops.shape(x)[-1]))

    def get_config(self) -> Any:
        return {**super().get_config(), "words": self.words, "units": self.units}


@keras.saving.register_keras_serializable()
class Block(keras.layers.Layer):
    """Attention and a dense layer, each beside a shortcut."""

    def __init__(self, units: int, causal: bool = False, rate: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.units, self.causal, self.rate = units, causal, rate
        self.attention, self.dense = L.MultiHeadAttention(2, 2), L.Dense(units, "relu")
        self.norms, self.dropout = [L.LayerNormalization(), L.LayerNormalization()], L.Dropout(rate)

    def build(self, shape: Any) -> None:
        self.attention.build(shape, shape)
        for layer in (self.dense, *self.norms):
            layer.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        heard = self.dropout(self.attention(x, x, use_causal_mask=self.causal), training=training)
        x = self.norms[0](x + heard)
        return self.norms[1](x + self.dropout(self.dense(x), training=training))

    def get_config(self) -> Any:
        return {**super().get_config(), "units": self.units, "causal": self.causal, "rate": self.rate}


def transformer_block(params: Any, dataset: Any) -> keras.Model:
    layers = [Placed(WORDS, 4), Block(4, rate=0.1), L.GlobalAveragePooling1D(), L.Dense(2, "softmax")]
    return keras.Sequential([keras.Input(dataset.input_shape, dtype="int32"), *layers])


def language_model_data() -> Any:
    x = made().integers(0, WORDS, (100, STEPS + 1))
    x[:, 1::2] = (x[:, 0:-1:2] + 1) % WORDS
    return parts(x[:, :-1], x[:, 1:])


def language_model(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape, dtype="int32")
    return keras.Model(x, L.Dense(dataset.classes)(Block(4, causal=True)(Placed(WORDS, 4)(x))))


def masked_words_data() -> Any:
    rng = made()
    y, hidden = rng.integers(1, WORDS, (100, STEPS)), rng.random((100, STEPS)) < 0.4
    return parts(np.where(hidden, 0, y), y, hidden.astype("float32"))


def masked_words(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape, dtype="int32")
    return keras.Model(x, L.Dense(dataset.classes, "softmax")(Block(4)(Placed(WORDS, 4)(x))))


def intent_and_slots_data() -> Any:
    rng = made()
    x, lengths = rng.integers(1, WORDS, (100, STEPS)), rng.integers(2, STEPS, 100)
    there = np.arange(STEPS) < lengths[:, None]
    y = {"intent": x[:, 0] % 2, "roles": x % 3}
    return parts(np.where(there, x, 0), y, {"intent": np.where(y["intent"] == 1, 3.0, 1.0), "roles": there})


def intent_and_slots(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape, dtype="int32")
    words = L.LSTM(4, return_sequences=True)(L.Embedding(WORDS, 4)(x))
    intent = L.Dense(2, "softmax")(L.GlobalAveragePooling1D()(words))
    return keras.Model(x, {"intent": intent, "roles": L.Dense(3, "softmax")(words)})


def addition_data() -> Any:
    rng = made()
    numbers = rng.integers(0, 50, (100, 2))
    letters = "0123456789+ "

    def one_hot(texts: Any, length: int) -> Any:
        places = [[letters.index(letter) for letter in text.ljust(length)] for text in texts]
        return np.eye(len(letters), dtype=bool)[np.array(places)]

    asked = [f"{a}+{b}" for a, b in numbers]
    return parts(one_hot(asked, 5), one_hot(map(str, numbers.sum(axis=1)), 2))


def addition(params: Any, dataset: Any) -> keras.Model:
    layers = [L.LSTM(4), L.RepeatVector(2), L.LSTM(4, return_sequences=True), L.Dense(12, "softmax")]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])


def translation_data() -> Any:
    words = made().integers(1, WORDS, (100, STEPS))
    said = np.roll(words[:, ::-1], 1, axis=1)
    said[:, 0] = 0
    return parts({"words": words, "said": said}, words[:, ::-1])


def translation(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input(one.shape, name=name, dtype=one.dtype) for name, one in dataset.inputs.items()}
    _, state = L.GRU(4, return_state=True)(L.Embedding(WORDS, 4)(inputs["words"]))
    decoded = L.GRU(4, return_sequences=True)(L.Embedding(WORDS, 4)(inputs["said"]), initial_state=state)
    return keras.Model(inputs, L.Dense(dataset.classes, "softmax")(decoded))


def similar_sentences_data() -> Any:
    rng = made()
    words = np.array(["sun", "rain", "snow", "wind", "fog"])
    first, other = (words[rng.integers(0, 5, (100, 3))] for _ in range(2))
    same = rng.integers(0, 2, 100)
    other = np.where(same[:, None] == 1, first[:, ::-1], other)
    texts = {"first": first, "other": other}
    return parts({name: np.array([" ".join(row) for row in rows]) for name, rows in texts.items()}, same)


def similar_sentences(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input((), name=name, dtype="string") for name in dataset.inputs}
    vectorizer = dataset.adapt(L.TextVectorization(output_mode="multi_hot", max_tokens=8), "first")
    tower = L.Dense(4, "tanh")
    codes = [tower(vectorizer(one)) for one in inputs.values()]
    return keras.Model(inputs, L.Dense(1, "sigmoid")(L.Multiply()(codes)))


def masked_steps_data() -> Any:
    rng = made()
    x = rng.normal(size=(100, STEPS, 2)).astype("float32")
    x[np.arange(STEPS) >= rng.integers(2, STEPS + 1, 100)[:, None]] = -1.0
    return parts(x, (x[:, 0, 0] > 0).astype(int))


def masked_steps(params: Any, dataset: Any) -> keras.Model:
    layers = [L.Masking(-1.0), L.GRU(4), L.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers])


def series_data() -> Any:
    rng = made()
    y = rng.integers(0, 2, 100)
    x = np.sin(np.arange(16) / np.where(y == 1, 2, 3)[:, None]) + rng.normal(0, 0.1, (100, 16))
    return parts(x[:, :, None], y)


series_convolution_data = series_data


def series_convolution(params: Any, dataset: Any) -> keras.Model:
    layers = [
        L.Conv1D(4, 3, padding="same", use_bias=False),
        L.BatchNormalization(),
        L.ReLU(),
        L.GlobalAveragePooling1D(),
    ]
    return keras.Sequential([keras.Input(dataset.input_shape), *layers, L.Dense(dataset.classes, "softmax")])


def speech_data() -> Any:
    rng = made()
    y = rng.integers(0, 2, 100)
    waves = np.sin(np.arange(64) * np.where(y == 1, 0.5, 1.5)[:, None] + rng.random((100, 1)))
    return parts(waves[..., None].astype("float32"), y)


def speech(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    spectrogram = L.STFTSpectrogram(mode="log", frame_length=16, frame_step=8, fft_length=16, padding="same")(x)
    return keras.Model(x, L.Dense(dataset.classes, "softmax")(L.Flatten()(L.Conv1D(4, 3)(spectrogram))))


def probabilistic_forecast_data() -> Any:
    rng = made()
    x = rng.normal(size=(100, 8, 1)).astype("float32")
    return parts(x, x[:, -1, 0] + rng.normal(0, 0.1, 100))


@keras.saving.register_keras_serializable()  # type: ignore[untyped-decorator]
def unlikely(y: Any, outputs: Any) -> Any:
    """The negative logarithm of a normal density, up to a constant."""
    mean, deviation = outputs[:, 0], ops.softplus(outputs[:, 1]) + 1e-3
    return ops.log(deviation) + 0.5 * ops.square((ops.reshape(ops.cast(y, mean.dtype), (-1,)) - mean) / deviation)


def probabilistic_forecast(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.GRU(4), L.Dense(2)])
