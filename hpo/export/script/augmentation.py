"""The part of a script that changes training images at random, by the same Keras layers as in the study."""

from typing import TYPE_CHECKING

from hpo.export.script.fragments import Script
from hpo.export.script.layout import arguments, statement

if TYPE_CHECKING:
    from hpo.config.experiment import Augmentation
    from hpo.data.dataset import DatasetInfo

_KEYS = ("factor", "height_factor", "width_factor", "mode", "stddev", "fill_mode", "fill_value")


def add_augmentation(script: Script, augmentation: "Augmentation", info: "DatasetInfo") -> str:
    """Adds the function augmented, which makes a pipeline of the training part; returns how it is called."""
    script.imports |= {"from keras import layers", "import tensorflow as tf"}
    lines = [
        "def augmented(x, y):",
        '    """Batches of the samples, in an order and with changes that are drawn anew each epoch."""',
        "    change = keras.Sequential(",
        "        [",
        *(f"            {line.strip()}," for line in _layers(augmentation, info)),
        "        ]",
        "    )",
        "    samples = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=SEED)",
        "    batches = samples.batch(BATCH_SIZE)",
        "    return batches.map(lambda x, y: (change(x, training=True), y))",
    ]
    script.functions.append("\n".join(lines))
    return "augmented(x_train, y_train)"


def changes(augmentation: "Augmentation", info: "DatasetInfo") -> bool:
    """Whether it changes anything; it does not where all its rates are zero."""
    return bool(_layers(augmentation, info))


def _layers(augmentation: "Augmentation", info: "DatasetInfo") -> list[str]:
    from hpo.training.augmentation import layers_of

    found = []
    for layer in layers_of(augmentation, info):
        config = layer.get_config()
        given = {key: config[key] for key in _KEYS if config.get(key) is not None}
        if not given.get("fill_value") or given["fill_mode"] != "constant":
            given.pop("fill_value", None)
        found.append(statement(f"layers.{type(layer).__name__}(", arguments(given), ")", indent=12))
    return found
