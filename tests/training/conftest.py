"""What the tests of training share: prepared datasets, jobs, and a line that records the events of a trial."""

import gc
import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hpo.config.experiment import DatasetSpec, Objective, TrainingSpec
from hpo.data import load, save
from hpo.training.messages import EpochDone, Job

MODELS = Path(__file__).parents[1]


@dataclass
class Recorder:
    """A line that keeps the events, and asks the trial to stop where a test wants it to."""

    stop_after_epoch: int | None = None
    stop_after_batches: int | None = None
    reason: str = "pruner"
    events: list = field(default_factory=list)
    batches: int = 0

    def emit(self, event):
        if isinstance(event, EpochDone):
            assert all(map(math.isfinite, event.metrics.values())), event
        self.events.append(event)

    def stop_reason(self):
        self.batches += 1
        stops = self.stop_after_batches is not None and self.batches > self.stop_after_batches
        return self.reason if stops else None

    def verdict(self):
        return self.reason if self.events[-1].epoch == self.stop_after_epoch else None

    @property
    def last(self):
        return self.events[-1]

    @property
    def curves(self):
        """All curves but the seconds, which no two runs share."""
        epochs = [event.metrics for event in self.events if isinstance(event, EpochDone)]
        return {name: [epoch[name] for epoch in epochs] for name in (epochs or [{}])[0] if name != "seconds"}

    @property
    def fold_lengths(self):
        """The epochs of each fold."""
        folds = [event.fold.fold for event in self.events if isinstance(event, EpochDone) and event.fold]
        return list(Counter(folds).values())


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """The folder of a prepared dataset, by its section."""
    folders = {}

    def prepare(**section):
        key = repr(section)
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp("prepared") / "data"
            save(load(DatasetSpec.model_validate(section), [MODELS]), folders[key])
        return str(folders[key])

    return prepare


@pytest.fixture(scope="session")
def job_of(prepared):
    """A small job: two epochs of a tiny mlp on digits by default."""

    def job(model="mlp", data=None, objective="val_accuracy", params=None, training=None, **more):
        return Job(
            **{"trial": 7, "seed": 3, **more},
            params={"depth": 1, "width": 8} if params is None and model == "mlp" else params or {},
            model=model,
            training=TrainingSpec.model_validate({"epochs": 2, "learning_rate": 0.01, **(training or {})}),
            objective=Objective.model_validate(objective),
            data=data or prepared(name="digits", limit=200),
            import_paths=(str(MODELS),),
        )

    return job


@pytest.fixture(scope="session")
def run_job(job_of):
    """Trains a job in this process and returns the line that recorded it."""
    from hpo.training.trial import train

    # Each trial begins with a garbage collection, which need not look through all that is imported.
    gc.freeze()

    def run(*args, line=None, **more):
        line = line or Recorder()
        train(job_of(*args, **more), line)
        return line

    yield run
    gc.unfreeze()


@pytest.fixture
def without_graphs():
    """TensorFlow runs eagerly: tracing its graphs takes a second a trial."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def recorder():
    return Recorder
