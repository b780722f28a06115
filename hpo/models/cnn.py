"""A small convolutional network: blocks of convolution and pooling, then dense layers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.errors import ModelError, nearest
from hpo.models.built import InvalidModel
from hpo.models.layers import activate, dense, options, output
from hpo.models.parts import OF_HEAD, OF_LAYERS, Activation, Head, Weights, activation, head, weights
from hpo.models.values import Values

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo

_OF_BLOCKS = (
    "filters", "kernel", "padding", "convolutions", "batch_normalization", "pooling", "pool_size", "block_dropout",
    *OF_LAYERS,
)  # fmt: skip
KEYS = ("blocks", "dense", "dropout", *OF_HEAD, *_OF_BLOCKS, *(f"{key}_N" for key in _OF_BLOCKS))
_WITHIN_A_BLOCK = tuple(key.removeprefix("block_") for key in _OF_BLOCKS)


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
class _Plan:
    blocks: tuple[_Block, ...]
    dense: tuple[tuple[int, Activation, Weights], ...]
    dropout: float
    head: Head


def check(params: Mapping[str, Any], info: "DatasetInfo") -> None:
    """Raises what `build` would, without Keras."""
    _plan(params, info)


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape` (height, width, channels); output shape
    (info.outputs,), or (1,) for two classes with `output_activation: sigmoid`.

    `blocks` is a number (2) or a list of mappings, whose keys are those below; `kernel_2` and so on are the second
    block's own, whatever the list says. Each block has `convolutions` (1) of `filters` (32, twice as many in each
    further block) and `kernel` pixels (3), each followed by `batch_normalization` (false) and its `activation`
    (relu; `leaky_slope` is leaky_relu's, 0.2); then `pooling` (max, average or none) over `pool_size` pixels (2),
    and a share `block_dropout` dropped (0), in a list's mappings `dropout`. `padding` (same or valid) is that of
    the convolutions and of the pooling.

    Then `dense` units (128; 0 for no such layer; a list for several layers), and a share `dropout` of them dropped
    (0). `use_bias`, `kernel_initializer`, `bias_initializer`, `l1`, `l2` and the output layer are as in mlp.

    Raises:
        ModelError: the data are no images.
        InvalidModel: a value that makes no layer, or a kernel or pool that does not fit its input.
    """
    import keras

    plan = _plan(params, info)
    layers: list[Any] = [keras.Input(info.input_shape, name="input")]
    for number, block in enumerate(plan.blocks, start=1):
        layers += _layers(block, number)
    layers.append(keras.layers.Flatten(name="flatten"))
    for number, (units, function, own_weights) in enumerate(plan.dense, start=1):
        suffix = f"_{number}" if len(plan.dense) > 1 else ""
        layers += dense(units, function, own_weights, f"dense{suffix}")
        if plan.dropout:
            layers.append(keras.layers.Dropout(plan.dropout, name=f"dropout{suffix}"))
    if plan.dropout and not plan.dense:
        layers.append(keras.layers.Dropout(plan.dropout, name="dropout"))
    return keras.Sequential([*layers, output(plan.head)], name="cnn")


def _layers(block: _Block, number: int) -> Iterator[Any]:
    import keras

    for _ in range(block.convolutions):
        yield keras.layers.Conv2D(block.filters, block.kernel, padding=block.padding, **options(block.weights))
        if block.batch_normalization:
            yield keras.layers.BatchNormalization()
        yield activate(block.activation)
    if block.pooling != "none":
        kinds = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
        yield kinds[block.pooling](block.pool_size, padding=block.padding)
    if block.dropout:
        yield keras.layers.Dropout(block.dropout, name=f"block_dropout_{number}")


def _plan(params: Mapping[str, Any], info: "DatasetInfo") -> _Plan:
    if len(info.input_shape) != 3:
        raise ModelError(
            f"cnn needs images of shape (height, width, channels), and a sample of {info.name} has shape "
            f"{info.input_shape}; mlp takes any shape"
        )
    blocks: list[_Block] = []
    size: tuple[int, ...] = info.input_shape[:2]
    for values in _each_block(params):
        blocks.append(_block(values))
        size = _size_after(blocks[-1], size, values)
    values = Values(params)
    units = values.wholes("dense") if isinstance(params.get("dense"), list) else (values.whole("dense", 128, low=0),)
    dense = tuple((one, activation(values), weights(values)) for one in units if one)
    return _Plan(tuple(blocks), dense, values.share("dropout"), head(params, info))


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
    """The height and width that a block makes of its input's.

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
            f"block {values.number}: {what} of {length} does not fit its input of {size[0]} x {size[1]}; "
            f"use padding same, a smaller {key} or fewer blocks",
            values.first_set(key, "padding", "blocks"),
        )
