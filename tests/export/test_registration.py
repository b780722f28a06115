"""The samples that are registered beside a model, from pipelines of all forms."""

import textwrap

import keras
import numpy as np
import pytest

from hpo.export.registration import _data
from hpo.plan.plan import load_plan

SCRIPT = """
    import numpy as np, tensorflow as tf
    x, y, w = np.ones((12, 2), "float32"), np.arange(12) % 2, np.ones(12, "float32")
    def weighted():
        parts = ("train", "validation", "test")
        return {part: tf.data.Dataset.from_tensor_slices((x, y, w)).batch(4) for part in parts}
    def several():
        parts = ("train", "validation", "test")
        return {part: tf.data.Dataset.from_tensor_slices(({"a": x, "b": x}, y)).batch(4) for part in parts}
"""


@pytest.mark.parametrize(("function", "expected"), [("weighted", np.ones((3, 2))), ("several", None)])
def test_samples_of_a_pipeline(tmp_path, monkeypatch, function, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registered.py").write_text(textwrap.dedent(SCRIPT))
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save("model.keras")
    space = {"model": "registered:weighted", "parameters": {}}
    experiment = {"name": "r", "dataset": {"function": f"registered:{function}"}, "search_space": space}
    plan = load_plan({**experiment, "objective": "val_loss"})
    info, found = _data(plan, tmp_path / "model.keras")
    assert info.classes == 2
    np.testing.assert_array_equal(found, expected)
