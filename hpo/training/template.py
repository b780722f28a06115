"""A traced graph that serves many trials: models that differ in numbers alone are trained by one template.

Tracing and optimizing the graph of a small model takes longer than an epoch of it. A template is a copy of a model
in which what may differ from trial to trial stands in variables: the weights of hidden dense layers, whose shape its
graph leaves open, the optimizer's state with its learning rate, the rates of dropout, the factors of penalties, the
momentum. A trial's own model lends it all of these, the template trains, and hands the best weights back. Models that
differ in anything else get a template of their own; `shareable` says which models may have one at all. What goes wrong
while a template is prepared costs the trial nothing: its model, untouched so far, trains itself.
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from hpo.training.graph import GraphLoop
from hpo.training.keras_compat import fuse_adam, open_shape
from hpo.training.shareable import (
    NotShareable,
    descriptions,
    has_free_rate,
    has_momentum,
    is_penalized,
    key_of,
    open_layers,
    wide_layers,
)

# A template holds its weights, the optimizer's state and two graphs: for small models a few megabytes.
_KEPT = 12


class Copy:
    """A copy of a compiled model, in which what a trial sets and no step changes stands in variables."""

    def __init__(self, like: keras.Model, rounded: Collection[str] = ()) -> None:
        """`rounded`: the names of the layers whose products are of bfloat16."""
        self.model = keras.models.clone_model(like, clone_function=lambda layer: _clone(layer, layer.name in rounded))
        if descriptions(self.model) != descriptions(like):
            raise NotShareable("a weight was frozen or made otherwise than its layer says")
        self._momentum: _Number | None = None

    def compile(self, like: keras.Model) -> None:
        """Compiles the copy, once the shapes of its variables are open that are to be."""
        compiling = like.get_compile_config()
        compiling["optimizer"] = keras.optimizers.serialize(like.optimizer)
        self.model.compile_from_config(compiling)

    def build(self, optimizer: keras.optimizers.Optimizer, variables: Sequence[Any]) -> None:
        """Makes the state of the optimizer that is to train these variables; its shapes are open."""
        fuse_adam(optimizer)
        optimizer.build(variables)
        for variable in optimizer.variables:
            open_shape(variable, [None] * len(variable.shape))
        if has_momentum(optimizer):
            self._momentum = optimizer.momentum = _Number(optimizer.momentum)

    @property
    def settings(self) -> list[tf.Variable]:
        """What a trial has set and no step changes: rates of dropout, factors of penalties, the momentum."""
        chosen = [each.chosen for each in (*_dropouts(self.model), *_penalties(self.model))]
        return chosen if self._momentum is None else [*chosen, self._momentum.value]

    def take_settings(self, model: keras.Model) -> None:
        """Takes over what a trial's model has set: rates of dropout, penalties, the momentum."""
        for mine, theirs in zip(_dropouts(self.model), _dropouts(model), strict=True):
            mine.chosen.assign(theirs.rate)
        for mine, theirs in zip(_penalties(self.model), _penalties(model), strict=True):
            mine.chosen.assign(_factors(theirs))
        if self._momentum is not None:
            self._momentum.value.assign(model.optimizer.momentum)


class Template(Copy):
    """A model that trains in the place of others, and its traced graph."""

    def __init__(
        self, like: keras.Model, make_loop: Callable[[keras.Model], GraphLoop], rounded: Collection[str] = ()
    ) -> None:
        """`rounded`: as in `Copy`."""
        super().__init__(like, rounded)
        # Of the model itself: its copy has layers of our own in the place of some.
        hidden, output = open_layers(like)
        for layer in hidden:
            for variable in self.model.get_layer(layer.name).weights:
                open_shape(variable, [None] * len(variable.shape))
        if output is not None:
            # Losses and metrics look at the width of what the model puts out.
            open_shape(self.model.get_layer(output.name).kernel, [None, output.units])
        # After the model's variables were opened, by which the optimizer knows them.
        self.compile(like)
        self.build(self.model.optimizer, self.model.trainable_variables)
        self.loop = make_loop(self.model)

    def take(self, model: keras.Model) -> None:
        """Takes over a model's state: weights, seeds, the optimizer's variables, rates of dropout, penalties."""
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        for mine, theirs in zip(_state(self.model), _state(model), strict=True):
            mine.value.assign(theirs.value)
        self.take_settings(model)
        self.loop.pieces.forget()


@dataclass(frozen=True)
class Lent:
    """What a model gets to train by."""

    template: Template | None
    reason: str | None
    """Why there is none: for people to read."""


