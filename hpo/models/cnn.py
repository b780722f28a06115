"""A small convolutional network: blocks of convolution and pooling, then a dense layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hpo.errors import ModelError, nearest
from hpo.models.built import InvalidModel
from hpo.models.layers import activation, head, share, whole

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo

KEYS = ("blocks", "filters", "kernel", "activation", "batch_normalization", "pooling", "dense", "dropout")
_POOLING = {"max": "MaxPooling2D", "average": "AveragePooling2D"}


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape` (height, width, channels).

    `blocks` (2), the first with `filters` filters (32), each further one with twice as many: a convolution of
    `kernel` pixels (3), `batch_normalization` (false), `activation` (relu), `pooling` max or average (max).
    Then `dense` units (128; 0 for no such layer), and a share `dropout` of them dropped (0).

    Raises:
        ModelError: the data are no images.
        InvalidModel: a value that makes no layer.
    """
    import keras

    if len(info.input_shape) != 3:
        raise ModelError(
            f"cnn needs images of shape (height, width, channels), and a sample of {info.name} has shape "
            f"{info.input_shape}; mlp takes any shape"
        )
    function = activation(params, "activation", "relu")
    filters, kernel = whole(params, "filters", 32), whole(params, "kernel", 3)
    normalize, pooling = _normalize(params), _pooling(params)
    layers: list[Any] = [keras.Input(info.input_shape, name="input")]
    for block in range(whole(params, "blocks", 2)):
        layers.append(keras.layers.Conv2D(filters * 2**block, kernel, padding="same", use_bias=not normalize))
        if normalize:
            layers.append(keras.layers.BatchNormalization())
        # With "same" padding an image of one pixel stays one, however many blocks follow.
        layers += [keras.layers.Activation(function), getattr(keras.layers, pooling)(2, padding="same")]
    layers.append(keras.layers.Flatten(name="flatten"))
    if units := whole(params, "dense", 128, low=0):
        layers.append(keras.layers.Dense(units, activation=function, name="dense"))
    if dropped := share(params, "dropout", 0.0):
        layers.append(keras.layers.Dropout(dropped, name="dropout"))
    return keras.Sequential([*layers, head(info)], name="cnn")


def _normalize(params: Mapping[str, Any]) -> bool:
    value = params.get("batch_normalization", False)
    if not isinstance(value, bool):
        raise InvalidModel(f"batch_normalization must be true or false, got {value!r}")
    return value


def _pooling(params: Mapping[str, Any]) -> str:
    value = params.get("pooling", "max")
    if value not in _POOLING:
        raise InvalidModel(f"pooling must be max or average, got {value!r}; {nearest(value, _POOLING)}")
    return _POOLING[value]
