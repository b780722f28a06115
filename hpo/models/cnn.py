"""A small convolutional network: blocks of convolution and pooling, then dense layers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from hpo.errors import ModelError, nearest
from hpo.models.built import InvalidModel
from hpo.models.layers import activate, dense, output, weight_options
from hpo.models.parts import Activation, Head, HeadKeys, LayerKeys, Weights, activation, head, weights
from hpo.models.values import Values

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo


class EachKeys(LayerKeys):
    """The parameters of all blocks, or of one as `filters_2`."""

    filters: Annotated[int, Field(ge=1)] | None = None
    """How many filters each convolution has. Unit: filters.
    Default: 32 in the first block, twice as many in each further block. Example: 64"""
    kernel: Annotated[int, Field(ge=1)] = 3
    """Height and width of each convolution's kernel. Unit: pixels. Example: 5"""
    padding: Literal["same", "valid"] = "same"
    """What convolutions and pooling do at the edges. Values: same: pad with zeros, which keeps the size; valid: do not
    pad. Example: valid"""
    convolutions: Annotated[int, Field(ge=1)] = 1
    """How many convolutions a block has before its pooling. Unit: layers. Example: 2"""
    batch_normalization: bool = False
    """Whether each convolution is followed by batch normalization. Example: true"""
    pooling: Literal["max", "average", "none"] = "max"
    """How a block ends. Values: max: max pooling; average: average pooling; none: no pooling. Example: average"""
    pool_size: Annotated[int, Field(ge=1)] = 2
    """Height and width of the pooling. Unit: pixels. Example: 3"""
    block_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How many of a block's outputs are dropped at random while training. Within a list of blocks the key is `dropout`.
    Unit: share. Example: 0.25"""


class Keys(EachKeys, HeadKeys):
    """A small convolutional network: blocks of convolution and pooling, then dense layers. `filters_2` sets `filters`
    of the second block."""

    blocks: Annotated[int, Field(ge=0)] | list[dict[str, Any]] = 2
    """How many blocks of convolutions and pooling there are; or a list with a mapping for each block, of the keys that
    blocks have here. `kernel_2` and similar keys override the list for the second block.
    Unit: blocks. Example: [{filters: 32, kernel: 5}, {filters: 64, convolutions: 2, dropout: 0.25}]"""
    dense: Annotated[int, Field(ge=0)] | list[Annotated[int, Field(ge=1)]] = 128
    """How many units the dense layer after the blocks has; 0 for no such layer, a list for several.
    Unit: units. Example: [256, 64]"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How many of the dense layer's units are dropped at random while training. Unit: share. Example: 0.5"""


_WITHIN_A_BLOCK = tuple(key.removeprefix("block_") for key in EachKeys.model_fields)


@dataclass(frozen=True)
class _Block:
    filters: int
    kernel: int
    padding: str
    convolutions: int
    activation: Activation
    weights: Weights
    batch_normalization: bool
    pooling: str
    pool_size: int
    dropout: float


@dataclass(frozen=True)
class Plan:
    """What a network is made of: blocks of convolution and pooling, then dense layers."""

    blocks: tuple[_Block, ...]
    dense: tuple[tuple[int, Activation, Weights], ...]
    dropout: float
    head: Head


