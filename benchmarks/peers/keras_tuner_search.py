"""Peer: KerasTuner's Hyperband, with the batch size tuned in `HyperModel.fit`.

After keras.io's guides "Getting started with KerasTuner" and "Tune hyperparameters in your custom training loop".
"""

import itertools
from pathlib import Path
from typing import Any

import keras
import keras_tuner

from benchmarks import job
from benchmarks.peers.arguments import Arguments, parse


class _HyperModel(keras_tuner.HyperModel):  # type: ignore[misc]
    def __init__(self, rows: Path) -> None:
        super().__init__()
        self._rows = rows
        self._numbers = itertools.count()

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        params = {
            "depth": hp.Int("depth", *job.DEPTH),
            "width": hp.Int("width", *job.WIDTH, sampling="log"),
            "activation": hp.Choice("activation", job.ACTIVATIONS),
            "learning_rate": hp.Float("learning_rate", *job.LEARNING_RATE, sampling="log"),
            "dropout": hp.Float("dropout", *job.DROPOUT),
        }
        return job.build_model(params)

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        batch_size = hp.Choice("batch_size", job.BATCH_SIZES)
        params = {name: value for name, value in hp.values.items() if not name.startswith("tuner/")}
        # The tuner hands out copies of the callbacks that it was given: this one must be the trial's own.
        kwargs["callbacks"].append(job.write_rows(self._rows, next(self._numbers), params))
        return model.fit(*args, batch_size=batch_size, **kwargs)


def main(arguments: Arguments) -> None:
    data = job.load_data()
    tuner = keras_tuner.Hyperband(
        _HyperModel(arguments.rows),
        objective=job.OBJECTIVE,
        max_epochs=job.EPOCHS,
        hyperband_iterations=1000,
        seed=arguments.seed,
        directory=arguments.home,
        project_name="peer",
    )
    tuner.search(
        data.x_train,
        data.y_train,
        validation_data=(data.x_val, data.y_val),
        callbacks=[job.early_stopping()],
        verbose=0,
    )


if __name__ == "__main__":
    main(parse())
