"""The experiment file: what to train on, how, and for how long. Every key with its meaning and unit."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from hpo.errors import FileMistakes
from hpo.mistakes import mistakes_of, show
from hpo.section import WHOLE, Duration, Section, Shorthand
from hpo.yaml_file import Document

_HIGHER_IS_BETTER = re.compile(r"acc|auc|precision|recall|f1|f_?beta|r2|score|cosine|io_?u|kappa")
_LOWER_IS_BETTER = re.compile(r"loss|error|mae|mse|rmse|mape|msle|entropy|hinge|divergence|poisson")


Size = Annotated[float, Field(gt=0)]


def _share_or_number(value: float) -> float:
    if value == 1 or (value > 1 and not value.is_integer()):
        raise ValueError(f"must be a share below 1 or a whole number of samples above 1, got {value:g}")
    return value


class Validation(Section):
    """The part that chooses: drawn once, or each sample in its turn (k-fold cross-validation)."""

    size: Annotated[Size, AfterValidator(_share_or_number)] = 0.2
    """A share of the training data below 1, or a number of samples."""
    seed: Annotated[int, Field(ge=0, lt=2**32), WHOLE] | None = None
    """Seed of this split; that of the dataset where not given."""
    folds: Annotated[int, Field(ge=2), WHOLE] | None = None
    """k-fold cross-validation: each trial trains so many models, each validated on another share of the data;
    its score is the mean of theirs. `size` plays no part then."""


def _sized(value: object) -> object:
    return {"size": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


class Augmentation(Section):
    """Random changes of training images, drawn anew each time a sample is seen; by Keras's layers of these names."""

    rotation: Annotated[float, Field(ge=0, le=1)] | None = None
    """The largest rotation to either side, as a share of a full turn: 0.05 is 18 degrees."""
    zoom: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The largest zoom in or out, as a share of the size."""
    translation: Annotated[float, Field(ge=0, lt=1)] | None = None
    """The largest shift along each axis, as a share of the size."""
    flip: Literal["horizontal", "vertical", "horizontal_and_vertical"] | None = None
    """Which way images are mirrored, every other time."""
    noise: Annotated[float, Field(ge=0, le=1)] | None = None
    """Standard deviation of Gaussian noise added to each number, after scaling."""
    fill: Literal["reflect", "wrap", "constant", "nearest"] = "constant"
    """What stands where nothing was; constant: zero."""


class ExtraTest(Section):
    """A changed copy of the test part, scored beside it."""

    shift: Annotated[tuple[int, int], Field(strict=False)] | None = None
    """Pixels [down, right]; negative: up, left. What enters is zero."""
    rotate: float | None = None
    """Degrees, counterclockwise about the center. What enters is zero."""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.shift is None and self.rotate is None:
            raise ValueError("needs a shift or a rotate")
        return self


class DatasetSpec(Shorthand):
    """Where the data come from, how they are split and scaled. A name or a path alone will do."""

    stands_for = "name"

    name: str | None = None
    """A dataset that hpo knows (`hpo list --datasets`), or what to call the one at `path`."""
    path: str | None = None
    """A folder of IDX files, or a .npz, .csv or .parquet file; from the working directory
    or the experiment's."""
    function: str | None = None
    """Import path `package.module:function` of a function that returns the parts; see the README."""
    target: str | None = None
    """The column to predict, for .csv and .parquet files."""
    task: Literal["classification", "regression"] | None = None
    """What is predicted: a class or a number; found from the labels where not given."""
    validation: Annotated[Validation, BeforeValidator(_sized, json_schema_input_type=float | Validation)] = Validation()
    """The validation part: a share of the training data below 1, or a number of samples; a mapping says more."""
    test: Annotated[Size, AfterValidator(_share_or_number)] = 0.2
    """The test part where the data bring none: a share of all data below 1, or a number of samples."""
    stratify: bool | None = None
    """Whether each part gets the same share of each class; by default wherever classes allow it."""
    seed: Annotated[int, Field(ge=0, lt=2**32), WHOLE] = 0
    """Seed of the splits and of `limit`; independent of the study's."""
    scaling: Literal["minmax", "standard", "none"] | None = None
    """Fitted on the training part alone: over all pixels of images, per column of tables.
    By default minmax for images, standard for tables."""
    limit: Annotated[int, Field(ge=10), WHOLE] | None = None
    """At most this many samples of the training data, validation included; a given test set stays whole."""
    augmentation: Augmentation | None = None
    """Random changes of the training images."""
    extra_tests: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], ExtraTest] | None = None
    """Changed copies of the test images by name: `shifted` is logged as test_shifted_accuracy, and so on."""
    steps_per_epoch: Annotated[int, Field(ge=1), WHOLE] | None = None
    """For a `function` that generates fresh batches without end: how many of them make an epoch."""

    @classmethod
    def _inferred(cls, value: dict[str, Any]) -> dict[str, Any]:
        name = value.get("name")
        if not isinstance(name, str) or value.get("path") or value.get("function"):
            return value
        if ":" in name:
            return {**value, "function": name, "name": name.rpartition(":")[2]}
        if "/" in name or Path(name).suffix in (".npz", ".csv", ".parquet"):
            return {**value, "path": name, "name": Path(name).stem}
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.path is not None and self.function is not None:
            raise ValueError("path and function exclude each other")
        if self.name is None and self.path is None and self.function is None:
            raise ValueError("needs a name, a path or a function")
        return self

    @property
    def label(self) -> str:
        """What messages and logs call the dataset."""
        return self.name or Path(self.path or "").stem or str(self.function)


