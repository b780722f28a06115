"""What the tests of engines share: jobs on iris, and a way to drive them."""

import time
from pathlib import Path

import pytest

from hpo.config.experiment import DatasetSpec, Objective, TrainingSpec
from hpo.data import load, save
from hpo.training.messages import EpochDone, Event, Failed, Finished, Job, Lost

MODELS = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def iris(tmp_path_factory):
    folder = tmp_path_factory.mktemp("iris") / "data"
    save(load(DatasetSpec(name="iris"), []), folder)
    return str(folder)


@pytest.fixture(scope="session")
def job_of(iris):
    """A job: two epochs of a model of `engine_models`."""

    def job(trial, model="quick", epochs=2, **more):
        return Job(
            trial=trial,
            params={},
            seed=1,
            model=f"engine_models:{model}",
            training=TrainingSpec(epochs=epochs, batch_size=16),
            objective=Objective(metric="val_loss", direction="minimize"),
            data=iris,
            import_paths=(str(MODELS),),
            **more,
        )

    return job


def await_event(engine, kinds, seconds=180.0):
    """The events up to the first of some kinds; fails if none comes in time."""
    found: list[Event] = []
    deadline = time.monotonic() + seconds
    while not any(isinstance(event, kinds) for event in found):
        assert time.monotonic() < deadline, f"no {kinds} within {seconds} s, only {found}"
        found += engine.events(timeout=0.2)
    return found


def drive(engine):
    """Lets running trials go on after each epoch, until one of them ends; returns all events."""
    found: list[Event] = []
    while not any(isinstance(event, (Finished, Failed, Lost)) for event in found):
        news = await_event(engine, (EpochDone, Finished, Failed, Lost))
        for event in news:
            if isinstance(event, EpochDone):
                engine.proceed(event.trial)
        found += news
    return found


@pytest.fixture(scope="session", name="await_event")
def await_event_fixture():
    return await_event


@pytest.fixture(scope="session", name="drive")
def drive_fixture():
    return drive
