"""A recurrent network for series and sequences: layers of LSTM or GRU, in one direction or in both."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from hpo.config.section import Section
from hpo.models.layers import as_steps, output
from hpo.models.parts import Head, HeadKeys, head, steps_of
from hpo.models.values import Values

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo


class EachKeys(Section):
    """The parameters of all recurrent layers, or of one as `units_2`."""

    units: Annotated[int, Field(ge=1)] = 64
    """How many units each recurrent layer has, in each direction. Unit: units. Example: 32"""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How many of a recurrent layer's outputs are dropped at random while training. Unit: share. Example: 0.2"""


class Keys(EachKeys, HeadKeys):
    """A recurrent network for series and sequences. `units_2` sets `units` of the second layer."""

    cell: Literal["lstm", "gru"] = "lstm"
    """What the recurrent layers are. Values: lstm: long short-term memory; gru: gated recurrent units. Example: gru"""
    layers: Annotated[int, Field(ge=1)] = 1
    """How many recurrent layers there are. All but the last one pass on what they put out at each step. Unit: layers.
    Example: 2"""
    bidirectional: bool = False
    """Whether the steps are read in both directions, by twice as many units. Example: true"""


@dataclass(frozen=True)
class Recurrent:
    """Recurrent layers."""

    cell: str
    bidirectional: bool
    layers: tuple[tuple[int, float], ...]
    """Units and dropout of each."""


@dataclass(frozen=True)
class _Plan:
    recurrent: Recurrent
    head: Head


def check(params: Mapping[str, Any], info: "DatasetInfo") -> None:
    """Raises the same errors as `build`, without importing Keras."""
    _plan(params, info)


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model; input shape `info.input_shape`, whose first dimension is that of the steps; output
    shape (info.outputs,), or (1,) for two classes with `output_activation: sigmoid`.

    `Keys` documents the parameters. `units_2` sets `units` of the second layer alone, and so on.

    Raises:
        ModelError: samples have no steps.
        InvalidModel: a value is not allowed.
    """
    import keras

    plan = _plan(params, info)
    return keras.Sequential([*as_steps(info), *recurrent_layers(plan.recurrent), output(plan.head)], name="rnn")


def recurrent_layers(recurrent: Recurrent) -> "list[keras.layers.Layer]":
    """The layers, each followed by its dropout; the last one puts out its last step alone."""
    import keras

    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[recurrent.cell]
    found: list[Any] = []
    for number, (units, dropout) in enumerate(recurrent.layers, start=1):
        name = f"{recurrent.cell}_{number}"
        layer = kind(units, return_sequences=number < len(recurrent.layers), name=name)
        found.append(keras.layers.Bidirectional(layer, name=f"both_{number}") if recurrent.bidirectional else layer)
        if dropout:
            found.append(keras.layers.Dropout(dropout, name=f"dropout_{number}"))
    return found


def recurrent(params: Mapping[str, Any]) -> Recurrent:
    """The recurrent layers, from `cell`, `layers`, `bidirectional`, `units` and `dropout`.

    Raises:
        InvalidModel: a value is not allowed.
    """
    values = Values(params)
    each = [Values(params, number) for number in range(1, values.whole("layers", 1) + 1)]
    return Recurrent(
        values.word("cell", "lstm", ("lstm", "gru")),
        values.boolean("bidirectional", False),
        tuple((one.whole("units", 64), one.share("dropout")) for one in each),
    )


def _plan(params: Mapping[str, Any], info: "DatasetInfo") -> _Plan:
    steps_of("rnn", info)
    return _Plan(recurrent(params), head(params, info))
