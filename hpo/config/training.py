"""The section `training` of the experiment file."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, WithJsonSchema, model_validator

from hpo.config.class_weight import Weights
from hpo.config.mistakes import show
from hpo.config.named import LossValue, NamedValue, choice_of, with_options
from hpo.config.objective import Monitor
from hpo.config.section import WHOLE, BelowOne, Count, Section, Shorthand, switch
from hpo.config.whole_metrics import MetricSpec, named_once
from hpo.errors import nearest

OPTIMIZERS = (
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lamb", "lion", "muon", "nadam", "rmsprop",
    "schedulefreeadamw", "sgd",
)  # fmt: skip
"""Keras's optimizers that need no arguments beside their name, in small letters."""


# Keras accepts capital letters, too.
_OPTIMIZER_SCHEMA = {"type": "string", "anyOf": [{"enum": list(OPTIMIZERS)}, {"pattern": "[A-Z]"}]}


_OPTIMIZER_SCHEMAS = {
    "anyOf": [
        _OPTIMIZER_SCHEMA,
        {"type": "string", "pattern": ":"},
        with_options("adam"),
    ]
}


def _known_optimizer(value: Any) -> Any:
    choice = choice_of(value)
    if not choice.is_own and choice.name.lower() not in OPTIMIZERS:
        raise ValueError(f"unknown name {show(choice.name)}; {nearest(choice.name.lower(), OPTIMIZERS)}")
    return value


class EarlyStopping(Section):
    """When a trial ends before its last epoch. The weights of its best epoch are always restored."""

    patience: Count = 3
    """How long the metric may fail to improve before the trial ends. Unit: epochs. Example: 5"""
    min_delta: NonNegativeFloat = 0.0
    """The smallest change of the metric that counts as an improvement. Unit: that of the metric. Example: 0.001"""
    monitor: Monitor | None = None
    """The metric to watch: any that is logged, also of the training part (loss, accuracy). Default: the objective.
    Example: val_loss"""
    baseline: float | None = None
    """A score that the metric must beat. Until it does, improvements do not restart the count of `patience`.
    Unit: that of the metric. Default: none. Example: 0.5"""


class Schedule(Shorthand):
    """How the learning rate changes while a model trains. It starts at `learning_rate`, after any warm-up. In a
    training in phases it begins anew in each of them."""

    short_key = "name"

    name: Literal["constant", "exponential", "step", "cosine", "polynomial"] = "constant"
    """The shape of the change. Values: constant: no change; exponential: falls smoothly, by the factor `decay_rate` in
    every `decay_epochs`; step: falls at once, by the factor `decay_rate` after every `decay_epochs`; cosine: falls
    along half a cosine wave to `final`; polynomial: falls to `final` along a curve of `power`. Example: cosine"""
    decay_rate: PositiveFloat | None = None
    """What the learning rate is multiplied by, for exponential and step. Unit: factor. Default: none; exponential and
    step need it. Example: 0.9"""
    decay_epochs: PositiveFloat | None = None
    """For exponential and step: how long until the rate is multiplied once more. For cosine and polynomial: how long
    until it reaches `final`. Unit: epochs. Default: 1 for exponential, all epochs, or those of the phase, for cosine
    and polynomial; step needs it. Example: 5"""
    final: NonNegativeFloat | None = None
    """The learning rate at which cosine and polynomial end. Unit: share of the initial rate. Default: 0.
    Example: 0.01"""
    power: PositiveFloat | None = None
    """The exponent of the polynomial curve. Unit: exponent. Default: 1, a straight line. Example: 2"""
    warmup_epochs: NonNegativeFloat = 0.0
    """How long the rate first rises in a straight line from 0. The schedule begins after that.
    Unit: epochs, also fractions. Example: 0.5"""


