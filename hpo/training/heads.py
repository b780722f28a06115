"""The head of a model: what it puts out for a sample, the loss that goes with it, and whether it fits the targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras

from hpo.config.training_rules import plain_name
from hpo.data.dataset import DatasetInfo
from hpo.models import InvalidModel
from hpo.training.keras_compat import is_functional, operation_of_output

_PROBABILITIES = ("softmax", "sparsemax")
_EACH = ("sigmoid", "hard_sigmoid", "sparse_sigmoid")
# The softmax of a logarithm of a softmax is that softmax.
_LOGITS = ("linear", "log_softmax")
# These only give another shape, or leave their input as it is when nothing is trained.
_PASSING = (
    keras.layers.Dropout, keras.layers.Flatten, keras.layers.Reshape, keras.layers.Identity, keras.layers.Permute,
)  # fmt: skip
_BINARY = ("binarycrossentropy", "bce", "binaryfocalcrossentropy")
_CATEGORICAL = ("categoricalcrossentropy", "sparsecategoricalcrossentropy", "categoricalfocalcrossentropy")
# These compare outputs with targets of another shape. Others would stretch the shape of one to that of the other.
_OF_OTHER_SHAPES = ("ctc", "circle", "sparsecategoricalcrossentropy", "categoricalgeneralizedcrossentropy")

Activation = Literal["sigmoid", "softmax"]
Logits = Activation | dict[str, Activation | None] | list[Activation | None] | None
"""What makes probabilities of a model's outputs: one for all of them, or that of each by name or in order; None where
they need none."""


@dataclass(frozen=True)
class Head:
    """The last layer of a model."""

    activation: str | None
    """Keras's name; None where it is not known."""
    units: int | None
    """Numbers that the model puts out for a sample, or for each of its steps; None where it is not known."""
    shape: tuple[int | None, ...] | None = None
    """Of what the model puts out for a sample; None where it is not known."""

    @property
    def is_logits(self) -> bool:
        """Whether it puts out numbers of which softmax or sigmoid would make probabilities."""
        return self.activation in _LOGITS

    def __str__(self) -> str:
        units = f"{self.units} unit{'' if self.units == 1 else 's'}"
        if self.shape is not None and len(self.shape) != 1:
            units = f"shape {self.shape}"
        return f"{units} with {'no activation' if self.activation == 'linear' else f'activation {self.activation}'}"


def head_of(model: keras.Model) -> Head:
    """The head of a Sequential or functional model; nothing is known of others, and of several outputs."""
    try:
        shape = model.output_shape
    except (AttributeError, ValueError):
        shape = None
    return _head(_last(model), shape)


def head_of_output(model: keras.Model, name: str, number: int) -> Head:
    """The head of one of the outputs of a functional model: that of a name, or in a list that of a number."""
    output = getattr(model, "output", None) if is_functional(model) else None
    if isinstance(output, Mapping) and name in output:
        tensor = output[name]
    elif isinstance(output, list | tuple) and number < len(output):
        names = list(model.output_names)
        tensor = output[names.index(name) if name in names else number]
    else:
        return Head(None, None)
    return _head(operation_of_output(tensor, _passes), tuple(tensor.shape))


def _head(last: Any, shape: Any) -> Head:
    known = isinstance(shape, tuple) and all(size is None or isinstance(size, int) for size in shape)
    units = shape[-1] if known and shape else None
    return Head(_activation(last), units or getattr(last, "units", None), tuple(shape[1:]) if known else None)


def _passes(operation: Any) -> bool:
    """Whether a layer leaves the numbers of its input as they are, in another shape perhaps."""
    return type(operation) in _PASSING


def _last(model: keras.Model) -> Any:
    """The layer, or operation of Keras, that makes the numbers which a model puts out."""
    last: Any = model
    while True:
        if isinstance(last, keras.Sequential):
            layers = [layer for layer in last.layers if not _passes(layer)]
            if not layers:
                return None
            last = layers[-1]
        elif isinstance(last, keras.Model) and is_functional(last):
            last = operation_of_output(last.outputs[0], _passes)
        else:
            return last


def _activation(last: Any) -> str | None:
    """The activation of a layer, or of one of Keras's operations, by Keras's name."""
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    if isinstance(last, keras.layers.Layer):
        found = getattr(last, "activation", None)
        return getattr(found, "__name__", found)
    names = {plain_name(name): name for name in (*_PROBABILITIES, *_EACH, "log_softmax")}
    return names.get(plain_name(type(last).__name__))


