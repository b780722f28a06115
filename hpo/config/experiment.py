"""The experiment file: what to train on, how, and for how long. Every key has a meaning and a unit."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, PositiveFloat, model_validator

from hpo.config.dataset import DatasetSpec
from hpo.config.dataset_parts import Augmentation, ExtraTest, Validation
from hpo.config.engines import ENGINES, engine_meanings, misplaced_keys
from hpo.config.objective import Monitor, Objective
from hpo.config.section import WHOLE, Count, Duration, Section, Seed, Shorthand, switch
from hpo.config.training import EarlyStopping, ReduceOnPlateau, Schedule, TrainingSpec
from hpo.config.valid_parts import Examined, examine
from hpo.config.yaml_file import Document

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
]


class Named(Shorthand):
    """A sampler or pruner by name, with options by Optuna's own names."""

    model_config = ConfigDict(extra="allow")
    short_key = "name"

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options beside the name."""
        return dict(self.model_extra or {})


class Sampler(Named):
    """What proposes the parameters of the next trial."""

    name: str
    """The sampler's name. Values: random: every value as likely as any other; tpe: prefers values like those of the
    best trials (Tree-structured Parzen Estimator); cmaes: an evolution strategy for numbers (CMA-ES); qmc: spreads
    the trials evenly over the space (quasi-Monte Carlo); grid: every combination once, for parameters with choices or
    steps; nsga2: a genetic algorithm; gp: a model of the score as a Gaussian process, which needs PyTorch.
    Example: random"""


class Pruner(Named):
    """What stops trials early that are worse than others."""

    name: str
    """The pruner's name. Values: none: no trial is stopped; median: stops a trial that is worse than the median of
    earlier trials at the same epoch; percentile: the same with another share than half; successive_halving: at certain
    epochs only the best share goes on; hyperband: several successive halvings, which stop trials earlier or later;
    patient: stops a trial only after some epochs without improvement; threshold: stops a trial whose score leaves fixed
    bounds. Example: median"""


class Checkpointing(Section):
    """How trials leave checkpoints, from which they go on after a pause, a crash or a kill."""

    seconds: Duration = 30.0
    """How long a trial trains between two checkpoints. A trial that pauses leaves one in any case.
    Unit: seconds, or a text such as 2m. Example: 10"""
    megabytes: Count = 2000
    """How much room all checkpoints of the study may take. Beyond that those of the worst trials are deleted, and these
    begin again if they go on. Unit: megabytes. Example: 500"""


class Scheduling(Named):
    """What trains next, and how far."""

    name: str
    """The schedule's name. Values: one_pass: each trial in one go, as the sampler proposes it, to its end or until the
    pruner stops it; asha: trials pause after some epochs, and the best share goes on (asynchronous successive halving,
    by default a quarter), with any sampler; gp_asha: trials pause as with asha, by default a third goes on, and a model
    of all learning curves (a Gaussian process over configurations and epochs) proposes those with the largest expected
    gain a second. Example: gp_asha"""


class StudySpec(Section):
    """How trials are proposed, stopped, counted and stored."""

    # These defaults were chosen by measurements with `benchmarks.schedules` and `simulated_peers`; see ARCHITECTURE.md.
    schedule: Scheduling = Scheduling(name="gp_asha")
    """What trains next, and how far: a name, or a mapping that adds options. gp_asha uses neither sampler nor pruner,
    asha no pruner. Default: one_pass where the file names a sampler or a pruner, otherwise gp_asha.
    Example: {name: gp_asha, reduction_factor: 3}"""
    sampler: Sampler = Sampler.model_validate({"name": "tpe", "multivariate": False})
    """What proposes the parameters of the next trial: a name, or a mapping that adds options by Optuna's own names.
    Example: {name: tpe, n_startup_trials: 20}"""
    pruner: Pruner = Pruner.model_validate({"name": "successive_halving", "min_resource": 1, "reduction_factor": 3})
    """What stops poor trials early: a name, or a mapping that adds options by Optuna's own names.
    Example: {name: median, n_warmup_steps: 3}"""
    trials: Count | None = None
    """How many configurations to try. Those that were stopped early or failed count, too.
    Unit: trials. Default: 50, or the whole grid; no limit where timeout is given. Example: 30"""
    timeout: Duration | None = None
    """Time limit for one run of the command. Trials that are still training are then stopped.
    Unit: seconds, or a text such as 10m or 1h30m. Default: no limit. Example: 10m"""
    until: Literal["worthwhile"] | None = None
    """What ends the study before `trials` and `timeout` do. Values: worthwhile: another tenth of the budget is expected
    to gain less than `min_gain`, by the model of learning curves of gp_asha, and was so for the last tenth; and none
    of the 25 newest trials is better than those before by as much.
    Default: nothing. Example: worthwhile"""
    min_gain: Annotated[float, Field(gt=0)] | None = None
    """The least gain that is worth another tenth of the budget, for `until: worthwhile`.
    Unit: that of the objective. Default: the noise floor that the model sees. Example: 0.001"""
    target: float | None = None
    """The study ends when a trial's objective has reached this value.
    Unit: that of the objective. Default: none. Example: 0.98"""
    seed: Seed = 0
    """Seed of everything random in the study. Each trial derives its own from this and its number. Example: 1"""
    retries: Annotated[int, Field(ge=0), WHOLE] = 1
    """How often a configuration is tried again after its worker process died. Unit: times. Example: 2"""
    checkpoints: Annotated[Checkpointing | None, switch(Checkpointing)] = Checkpointing()
    """How trials leave checkpoints, in the home folder; `false` keeps none: a trial that is killed begins again.
    Example: {seconds: 10}"""
    trial_timeout: Duration | None = None
    """Time limit for a single trial. A trial that takes longer fails with reason timeout.
    Unit: seconds, or a text such as 10m. Default: no limit. Example: 5m"""
    enqueue: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()
    """Configurations to try first. The sampler proposes the parameters that they leave out.
    Example: [{learning_rate: 0.01}, {learning_rate: 0.001, dropout: 0.2}]"""
    storage: str | None = None
    """SQLAlchemy URL of Optuna's database, where the trials are stored. ${NAME} stands for the value of an environment
    variable; with it the file contains no password.
    Default: HPO_STORAGE, or optuna.db in the home folder. Example: "postgresql://me:${DB_PASSWORD}@localhost/studies\""""

    @model_validator(mode="before")
    @classmethod
    def _uses_what_it_names(cls, given: Any) -> Any:
        """A sampler or a pruner is named to be used."""
        if isinstance(given, Mapping) and "schedule" not in given and {"sampler", "pruner"} & given.keys():
            return {**given, "schedule": "one_pass"}
        return given

    @property
    def deciders(self) -> list[str]:
        """What decides, by name: the schedule where it pauses trials, and the sampler and the pruner that it uses."""
        name = self.schedule.name
        used = {"one_pass": [self.sampler.name, self.pruner.name], "asha": [name, self.sampler.name]}
        return used.get(name, [name])


