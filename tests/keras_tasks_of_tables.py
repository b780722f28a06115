"""Tasks of tables, rankings and graphs on made data; see `keras_task.Task`."""

from typing import Any

import keras
import numpy as np
from keras_task import BINARY, MSE, SPARSE, UNSCALED, Task, made, parts

L, ops = keras.layers, keras.ops

NONE = {"scaling": "none"}

TASKS = {
    "deep_and_cross": Task(
        "Deep and cross network: hashed texts beside numbers", {"loss": BINARY, "metrics": ["accuracy"]}, dataset=NONE
    ),
    "category_attention": Task(
        "Attention over the categories of a table, looked up in the model",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        dataset=NONE,
    ),
    "decision_forest": Task(
        "Neural decision forest: a layer of one's own", {"loss": SPARSE, "metrics": ["accuracy"]}, scaled=("",)
    ),
    "class_weights": Task(
        "Imbalanced classification: a weight for each class",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        training={"class_weight": {1: 4.0}},
        scaled=("",),
        fit={"class_weight": {0: 1.0, 1: 4.0}},
    ),
    "focal_loss": Task(
        "Rare cases: a focal loss with options",
        {"loss": keras.losses.BinaryFocalCrossentropy(gamma=3.0), "metrics": ["accuracy"]},
        training={"loss": {"name": "binary_focal_crossentropy", "gamma": 3.0}},
        scaled=("",),
    ),
    "hinge": Task(
        "Hinge loss: a support vector machine by random features",
        {"loss": "categorical_hinge", "metrics": ["accuracy"]},
        training={"loss": "categorical_hinge"},
        scaled=("",),
    ),
    "quantiles": Task(
        "Quantile regression: several numbers for one target, a loss of one's own",
        {"loss": "keras_tasks_of_tables:pinball"},
        training={"loss": "keras_tasks_of_tables:pinball"},
        dataset={"task": "custom"},
        scaled=("",),
    ),
    "counts": Task(
        "Counts: a Poisson loss",
        {"loss": "poisson", "metrics": ["mae"]},
        training={"loss": "poisson"},
        dataset=UNSCALED,
        scaled=("",),
    ),
    "label_distribution": Task(
        "Shares of several classes as targets",
        {"loss": "kl_divergence", "metrics": ["mae"]},
        training={"loss": "kl_divergence"},
        dataset={"task": "regression", **UNSCALED},
        scaled=("",),
    ),
    "pairwise_ranking": Task(
        "Learning to rank: which of two is better, by one scorer",
        {"loss": BINARY, "metrics": ["accuracy"]},
        dataset=NONE,
    ),
    "two_towers": Task(
        "Retrieval by two towers: the other samples of a batch are the wrong answers", {}, target="none"
    ),
    "graph": Task(
        "Graph classification: what nodes have, and which of them are joined",
        {"loss": SPARSE, "metrics": ["accuracy"]},
        dataset=NONE,
    ),
    "own_optimizer": Task(
        "Gradient centralization: an optimizer of one's own",
        {"loss": MSE, "metrics": ["mae"]},
        training={"optimizer": "keras_tasks_of_tables:Centered"},
        batch=60,
        dataset=UNSCALED,
        scaled=("",),
    ),
}


def rows() -> Any:
    return made().normal(2, 3, (100, 5))


def classified() -> Any:
    x = rows()
    return parts(x, (x[:, 0] * x[:, 1] > 4).astype(int))


decision_forest_data = class_weights_data = focal_loss_data = classified


def deep_and_cross_data() -> Any:
    rng = made()
    towns = np.array(["Rome", "Oslo", "Lima", "Cairo"])[rng.integers(0, 4, 100)]
    x = {"town": towns, "size": rng.normal(size=(100, 2)).astype("float32")}
    return parts(x, ((towns == "Oslo") ^ (x["size"][:, 0] > 0)).astype(int))


def deep_and_cross(params: Any, dataset: Any) -> keras.Model:
    inputs = {"town": keras.Input((), name="town", dtype="string"), "size": keras.Input((2,), name="size")}
    town = L.Embedding(8, 2)(L.Hashing(8)(inputs["town"]))
    first = L.Concatenate()([town, inputs["size"]])
    crossed = L.Add()([L.Multiply()([first, L.Dense(4)(first)]), first])
    return keras.Model(inputs, L.Dense(1, "sigmoid")(L.Concatenate()([crossed, L.Dense(4, "relu")(first)])))


def category_attention_data() -> Any:
    rng = made()
    kinds = {"color": ["red", "green", "blue"], "shape": ["round", "square"]}
    x: dict[str, Any] = {name: np.array(values)[rng.integers(0, len(values), 100)] for name, values in kinds.items()}
    return parts(x, np.where(x["shape"] == "round", x["color"] == "red", x["color"] == "blue").astype(int))


def category_attention(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input((), name=name, dtype="string") for name in dataset.inputs}
    found = []
    for name, one in inputs.items():
        looked_up = dataset.adapt(L.StringLookup(), name)(one)
        found.append(L.Reshape((1, 4))(L.Embedding(5, 4)(looked_up)))
    columns = L.Concatenate(axis=1)(found)
    heard = L.LayerNormalization()(L.Add()([columns, L.MultiHeadAttention(2, 2)(columns, columns)]))
    return keras.Model(inputs, L.Dense(2, "softmax")(L.Flatten()(heard)))