def loss_name(head: Head, named: str | None, info: DatasetInfo) -> str:
    """The loss that goes with a head, unless one is named.

    Raises:
        InvalidModel: the head does not fit the targets; the message says what it has, and what they need.
    """
    if info.task == "multilabel":
        _check_labels(head, info)
        return named or "binary_crossentropy"
    if info.task == "custom" and named is not None and plain_name(named) in _OF_OTHER_SHAPES:
        return named
    if info.classes is None:
        _check_numbers(head, info)
        return named or "mean_squared_error"
    if named is None or plain_name(named) in (*_BINARY, *_CATEGORICAL):
        _check_classes(head, named, info)
    if named is not None:
        return named
    if head.activation in _EACH or (head.units == 1 and head.shape in (None, (*info.target_shape, 1))):
        return "binary_crossentropy"
    return "categorical_crossentropy" if info.one_hot else "sparse_categorical_crossentropy"


def needs_logits(head: Head, loss: str) -> bool:
    """Whether a loss must be told that the head puts out logits."""
    return head.is_logits and plain_name(loss) in (*_BINARY, *_CATEGORICAL)


def _check_numbers(head: Head, info: DatasetInfo) -> None:
    # Keras would stretch the shape of one to that of the other, and compare each number with all.
    wanted = info.input_shape if info.task == "reconstruction" else info.target_shape
    if wanted:
        if head.shape is not None and not _fits(head.shape, wanted):
            what = f"{'an input' if info.task == 'reconstruction' else 'the target'} of {info.name} has shape {wanted}"
            raise _unfit(head, info, what, f"an output of shape {wanted}")
        return
    if head.shape is not None and head.shape not in ((info.outputs,), (None,), *([()] if info.outputs == 1 else [])):
        numbers = "1 number" if info.outputs == 1 else f"{info.outputs} numbers"
        raise _unfit(head, info, f"the target of {info.name} has {numbers} a sample", f"{info.outputs} units")


def _fits(shape: tuple[int | None, ...], wanted: tuple[int, ...]) -> bool:
    """Whether an output may have a shape, of which some sizes may be open."""
    return len(shape) == len(wanted) and all(one in (None, other) for one, other in zip(shape, wanted, strict=True))


def _check_labels(head: Head, info: DatasetInfo) -> None:
    labels = info.outputs
    if head.activation in _PROBABILITIES or (head.shape is not None and not _fits(head.shape, (labels,))):
        needs = f"{labels} units with sigmoid, or with no activation"
        raise _unfit(head, info, f"{info.name} has {labels} labels, of which each may hold", needs)


def _check_classes(head: Head, named: str | None, info: DatasetInfo) -> None:
    classes = info.classes or 0
    needs = f"{classes} units with softmax, or with no activation"
    if classes == 2:
        needs += ", or 1 unit with sigmoid or no activation"
    target = f"{info.name} has {classes} classes"
    if head.activation is not None and head.activation not in (*_PROBABILITIES, *_EACH, *_LOGITS):
        raise _unfit(head, info, target, needs)
    places = info.target_shape
    if head.shape is not None and not _fits(head.shape[:-1], places):
        one = f"a class at each of {places}" if places else "one for each sample"
        raise _unfit(head, info, f"{target}, {one}", f"shape {(*places, '...')}, {needs}" if places else needs)
    units = head.units
    if units is None:
        return
    if units == 1:
        categorical = named is not None and plain_name(named) in _CATEGORICAL
        if classes != 2 or head.activation in _PROBABILITIES or categorical:
            raise _unfit(head, info, target, needs)
    elif units < classes or (units > classes and (info.one_hot or head.activation in _EACH)):
        raise _unfit(head, info, target, needs)


def _unfit(head: Head, info: DatasetInfo, target: str, needs: str) -> InvalidModel:
    return InvalidModel(f"the model's head does not fit the target: it has {head}, and {target}, which needs {needs}")


def logits_of(model: keras.Model) -> Logits:
    """What a compiled model's outputs, which are no probabilities yet, are made probabilities by; see `Logits`."""
    loss = model.loss
    if isinstance(loss, Mapping):
        return {
            name: activation_of(one, head_of_output(model, name, number).units)
            for number, (name, one) in enumerate(loss.items())
        }
    if isinstance(loss, list | tuple):
        return [activation_of(one, head_of_output(model, "", number).units) for number, one in enumerate(loss)]
    return activation_of(loss, head_of(model).units)


def activation_of(loss: Any, units: int | None) -> Activation | None:
    """What makes probabilities of the outputs that a loss takes for logits; None for a loss that does not."""
    if not isinstance(loss, keras.losses.Loss) or not loss.get_config().get("from_logits"):
        return None
    return "sigmoid" if units == 1 or plain_name(type(loss).__name__) in _BINARY else "softmax"
