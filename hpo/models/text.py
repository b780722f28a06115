"""A model of texts: a vocabulary of the training part, an embedding of its words, and their mean, maximum or LSTM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from hpo.errors import ModelError
from hpo.models import rnn
from hpo.models.layers import output
from hpo.models.parts import Head, head
from hpo.models.values import Values

if TYPE_CHECKING:
    import keras

    from hpo.data.dataset import DatasetInfo

TAKES_TEXT = True
"""Whether samples are texts, which the other models do not take."""


class EachKeys(rnn.EachKeys):
    """The parameters of all recurrent layers, or of one as `units_2`."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How many of the pooled numbers, or of a recurrent layer's outputs, are dropped at random while training.
    Unit: share. Example: 0.2"""


class Keys(EachKeys, rnn.Keys):
    """A model of texts: a vocabulary of the training part, an embedding of its words, and what makes one row of numbers
    of them. `units_2` sets `units` of the second recurrent layer."""

    vocabulary: Annotated[int, Field(ge=3)] = 10000
    """How many words are told apart, the most frequent ones of the training part; all others are one word.
    Unit: words. Example: 5000"""
    length: Annotated[int, Field(ge=1)] = 200
    """How many words of a text are read, from its beginning; a shorter one is filled up. Unit: words. Example: 100"""
    embedding: Annotated[int, Field(ge=1)] = 32
    """How many numbers stand for a word. Unit: numbers. Example: 64"""
    pooling: Literal["average", "max", "recurrent"] = "average"
    """What makes one row of numbers of those of all words. Values: average: their mean; max: the largest of each;
    recurrent: recurrent layers (`cell`, `layers`, `units`, `bidirectional`), which read them in order.
    Example: recurrent"""


@dataclass(frozen=True)
class _Plan:
    vocabulary: int
    length: int
    embedding: int
    pooling: str
    dropout: float
    recurrent: rnn.Recurrent
    head: Head


def check(params: Mapping[str, Any], info: "DatasetInfo") -> None:
    """Raises the same errors as `build`, without importing Keras."""
    _plan(params, info)


def build(params: Mapping[str, Any], info: "DatasetInfo") -> "keras.Model":
    """Builds an uncompiled model of one text a sample; output shape (info.outputs,), or (1,) for two classes with
    `output_activation: sigmoid`. Its vocabulary is that of the training part.

    `Keys` documents the parameters.

    Raises:
        ModelError: samples are no texts.
        InvalidModel: a value is not allowed.
    """
    import keras

    plan = _plan(params, info)
    vectorizer = keras.layers.TextVectorization(plan.vocabulary, output_sequence_length=plan.length)
    layers = [
        keras.Input(info.input_shape, dtype="string", name="input"),
        info.adapt(vectorizer),
        # Cells pass over what fills up a short text. A mean over words alone would be undefined for a text without any.
        keras.layers.Embedding(
            plan.vocabulary, plan.embedding, mask_zero=plan.pooling == "recurrent", name="embedding"
        ),
        *_pooling(plan),
        output(plan.head),
    ]
    return keras.Sequential(layers, name="text")


def _pooling(plan: _Plan) -> "list[keras.layers.Layer]":
    import keras

    if plan.pooling == "recurrent":
        return rnn.recurrent_layers(plan.recurrent)
    kinds = {"average": keras.layers.GlobalAveragePooling1D, "max": keras.layers.GlobalMaxPooling1D}
    dropped = [keras.layers.Dropout(plan.dropout, name="dropout")] if plan.dropout else []
    return [kinds[plan.pooling](name="pooling"), *dropped]


def _plan(params: Mapping[str, Any], info: "DatasetInfo") -> _Plan:
    if not info.is_text or info.input_shape not in ((), (1,)):
        what = f"texts of shape {info.input_shape}" if info.is_text else f"numbers of shape {info.input_shape}"
        raise ModelError(f"text needs a text for each sample, and {info.name} has {what}; dataset.text names a column")
    values = Values(params)
    return _Plan(
        values.whole("vocabulary", 10000, low=3),
        values.whole("length", 200),
        values.whole("embedding", 32),
        values.word("pooling", "average", ("average", "max", "recurrent")),
        values.share("dropout"),
        rnn.recurrent(params),
        head(params, info),
    )