class _Metric(Shorthand):
    """A metric and which way is better."""

    stands_for = "metric"

    metric: str
    """Its name in Keras's logs: val_accuracy, val_loss, val_mae, ..."""
    direction: Literal["maximize", "minimize"] | None = None
    """Found from the metric's name where it is plain."""

    @classmethod
    def _inferred(cls, value: dict[str, Any]) -> dict[str, Any]:
        name = value.get("metric")
        if not isinstance(name, str) or value.get("direction") is not None:
            return value
        higher, lower = _HIGHER_IS_BETTER.search(name), _LOWER_IS_BETTER.search(name)
        if bool(higher) == bool(lower):
            return value
        return {**value, "direction": "maximize" if higher else "minimize"}

    @model_validator(mode="after")
    def _has_direction(self) -> Self:
        if self.direction is None:
            raise ValueError(
                f"{show(self.metric)} does not say its direction: write {{metric: {self.metric}, "
                "direction: maximize}, or minimize"
            )
        return self

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.direction == "maximize" else -1

    def better(self, value: float, other: float | None, by: float = 0.0) -> bool:
        """Whether a value improves on another by more than `by`; anything improves on none."""
        return other is None or self.sign * (value - other) > by


class Monitor(_Metric):
    """What a callback watches: a metric of the training or the validation part."""

    @field_validator("metric")
    @classmethod
    def _not_on_test(cls, metric: str) -> str:
        if metric.startswith("test_"):
            raise ValueError(f"the test set never chooses, got {show(metric)}")
        return metric


class Objective(_Metric):
    """What a study improves: a metric on the validation part."""

    @field_validator("metric")
    @classmethod
    def _chosen_on_validation(cls, metric: str) -> str:
        if metric.startswith("val_"):
            return metric
        raise ValueError(
            f"must be a metric on the validation part, got {show(metric)}; "
            f"did you mean val_{metric.removeprefix('test_')}? (the test set never chooses)"
        )


class EarlyStopping(Section):
    """When a trial ends before its last epoch; the weights of its best epoch are always restored."""

    patience: Annotated[int, Field(ge=1), WHOLE] = 3
    """Epochs without improvement of the metric after which a trial ends."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """The least change of the metric that counts as improvement."""
    monitor: Monitor | None = None
    """The metric to stop on, any that is logged, of training as well (loss, accuracy); else the objective."""
    baseline: float | None = None
    """Until the metric improves on this, improvements do not begin the count of `patience` anew."""


class Schedule(Shorthand):
    """How the learning rate changes from step to step; `learning_rate` is where it starts, once warm."""

    stands_for = "name"

    name: Literal["constant", "exponential", "step", "cosine", "polynomial"] = "constant"
    """exponential: times `decay_rate` every `decay_epochs`, smoothly; step: the same in steps; cosine: down to `final`
    along half a wave; polynomial: down to `final` by `power`."""
    decay_rate: Annotated[float, Field(gt=0)] | None = None
    """What the rate is multiplied with, for exponential and step."""
    decay_epochs: Annotated[float, Field(gt=0)] | None = None
    """Epochs until the rate is multiplied once (exponential: 1, step: needed), or until it reaches `final` (cosine,
    polynomial: all epochs)."""
    final: Annotated[float, Field(ge=0)] | None = None
    """Where cosine and polynomial end, as a share of the initial rate; 0 where not given."""
    power: Annotated[float, Field(gt=0)] | None = None
    """Power of polynomial; 1, a straight line, where not given."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Epochs, or a part of one, over which the rate rises linearly from 0; the schedule begins after them."""


