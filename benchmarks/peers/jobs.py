"""The jobs that the peers are given: the standard one, convolutional networks on MNIST, and a small table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from benchmarks import job

if TYPE_CHECKING:
    import keras

Parameter = Mapping[str, Any]
"""A parameter as a search space's file has it: type, low, high, log, choices."""


@dataclass(frozen=True)
class PeerJob:
    """A job that hpo and the other libraries do."""

    experiment: Path
    """As hpo's users write it."""
    load: Callable[[], job.Data]
    """The parts for the others."""
    build: Callable[[Mapping[str, Any]], "keras.Model"]
    """The compiled model of a configuration for the others."""
    samples: int
    """Of the training part."""

    @property
    def space(self) -> dict[str, Parameter]:
        """The parameters of hpo's search space, which the others vary in the same ranges."""
        name = YAML(typ="safe").load(self.experiment)["search_space"]
        found: dict[str, Parameter] = YAML(typ="safe").load(job.ROOT / "search_spaces" / f"{name}.yaml")["parameters"]
        return found


def _table() -> job.Data:
    from benchmarks.table_data import parts

    found = parts()
    return job.Data(*found["train"], *found["validation"], *found["test"])


def _file(name: str) -> Path:
    return job.ROOT / "benchmarks" / name


JOBS: dict[str, PeerJob] = {
    "standard": PeerJob(job.EXPERIMENT, job.load_data, job.build_model, job.TRAINING_SAMPLES),
    "cnn": PeerJob(_file("mnist_cnn.yaml"), partial(job.load_data, "mnist"), job.build_model, job.TRAINING_SAMPLES),
    "table": PeerJob(_file("table_mlp.yaml"), _table, partial(job.build_model, shape=(20,), classes=4), 900),
}
