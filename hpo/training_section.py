"""The section `training` of the experiment file."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from hpo.errors import nearest
from hpo.mistakes import show
from hpo.objective import Monitor
from hpo.section import WHOLE, Section, Shorthand

OPTIMIZERS = (
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "muon", "nadam", "rmsprop",
    "schedulefreeadamw", "sgd",
)  # fmt: skip
"""Keras's optimizers that a name alone makes, in small letters."""


def _known_optimizer(name: str) -> str:
    if name.lower() not in OPTIMIZERS:
        raise ValueError(f"unknown name {show(name)}; {nearest(name.lower(), OPTIMIZERS)}")
    return name


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


def _switch(section: type[Section]) -> BeforeValidator:
    """Lets a section be switched on, with its defaults, and off by true and false."""

    def read(value: object) -> object:
        if isinstance(value, bool):
            return section() if value else None
        return value

    return BeforeValidator(read, json_schema_input_type=section | bool | None)


class TrainingSpec(Section):
    """How one model is trained. A parameter of the search space with the name of a key here sets that key."""

    epochs: Annotated[int, Field(ge=1), WHOLE] = 20
    """The most epochs a trial trains."""
    batch_size: Annotated[int, Field(ge=1), WHOLE] = 32
    """Samples a gradient step."""
    early_stopping: Annotated[EarlyStopping | None, _switch(EarlyStopping)] = EarlyStopping()
    """Early stopping on the objective; `false` trains all epochs."""
    optimizer: Annotated[str, AfterValidator(_known_optimizer)] = "adam"
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
    reduce_on_plateau: Annotated[ReduceOnPlateau | None, _switch(ReduceOnPlateau)] = None
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
