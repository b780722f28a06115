"""A traced graph that serves many trials: models that differ in numbers alone are trained by one template.

Tracing and optimizing the graph of a small model takes longer than an epoch of it. A template is a copy of a model
in which what may differ from trial to trial stands in variables: the weights of hidden dense layers, whose shape its
graph leaves open, the optimizer's state with its learning rate, the rates of dropout, the factors of penalties, the
momentum. A trial's own model lends it all of these, the template trains, and hands the best weights back. Models that
differ in anything else get a template of their own.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import keras
import tensorflow as tf

from hpo.training.graph import GraphLoop

# Layers whose part of a graph need not know how wide is what comes in.
_OF_ANY_WIDTH = (
    keras.layers.Activation,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.Flatten,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
)
# Optimizers that look at the shapes of weights while the graph is traced.
_OF_FIXED_SHAPE = (keras.optimizers.Muon,)
_WITH_MOMENTUM = (keras.optimizers.SGD, keras.optimizers.RMSprop)
_WITH_PENALTY = (keras.layers.Dense, keras.layers.Conv2D)
# What a configuration says of how the state came about; a template is given its state.
_OF_THE_START = ("seed", "build_config", "build_input_shape")
_ANY = "any"
# A template holds its weights, the optimizer's state and two graphs: for small models a few megabytes.
_KEPT = 12


class Template:
    """A model that trains in the place of others, and its traced graph."""

    def __init__(self, like: keras.Model, make_loop: Callable[[keras.Model], GraphLoop]) -> None:
        self.model = keras.models.clone_model(like, clone_function=_clone)
        hidden, output = _open_layers(self.model)
        for layer in hidden:
            for variable in layer.weights:
                _open(variable, [None] * len(variable.shape))
        if output is not None:
            # Losses and metrics look at the width of what the model puts out.
            _open(output.kernel, [None, output.units])
        self.model.compile_from_config(like.get_compile_config())
        optimizer = self.model.optimizer
        if type(optimizer) is keras.optimizers.Adam and not optimizer.amsgrad:
            optimizer.__class__ = _Adam
        # After the model's variables were opened, by which the optimizer knows them.
        optimizer.build(self.model.trainable_variables)
        for variable in optimizer.variables:
            _open(variable, [None] * len(variable.shape))
        self._momentum = _Number(optimizer.momentum) if _has_momentum(optimizer) else None
        if self._momentum is not None:
            optimizer.momentum = self._momentum
        self.loop = make_loop(self.model)

    def take(self, model: keras.Model) -> None:
        """Takes over a model's state: weights, seeds, the optimizer's variables, rates of dropout, penalties."""
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        for mine, theirs in zip(_state(self.model), _state(model), strict=True):
            mine.value.assign(theirs.value)
        for mine, theirs in zip(_dropouts(self.model), _dropouts(model), strict=True):
            mine.chosen.assign(theirs.rate)
        for mine, theirs in zip(_penalties(self.model), _penalties(model), strict=True):
            mine.chosen.assign(_factors(theirs))
        if self._momentum is not None:
            self._momentum.value.assign(model.optimizer.momentum)
        self.loop.pace.clear()


class Templates:
    """The templates of a process, those least recently used dropped."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Template] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    @contextmanager
    def lent(
        self, model: keras.Model, data: str | None, make_loop: Callable[[keras.Model], GraphLoop]
    ) -> Iterator[Template | None]:
        """A template for a compiled model, its state taken over; None where no copy can stand in for the model.

        `data` names what the loop trains on; None: the model is to be trained itself.

        It is the caller's alone until the block ends; one that ends in an error is dropped.
        """
        key = None if data is None else _key(model, data)
        if key is None:
            yield None
            return
        template = self._kept.pop(key, None) or Template(model, make_loop)
        template.take(model)
        yield template
        self._kept[key] = template
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)


class _Number:
    """A number that Python takes to be above zero, and TensorFlow's graph reads from a variable."""

    def __init__(self, value: float) -> None:
        self.value = tf.Variable(value, dtype=tf.float32, trainable=False)

    def __gt__(self, other: object) -> bool:
        return True

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.cast(self.value, dtype or self.value.dtype)


class _Adam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam whose step is one operation of TensorFlow's, where Keras's own goes through the weights a dozen times.

    The same formula (Kingma & Ba 2015, the form before section 2.1): epsilon beside the uncorrected deviation.
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        """Applies one gradient to its variable."""
        index = self._get_variable_index(variable)
        kind = variable.dtype
        step = tf.cast(self.iterations + 1, kind)
        beta_1, beta_2 = tf.constant(self.beta_1, kind), tf.constant(self.beta_2, kind)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=tf.pow(beta_1, step),
            beta2_power=tf.pow(beta_2, step),
            lr=tf.cast(learning_rate, kind),
            beta1=beta_1,
            beta2=beta_2,
            epsilon=tf.constant(self.epsilon, kind),
            grad=tf.cast(gradient, kind),
        )


