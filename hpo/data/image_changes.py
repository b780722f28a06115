"""What images can have besides their parts: augmentation in training, and changed copies of the test part."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hpo.config.experiment import Augmentation, ExtraTest
from hpo.data.dataset import Array, Dataset
from hpo.data.source_data import slices
from hpo.errors import DataError


def check_augmentation(augmentation: Augmentation | None, dataset: Dataset) -> None:
    """Checks that a dataset's samples can be changed that way.

    Raises:
        DataError: samples that are no images can take noise alone, and those of a tf.data pipeline not even that.
    """
    changes = {} if augmentation is None else augmentation.model_dump(exclude={"fill"}, exclude_none=True)
    for key in changes:
        place = ("dataset", "augmentation", key)
        if dataset.stream is not None:
            raise DataError(
                f"{dataset.info.source}: a tf.data.Dataset augments its own samples; leave augmentation out, "
                "and use .map() on the training part",
                place,
            )
        if dataset.info.inputs or dataset.info.is_text:
            what = f"inputs {', '.join(dataset.info.inputs)}" if dataset.info.inputs else "text"
            raise DataError(f"changes one array of numbers, and {dataset.info.name} has {what}; leave it out", place)
        if key != "noise":
            _check_images(dataset, place)


def with_extra_tests(dataset: Dataset, specs: Mapping[str, ExtraTest] | None) -> Dataset:
    """The dataset with a changed copy of its test part for each spec; labels stay as they are.

    A copy is rotated first, then shifted, both by scipy.ndimage; pixels between others are interpolated linearly.

    Raises:
        DataError: samples that are no images, or a name that would be mistaken for the test part's.
    """
    if not specs:
        return dataset
    for name in specs:
        place = ("dataset", "extra_tests", name)
        if name == "test" or name.startswith("test_"):
            raise DataError(f"an extra test is logged as test_NAME, so its name must not begin with test, got {name}",
                            place)  # fmt: skip
        _check_images(dataset, place)
    parts = {name: replace(dataset.test, x=_changed(dataset.test.x, spec)) for name, spec in specs.items()}
    return replace(dataset, info=replace(dataset.info, extra_tests=tuple(parts)), extra_tests=parts)


def _check_images(dataset: Dataset, place: tuple[str, ...]) -> None:
    if dataset.stream is not None:
        raise DataError(
            f"{dataset.info.source}: a tf.data.Dataset has no arrays to be changed; leave {place[1]} out", place
        )
    shape = dataset.info.input_shape
    if len(shape) != 3:
        raise DataError(
            f"needs images, samples of shape (height, width, channels), and those of {dataset.info.name} have shape "
            f"{shape}",
            place,
        )


def _changed(x: Array, spec: ExtraTest) -> Array:
    """Images, shape (n, height, width, channels), rotated and shifted, a part at a time: they may be in a file."""
    changed = np.empty(x.shape, x.dtype)
    for rows in slices(x):
        changed[rows] = _changed_part(x[rows], spec)
    return changed


def _changed_part(x: Array, spec: ExtraTest) -> Array:
    from scipy import ndimage

    if spec.rotate is not None:
        x = ndimage.rotate(x, spec.rotate, axes=(1, 2), reshape=False, order=1, mode="constant", cval=0)
    if spec.shift is not None:
        x = ndimage.shift(x, (0, *spec.shift, 0), order=0, mode="constant", cval=0)
    return np.asarray(x)
