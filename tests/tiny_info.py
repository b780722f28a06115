"""What is known of a tiny dataset that does not exist: enough to build models for it."""

import numpy as np

from hpo.data.dataset import DatasetInfo, Scaling


def info_of(shape: tuple[int, ...], classes: int | None = 10, outputs: int = 1) -> DatasetInfo:
    """The info of samples of a shape, with a number of classes or, without classes, of outputs to predict."""
    return DatasetInfo(
        name="tiny",
        source="test",
        task="classification" if classes else "regression",
        input_shape=shape,
        classes=classes,
        outputs=classes or outputs,
        one_hot=False,
        sizes={},
        digests={},
        digest="",
        scaling=Scaling("none", np.zeros(1, np.float32), np.ones(1, np.float32)),
    )