@keras.saving.register_keras_serializable()
class Tree(keras.layers.Layer):
    """A tree whose nodes send samples to both sides, each with a probability."""

    def __init__(self, depth: int, classes: int, **options: Any) -> None:
        super().__init__(**options)
        self.depth, self.classes = depth, classes
        self.decision = L.Dense(2**depth - 1, "sigmoid")

    def build(self, shape: Any) -> None:
        self.decision.build(shape)
        self.leaves = self.add_weight(shape=(2**self.depth, self.classes), initializer="random_normal", name="leaves")

    def call(self, x: Any) -> Any:
        left, reached, first = self.decision(x), ops.ones_like(x[:, :1]), 0
        for level in range(self.depth):
            of_level = left[:, first : first + 2**level]
            both = ops.stack([reached * of_level, reached * (1 - of_level)], axis=2)
            reached, first = ops.reshape(both, (-1, 2 ** (level + 1))), first + 2**level
        return ops.matmul(reached, ops.softmax(self.leaves))

    def get_config(self) -> Any:
        return {**super().get_config(), "depth": self.depth, "classes": self.classes}


def decision_forest(params: Any, dataset: Any) -> keras.Model:
    x = keras.Input(dataset.input_shape)
    normed = L.BatchNormalization()(x)
    return keras.Model(x, L.Average()([Tree(2, dataset.classes)(normed) for _ in range(2)]))


def class_weights(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(4, "relu"), L.Dense(2, "softmax")])


def focal_loss(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(4, "relu"), L.Dense(1, "sigmoid")])


def hinge_data() -> Any:
    x = rows()
    return parts(x, np.eye(2)[(x[:, 0] > 2).astype(int)])


@keras.saving.register_keras_serializable()  # type: ignore[untyped-decorator]
def cosine(x: Any) -> Any:
    return ops.cos(x)


def hinge(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(8, cosine, trainable=False), L.Dense(2)])


def quantiles_data() -> Any:
    x = rows()
    return parts(x, x[:, 0] * 2)


@keras.saving.register_keras_serializable()  # type: ignore[untyped-decorator]
def pinball(y: Any, outputs: Any) -> Any:
    shares = ops.convert_to_tensor([0.1, 0.5, 0.9])
    above = ops.reshape(ops.cast(y, outputs.dtype), (-1, 1)) - outputs
    return ops.mean(ops.maximum(shares * above, (shares - 1) * above), axis=-1)


def quantiles(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(4, "relu"), L.Dense(3)])


def counts_data() -> Any:
    x = rows()
    return parts(x, made().poisson(np.exp(x[:, 0] / 4)).astype("float32"))


def counts(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(1, "softplus")])


def label_distribution_data() -> Any:
    x = rows()
    return parts(x, made().dirichlet(np.ones(3), 100))


def label_distribution(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(dataset.outputs, "softmax")])


def pairwise_ranking_data() -> Any:
    rng = made()
    x = {"one": rng.normal(size=(100, 3)).astype("float32"), "other": rng.normal(size=(100, 3)).astype("float32")}
    return parts(x, (x["one"].sum(axis=1) > x["other"].sum(axis=1)).astype(int))


def pairwise_ranking(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input(one.shape, name=name) for name, one in dataset.inputs.items()}
    scorer = keras.Sequential([keras.Input((3,)), L.Dense(4, "relu"), L.Dense(1)])
    return keras.Model(inputs, L.Activation("sigmoid")(L.Subtract()([scorer(one) for one in inputs.values()])))


def two_towers_data() -> Any:
    rng = made()
    return parts({"user": rng.integers(0, 20, 100), "film": rng.integers(0, 30, 100)}, None)


@keras.saving.register_keras_serializable()
class InBatch(keras.layers.Layer):
    """Adds the cross-entropy of each film for its own user, among the users of the batch."""

    def call(self, user: Any, film: Any) -> Any:
        scores = ops.matmul(user, ops.transpose(film))
        own = ops.arange(ops.shape(user)[0])
        self.add_loss(ops.mean(keras.losses.sparse_categorical_crossentropy(own, scores, from_logits=True)))
        return ops.sum(user * film, axis=-1)


def two_towers(params: Any, dataset: Any) -> keras.Model:
    inputs = {name: keras.Input((), name=name, dtype="int32") for name in ("user", "film")}
    codes = [L.Dense(3)(L.Embedding(30, 4)(one)) for one in inputs.values()]
    return keras.Model(inputs, InBatch()(*codes))


def graph_data() -> Any:
    rng = made()
    joined = rng.integers(0, 2, (100, 5, 5))
    joined = np.maximum(joined, joined.transpose(0, 2, 1)).astype("float32")
    return parts([rng.normal(size=(100, 5, 3)).astype("float32"), joined], (joined.sum(axis=(1, 2)) > 18).astype(int))


def graph(params: Any, dataset: Any) -> keras.Model:
    nodes, joined = (keras.Input(one.shape) for one in dataset.inputs.values())
    told = L.Dot((2, 1))([joined, L.Dense(4)(nodes)])
    hidden = L.GlobalAveragePooling1D()(L.Activation("relu")(told))
    return keras.Model([nodes, joined], L.Dense(dataset.classes, "softmax")(hidden))


own_optimizer_data = quantiles_data


@keras.saving.register_keras_serializable()
class Centered(keras.optimizers.Adam):
    """Takes the mean from each gradient of a matrix."""

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        centered = [one if len(one.shape) < 2 else one - ops.mean(one, axis=0, keepdims=True) for one in grads]
        return super().apply(centered, trainable_variables)


def own_optimizer(params: Any, dataset: Any) -> keras.Model:
    return keras.Sequential([keras.Input(dataset.input_shape), L.Dense(4, "relu"), L.Dense(1)])
