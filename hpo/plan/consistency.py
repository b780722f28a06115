"""What an experiment and its search space must agree on, with each other and with what hpo and Keras know by name."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from hpo import models
from hpo.config.experiment import Experiment, Monitor, Objective, TrainingSpec
from hpo.config.loss_parts import logged_plain_loss
from hpo.config.metrics import CROSSENTROPY, KNOWN_METRICS, LOSSES, METRICS_WITH_OPTIONS, usual_metric
from hpo.config.named import by_output, choice_of
from hpo.config.space import SearchSpace, in_section, training_with
from hpo.config.space_file import ExaminedSpace
from hpo.config.training_rules import (
    DISAGREEING,
    Disagreement,
    disagreements,
    loss_for_scaling,
    undoes_target_scaling,
)
from hpo.config.yaml_file import Document, Key
from hpo.data import KNOWN
from hpo.errors import Mistake, ModelError, nearest
from hpo.system.environment import unset_variables
from hpo.system.home import expanded

_TRIED = 200

Wrong = tuple[Key, str]
"""A key of the experiment file, and the message about it."""


def experiment_mistakes(experiment: Experiment, space: ExaminedSpace, kept: bool = False) -> Iterator[Wrong]:
    """What is wrong with an experiment whose keys are all valid by themselves.

    With `kept`, the experiment was stored earlier: rules that earlier versions of hpo did not have are not applied.
    """
    from hpo.study.samplers import option_mistakes, unused_choices

    yield from option_mistakes(experiment)
    yield from _unknown_dataset(experiment)
    yield from _unset_variables(experiment)
    if not kept:
        yield from unused_choices(experiment.study)
        for key, metric in metrics_named(experiment):
            if metric.contradiction:
                yield (*key, "direction"), metric.contradiction
    yield from _of_space(experiment, space)


def _unset_variables(experiment: Experiment) -> Iterator[Wrong]:
    addresses: tuple[Wrong, ...] = (
        (("study", "storage"), experiment.study.storage or ""),
        (("tracking", "uri"), experiment.tracking.uri or ""),
    )
    for key, address in addresses:
        for name in unset_variables(address):
            yield key, f"${{{name}}}: the environment variable {name} is not set"


def space_mistakes(space: ExaminedSpace, document: Document) -> Iterator[Mistake]:
    """The parameters of a search space that its model does not read, and names that Keras does not know."""
    if space.valid is None:
        return
    parameters = space.valid.parameters
    keys = {parameter.sets or name: name for name, parameter in parameters.items()}
    try:
        unknown = models.unknown_keys(space.valid.model, keys)
    except ModelError as error:
        yield document.mistake(("model",), str(error))
        return
    for key, message in unknown.items():
        yield document.mistake(("parameters", keys[key]), message)
    if _declares(space):
        return
    for key, name in keys.items():
        path = in_section(key, "training")
        if path == ("loss",) and name not in space.doubtful:
            for value in parameters[name].values() or ():
                if isinstance(value, str) and value not in LOSSES:
                    yield document.mistake(
                        ("parameters", name), f"Keras knows no loss {value!r}; {nearest_few(value, LOSSES)}"
                    )


def missing_file(experiment: Experiment, folders: Sequence[Path]) -> Iterator[Wrong]:
    """A mistake if there is no file or folder at the path of the dataset."""
    path = experiment.dataset.path
    if path is None or any((folder / expanded(path)).exists() for folder in folders):
        return
    where = "" if Path(path).is_absolute() else f" in {' or '.join(map(str, folders))}"
    yield ("dataset", "path"), f"{path}: no such file or folder{where}"


def metrics_named(experiment: Experiment) -> Iterator[tuple[Key, Objective | Monitor]]:
    """The keys that name a metric, each with its metric."""
    yield ("objective",), experiment.objective
    for name in ("early_stopping", "reduce_on_plateau"):
        section = getattr(experiment.training, name)
        if section is not None and section.monitor is not None:
            yield ("training", name, "monitor"), section.monitor


def metric_mistake(key: Key, metric: str, usual: Sequence[str], training: TrainingSpec) -> str | None:
    """What is wrong with a key that names a metric, if no metric of that name is logged; else None.

    `usual`: the metrics that are logged in any case.
    """
    others = [spec.logged for spec in training.metrics if spec.kind is None]
    in_training = list(dict.fromkeys((*usual, *others)))
    logged = [*in_training, *(spec.logged for spec in training.whole_metrics)]
    name = metric.removeprefix("val_")
    if name in (logged if metric.startswith("val_") else in_training):
        return None
    valid = [f"val_{known}" for known in logged] + (in_training if len(key) > 1 else [])
    if name in KNOWN_METRICS and name not in (*logged, "accuracy", "mae"):
        hint = f"add {name} to training.metrics, or "
    else:
        hint = nearest(metric, valid)
        hint = f"{hint} " if hint.startswith("did you mean") else ""
    return f"is no metric of this training; {hint}take one of {', '.join(valid)}"


def metric_mistakes(experiment: Experiment, space: SearchSpace, task: str) -> Iterator[Wrong]:
    """The keys that name a metric which is not logged when hpo compiles a known model for a task."""
    if ":" in space.model or any(
        in_section(space.target(name), "training") == ("metrics",) for name in space.parameters
    ):
        return
    usual = usual_metric(task) or "loss"
    plain = logged_plain_loss(experiment, space)
    logged = ("loss", usual, *(() if plain is None else (plain.of(task),)))
    for key, metric in metrics_named(experiment):
        if message := metric_mistake(key, metric.metric, logged, experiment.training):
            yield key, f"{message}: the task is {task}"


def nearest_few(name: str, valid: Sequence[str]) -> str:
    """Like `errors.nearest`, but lists only the first names if there are too many."""
    hint = nearest(name, valid)
    return hint if hint.startswith("did you mean") else f"{nearest(name, valid[:12])}, ..."


def _unknown_dataset(experiment: Experiment) -> Iterator[Wrong]:
    spec = experiment.dataset
    if spec.path is None and spec.function is None and spec.name not in KNOWN:
        hint = f"{nearest(spec.name, KNOWN)} (your own data: path, or function)"
        yield ("dataset", "name"), f"dataset {spec.name!r}: unknown name; {hint}"


def _of_space(experiment: Experiment, space: ExaminedSpace) -> Iterator[Wrong]:
    if space.valid is None:
        return
    if experiment.study.sampler.name == "grid":
        endless = [name for name in space.valid.uncountable() if name not in space.doubtful]
        if endless:
            yield ("study", "sampler"), f"a grid needs a step, or choices, for {', '.join(endless)}"
    # A KerasTuner model declares parameters of its own, which are not known before it is built.
    declares = _declares(space)
    for index, config in enumerate(experiment.study.enqueue):
        for name, complaint in space.valid.complaints(config).items():
            known = name in space.valid.parameters and name not in space.doubtful
            if known or not (declares or name in space.doubtful):
                yield ("study", "enqueue", index, name), complaint
    if not declares:
        yield from _names(experiment.training)
        plain = logged_plain_loss(experiment, space.valid)
        labels = ["binary_accuracy"] if experiment.dataset.task == "multilabel" else []
        added = () if plain is None else (CROSSENTROPY, plain.regression)
        logged = ("accuracy", "loss", "mae", *labels, *added)
        for key, metric in metrics_named(experiment):
            if message := metric_mistake(key, metric.metric, logged, experiment.training):
                yield key, message
    spec, loss = experiment.dataset, loss_for_scaling(experiment.training.loss)
    if spec.target_scaling in ("standard", "minmax") and not undoes_target_scaling("minmax", loss, None):
        rule = f"targets cannot be scaled for the loss {loss}, which is none of their differences; leave it out"
        yield ("dataset", "target_scaling"), rule
    if experiment.training.trainings > 1 and experiment.dataset.validation.folds:
        yield ("training", "executions"), "cannot be combined with dataset.validation.folds; leave one of them out"
    yield from _of_phases(experiment.training, space.valid)
    for wrong in _disagreements(experiment, space):
        yield ("training", *wrong.key), wrong.message


def _of_phases(training: TrainingSpec, space: SearchSpace) -> Iterator[Wrong]:
    says = [name for name in space.parameters if space.target(name) == "unfreeze"]
    if says and training.phases and ":" not in space.model:
        rule = f"say which layers train, and so does the parameter {says[0]} of the search space; leave one of them out"
        yield ("training", "phases"), rule


def _names(training: TrainingSpec) -> Iterator[Wrong]:
    """Names of losses and metrics that Keras does not know."""
    each = by_output(training.loss)
    losses = {("loss",): training.loss} if each is None else {("loss", name): one for name, one in each.items()}
    for key, loss in losses.items():
        if loss is not None and not (named := choice_of(loss)).is_own and named.name not in LOSSES:
            yield ("training", *key), f"Keras knows no loss {named.name!r}; {nearest_few(named.name, LOSSES)}"
    for index, spec in enumerate(training.metrics):
        if spec.kind is not None or spec.is_own or spec.name in KNOWN_METRICS:
            continue
        if spec.name not in METRICS_WITH_OPTIONS:
            known = (*KNOWN_METRICS, *METRICS_WITH_OPTIONS)
            yield ("training", "metrics", index), f"unknown metric {spec.name!r}; {nearest_few(spec.name, known)}"
        elif not spec.model_extra:
            rule = "needs its options, as in {name: precision_at_recall, recall: 0.5}"
            yield ("training", "metrics", index), f"{spec.name} {rule}"


def _declares(space: ExaminedSpace) -> bool:
    return space.valid is not None and ":" in space.valid.model


def _disagreements(experiment: Experiment, space: ExaminedSpace) -> list[Disagreement]:
    """The disagreements that the training section has in every configuration that is tried.

    These are the extremes of the space and some configurations drawn at random. If only some configurations have a
    disagreement, their trials fail with reason invalid.
    """
    valid = space.valid
    doubted = {part for name in space.doubtful for part in in_section(name, "training")[:1]}
    if valid is None or doubted & set(DISAGREEING):
        return []
    everywhere: list[Disagreement] | None = None
    for config in valid.examples(_TRIED if valid.parameters else 0):
        certain = {name: value for name, value in config.items() if name not in space.doubtful}
        try:
            found = list(disagreements(training_with(experiment.training, valid.settings(certain))))
        except ValidationError:
            continue
        keys = {wrong.key for wrong in found}
        everywhere = found if everywhere is None else [wrong for wrong in everywhere if wrong.key in keys]
        if not everywhere:
            return []
    return everywhere or []