class _Dropout(keras.layers.Dropout):  # type: ignore[misc]
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


class _Penalty(keras.regularizers.L1L2):  # type: ignore[misc]
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
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout) and layer.rate > 0]


def _penalties(model: keras.Model) -> list[Any]:
    return [layer.kernel_regularizer for layer in model.layers if _is_penalized(layer)]


def _is_penalized(layer: keras.layers.Layer) -> bool:
    kinds = (keras.regularizers.L2, keras.regularizers.L1L2, _Penalty)
    return type(layer) in _WITH_PENALTY and type(layer.kernel_regularizer) in kinds


def _factors(penalty: Any) -> tuple[float, float]:
    return getattr(penalty, "l1", 0.0), penalty.l2


def _has_momentum(optimizer: keras.optimizers.Optimizer) -> bool:
    return type(optimizer) in _WITH_MOMENTUM and optimizer.momentum > 0


def _clone(layer: keras.layers.Layer) -> keras.layers.Layer:
    kind = _Dropout if type(layer) is keras.layers.Dropout and layer.rate > 0 else type(layer)
    copy = kind.from_config(layer.get_config())
    if _is_penalized(layer):
        copy.kernel_regularizer = _Penalty(*_factors(layer.kernel_regularizer))
    return copy


def _open(variable: keras.Variable, shape: Sequence[int | None]) -> None:
    """Lets a variable take values of other shapes; what is traced from now on does not rely on the present one."""
    # Keras has no public way to make a variable over a tf.Variable of its own.
    variable._value = tf.Variable(
        variable.value, shape=tf.TensorShape(shape), trainable=variable.trainable, name=variable.name
    )


def _open_layers(model: keras.Model) -> tuple[list[Any], Any]:
    """The layers whose width may differ within a template, and the dense layer that follows the last of them.

    These are the dense layers at the end of a chain, with what lies between them; all but the last one.
    """
    if not isinstance(model, keras.Sequential):
        return [], None
    end = list(takewhile(lambda layer: isinstance(layer, _OF_ANY_WIDTH), reversed(model.layers)))
    dense = [number for number, layer in enumerate(end) if isinstance(layer, keras.layers.Dense)]
    return (end[dense[0] + 1 :], end[dense[0]]) if len(dense) > 1 else ([], None)


class _Foreign(Exception):
    """A part that is not Keras's own."""


def _key(model: keras.Model, data: str) -> str | None:
    """What models of one template have in common, as text; None for a model that no copy may stand in for.

    A copy is made from the configuration: that must be all there is to a model, and Keras's own in every part.
    """
    plain = not any(isinstance(layer, keras.Model) or hasattr(layer, "adapt") for layer in model.layers)
    if not plain or not type(model).__module__.startswith("keras.") or isinstance(model.optimizer, _OF_FIXED_SHAPE):
        return None
    try:
        layers, compiling = model.get_config(), model.get_compile_config()
        penalized = {layer.name for layer in model.layers if _is_penalized(layer)}
        _generalize(layers["layers"], {layer.name for layer in _open_layers(model)[0]}, penalized)
        options = compiling["optimizer"]["config"]
        if isinstance(options["learning_rate"], float):
            options["learning_rate"] = _ANY
        if _has_momentum(model.optimizer):
            options["momentum"] = _ANY
        return json.dumps([type(model).__name__, data, _common(layers), _common(compiling)], sort_keys=True)
    except (TypeError, ValueError, NotImplementedError, _Foreign):
        return None


def _generalize(layers: Sequence[dict[str, Any]], of_any_width: set[str], penalized: set[str]) -> None:
    for layer in layers:
        config = layer["config"]
        if layer["class_name"] == "Dropout" and config["rate"] > 0:
            config["rate"] = _ANY
        if layer["class_name"] == "Dense" and config["name"] in of_any_width:
            config["units"] = _ANY
        if config["name"] in penalized:
            penalty = config["kernel_regularizer"]
            penalty["config"] = {name: factor and _ANY for name, factor in penalty["config"].items()}


def _common(config: Any) -> Any:
    """A configuration without what says how a state came about.

    Raises:
        _Foreign: it names a class or function that is not Keras's.
    """
    if isinstance(config, list | tuple):
        return [_common(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    if "module" in config and (not str(config["module"]).startswith("keras") or config["class_name"] == "Lambda"):
        raise _Foreign
    return {
        name: _common(part)
        for name, part in config.items()
        if name not in _OF_THE_START and not name.endswith("_initializer")
    }
