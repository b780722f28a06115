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
from benchmarks.peers.jobs import Parameter, PeerJob


class _HyperModel(keras_tuner.HyperModel):  # type: ignore[misc]
    def __init__(self, rows: Path, peer_job: PeerJob) -> None:
        super().__init__()
        self._rows = rows
        self._job, self._space = peer_job, peer_job.space
        self._numbers = itertools.count()

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        own = {name: spec for name, spec in self._space.items() if name != "batch_size"}
        return self._job.build({name: _value(hp, name, spec) for name, spec in own.items()})

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        batch_size = _value(hp, "batch_size", self._space["batch_size"])
        params = {name: value for name, value in hp.values.items() if not name.startswith("tuner/")}
        # The tuner hands out copies of the callbacks that it was given: this one must be the trial's own.
        kwargs["callbacks"].append(job.write_rows(self._rows, next(self._numbers), params, self._job.samples))
        return model.fit(*args, batch_size=batch_size, **kwargs)


def _value(hp: keras_tuner.HyperParameters, name: str, spec: Parameter) -> Any:
    sampling = "log" if spec.get("log") else "linear"
    match spec["type"]:
        case "int":
            return hp.Int(name, spec["low"], spec["high"], sampling=sampling)
        case "float":
            return hp.Float(name, spec["low"], spec["high"], sampling=sampling)
        case "boolean":
            return hp.Boolean(name)
    return hp.Choice(name, spec["choices"])


def main(arguments: Arguments) -> None:
    data = arguments.job.load()
    tuner = keras_tuner.Hyperband(
        _HyperModel(arguments.rows, arguments.job),
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
