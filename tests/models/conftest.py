"""What the tests of models share."""

import numpy as np
import pytest

from hpo.data.dataset import DatasetInfo, Scaling


@pytest.fixture
def info_of():
    def info(shape, classes=10, outputs=1):
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

    return info
