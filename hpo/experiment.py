"""The experiment file: what to train on, how, and for how long. Every key with its meaning and unit."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from hpo.dataset_section import Augmentation, DatasetSpec, ExtraTest, Validation
from hpo.errors import FileMistakes
from hpo.objective import Monitor, Objective
from hpo.section import WHOLE, Duration, Section, Shorthand
from hpo.sound import Examined, examine
from hpo.training_section import EarlyStopping, ReduceOnPlateau, Schedule, TrainingSpec
from hpo.yaml_file import Document

__all__ = [
    "Augmentation",
    "DatasetSpec",
    "EarlyStopping",
    "EngineSpec",
    "Experiment",
    "ExtraTest",
    "Monitor",
    "Named",
    "Objective",
    "ReduceOnPlateau",
    "Schedule",
    "StudySpec",
    "TrackingSpec",
    "TrainingSpec",
    "Validation",
    "examine_experiment",
    "parse_experiment",
]


class Named(Shorthand):
    """A sampler or pruner by name, with options by Optuna's own names."""

    model_config = ConfigDict(extra="allow")
    stands_for = "name"

    name: str
    """Its name."""

    @property
    def options(self) -> dict[str, Any]:
        """The options beside the name."""
        return dict(self.model_extra or {})


class StudySpec(Section):
    """How trials are proposed, stopped, counted and stored."""

    # Both defaults were chosen by `benchmarks.schedules`; ARCHITECTURE.md says from what.
    sampler: Named = Named.model_validate({"name": "tpe", "multivariate": False})
    """random, tpe, cmaes, qmc, grid, nsga2 or gp; a mapping adds options by Optuna's own names."""
    pruner: Named = Named.model_validate({"name": "successive_halving", "min_resource": 1, "reduction_factor": 3})
    """none, median, percentile, successive_halving, hyperband, patient or threshold; options likewise."""
    trials: Annotated[int, Field(ge=1), WHOLE] | None = None
    """Configurations to bring to an end: complete, pruned or failed for good.
    Where neither trials nor timeout is given: 50, or the whole grid."""
    timeout: Duration | None = None
    """Seconds, or 10m, 1h30m, for one run of the command; running trials stop at the deadline."""
    target: float | None = None
    """The study ends once the objective has reached this value."""
    seed: Annotated[int, Field(ge=0, lt=2**32), WHOLE] = 0
    """With the trial's number, the seed of all that is random in a trial."""
    retries: Annotated[int, Field(ge=0), WHOLE] = 1
    """How often a configuration is tried again whose worker died."""
    trial_timeout: Duration | None = None
    """Seconds, or 10m, after which a trial is failed with reason timeout."""
    enqueue: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Configurations to try first; what they leave out is proposed by the sampler."""
    storage: str | None = None
    """SQLAlchemy URL of Optuna's database; by default optuna.db in the home folder."""


class EngineSpec(Shorthand):
    """Where trials train."""

    stands_for = "name"

    name: Literal["local", "serial"] = "local"
    """local: worker processes; serial: one trial after the other in this process, for debugging."""
    workers: Annotated[int, Field(ge=1), WHOLE] | Literal["auto"] = "auto"
    """Trials at a time; auto: as many as this process may use cores."""
    threads_per_worker: Annotated[int, Field(ge=1), WHOLE] = 1
    """Compute threads of each worker."""


class TrackingSpec(Shorthand):
    """Where results are logged."""

    stands_for = "uri"

    uri: str | None = None
    """MLflow tracking URI; by default mlflow.db in the home folder."""


class Experiment(Section):
    """What to tune and how."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
    """Name of the study and of the MLflow experiment: letters, digits, dots, dashes, underscores."""
    dataset: DatasetSpec
    """What to train on."""
    search_space: str | dict[str, Any]
    """What may vary: a name (search_spaces/NAME.yaml), a path, or the mapping itself."""
    objective: Objective
    """What to improve, a metric on the validation part."""
    training: TrainingSpec = TrainingSpec()
    """How each model is trained."""
    study: StudySpec = StudySpec()
    """How trials are proposed, stopped, counted and stored."""
    engine: EngineSpec = EngineSpec()
    """Where trials train."""
    tracking: TrackingSpec = TrackingSpec()
    """Where results are logged."""


# For keys that are required, so that what is sound of the others can be checked further.
_STAND_INS = {"name": "unnamed", "dataset": "digits", "search_space": {}, "objective": "val_loss"}


def parse_experiment(document: Document) -> Experiment:
    """Checks a document as an experiment.

    Raises:
        FileMistakes: all its mistakes at once.
    """
    found = examine_experiment(document)
    if found.mistakes or found.sound is None:
        raise FileMistakes(found.mistakes)
    return found.sound


def examine_experiment(document: Document) -> Examined[Experiment]:
    """A document as an experiment, as far as it is one, and all its mistakes."""
    return examine(document, Experiment, _STAND_INS)
