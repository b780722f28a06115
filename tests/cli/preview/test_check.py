"""What `hpo check` passes trains, and what would not is one line, in check and in run alike."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny

from hpo.cli.preview.check import Checked, check
from hpo.errors import UserError

HEAD = "import keras\nL = keras.layers\n"
BUILD = "def build(params, dataset):\n"
MODEL = (
    "    return keras.Sequential([keras.Input(dataset.input_shape), "
    "{}L.Dense(dataset.classes, activation='softmax')])\n"
)
SOUND = HEAD + BUILD + MODEL.format("")

# What a user may get wrong: the module, what else the experiment says, and the line that is told.
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "build": (HEAD + BUILD + "    return x\n", {}, "{m}.py:4: NameError: name 'x' is not defined"),
    "layer": (
        HEAD + "class Own(L.Layer):\n    def call(self, x):\n        return x + keras.ops.ones((1, 9))\n" + BUILD
        + MODEL.format("Own(), "), {}, "{m}.py:5: ValueError: Dimensions must be equal, but are 4 and 9",
    ),
    "own train_step": (
        HEAD + "class Own(keras.Sequential):\n    def train_step(self, data):\n        return self.none(data)\n" + BUILD
        + MODEL.format("").replace("keras.Sequential", "Own"), {}, "{m}.py:5: AttributeError: ",
    ),
    "module": ("x = = 1\n", {}, "{m}:build: {m}.py:1: SyntaxError: invalid syntax"),
    "import": ("import none_such\n", {}, "{m}:build: {m}.py:1: ModuleNotFoundError: No module named 'none_such'"),
    "callback": (
        SOUND + "class Call(keras.callbacks.Callback):\n    def on_epoch_end(self, epoch, logs=None):\n        1 / 0\n",
        {"training": {"callbacks": ["{m}:Call"]}}, "{m}.py:7: ZeroDivisionError: division by zero",
    ),
    "data": (
        SOUND + "def data():\n    return {}['train']\n", {"dataset": "{m}:data"},
        "x.yaml: dataset.function: {m}:data: {m}.py:6: KeyError: 'train'",
    ),
    "metric": (
        SOUND, {"objective": {"metric": "val_mine", "direction": "maximize"}},
        "x.yaml: objective: the model has no metric val_mine; valid: val_accuracy, val_loss",
    ),
}  # fmt: skip


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Checked]:
    monkeypatch.chdir(tmp_path)

    def run(name: str, module: str, changes: dict[str, Any], traceback: bool = False) -> Checked:
        (tmp_path / f"{name}.py").write_text(module)
        text = repr(changes).replace("{m}", name)
        space = {"model": f"{name}:build", "parameters": {"width": {"type": "int", "low": 2, "high": 3}}}
        return check(tiny(search_space=space) | eval(text), traceback=traceback)

    return run


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_in_the_users_code_is_one_line(checked: Callable[..., Checked], name: str) -> None:
    module, changes, message = WRONG[name]
    own = f"wrong_{name.replace(' ', '_')}"
    with pytest.raises(UserError) as raised:
        checked(own, module, changes)
    first, *rest = str(raised.value).splitlines()
    assert first.startswith(message.replace("{m}", own).replace("x.yaml", "experiment"))
    assert all(line.endswith("traceback=True shows the traceback") for line in rest)


def test_the_traceback_is_shown_where_it_is_asked_for(checked: Callable[..., Checked]) -> None:
    with pytest.raises(UserError, match=r"(?s)^wrong_shown.py:4: NameError.*Traceback.*line 4, in build"):
        checked("wrong_shown", WRONG["build"][0], {}, traceback=True)


def test_one_configuration_that_cannot_be_trained_is_shown_and_ends_nothing() -> None:
    rate = {"type": "float", "low": 0.001, "high": 1e38, "log": True}
    space = {"model": "mlp", "parameters": {"depth": 1, "width": 4, "learning_rate": rate, "optimizer": "sgd"}}
    found = check(tiny(dataset="diabetes", search_space=space, objective="val_mae"))
    assert found.tried["smallest"].failure is None
    assert found.tried["largest"].failure.reason == "nonfinite"
    assert found.seconds is None


def test_folds_and_pipelines_are_tried_too(checked: Callable[..., Checked]) -> None:
    pipeline = (
        "import tensorflow as tf\nimport numpy as np\n"
        + SOUND
        + "def data():\n    x = np.eye(60, 4, dtype='float32')\n"
        "    d = tf.data.Dataset.from_tensor_slices((x, np.arange(60) % 2))\n"
        "    return {'train': d, 'validation': d, 'test': d}\n"
    )
    found = checked("of_pipelines", pipeline, {"dataset": "{m}:data"})
    assert "the data are a tf.data pipeline" in found.tried["largest"].remarks[0]
    space = {"model": "mlp", "parameters": {"depth": 1, "l2": {"type": "float", "low": 0.0, "high": 0.1}}}
    of_folds = tiny(dataset={"name": "iris", "validation": {"folds": 3}}, search_space=space, objective="val_loss")
    found = check(of_folds)
    assert found.tried["smallest"].failure is None
    (warning,) = found.as_json()["warnings"]
    assert warning["key"] == "search_space.parameters.l2"
    assert "set objective: val_crossentropy" in warning["message"]


def test_a_metric_that_needs_each_class_is_tried_on_samples_of_each(checked: Callable[..., Checked]) -> None:
    rare = (
        "import tensorflow as tf\nimport numpy as np\n"
        + SOUND
        + "X, Y = np.eye(90, 4, dtype='float32'), np.arange(90) % 15 // 14\n"
        "def arrays():\n    return {'train': (X, Y)}\n"
        "def pipelines():\n    d = tf.data.Dataset.from_tensor_slices((X, Y))\n"
        "    return {'train': d, 'validation': d, 'test': d}\n"
    )
    training = {"batch_size": 4, "metrics": ["auc"]}
    for data in ("arrays", "pipelines"):
        found = checked(
            f"rare_{data}", rare, {"dataset": f"{{m}}:{data}", "objective": "val_auc", "training": training}
        )
        assert found.tried["smallest"].failure is None
