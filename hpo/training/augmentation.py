"""Augmentation: batches changed at random by Keras's layers, on their way to training and nowhere else."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from hpo.config.experiment import Augmentation
from hpo.data.dataset import Dataset, DatasetInfo
from hpo.data.image_changes import check_augmentation
from hpo.errors import DataError
from hpo.models import InvalidModel


class Augment:
    """Changes batches, each time anew; begun from the same seed, it changes the same batches alike."""

    def __init__(self, augmentation: Augmentation, info: DatasetInfo, seed: int) -> None:
        self._layers = layers_of(augmentation, info)
        self.begin(seed)

    def begin(self, seed: int) -> None:
        """Begins anew, from a seed: graphs that were traced with these layers go on from it too."""
        # Layers of one seed would draw the same numbers: the largest zoom with the largest rotation.
        seeds = np.random.SeedSequence(seed).generate_state(len(self._layers))
        for layer, own in zip(self._layers, seeds, strict=True):
            noise = isinstance(layer, keras.layers.GaussianNoise)
            (layer.seed_generator if noise else layer.generator).state.assign([int(own), 0])

    @property
    def variables(self) -> list[Any]:
        """The state of its seeds."""
        return [variable for layer in self._layers for variable in layer.variables]

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """The batch changed: scaled samples, shape (n, *input_shape), float32."""
        for layer in self._layers:
            x = layer(x, training=True)
        return x


def augment_for(augmentation: Augmentation | None, dataset: Dataset, seed: int) -> Augment | None:
    """What changes the training batches of a trial; None where they stay as they are.

    Raises:
        InvalidModel: the dataset's samples cannot be changed that way.
    """
    try:
        check_augmentation(augmentation, dataset)
    except DataError as error:
        raise InvalidModel(f"{'.'.join(error.key)}: {error}") from None
    if augmentation is None or not layers_of(augmentation, dataset.info):
        return None
    return Augment(augmentation, dataset.info, seed)


def layers_of(augmentation: Augmentation, info: DatasetInfo) -> list[Any]:
    """The layers, in the order in which they are applied: rotation, zoom, translation, flip, noise."""
    fill: dict[str, Any] = {"fill_mode": augmentation.fill}
    if augmentation.fill == "constant" and len(info.input_shape) == 3:
        # What is zero before scaling, so that the background goes on.
        fill["fill_value"] = float(info.scaling.apply(np.zeros(())))
    layers = keras.layers
    found = []
    if augmentation.rotation:
        found.append(layers.RandomRotation(augmentation.rotation, **fill))
    if augmentation.zoom:
        found.append(layers.RandomZoom(augmentation.zoom, **fill))
    if augmentation.translation:
        found.append(layers.RandomTranslation(augmentation.translation, augmentation.translation, **fill))
    if augmentation.flip:
        found.append(layers.RandomFlip(augmentation.flip))
    if augmentation.noise:
        found.append(layers.GaussianNoise(augmentation.noise))
    return found


def augment_steps(model: keras.Model, augment: Augment) -> None:
    """Has a model's training steps see changed batches, whoever feeds them; its test steps do not."""
    train_step = model.train_step

    def augmented(data: Any) -> Any:
        x, *rest = data
        return train_step((augment(x), *rest))

    model.train_step = augmented
    # XLA has no operation that moves the pixels of images.
    model.jit_compile = False