class Templates:
    """The templates of a process, those least recently used dropped."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Template] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @contextmanager
    def lent(
        self,
        model: keras.Model,
        data: str,
        make_loop: Callable[[keras.Model], GraphLoop],
        moving: bool = False,
        rounds: bool = False,
    ) -> Iterator[Lent]:
        """A template for a compiled model, its state taken over and its graph traced.

        `data` names what the loop trains on; `moving`: the learning rate differs from step to step; `rounds`: wide
        hidden layers multiply numbers of bfloat16.

        It is the caller's alone until the block ends; one that ends in an error is dropped.
        """
        reason: str | None = None
        try:
            rounded = wide_layers(model) if rounds else []
            key = f"{key_of(model, data)} {rounded}"
            template = self._taken(key, model, lambda: Template(model, make_loop, rounded), moving)
        except NotShareable as refusal:
            reason = str(refusal)
        if reason is not None:
            yield Lent(None, reason)
            return
        yield Lent(template, None)
        self._kept[key] = template
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)

    def _taken(self, key: str, model: keras.Model, make: Callable[[], Template], moving: bool) -> Template:
        if (kept := self._kept.pop(key, None)) is not None:
            try:
                kept.take(model)
                kept.loop.trace(moving)
                return kept
            except Exception:
                # Whatever was trained before, a trial is what it would be in a fresh process.
                del kept
        try:
            template = make()
            template.take(model)
            template.loop.rehearse(moving)
            template.take(model)
            return template
        except Exception as error:
            raise NotShareable(f"no copy of the model could be made ({type(error).__name__})") from error


class _Number:
    """A number that Python takes to be above zero, and TensorFlow's graph reads from a variable."""

    def __init__(self, value: float) -> None:
        self.value = tf.Variable(value, dtype=tf.float32, trainable=False)

    def __gt__(self, other: object) -> bool:
        return True

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.cast(self.value, dtype or self.value.dtype)


class VariableDropout(keras.layers.Dropout):  # type: ignore[misc]
    """Dropout whose rate, above zero, is a variable."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.chosen = tf.Variable(self.rate, dtype=tf.float32, trainable=False)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The same numbers of the same seed as Keras's own draws."""
        if not training:
            return inputs
        rate = tf.cast(self.chosen, inputs.dtype)
        drawn = keras.random.uniform(tf.shape(inputs), seed=self.seed_generator, dtype=inputs.dtype)
        return tf.where(drawn >= rate, inputs / (1 - rate), tf.zeros([], inputs.dtype))


class _Rounded(keras.layers.Dense):  # type: ignore[misc]
    """A dense layer that multiplies numbers of bfloat16 while it trains; weights, sums and results are float32.

    Keras's own mixed precision gains nothing on CPUs: it rounds whatever lies between the products, too.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Of a table of samples, shape (n, features); whatever has more axes stays as it is."""
        if not training or len(inputs.shape) != 2:
            return super().call(inputs, training)
        product = tf.matmul(tf.cast(inputs, tf.bfloat16), tf.cast(self.kernel.value, tf.bfloat16))
        outputs = tf.cast(product, inputs.dtype)
        if self.use_bias:
            outputs = keras.ops.add(outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)


class Penalty(keras.regularizers.L1L2):  # type: ignore[misc]
    """The sum of the absolute values or squares of weights, times factors that are variables."""

    def __init__(self, l1: float, l2: float) -> None:
        super().__init__(l1, l2)
        self.chosen = tf.Variable([l1, l2], dtype=tf.float32, trainable=False)

    def __call__(self, x: Any) -> tf.Tensor:
        """The terms whose factors are above zero, added as Keras adds them."""
        factors = tf.cast(self.chosen, x.dtype)
        total = tf.zeros([], x.dtype)
        if self.l1:
            total += factors[0] * keras.ops.sum(keras.ops.absolute(x))
        if self.l2:
            total += factors[1] * keras.ops.sum(keras.ops.square(x))
        return total


def _state(model: keras.Model) -> list[Any]:
    return [*(variable for layer in model.layers for variable in layer.variables), *model.optimizer.variables]


def _dropouts(model: keras.Model) -> list[Any]:
    return [layer for layer in model.layers if type(layer) is VariableDropout or has_free_rate(layer)]


def _penalties(model: keras.Model) -> list[Any]:
    layers = [layer for layer in model.layers if is_penalized(layer) or _has_free_penalty(layer)]
    return [layer.kernel_regularizer for layer in layers]


def _has_free_penalty(layer: keras.layers.Layer) -> bool:
    return type(getattr(layer, "kernel_regularizer", None)) is Penalty


def _factors(penalty: Any) -> tuple[float, float]:
    return getattr(penalty, "l1", 0.0), penalty.l2


def _clone(layer: keras.layers.Layer, rounded: bool) -> keras.layers.Layer:
    kind = _Rounded if rounded else VariableDropout if has_free_rate(layer) else type(layer)
    copy = kind.from_config(layer.get_config())
    if is_penalized(layer):
        copy.kernel_regularizer = Penalty(*_factors(layer.kernel_regularizer))
    return copy