if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[tuple(ENGINES)]


class EngineSpec(Shorthand):
    """Where trials train."""

    short_key = "name"

    name: EngineName = Field(
        default="local", description=f"How trials are run. Values: {engine_meanings()}. Example: serial"
    )
    workers: Count | Literal["auto"] = "auto"
    """How many trials train at the same time. Values: auto: one for each GPU, or else for each CPU core that may be
    used; in a cluster as many as it has room for. Unit: worker processes. Example: 2"""
    threads_per_worker: Count = 1
    """How many threads TensorFlow uses in each worker. With one, the same seed gives the same trial, bit for bit.
    Unit: threads. Example: 2"""
    address: str | None = None
    """The Ray cluster whose machines train: HOST:PORT as `ray start` prints it, or auto for the one that this machine
    is part of. Default: a cluster of this machine alone, for the time of the run. Example: "10.0.0.1:6379\""""
    cpus_per_trial: PositiveFloat | None = None
    """How many CPUs a Ray worker takes up of its machine. Unit: CPUs. Default: threads_per_worker. Example: 2"""
    gpus_per_trial: Annotated[float, Field(ge=0)] | None = None
    """How many GPUs a worker gets; with a fraction several share one, and each may take that part of its memory. Zero:
    none. Unit: GPUs. Default: one where there are any, or as large a part of one as `workers` leaves; with Ray none.
    Example: 0.25"""
    runtime_env: dict[str, Any] | None = None
    """What Ray prepares on each machine, by the names of its own runtime environments: `working_dir`, `py_modules`,
    `pip`, `env_vars`. Default: the code beside the experiment travels, and all else is there.
    Example: {working_dir: ., excludes: [data]}"""
    dashboard: bool = False
    """Whether a Ray cluster of this machine alone shows Ray's dashboard, on 127.0.0.1:8265. Example: true"""

    @classmethod
    def _inferred(cls, value: dict[str, Any]) -> dict[str, Any]:
        """An address is that of a Ray cluster."""
        return {"name": "ray", **value} if value.get("address") is not None else value

    @model_validator(mode="after")
    def _takes(self) -> Self:
        given = [name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default]
        if wrong := misplaced_keys(self.name, given):
            raise ValueError(f"the engine {self.name} takes no {', '.join(wrong)}; the engine ray does")
        return self


class TrackingSpec(Shorthand):
    """Where results are logged."""

    short_key = "uri"

    uri: str | None = None
    """MLflow tracking URI. ${NAME} stands for the value of an environment variable.
    Default: HPO_TRACKING_URI, or mlflow.db in the home folder.
    Example: "http://127.0.0.1:5000\""""


class Experiment(Section):
    """What to tune and how."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
    """Name of the study and of the MLflow experiment: letters, digits, dots, dashes, underscores.
    Example: digits-mlp"""
    dataset: DatasetSpec
    """What to train on: a dataset that hpo knows by name, a file or folder, a function, or a mapping of keys.
    Example: digits"""
    search_space: str | dict[str, Any]
    """What may vary: a name (for the file search_spaces/NAME.yaml), a path, or the search space itself.
    Example: mlp"""
    objective: Objective
    """What to improve: a metric on the validation part of the data, or a mapping of the metric and its direction.
    Example: val_accuracy"""
    training: TrainingSpec = TrainingSpec()
    """How each model is trained. Example: {epochs: 30, batch_size: 64}"""
    study: StudySpec = StudySpec()
    """How trials are proposed, stopped, counted and stored. Example: {trials: 30, timeout: 10m}"""
    engine: EngineSpec = EngineSpec()
    """Where trials train, and how many at a time. Example: {workers: 2}"""
    tracking: TrackingSpec = TrackingSpec()
    """The MLflow server to which results are logged: its URI. Example: "http://127.0.0.1:5000\""""


# Values for required keys that are missing or wrong, so that the other keys can still be checked.
_STAND_INS = {"name": "unnamed", "dataset": "digits", "search_space": {}, "objective": "val_loss"}


def examine_experiment(document: Document) -> Examined[Experiment]:
    """Reads the valid part of a document as an experiment, and finds all mistakes in the rest."""
    return examine(document, Experiment, _STAND_INS)
