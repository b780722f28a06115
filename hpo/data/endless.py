"""Whether a `tf.data.Dataset` comes to an end: what `cardinality()` leaves open, its making may show."""

from collections.abc import Iterator
from typing import Any

_INFINITE, _UNKNOWN = -1, -2  # tf.data.INFINITE_CARDINALITY, tf.data.UNKNOWN_CARDINALITY

ADVICE = (
    "data that have no end need dataset.steps_per_epoch, which takes a generator function (batch_size, rng), or "
    "a finite pipeline: .take(n)"
)


def is_endless(dataset: Any) -> bool:
    """Whether a pipeline is known to have no end: it repeats forever, and nothing behind that cuts it short."""
    while (count := int(dataset.cardinality())) == _UNKNOWN:
        inputs = _inputs(dataset)
        if len(inputs) != 1 or _kind(dataset).startswith("Take"):
            return False
        (dataset,) = inputs
    return count == _INFINITE


def may_be_endless(dataset: Any) -> bool:
    """Whether a pipeline has a generator of Python's or a repetition in it, and neither a length nor a `.take(n)`.

    Files and arrays have an end by themselves.
    """
    if int(dataset.cardinality()) != _UNKNOWN or _kind(dataset) == "Take":
        return False
    return "Repeat" in _kind(dataset) or _makes_endless(dataset) or any(map(may_be_endless, _inputs(dataset)))


def _inputs(dataset: Any) -> list[Any]:
    # TensorFlow has no public way from a pipeline to what it was made of.
    return list(dataset._inputs()) if hasattr(dataset, "_inputs") else []


def _kind(dataset: Any) -> str:
    """Batch, Take, Filter, ..."""
    return type(dataset).__name__.strip("_").removesuffix("V2").removesuffix("Dataset")


def _makes_endless(dataset: Any) -> bool:
    return any(kind in ("GeneratorDataset", "RepeatDataset") for kind in _operations(dataset))


def _operations(dataset: Any) -> Iterator[str]:
    """The operations of the function that makes the samples of one pipeline from another's: `flat_map` and its like."""
    graph = getattr(getattr(getattr(dataset, "_map_func", None), "function", None), "graph", None)
    return (operation.type for operation in graph.get_operations()) if graph is not None else iter(())