class ReduceOnPlateau(Section):
    """Lowers the learning rate when a metric stops improving, like Keras's ReduceLROnPlateau. In a training in phases
    it counts anew in each of them."""

    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the learning rate is multiplied by. Unit: factor. Example: 0.5"""
    patience: Count = 2
    """How long the metric may fail to improve before the rate is lowered. Unit: epochs. Example: 3"""
    min_delta: NonNegativeFloat = 0.0001
    """The smallest change of the metric that counts as an improvement. Unit: that of the metric. Example: 0.001"""
    cooldown: Annotated[int, Field(ge=0), WHOLE] = 0
    """How long to wait after a reduction before counting again. Unit: epochs. Example: 2"""
    min_learning_rate: NonNegativeFloat = 0.0
    """The learning rate is not lowered below this. Unit: learning rate. Example: 1.0e-5"""
    monitor: Monitor | None = None
    """The metric to watch. Default: the objective. Example: val_loss"""


class Phase(Section):
    """A part of the training, in which certain layers of a pretrained network train."""

    epochs: Count
    """How many epochs the phase has. Unit: epochs. Example: 5"""
    train: Literal["head"] | None = None
    """What trains, if no layer of the network does. Values: head: all that follows the network. Default: none; each
    phase has either this or `unfreeze`. Example: head"""
    unfreeze: Annotated[int, Field(ge=1), WHOLE] | Literal["all"] | None = None
    """How many layers of the network train, counted from its output, beside the head; batch normalization among them
    does not. Values: all: every layer. Unit: layers. Default: none; each phase has either this or `train`.
    Example: 30"""
    learning_rate: PositiveFloat | None = None
    """Step size of the optimizer, which begins anew in each phase. Unit: learning rate. Default: that of the training
    section. Example: 1.0e-5"""

    @model_validator(mode="after")
    def _says_what_trains(self) -> Self:
        if (self.train is None) == (self.unfreeze is None):
            raise ValueError("needs either train: head, or unfreeze with a number of layers or all")
        return self

    @property
    def unfrozen(self) -> int | Literal["all"]:
        """How many layers of the network train."""
        return self.unfreeze or 0


class TrainingSpec(Section):
    """How one model is trained. A parameter of the search space that has the name of a key here sets that key."""

    epochs: Count = 20
    """The most epochs that a trial trains. With more than before, a study goes on with its best trials after their last
    epoch. Unit: epochs. Example: 50"""
    batch_size: Count = 32
    """How many samples each gradient step uses. Unit: samples. Example: 64"""
    early_stopping: Annotated[EarlyStopping | None, switch(EarlyStopping)] = EarlyStopping()
    """When to stop a trial that no longer improves; `false` trains all epochs. Example: {patience: 5}"""
    optimizer: Annotated[NamedValue, AfterValidator(_known_optimizer), WithJsonSchema(_OPTIMIZER_SCHEMAS)] = "adam"
    """A Keras optimizer by name, or your own by import path: a class, or a function that returns one. Options that are
    none of the keys below are written as a mapping, {name: adam, amsgrad: true}. Example: sgd"""
    learning_rate: PositiveFloat | None = None
    """Step size of the optimizer. Unit: learning rate. Default: that of the optimizer in Keras. Example: 0.001"""
    momentum: BelowOne | None = None
    """Momentum, for sgd and rmsprop. Unit: share. Default: that of the optimizer in Keras. Example: 0.9"""
    nesterov: bool | None = None
    """Whether to use Nesterov momentum, for sgd. Default: that of the optimizer in Keras. Example: true"""
    weight_decay: NonNegativeFloat | None = None
    """Decoupled weight decay: each step lowers every weight by this share of it, times the learning rate. Unit: share.
    Default: that of the optimizer in Keras. Example: 0.004"""
    rho: BelowOne | None = None
    """Decay of the running mean of squared gradients, for rmsprop and adadelta. Unit: share.
    Default: that of the optimizer in Keras. Example: 0.9"""
    beta_1: BelowOne | None = None
    """Decay of the running mean of gradients, for adam and similar optimizers. Unit: share.
    Default: that of the optimizer in Keras. Example: 0.9"""
    beta_2: BelowOne | None = None
    """Decay of the running mean of squared gradients, for adam and similar optimizers. Unit: share.
    Default: that of the optimizer in Keras. Example: 0.999"""
    epsilon: PositiveFloat | None = None
    """A small number that keeps the optimizer from dividing by zero. Unit: number.
    Default: that of the optimizer in Keras. Example: 1.0e-7"""
    clipnorm: PositiveFloat | None = None
    """Gradients are scaled down so that the norm of each weight matrix's gradient is at most this. Unit: norm.
    Default: no clipping. Example: 1.0"""
    clipvalue: PositiveFloat | None = None
    """Every number of a gradient is cut to at most this size. Unit: gradient. Default: no clipping. Example: 0.5"""
    global_clipnorm: PositiveFloat | None = None
    """Gradients are scaled down so that the norm of all of them together is at most this. Unit: norm.
    Default: no clipping. Example: 1.0"""
    products: Literal["float32", "bfloat16"] | None = None
    """The numbers that hidden dense layers of 64 units or more multiply while they train on batches of 128 samples or
    more. All else, and all of validation and test, is in float32; so is every run of `hpo confirm`.
    Values: float32: single precision, as in Keras; bfloat16: factors and products rounded to 8 bits, which recent
    processors compute much faster. Scores then differ in their last digits. A model of which a trial says that its
    graph is its own, or that it trains through Keras's fit, takes float32. Default: float32. Example: bfloat16"""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] | None = None
    """Keras's dtype policy of the model's layers. Layers that set a dtype of their own, such as the last one of hpo's
    models, keep it.
    Values: float32: single precision; mixed_bfloat16: weights in float32, layers compute in bfloat16, `hpo confirm` in
    float32; mixed_float16: weights in float32, layers compute in float16, and the loss is scaled, for GPUs.
    Default: float32, or what your own code sets. Example: mixed_bfloat16"""
    schedule: Schedule | None = None
    """How the learning rate changes while a model trains, or in each of `phases`: a name, or a mapping of keys.
    Default: constant. Example: {name: cosine, warmup_epochs: 1}"""
    reduce_on_plateau: Annotated[ReduceOnPlateau | None, switch(ReduceOnPlateau)] = None
    """Lowers the learning rate when the objective stops improving; `true` takes the defaults. Default: off.
    Example: {factor: 0.5, patience: 2}"""
    label_smoothing: BelowOne | None = None
    """How much of each label is spread evenly over all classes, for classification. Unit: share. Default: 0.
    Example: 0.1"""
    class_weight: Literal["balanced"] | Weights | None = None
    """How much the samples of each class count in training: a weight for each class, by its name or number, 1 for those
    left out.
    Values: balanced: rare classes count more, in inverse proportion to how often they occur in the training part.
    Unit: factor. Default: 1 for each class. Example: {0: 2.0}"""
    executions: Count | None = None
    """How many times each configuration trains, each time from another seed, one after the other. Its score and its
    test scores are the means, its curves those of the first time, its model the best one. A trial that is stopped has
    the mean of those trainings that came to their end, and says how many. After Ctrl-C the next run trains the last
    epoch of the first one and all later ones again. Not with dataset.validation.folds; `hpo confirm` trains once for
    each of its seeds. Unit: trainings. Default: 1. Example: 3"""
    phases: Annotated[tuple[Phase, ...], Field(strict=False, min_length=1)] | None = None
    """Transfer learning: what trains of a pretrained network, for how long and how fast, one phase after the other. For
    `model: application`, and for models of your own of which one layer is a model itself. No phase may train less of
    the network than the one before. `epochs` is the sum of theirs, and early stopping watches all of them; the
    optimizer begins anew in each, and with it `schedule` and `reduce_on_plateau`. A search space varies a key as
    `phases.2.learning_rate`, counted from 1. Default: one phase, of what the model itself lets train.
    Example: [{train: head, epochs: 5}, {unfreeze: 30, learning_rate: 1.0e-5, epochs: 5}]"""
    callbacks: Annotated[tuple[NamedValue, ...], Field(strict=False)] | None = None
    """Callbacks: Keras's by name, or your own as import paths `package.module:name` of classes or of functions that
    return one, each alone or as a mapping with options. Those of your own get `trial` (its number), `params` and
    `folder` (a folder for this trial alone; with executions one for each of them) if they take arguments of these
    names. In options {folder} and {trial} stand for them; Keras's TensorBoard, CSVLogger and ModelCheckpoint write
    there by themselves.
    Default: none. Example: ["callbacks:PrintLoss", {name: CSVLogger, append: true}]"""
    loss: LossValue = None
    """A Keras loss by name, or your own by import path; with options as a mapping, {name: huber, delta: 2.0}. For
    several outputs one for all, or a mapping of each output's own. Default: cross-entropy for classes, mean squared
    error for numbers. Example: huber"""
    loss_weights: dict[str, NonNegativeFloat] | None = None
    """How much the loss of each of several outputs counts, by the output's name. Unit: factor. Default: 1 for each.
    Example: {age: 1.0, gender: 0.5}"""
    metrics: Annotated[tuple[MetricSpec, ...], Field(strict=False), AfterValidator(named_once)] = ()
    """Further metrics, beside accuracy for classes or mae for numbers: names, or mappings with options. Those of a
    whole part (auc, pr_auc, f1_score, macro_f1, precision, recall, balanced_accuracy, r2, rmse) are scikit-learn's, of
    the validation and the test part; crossentropy is the loss of a classifier without penalties and label smoothing;
    all others are Keras's, with their own options, or yours by import path.
    Example: [balanced_accuracy, {name: auc, curve: PR}, "my:F1"]"""

    @model_validator(mode="after")
    def _sums_epochs(self) -> Self:
        if self.phases is None:
            return self
        total = sum(phase.epochs for phase in self.phases)
        if "epochs" in self.model_fields_set and self.epochs != total:
            raise ValueError(f"epochs must be the sum of those of the phases, {total}, got {self.epochs}; leave it out")
        depths = [float("inf") if phase.unfrozen == "all" else phase.unfrozen for phase in self.phases]
        if depths != sorted(depths):
            raise ValueError("phases: none may train less of the network than the one before")
        # Not among the keys that are set, so that it follows where the phases change.
        self.__dict__["epochs"] = total
        return self

    @property
    def whole_metrics(self) -> tuple[MetricSpec, ...]:
        """The metrics that are computed from all predictions of a part, without repetitions."""
        return tuple(dict.fromkeys(spec for spec in self.metrics if spec.kind is not None))

    @property
    def trainings(self) -> int:
        """How many times each configuration trains."""
        return self.executions or 1

    def of_one_seed(self) -> Self:
        """The same section for one seed that counts: in float32, and trained once."""
        precision = None if self.precision is None else self.precision.replace("mixed_bfloat16", "float32")
        return self.model_copy(update={"products": None, "precision": precision, "executions": None})
