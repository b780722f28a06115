"""A convolutional network over the steps of series and sequences: blocks of convolution and pooling."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from hpo.models import cnn
from hpo.models.layers import as_steps
from hpo.models.parts import steps_of

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo


class EachKeys(cnn.EachKeys):
    """The parameters of all blocks, or of one as `filters_2`."""

    kernel: Annotated[int, Field(ge=1)] = 3
    """Over how many steps each convolution's kernel reaches. Unit: steps. Example: 5"""
    pool_size: Annotated[int, Field(ge=1)] = 2
    """Over how many steps the pooling reaches. Unit: steps. Example: 3"""


class Keys(EachKeys, cnn.Keys):
    """A convolutional network over the steps of series and sequences: blocks of convolution and pooling, then dense
    layers. `filters_2` sets `filters` of the second block."""


def check(params: Mapping[str, Any], info: "DatasetInfo") -> None:
    """Raises the same errors as `build`, without importing Keras."""
    _plan(params, info)


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape`, whose first dimension is that of the steps; output
    shape (info.outputs,), or (1,) for two classes with `output_activation: sigmoid`.

    `Keys` documents the parameters. `kernel_2` sets `kernel` of the second block alone, and so on.

    Raises:
        ModelError: samples have no steps.
        InvalidModel: a value is not allowed, or a kernel or pool does not fit its input.
    """
    import keras

    return keras.Sequential([*as_steps(info), *cnn.layers_of(_plan(params, info), 1)], name="conv1d")


def _plan(params: Mapping[str, Any], info: "DatasetInfo") -> cnn.Plan:
    return cnn.plan_of(params, info, steps_of("conv1d", info)[:1])
