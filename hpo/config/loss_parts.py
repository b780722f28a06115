"""Parameters that change what the loss is made of: penalties, label smoothing, the loss itself.

Scores of `val_loss` cannot be compared between trials in which they differ, since each trial adds something else to it.
Class weights are not among them: they weigh the samples of the training part only.
"""

import re
from dataclasses import dataclass

from hpo.config.experiment import Experiment, TrainingSpec
from hpo.config.metrics import CROSSENTROPY, METRICS
from hpo.config.named import plain_choice
from hpo.config.space import SearchSpace, in_section
from hpo.config.training_rules import plain_name

_OBJECTIVE = "val_loss"
# By the last part of a key. Parameters of users' own models are recognized by the usual names.
_EFFECTS = (
    (
        re.compile(r"(^|_)l[12](_?(\d+|rate|weight|factor|lambda|strength|alpha|l2))?$|regulari[sz]|penalt"),
        "changes the penalty in the loss",
    ),
    (re.compile(r"label_?smoothing|^smoothing$"), "changes the labels in the loss"),
    (re.compile(r"^loss$|^loss_?(name|fn|function|weights?)$"), "changes the loss"),
)

# `plain_name` of a loss -> the short name of its metric.
_LONG = {"mse": "mse", "meansquarederror": "mse", "mae": "mae", "meanabsoluteerror": "mae"}


def varied_parts(space: SearchSpace) -> dict[str, str]:
    """Parameter -> what it does to the loss, for the parameters that change what the loss is made of.

    A constant with a condition is among them: it is there in some trials only.
    """
    found = {}
    for name, parameter in space.parameters.items():
        key = space.target(name).rsplit(".", 1)[-1].lower()
        sometimes = bool(parameter.when) and any(parameter.values() or ())
        if (parameter.varies or sometimes) and (effect := _effect(key)):
            found[name] = effect
    return found


def warnings_about(experiment: Experiment, space: SearchSpace, task: str) -> dict[str, str]:
    """Parameter -> the warning that it changes what the objective is made of, and what to set instead.

    Args:
        experiment: the experiment.
        space: the space that trials vary, with the parameters that a KerasTuner model declares.
        task: classification or regression.
    """
    if experiment.objective.metric != _OBJECTIVE:
        return {}
    plain = plain_loss(experiment.training, space).of(task)
    where = "logged for each trial"
    if ":" in space.model:
        where += " unless the model compiles itself; then add such a metric there"
    advice = f"set objective: val_{plain}, which has no penalties and no smoothing and is {where}"
    return {
        name: f"{effect}, so val_loss, the objective, cannot be compared between trials: {advice}"
        for name, effect in varied_parts(space).items()
    }


@dataclass(frozen=True)
class PlainLoss:
    """The metric that is the loss without penalties and smoothing, and means the same in all trials."""

    regression: str
    """Its name for regression: that of the loss, if it does not vary and Keras has a metric of that name, else mse."""

    def of(self, task: str) -> str:
        """Its name for a task."""
        return CROSSENTROPY if task == "classification" else self.regression


def plain_loss(training: TrainingSpec, space: SearchSpace) -> PlainLoss:
    """The plain loss of an experiment."""
    varies = any(in_section(space.target(name), "training") == ("loss",) for name in space.parameters)
    named = plain_choice(training.loss) or "mse"
    loss = plain_name(named)
    if varies or loss in _LONG or named not in METRICS:
        return PlainLoss("mse" if varies else _LONG.get(loss, "mse"))
    return PlainLoss(named)


def logged_plain_loss(experiment: Experiment, space: SearchSpace) -> PlainLoss | None:
    """The plain loss, if it is logged for each trial: if a key names it, or parts of the loss vary; else None."""
    training, plain = experiment.training, plain_loss(experiment.training, space)
    sections = (training.early_stopping, training.reduce_on_plateau)
    monitors = [section.monitor for section in sections if section is not None and section.monitor is not None]
    named = {metric.metric.removeprefix("val_") for metric in (experiment.objective, *monitors)}
    return plain if named & {CROSSENTROPY, plain.regression} or varied_parts(space) else None


def _effect(key: str) -> str | None:
    return next((effect for pattern, effect in _EFFECTS if pattern.search(key)), None)
