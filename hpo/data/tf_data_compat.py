"""All that hpo needs of `tf.data` beyond what TensorFlow documents: what a pipeline was made of.

`tests/data/test_tf_data_compat.py` tries it, and says where to look when an upgrade of TensorFlow breaks it. What is
not found here counts as harmless: a pipeline without an end then trains for ever instead of being refused.
"""

from typing import Any


def inputs_of(dataset: Any) -> list[Any]:
    """The pipelines that a pipeline was made of."""
    return list(dataset._inputs()) if hasattr(dataset, "_inputs") else []


def kind_of(dataset: Any) -> str:
    """What a pipeline does, by the name of its class: Batch, Take, Filter, ..."""
    return type(dataset).__name__.strip("_").removesuffix("V2").removesuffix("Dataset")


def operations_of(dataset: Any) -> list[str]:
    """The operations of the function that makes the samples of one pipeline from another's: `flat_map` and its like."""
    graph = getattr(getattr(getattr(dataset, "_map_func", None), "function", None), "graph", None)
    return [] if graph is None else [operation.type for operation in graph.get_operations()]