class ReduceOnPlateau(Section):
    """Smaller steps once a metric improves no more; Keras's ReduceLROnPlateau."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the learning rate is multiplied with."""
    patience: Annotated[int, Field(ge=1), WHOLE] = 2
    """Epochs without improvement before that."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0001
    """The least change of the metric that counts as improvement."""
    cooldown: Annotated[int, Field(ge=0), WHOLE] = 0
    """Epochs after a reduction that are not counted."""
    min_learning_rate: Annotated[float, Field(ge=0)] = 0.0
    """The least learning rate."""
    monitor: Monitor | None = None
    """The metric to watch; the objective where not given."""


def _switch(value: object) -> object:
    if isinstance(value, bool):
        return EarlyStopping() if value else None
    return value


def _plateau_switch(value: object) -> object:
    if isinstance(value, bool):
        return ReduceOnPlateau() if value else None
    return value


class TrainingSpec(Section):
    """How one model is trained. A parameter of the search space with the name of a key here sets that key."""

    epochs: Annotated[int, Field(ge=1), WHOLE] = 20
    """The most epochs a trial trains."""
    batch_size: Annotated[int, Field(ge=1), WHOLE] = 32
    """Samples a gradient step."""
    early_stopping: Annotated[
        EarlyStopping | None, BeforeValidator(_switch, json_schema_input_type=EarlyStopping | bool | None)
    ] = EarlyStopping()
    """Early stopping on the objective; `false` trains all epochs."""
    optimizer: str = "adam"
    """A Keras optimizer by its name: adam, sgd, rmsprop, adamw, adadelta, ..."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Step size; the optimizer's own default where not given."""
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Momentum of sgd and rmsprop."""
    nesterov: bool | None = None
    """Nesterov momentum, for sgd."""
    weight_decay: Annotated[float, Field(ge=0)] | None = None
    """Decoupled weight decay, a share of the weight for each step of rate 1."""
    rho: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay of the running mean of squared gradients, for rmsprop and adadelta."""
    beta_1: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay of the first moment, for adam and its kin."""
    beta_2: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay of the second moment, for adam and its kin."""
    epsilon: Annotated[float, Field(gt=0)] | None = None
    """The constant that keeps the denominator from zero."""
    clipnorm: Annotated[float, Field(gt=0)] | None = None
    """The largest norm of each weight's gradient."""
    clipvalue: Annotated[float, Field(gt=0)] | None = None
    """The largest size of each number of a gradient."""
    global_clipnorm: Annotated[float, Field(gt=0)] | None = None
    """The largest norm of all gradients together."""
    schedule: Schedule | None = None
    """How the learning rate changes while training; constant where not given."""
    reduce_on_plateau: Annotated[
        ReduceOnPlateau | None,
        BeforeValidator(_plateau_switch, json_schema_input_type=ReduceOnPlateau | bool | None),
    ] = None
    """A smaller learning rate once the objective improves no more; `true` for the defaults."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    """How much of each label is spread evenly over all classes, for classification."""
    class_weight: Literal["balanced"] | dict[int, Annotated[float, Field(gt=0)]] | None = None
    """How much the samples of each class count in training: class number -> weight, 1 where not given; or
    balanced, in inverse proportion to how often the class occurs in the training part."""
    callbacks: Annotated[tuple[str, ...], Field(strict=False)] | None = None
    """Import paths `package.module:name` of Keras callbacks: classes, or functions that return one."""
    loss: str | None = None
    """A Keras loss by its name; chosen from the task where not given."""
    metrics: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Further Keras metrics by name, beside accuracy (classes) or mae (numbers)."""


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


def parse_experiment(document: Document) -> Experiment:
    """Checks a document as an experiment.

    Raises:
        FileMistakes: all its mistakes at once.
    """
    try:
        return Experiment.model_validate(document.data)
    except ValidationError as error:
        raise FileMistakes(mistakes_of(error, document, Experiment)) from None
