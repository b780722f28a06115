"""Sample weights from class weights."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from hpo.data.dataset import Array, DatasetInfo, class_numbers
from hpo.models import InvalidModel

ClassWeight = Literal["balanced"] | Mapping[int, float] | None


def sample_weights(class_weight: ClassWeight, y: Array, info: DatasetInfo) -> Array | None:
    """A weight for each sample, shape (n,), float32; None where all count alike.

    `balanced` is scikit-learn's: samples / (classes * samples of the class).

    Raises:
        InvalidModel: the task has no classes, or there is no class of that number.
    """
    if class_weight is None:
        return None
    if info.classes is None:
        raise InvalidModel("class_weight: only classification has classes, and the task is regression")
    classes = class_numbers(y)
    if class_weight == "balanced":
        counts = np.bincount(classes, minlength=info.classes)
        weights = len(classes) / (info.classes * np.maximum(counts, 1))
    else:
        unknown = sorted(number for number in class_weight if not 0 <= number < info.classes)
        if unknown:
            raise InvalidModel(f"class_weight: there is no class {unknown[0]}; valid: 0 to {info.classes - 1}")
        weights = np.array([class_weight.get(number, 1.0) for number in range(info.classes)])
    return np.asarray(weights[classes], dtype=np.float32)


def weights_by_class(class_weight: ClassWeight) -> Mapping[int, float] | None:
    """What `model.fit` takes beside a pipeline, whose labels nobody has counted.

    Raises:
        InvalidModel: the weights are to be found from the labels.
    """
    if class_weight == "balanced":
        raise InvalidModel(
            "class_weight: balanced counts the labels, which is not possible for a pipeline or a generator; "
            "give the weights: {0: 1.0, 1: 2.5}"
        )
    return class_weight
