"""Decides which models can share a traced graph, and in what they may differ.

A copy of a model, made from its configuration, is trained in its place. This is done only for models made of the parts
listed here, which have been compared with `model.fit`; any other model is trained itself.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import takewhile
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import keras

from hpo.training.crossentropy import is_own
from hpo.training.keras_compat import (
    excludes_from_weight_decay,
    forgets_options,
    is_functional,
    is_kerass_own,
    layers_within,
)

# Layers that their configurations and variables describe completely.
_LAYERS = (
    "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Attention", "Average", "AveragePooling1D",
    "AveragePooling2D", "AveragePooling3D", "BatchNormalization", "Bidirectional", "Concatenate", "Conv1D",
    "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "Conv3D", "Conv3DTranspose", "Cropping1D", "Cropping2D",
    "Cropping3D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D", "Dot", "Dropout", "ELU", "Embedding", "Flatten",
    "GRU", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalAveragePooling2D",
    "GlobalAveragePooling3D", "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GroupNormalization",
    "Identity", "InputLayer", "LSTM", "LayerNormalization", "LeakyReLU", "MaxPooling1D", "MaxPooling2D",
    "MaxPooling3D", "Maximum", "Minimum", "MultiHeadAttention", "Multiply", "PReLU", "Permute", "RMSNormalization",
    "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling", "Reshape",
    "SeparableConv1D", "SeparableConv2D", "SimpleRNN", "Softmax", "SpatialDropout1D", "SpatialDropout2D",
    "SpatialDropout3D", "Subtract", "TimeDistributed", "UnitNormalization", "UpSampling1D", "UpSampling2D",
    "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
)  # fmt: skip
# Parts of the layers above.
_INNER = ("GRUCell", "LSTMCell", "SimpleRNNCell", "EinsumDense")
# Layers that can be traced without knowing the width of their input.
_OF_ANY_WIDTH = (
    "Activation", "BatchNormalization", "Dense", "Dropout", "ELU", "Flatten", "LeakyReLU", "ReLU",
)  # fmt: skip
# Optimizers whose whole state is in their variables, and whose step does not depend on shapes while it is traced.
_OPTIMIZERS = ("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "RMSprop", "SGD")
_WITH_MOMENTUM = (keras.optimizers.SGD, keras.optimizers.RMSprop)
_WITH_PENALTY = (keras.layers.Dense, keras.layers.Conv2D)
_PENALTIES = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
# Keys of a configuration about how the state began: they may differ, since a template gets its state from the model.
_INITIAL_STATE_KEYS = ("seed", "build_config", "build_input_shape")
_ANY = "any"
# Of narrower layers a product takes less time than the rounding of its factors. Measured on layers of 32 to 512 units.
_WIDE = 64


class NotShareable(Exception):
    """A model that must be trained itself, since a copy might train differently. The text is the reason."""


def key_of(model: keras.Model, data: str) -> str:
    """A text that is the same for all compiled models that can share a graph.

    Raises:
        NotShareable: the model must be trained itself.
    """
    try:
        _refuse_model(model)
        _refuse_optimizer(model.optimizer)
        _refuse_compiled(model)
        for layer in layers_within(model):
            _refuse_layer(layer)
        return _common_text(model, data)
    except NotShareable:
        raise
    except Exception as error:
        # Even if its configuration is unusual, the model itself can be trained.
        raise NotShareable(f"its configuration cannot be read ({type(error).__name__})") from error


def open_layers(model: keras.Model) -> tuple[list[Any], Any]:
    """The layers whose width may differ within a template, and the dense layer that follows the last of them.

    These are the dense layers at the end of a chain, except the last one, and the layers between them.
    """
    if not isinstance(model, keras.Sequential):
        return [], None
    layers = model.layers
    # What turns outputs into another unit has no weights, and their width is that of the layer before.
    if layers and type(layers[-1]) is keras.layers.Rescaling:
        layers = layers[:-1]
    end = list(takewhile(_may_be_wide, reversed(layers)))
    dense = [number for number, layer in enumerate(end) if isinstance(layer, keras.layers.Dense)]
    return (end[dense[0] + 1 :], end[dense[0]]) if len(dense) > 1 else ([], None)


def wide_layers(model: keras.Model) -> list[str]:
    """The names of the dense layers, except the last one, whose products are worth rounding to bfloat16."""
    dense = [layer for layer in model.layers if type(layer) is keras.layers.Dense]
    return [layer.name for layer in dense[:-1] if layer.units >= _WIDE]


def has_free_rate(layer: keras.layers.Layer) -> bool:
    """Whether a layer is dropout whose rate may differ within a template."""
    return type(layer) is keras.layers.Dropout and layer.noise_shape is None and 0 < layer.rate < 1


def is_penalized(layer: keras.layers.Layer) -> bool:
    """Whether a layer has a penalty whose factors may differ within a template."""
    kinds = (keras.regularizers.L2, keras.regularizers.L1L2)
    return type(layer) in _WITH_PENALTY and type(layer.kernel_regularizer) in kinds


def has_momentum(optimizer: keras.optimizers.Optimizer) -> bool:
    """Whether an optimizer has a momentum, which may differ within a template."""
    return type(optimizer) in _WITH_MOMENTUM and optimizer.momentum > 0


def descriptions(model: keras.Model, free: Collection[int] = ()) -> list[Any]:
    """Properties of each variable that are not in a configuration: a variable may be frozen, or replaced by another.

    `free`: the ids of the variables whose shape may differ.
    """
    trained = {id(variable) for variable in model.trainable_variables}
    found = []
    for variable in (one for layer in model.layers for one in layer.variables):
        shape = _ANY if id(variable) in free else [*variable.shape]
        kinds = [_kind(variable.regularizer), type(variable.constraint).__name__]
        found.append([shape, variable.dtype, id(variable) in trained, *kinds])
    return found


def _kind(regularizer: Any) -> str:
    penalty = isinstance(regularizer, keras.regularizers.L2 | keras.regularizers.L1L2)
    return "penalty" if penalty else type(regularizer).__name__


def _refuse_model(model: keras.Model) -> None:
    sequential = type(model) is keras.Sequential
    functional = is_functional(model)
    if not (sequential or functional):
        raise NotShareable("the model is a class of its own")
    if any(hasattr(type(model), name) for name in _foreign_functions(model)):
        raise NotShareable("a method of the model was replaced")
    if not model.built or len(model.outputs) != 1 or len(model.inputs) != 1:
        raise NotShareable("the model has not one input and one output")
    if functional and {id(layer) for layer in model.layers} != {id(operation) for operation in model.operations}:
        raise NotShareable("the model computes between its layers")


def _refuse_compiled(model: keras.Model) -> None:
    if forgets_options(model):
        raise NotShareable("a loss or metric has an option that its configuration leaves out")


def _refuse_layer(layer: Any) -> None:
    name = type(layer).__name__
    if not is_kerass_own(type(layer)):
        raise NotShareable(f"a layer is not Keras's own ({name})")
    if name not in (*_LAYERS, *_INNER) or getattr(layer, "stateful", False):
        raise NotShareable(f"a layer is a {name}")
    if getattr(layer, "lora_enabled", False) or getattr(layer, "quantization_mode", None):
        raise NotShareable(f"a layer is a {name} with LoRA or quantized")
    if _foreign_functions(layer):
        raise NotShareable(f"a layer brings a function that is not Keras's own ({name})")
    if name != "InputLayer" and layer.compute_dtype != "float32":
        raise NotShareable(f"a layer computes in {layer.compute_dtype}")


def _refuse_optimizer(optimizer: Any) -> None:
    name = type(optimizer).__name__
    if not is_kerass_own(type(optimizer)) or name not in _OPTIMIZERS:
        raise NotShareable(f"the optimizer is {name}")
    if optimizer.use_ema:
        raise NotShareable("the optimizer averages the weights")
    if optimizer.gradient_accumulation_steps:
        raise NotShareable("the optimizer accumulates gradients")
    if excludes_from_weight_decay(optimizer):
        raise NotShareable("weights are excluded from weight decay")
    if _foreign_functions(optimizer):
        raise NotShareable("the optimizer brings a function that is not Keras's own")


def _foreign_functions(thing: Any) -> list[str]:
    """The functions and methods that a layer, model or optimizer was given and that are not Keras's: attribute names.

    In a configuration, a user's function with the name of one of Keras's would be taken for that one.
    """
    found = []
    for name, value in vars(thing).items():
        if isinstance(value, FunctionType | BuiltinFunctionType | MethodType | partial):
            kerass = is_kerass_own(value)
            if kerass and name.endswith("activation"):
                kerass = keras.activations.get(getattr(value, "__name__", None)) is value
            if not kerass:
                found.append(name)
    return found


def _may_be_wide(layer: Any) -> bool:
    if type(layer).__name__ not in _OF_ANY_WIDTH:
        return False
    if isinstance(layer, keras.layers.Dropout) and layer.noise_shape is not None:
        return False
    variables = [variable for variable in layer.variables if variable.trainable]
    # Other regularizers may use the shape of weights while the graph is traced.
    plain = all(variable.constraint is None for variable in variables)
    return plain and all(type(one.regularizer) in (type(None), *_PENALTIES) for one in variables)


def _common_text(model: keras.Model, data: str) -> str:
    layers, compiling = model.get_config(), model.get_compile_config()
    hidden, output = open_layers(model)
    wide = {layer.name for layer in hidden}
    _generalize(layers["layers"], {layer.name: layer for layer in model.layers}, wide)
    # If a model was compiled with the name of an optimizer, its options may have been changed since.
    compiling["optimizer"] = keras.optimizers.serialize(model.optimizer)
    options = compiling["optimizer"]["config"]
    if isinstance(options["learning_rate"], float):
        options["learning_rate"] = _ANY
    if has_momentum(model.optimizer):
        options["momentum"] = _ANY
    free = {id(variable) for layer in hidden for variable in layer.variables} | {id(output and output.kernel)}
    variables = descriptions(model, free)
    return json.dumps([type(model).__name__, data, _common(layers), _common(compiling), variables], sort_keys=True)


def _generalize(configs: Sequence[dict[str, Any]], layers: Mapping[str, Any], wide: set[str]) -> None:
    for one in configs:
        config = one["config"]
        layer = layers.get(config["name"])
        if has_free_rate(layer):
            config["rate"] = _ANY
        if isinstance(layer, keras.layers.Dense) and layer.name in wide:
            config["units"] = _ANY
        if is_penalized(layer):
            penalty = config["kernel_regularizer"]
            penalty["config"] = {name: factor and _ANY for name, factor in penalty["config"].items()}


def _common(config: Any) -> Any:
    """A configuration without the keys about how its state began.

    Raises:
        NotShareable: it names a class or function that is not Keras's own.
    """
    if isinstance(config, list | tuple):
        return [_common(part) for part in config]
    if not isinstance(config, Mapping):
        return config
    if "module" in config and str(config["module"]).partition(".")[0] != "keras" and not is_own(config):
        raise NotShareable(f"a part is not Keras's own ({config.get('registered_name') or config.get('class_name')})")
    return {
        name: _common(part)
        for name, part in config.items()
        if name not in _INITIAL_STATE_KEYS and not name.endswith("_initializer")
    }
