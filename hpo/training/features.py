"""The head of a network that stays as it is, trained on what the network puts out, which is computed once.

Layers that neither train nor draw random numbers put out the same for an image in every epoch. So all parts go through
the first layers of such a model once, and copies of the layers behind them train in their place, as a small model. The
trials of a run share what the same layers, with the same weights, have put out; it is in the folder of prepared data.
"""

import hashlib
import math
import re
import tempfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from hpo.data.dataset import NO_SCALING, Array, Dataset, Part
from hpo.models import Built
from hpo.training.keras_compat import layers_within
from hpo.training.messages import Job
from hpo.training.tensors import tensors_of

_BATCH = 256
# Of all parts together: a template keeps them in memory as long as it is kept itself.
_MOST_BYTES = 1 << 28
_KEPT: OrderedDict[str, Dataset] = OrderedDict()
_MOST_KEPT = 2
# In the folder of the prepared data.
_FOLDER = "features"
_MOST_ON_DISK = 8


@dataclass(frozen=True)
class Features:
    """What trains in the place of a model."""

    job: Job
    """Of the data that the features are."""
    built: Built
    """Copies of the layers behind those that stay as they are; not compiled."""
    dataset: Dataset
    """What these put out for each image, in the place of the images."""
    fixed: Sequence[Array]
    """The weights of those that stay, which are the first of the model's."""

    def whole(self, weights: Sequence[Array]) -> list[Array]:
        """The weights of the model, from those of the layers behind."""
        return [*self.fixed, *weights]

    def behind(self, weights: Sequence[Array]) -> list[Array]:
        """The weights of the layers behind, from those of the model."""
        return list(weights[len(self.fixed) :])


def features_of(job: Job, made: Built, dataset: Dataset) -> Features | None:
    """What trains in the place of a model, before it is compiled; None where the whole model is to train.

    That is so where no network stays as it is, where images are changed at random or drawn anew, where they or the
    features do not fit into memory, and where callbacks of the user's would see another model than theirs. Models of
    the user's own train as a whole: they may hold layers that change images, functions that no configuration names, and
    networks of which some layers train.
    """
    if job.model != "application":
        return None
    model, info = made.model, dataset.info
    in_memory = dataset.stream is None and dataset.batches is None and info.window is None
    if not in_memory or job.augmentation is not None or job.training.callbacks:
        return None
    # Nothing that trains comes before the end of the pooling, and nothing that draws random numbers.
    pooling = model.get_layer("pooling")
    begin, layers = pooling.output, model.layers[model.layers.index(pooling) + 1 :]
    fixed, samples = keras.Model(model.inputs[0], begin), sum(info.sizes.values())
    trains = any(layer.weights and layer.trainable for layer in fixed.layers)
    if trains or begin.dtype != "float32" or 4 * math.prod(begin.shape[1:]) * samples > _MOST_BYTES:
        return None
    weights = fixed.get_weights()
    key = _key(job, fixed, weights)
    found = _KEPT.pop(key, None) or _features(fixed, dataset, Path(job.data) / _FOLDER / key)
    _KEPT[key] = found
    while len(_KEPT) > _MOST_KEPT:
        _KEPT.popitem(last=False)
    head = replace(made, model=_copied(layers, begin.shape[1:]))
    return Features(replace(job, data=f"{job.data} {key}"), head, found, weights)


def _key(job: Job, fixed: keras.Model, weights: Sequence[Array]) -> str:
    """What the features are a function of: the data, the layers, their weights."""
    # Keras numbers the names of layers on, from model to model.
    places = {one.name: f'"{place}"' for place, one in enumerate([fixed, *layers_within(fixed)])}
    layers = re.sub(r'"([^"]*)"', lambda word: places.get(word[1], word[0]), fixed.to_json())
    digest = hashlib.sha256(f"{job.data} {layers}".encode())
    for one in weights:
        digest.update(one.tobytes())
    return digest.hexdigest()


def _features(fixed: keras.Model, dataset: Dataset, place: Path) -> Dataset:
    """What the layers put out for all parts; `place`: the folder where the workers of a run keep it for one another."""
    names = ["training", "validation", "test", *(f"test_{name}" for name in dataset.extra_tests)]
    outputs: dict[str, Array] = {}
    if not place.exists():
        outputs = {name: _put_through(fixed, dataset, dataset.part(name)) for name in names}
        _keep(outputs, place)
    if place.exists():
        # Of memory that all workers share.
        outputs = {
            name: np.load(place / f"{name}.npy", mmap_mode="r" if len(dataset.part(name)) else None) for name in names
        }
    parts = {name: replace(dataset.part(name), x=outputs[name]) for name in names}
    info = replace(dataset.info, input_shape=tuple(fixed.output.shape[1:]), scaling=NO_SCALING, input_type="float32")
    return replace(
        dataset, info=info, training=parts["training"], validation=parts["validation"], test=parts["test"],
        extra_tests={name: parts[f"test_{name}"] for name in dataset.extra_tests},
    )  # fmt: skip


def _keep(outputs: Mapping[str, Array], place: Path) -> None:
    """Keeps arrays in a folder that appears as a whole; not where there are many, as of random weights."""
    with suppress(OSError):
        place.parent.mkdir(exist_ok=True)
        if sum(1 for _ in place.parent.iterdir()) >= _MOST_ON_DISK:
            return
        with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as temporary:
            whole = Path(temporary) / place.name
            whole.mkdir()
            for name, array in outputs.items():
                np.save(whole / f"{name}.npy", array)
            # Another worker may have been the first.
            whole.rename(place)


def _put_through(fixed: keras.Model, dataset: Dataset, part: Part) -> Array:
    """What the layers put out for a part, in batches of one size, so that one graph serves all."""
    outputs = np.empty((len(part), *fixed.output.shape[1:]), np.float32)
    for start in range(0, len(part), _BATCH):
        rows = np.arange(start, start + _BATCH).clip(max=len(part) - 1)
        found = fixed.predict_on_batch(tensors_of(dataset.info, np.asarray(part.x[rows])))
        outputs[start : start + _BATCH] = found[: len(part) - start]
    return outputs


def _copied(layers: Sequence[Any], shape: tuple[int, ...]) -> keras.Model:
    """A chain of copies of layers, with their weights and the states of their seeds."""
    copies = [type(layer).from_config(layer.get_config()) for layer in layers]
    head = keras.Sequential([keras.Input(shape), *copies], name="head")
    for layer, copy in zip(layers, copies, strict=True):
        for mine, theirs in zip(copy.variables, layer.variables, strict=True):
            mine.assign(theirs)
    return head
