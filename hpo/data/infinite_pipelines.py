"""Whether a `tf.data.Dataset` comes to an end: what `cardinality()` leaves open, its making may show."""

from typing import Any

from hpo.data.tf_data_compat import inputs_of, kind_of, operations_of

_INFINITE, _UNKNOWN = -1, -2  # tf.data.INFINITE_CARDINALITY, tf.data.UNKNOWN_CARDINALITY

ADVICE = (
    "data that have no end need dataset.steps_per_epoch, which takes a generator function (batch_size, rng), or "
    "a finite pipeline: .take(n)"
)


def is_infinite(dataset: Any) -> bool:
    """Whether a pipeline is known to have no end: it repeats forever, and nothing behind that cuts it short."""
    while (count := int(dataset.cardinality())) == _UNKNOWN:
        inputs = inputs_of(dataset)
        if len(inputs) != 1 or kind_of(dataset).startswith("Take"):
            return False
        (dataset,) = inputs
    return count == _INFINITE


def may_be_infinite(dataset: Any) -> bool:
    """Whether a pipeline has a generator of Python's or a repetition in it, and neither a length nor a `.take(n)`.

    Files and arrays have an end by themselves.
    """
    if int(dataset.cardinality()) != _UNKNOWN or kind_of(dataset) == "Take":
        return False
    return "Repeat" in kind_of(dataset) or _makes_infinite(dataset) or any(map(may_be_infinite, inputs_of(dataset)))


def _makes_infinite(dataset: Any) -> bool:
    return any(kind in ("GeneratorDataset", "RepeatDataset") for kind in operations_of(dataset))
