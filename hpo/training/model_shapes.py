"""What a model's shapes leave open until its data are known."""

import keras

from hpo.data.dataset import DatasetInfo


def build_chain(model: keras.Model, info: DatasetInfo) -> None:
    """Builds a chain of layers that does not say what it takes; others are built by their first samples."""
    if isinstance(model, keras.Sequential) and not model.built and not info.inputs and not info.is_text:
        model.build((None, *info.input_shape))


def size_of(model: keras.Model, info: DatasetInfo) -> int:
    """Numbers in the model; 0 where its shapes are known once it trains."""
    build_chain(model, info)
    return int(model.count_params()) if model.built else 0
