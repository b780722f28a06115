"""Rules between keys of the training section, checked without Keras and before a model is built."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hpo.config.experiment import Schedule, TrainingSpec
from hpo.config.named import Choice, Named, by_output, choice_of, plain_choice

SMOOTHED_LOSSES = {
    "binarycrossentropy": "BinaryCrossentropy",
    "bce": "BinaryCrossentropy",
    "binaryfocalcrossentropy": "BinaryFocalCrossentropy",
    "categoricalcrossentropy": "CategoricalCrossentropy",
    "sparsecategoricalcrossentropy": "CategoricalCrossentropy",
    "categoricalfocalcrossentropy": "CategoricalFocalCrossentropy",
}
"""`plain_name` of each loss that can smooth labels -> the class of keras.losses that does it, on one-hot labels."""

DIFFERENCE_LOSSES = {
    "mse": "mean_squared_error",
    "meansquarederror": "mean_squared_error",
    "mae": "mean_absolute_error",
    "meanabsoluteerror": "mean_absolute_error",
    "huber": "huber",
    "logcosh": "log_cosh",
}
"""`plain_name` of each loss that depends on differences alone -> its function in keras.losses. Only with these can
targets be scaled."""


def undoes_target_scaling(method: str, loss: str | None, activation: str | None) -> bool:
    """Whether a model can be trained on scaled targets, and turn its outputs back into their own unit.

    Losses of relations, mape for one, mean nothing of scaled targets. Standardized ones have both signs, and any size,
    so the last layer must be linear. `loss`: None for the mean squared error; `activation`: None where it is not known.
    """
    of_differences = loss is None or plain_name(loss) in DIFFERENCE_LOSSES
    return of_differences and (method == "minmax" or activation == "linear")


_SCHEDULE_TAKES: Mapping[str, tuple[str, ...]] = {
    "constant": (),
    "exponential": ("decay_rate", "decay_epochs"),
    "step": ("decay_rate", "decay_epochs"),
    "cosine": ("decay_epochs", "final"),
    "polynomial": ("decay_epochs", "final", "power"),
}
_SCHEDULE_NEEDS: Mapping[str, Mapping[str, float]] = {
    "exponential": {"decay_rate": 0.9},
    "step": {"decay_rate": 0.5, "decay_epochs": 5},
}
CLIPPING = ("clipnorm", "clipvalue", "global_clipnorm")
"""Keys of which only one may be set."""

DISAGREEING = ("schedule", "reduce_on_plateau", *CLIPPING, "label_smoothing", "loss", "products", "precision")
"""The keys of the training section that `disagreements` compares."""


@dataclass(frozen=True)
class Disagreement:
    """Keys that cannot be combined, or a key that needs another one."""

    key: tuple[str, ...]
    """The key at which the mistake is reported, within the training section."""
    message: str


def disagreements(training: TrainingSpec) -> Iterator[Disagreement]:
    """The disagreements between the keys of a training section that is complete for a trial."""
    if training.schedule is not None:
        yield from _of_schedule(training.schedule)
    if training.reduce_on_plateau is not None and has_schedule(training):
        message = "cannot be used with a schedule, since both set the learning rate; leave one of them out"
        yield Disagreement(("reduce_on_plateau",), message)
    clipping = [key for key in CLIPPING if getattr(training, key) is not None]
    if len(clipping) > 1:
        given = " and ".join(f"{key} {getattr(training, key):g}" for key in clipping)
        message = f"only one of {', '.join(CLIPPING)} may be set, got {given}"
        yield Disagreement((clipping[-1],), message)
    loss = training.loss
    if training.label_smoothing and loss and by_output(loss) is None and not _smooths(choice_of(loss)):
        message = f"{choice_of(loss).name} takes no label smoothing; leave it out, or take another loss"
        yield Disagreement(("label_smoothing",), message)
    if training.products == "bfloat16" and training.precision not in (None, "float32"):
        message = f"bfloat16 rounds products of float32, got precision: {training.precision}; leave one of them out"
        yield Disagreement(("products",), message)


def _smooths(loss: Choice) -> bool:
    return plain_name(loss.name) in SMOOTHED_LOSSES


def loss_for_scaling(loss: Named | None) -> str | None:
    """A loss as `undoes_target_scaling` takes it; options, thresholds for one, are in the targets' own unit."""
    return None if loss is None else plain_choice(loss) or "of its own"


def has_schedule(training: TrainingSpec) -> bool:
    """Whether the learning rate changes from step to step."""
    schedule = training.schedule
    return schedule is not None and (schedule.name != "constant" or schedule.warmup_epochs > 0)


def plain_name(name: str) -> str:
    """A form of a Keras name that is the same for a function and its class: mean_squared_error, MeanSquaredError."""
    return name.lower().replace("_", "")


def _of_schedule(schedule: Schedule) -> Iterator[Disagreement]:
    takes, needs = _SCHEDULE_TAKES[schedule.name], _SCHEDULE_NEEDS.get(schedule.name, {})
    example = ", ".join(f"{key}: {value:g}" for key, value in needs.items())
    for key in needs:
        if getattr(schedule, key) is None:
            message = f"{schedule.name} needs {key}, as in {{name: {schedule.name}, {example}}}"
            yield Disagreement(("schedule",), message)
    for key in ("decay_rate", "decay_epochs", "final", "power"):
        value = getattr(schedule, key)
        if value is not None and key not in takes:
            message = f"{schedule.name} takes no {key}, got {value:g}; it takes {', '.join((*takes, 'warmup_epochs'))}"
            yield Disagreement(("schedule", key), message)