def check(params: Mapping[str, Any], info: "DatasetInfo") -> None:
    """Raises the same errors as `build`, without importing Keras."""
    _plan(params, info)


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape` (height, width, channels); output shape
    (info.outputs,), or (1,) for two classes with `output_activation: sigmoid`.

    `Keys` documents the parameters. `kernel_2` sets `kernel` of the second block alone, and so on.

    Raises:
        ModelError: the data are not images.
        InvalidModel: a value is not allowed, or a kernel or pool does not fit its input.
    """
    import keras

    return keras.Sequential(
        [keras.Input(info.input_shape, name="input"), *layers_of(_plan(params, info), 2)], name="cnn"
    )


def layers_of(plan: Plan, dimensions: int) -> "list[keras.layers.Layer]":
    """The layers after the input, of convolutions over one or two dimensions."""
    import keras

    layers: list[Any] = []
    for number, block in enumerate(plan.blocks, start=1):
        layers += _layers(block, number, dimensions)
    layers.append(keras.layers.Flatten(name="flatten"))
    for number, (units, function, own_weights) in enumerate(plan.dense, start=1):
        suffix = f"_{number}" if len(plan.dense) > 1 else ""
        layers += dense(units, function, own_weights, f"dense{suffix}")
        if plan.dropout:
            layers.append(keras.layers.Dropout(plan.dropout, name=f"dropout{suffix}"))
    if plan.dropout and not plan.dense:
        layers.append(keras.layers.Dropout(plan.dropout, name="dropout"))
    return [*layers, output(plan.head)]


def _layers(block: _Block, number: int, dimensions: int) -> Iterator[Any]:
    import keras

    convolution = getattr(keras.layers, f"Conv{dimensions}D")
    for _ in range(block.convolutions):
        yield convolution(block.filters, block.kernel, padding=block.padding, **weight_options(block.weights))
        if block.batch_normalization:
            yield keras.layers.BatchNormalization()
        yield activate(block.activation)
    if block.pooling != "none":
        pooling = getattr(keras.layers, f"{block.pooling.capitalize()}Pooling{dimensions}D")
        yield pooling(block.pool_size, padding=block.padding)
    if block.dropout:
        yield keras.layers.Dropout(block.dropout, name=f"block_dropout_{number}")


def _plan(params: Mapping[str, Any], info: "DatasetInfo") -> Plan:
    if len(info.input_shape) != 3:
        raise ModelError(
            f"cnn needs images of shape (height, width, channels), and a sample of {info.name} has shape "
            f"{info.input_shape}; mlp takes any shape"
        )
    return plan_of(params, info, info.input_shape[:2])


def plan_of(params: Mapping[str, Any], info: "DatasetInfo", size: tuple[int, ...]) -> Plan:
    """What the parameters make of samples of a size: (height, width), or (steps,).

    Raises:
        InvalidModel: a value is not allowed, or a kernel or pool does not fit its input.
    """
    blocks: list[_Block] = []
    for values in _each_block(params):
        blocks.append(_block(values))
        size = _size_after(blocks[-1], size, values)
    values = Values(params)
    units = values.wholes("dense") if isinstance(params.get("dense"), list) else (values.whole("dense", 128, low=0),)
    dense = tuple((one, activation(values), weights(values)) for one in units if one)
    return Plan(tuple(blocks), dense, values.share("dropout"), head(params, info))


def _each_block(params: Mapping[str, Any]) -> Iterator[Values]:
    listed = params.get("blocks", 2)
    if not isinstance(listed, list):
        for number in range(1, Values(params).whole("blocks", 2, low=0) + 1):
            yield Values(params, number)
        return
    for number, block in enumerate(listed, start=1):
        if not isinstance(block, Mapping):
            rule = "must be a mapping, as {filters: 32, kernel: 3}"
            raise InvalidModel(f"block {number} {rule}, got {block!r}", "blocks")
        for key in block:
            if key not in _WITHIN_A_BLOCK:
                raise InvalidModel(f"block {number}: unknown key {key!r}; {nearest(key, _WITHIN_A_BLOCK)}", "blocks")
        named = {"block_dropout" if key == "dropout" else key: value for key, value in block.items()}
        yield Values(params, number, named)


def _block(values: Values) -> _Block:
    filters = values.whole("filters", 32)
    if not values.is_own("filters"):
        filters *= 2 ** ((values.number or 1) - 1)
    normalized = values.boolean("batch_normalization", False)
    return _Block(
        filters=filters,
        kernel=values.whole("kernel", 3),
        padding=values.word("padding", "same", ("same", "valid")),
        convolutions=values.whole("convolutions", 1),
        activation=activation(values),
        weights=weights(values, use_bias=not normalized),
        batch_normalization=normalized,
        pooling=values.word("pooling", "max", ("max", "average", "none")),
        pool_size=values.whole("pool_size", 2),
        dropout=values.share("block_dropout"),
    )


def _size_after(block: _Block, size: tuple[int, ...], values: Values) -> tuple[int, ...]:
    """The height and width of a block's output, from those of its input.

    Raises:
        InvalidModel: the input is smaller than the kernel or the pool.
    """
    pool = 1 if block.pooling == "none" else block.pool_size
    if block.padding == "same":
        # An image of one pixel stays one, however many blocks follow.
        return tuple(-(-length // pool) for length in size)
    for _ in range(block.convolutions):
        _check_fits("a kernel", block.kernel, "kernel", size, values)
        size = tuple(length - block.kernel + 1 for length in size)
    _check_fits("a pool_size", pool, "pool_size", size, values)
    return tuple(length // pool for length in size)


def _check_fits(what: str, length: int, key: str, size: tuple[int, ...], values: Values) -> None:
    if length > min(size):
        raise InvalidModel(
            f"block {values.number}: {what} of {length} does not fit its input of {' x '.join(map(str, size))}; "
            f"use padding same, a smaller {key} or fewer blocks",
            values.first_set(key, "padding", "blocks"),
        )
