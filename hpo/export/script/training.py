"""The part of a script that trains: how the learning rate moves, when training stops, and what `fit` is given."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo.config.training_rules import has_schedule
from hpo.data.dataset import class_numbers
from hpo.errors import UserError
from hpo.export.script.augmentation import add_augmentation, changes
from hpo.export.script.fragments import Script
from hpo.export.script.layout import literal, statement
from hpo.export.script.reading import own_code

if TYPE_CHECKING:
    from hpo.config.experiment import Monitor, Objective, Schedule, TrainingSpec
    from hpo.data.dataset import Dataset
    from hpo.export.script.recipe import Recipe
    from hpo.training.messages import Job

_WARM_UP = '''class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly from 0 over some steps; then another schedule begins."""

    def __init__(self, schedule, rate, steps):
        self.schedule, self.rate, self.steps = schedule, rate, steps

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        warm = self.schedule(keras.ops.maximum(step - self.steps, 0.0))
        return keras.ops.where(step < self.steps, self.rate * step / self.steps, warm)'''


def add_fit(script: Script, job: "Job", made: "Recipe", dataset: "Dataset", folders: Sequence[Path]) -> None:
    """Adds the lines that train the model.

    Raises:
        UserError: how it was trained cannot be said in a few lines.
    """
    own = made.own is not None and made.own.fits
    if has_schedule(job.training):
        if own:
            raise UserError(
                "a learning-rate schedule beside a HyperModel's own fit makes no plain script; --to best.yaml exports "
                "a file that hpo train takes"
            )
        _add_schedule(script, job.training, dataset)
    callbacks = [*_plateau(script, job), *_stopping(script, job), *_own_callbacks(script, job, folders)]
    common = ["epochs=EPOCHS", f"callbacks=[{', '.join(callbacks)}]", "verbose=2"]
    if dataset.stream is not None:
        fed = ["training", "shuffle=False", "validation_data=validation"]
    elif job.augmentation is not None and changes(job.augmentation, dataset.info):
        if own:
            raise UserError(
                "augmentation beside a HyperModel's own fit makes no plain script; --to best.yaml exports a file that "
                "hpo train takes"
            )
        fed = [add_augmentation(script, job.augmentation, dataset.info), "shuffle=False"]
        fed += ["validation_data=(x_val, y_val)"]
    else:
        fed = ["x_train", "y_train", "validation_data=(x_val, y_val)"]
        # A HyperModel's own fit may set a batch size of its own.
        fed += [] if own else ["batch_size=BATCH_SIZE"]
    fed += _class_weight(script, job.training, dataset)
    head = "history = HYPERMODEL.fit(" if own else "history = model.fit("
    script.main.append(statement(head, [*(["HP", "model"] if own else []), *fed, *common], ")"))


def _add_schedule(script: Script, training: "TrainingSpec", dataset: "Dataset") -> None:
    schedule = training.schedule
    assert schedule is not None
    lines = ["def schedule(rate, steps):", '    """The learning rate from step to step, `steps` to an epoch."""']
    script.functions.append("\n".join([*lines, *_schedule(script, schedule, training.epochs)]))
    if dataset.stream is None:
        script.imports.add("import math")
        script.main.append("    steps = math.ceil(len(x_train) / BATCH_SIZE)")
    else:
        script.main.append("    steps = len(training)")
    script.main.append("    rate = float(model.optimizer.learning_rate)")
    script.main.append("    model.optimizer.learning_rate = schedule(rate, steps)")


def _schedule(script: Script, schedule: "Schedule", epochs: int) -> list[str]:
    from hpo.training.learning_rate import decay_epochs_of

    known, warm = "keras.optimizers.schedules.", schedule.warmup_epochs
    if schedule.name == "constant":
        rising = ["0.0", f"decay_steps={_steps(warm)}", "end_learning_rate=rate"]
        return [statement(f"return {known}PolynomialDecay(", rising, ")")]
    items = [f"decay_steps={_steps(decay_epochs_of(schedule, epochs))}"]
    if schedule.name == "cosine":
        items += [f"alpha={schedule.final}"] if schedule.final else []
        items += ["warmup_target=rate", f"warmup_steps={_steps(warm)}"] if warm else []
        return [statement(f"return {known}CosineDecay(", ["0.0" if warm else "rate", *items], ")")]
    if schedule.name == "polynomial":
        final = f"{schedule.final} * rate" if schedule.final else "0.0"
        items += [f"end_learning_rate={final}", *([f"power={schedule.power}"] if schedule.power else [])]
        kind = "PolynomialDecay"
    else:
        items += [f"decay_rate={schedule.decay_rate}", *(["staircase=True"] if schedule.name == "step" else [])]
        kind = "ExponentialDecay"
    if not warm:
        return [statement(f"return {known}{kind}(", ["rate", *items], ")")]
    script.functions.append(_WARM_UP)
    line = statement(f"decay = {known}{kind}(", ["rate", *items], ")")
    return [line, f"    return WarmUp(decay, rate, {_steps(warm)})"]


def _steps(epochs: float) -> str:
    if epochs == 1:
        return "steps"
    return f"{epochs:g} * steps" if float(epochs).is_integer() else f"max(1, round({epochs!r} * steps))"


def _watched(metric: "Monitor | Objective") -> list[str]:
    return [f"monitor={literal(metric.metric)}", f'mode="{metric.mode}"']


def _stopping(script: Script, job: "Job") -> list[str]:
    """One callback restores the best weights, and stops where both look at the same."""
    stopping, objective = job.training.early_stopping, job.objective
    called = "keras.callbacks.EarlyStopping("
    best = _watched(objective)
    if stopping is None:
        items = [*best, "patience=EPOCHS", "restore_best_weights=True"]
        script.main.append(statement(f"best = {called}", items, ")"))
        return ["best"]
    ends = [f"patience={stopping.patience}"]
    ends += [f"min_delta={stopping.min_delta}"] if stopping.min_delta else []
    ends += [f"baseline={stopping.baseline}"] if stopping.baseline is not None else []
    watched = _watched(stopping.monitor or objective)
    if watched == best and not stopping.min_delta:
        script.main.append(statement(f"stopping = {called}", [*watched, *ends, "restore_best_weights=True"], ")"))
        return ["stopping"]
    restoring = [*best, "patience=EPOCHS", "restore_best_weights=True"]
    script.main.append(statement(f"best = {called}", restoring, ")"))
    script.main.append(statement(f"stopping = {called}", [*watched, *ends], ")"))
    return ["best", "stopping"]


def _plateau(script: Script, job: "Job") -> list[str]:
    spec = job.training.reduce_on_plateau
    if spec is None:
        return []
    items = [*_watched(spec.monitor or job.objective), f"factor={spec.factor}", f"patience={spec.patience}"]
    items += [f"min_delta={spec.min_delta}"]
    items += [f"cooldown={spec.cooldown}"] if spec.cooldown else []
    items += [f"min_lr={spec.min_learning_rate}"] if spec.min_learning_rate else []
    script.main.append(statement("plateau = keras.callbacks.ReduceLROnPlateau(", items, ")"))
    return ["plateau"]


def _own_callbacks(script: Script, job: "Job", folders: Sequence[Path]) -> list[str]:
    return [f"{own_code(script, path, folders)}()" for path in job.training.callbacks or ()]


def _class_weight(script: Script, training: "TrainingSpec", dataset: "Dataset") -> list[str]:
    from hpo.training.class_weights import sample_weights, weights_by_class

    given, y = training.class_weight, dataset.training.y
    if given is None:
        return []
    if dataset.stream is not None:
        by_class = dict(weights_by_class(given) or {})
    else:
        numbers, weights = class_numbers(y), sample_weights(given, y, dataset.info)
        assert weights is not None
        by_class = {int(number): round(float(weights[numbers == number][0]), 6) for number in np.unique(numbers)}
    if given == "balanced":
        script.constants.append("# In inverse proportion to how often a class occurs in the training part.")
    script.constants.append(literal(by_class, "CLASS_WEIGHT = "))
    return ["class_weight=CLASS_WEIGHT"]
