"""The tables of samplers and pruners, by the names that experiment files use; options have Optuna's names."""

import importlib.util
import inspect
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from pydantic import ValidationError

from hpo.config.experiment import Experiment, Named, StudySpec
from hpo.config.mistakes import show
from hpo.config.yaml_file import Key
from hpo.errors import UserError, nearest
from hpo.schedule.table import SCHEDULES, make_schedule, schedule_class

SAMPLERS: Mapping[str, type[BaseSampler]] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "qmc": optuna.samplers.QMCSampler,
    # The coordinator runs through the grid itself: Optuna's own repeats a configuration for each value of a
    # parameter that does not exist in it.
    "grid": optuna.samplers.RandomSampler,
    "nsga2": optuna.samplers.NSGAIISampler,
    "gp": optuna.samplers.GPSampler,
}

PRUNERS: Mapping[str, type[BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "patient": optuna.pruners.PatientPruner,
    "threshold": optuna.pruners.ThresholdPruner,
}

# Options that hpo sets itself; a file cannot set them.
_OURS = {"seed", "warn_independent_sampling", "warn_asynchronous_seeding"}

# Annotations of options that a YAML value can set -> the Python types allowed, and their name in messages.
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((float, int), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text"),
    "None": ((type(None),), "null"),
}


def make_sampler(named: Named, seed: int, ask: int, attempt: int = 0) -> BaseSampler:
    """The sampler for one ask, or for a further attempt at it after it proposed a configuration that was tried before.

    Each call makes a new sampler, seeded by the study's seed and the number of the ask. Its proposal depends on
    these and on the trials that have ended, not on how often the study was interrupted.

    Raises:
        UserError: the gp sampler without torch.
        TypeError, ValueError: options that the sampler does not take.
    """
    kind = SAMPLERS[named.name]
    if named.name == "gp" and importlib.util.find_spec("torch") is None:
        raise UserError("sampler gp needs PyTorch: python3 -m pip install torch")
    ask_seed = derive_seed(seed, ask, *([attempt] if attempt else ()))
    options: dict[str, Any] = {"seed": ask_seed, **named.options}
    if named.name == "qmc":
        # All points belong to one sequence, so all have the same seed. The position in it is stored in the study.
        options |= {"seed": seed, "warn_independent_sampling": False, "warn_asynchronous_seeding": False}
        options["independent_sampler"] = optuna.samplers.RandomSampler(seed=ask_seed)
    if named.name == "cmaes":
        options |= {"warn_independent_sampling": False}
        options["independent_sampler"] = optuna.samplers.RandomSampler(seed=ask_seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return kind(**options)


def make_pruner(named: Named, epochs: int) -> BasePruner:
    """The pruner of a study; `epochs`: the largest number of epochs of a trial, or its number of folds.

    Raises:
        TypeError, ValueError: options that the pruner does not take.
    """
    options = dict(named.options)
    if named.name == "hyperband":
        options.setdefault("max_resource", epochs)
    if named.name == "patient":
        wrapped = options.get("wrapped_pruner")
        options["wrapped_pruner"] = make_pruner(Named.model_validate(wrapped), epochs) if wrapped else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return PRUNERS[named.name](**options)


def derive_seed(seed: int, *numbers: int) -> int:
    """A 32-bit seed from the study's seed and one or more numbers, by NumPy's SeedSequence."""
    import numpy as np

    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1)[0])


def option_mistakes(experiment: Experiment) -> list[tuple[Key, str]]:
    """The mistakes in the sampler and the pruner of an experiment file: pairs of key and message."""
    study, epochs = experiment.study, experiment.dataset.validation.folds or experiment.training.epochs
    named = study.sampler
    found = _mistakes(("study", "sampler"), named, SAMPLERS, SAMPLERS.__getitem__, lambda: make_sampler(named, 0, 0))
    found += _pruner_mistakes(("study", "pruner"), study.pruner, epochs)
    return found + _schedule_mistakes(study, epochs)


def _schedule_mistakes(study: StudySpec, epochs: int) -> list[tuple[Key, str]]:
    from hpo.config.space import SearchSpace
    from hpo.schedule.cube import Cube
    from hpo.schedule.history import History

    named = study.schedule

    def make() -> Any:
        history = History(Cube(SearchSpace(model="mlp")), epochs)
        return make_schedule(named.name, named.options, history, 0)

    return _mistakes(("study", "schedule"), named, SCHEDULES, schedule_class, make) + _until_mistakes(study)


def _until_mistakes(study: StudySpec) -> list[tuple[Key, str]]:
    if study.until is None:
        alone = "min_gain says when until: worthwhile ends a study: add that, or leave this out"
        return [] if study.min_gain is None else [(("study", "min_gain"), alone)]
    if study.schedule.name not in SCHEDULES or schedule_class(study.schedule.name).has_model:
        return []
    able = " or ".join(name for name in SCHEDULES if schedule_class(name).has_model)
    name = study.schedule.name
    return [(("study", "until"), f"schedule {name} has no model that expects a gain: write schedule: {able}")]


def unused_choices(study: StudySpec) -> list[tuple[Key, str]]:
    """A sampler or a pruner that the file names, but that its schedule does not use: pairs of key and message."""
    if study.schedule.name not in SCHEDULES:
        return []
    schedule = schedule_class(study.schedule.name)
    unused = {"sampler": schedule.proposes, "pruner": schedule.pauses}
    instead = {"sampler": "asha or one_pass", "pruner": "one_pass"}
    return [
        (
            ("study", key),
            f"schedule {study.schedule.name} uses no {key}: leave it out, or write schedule: {instead[key]}",
        )
        for key, is_unused in unused.items()
        if is_unused and key in study.model_fields_set
    ]


def _pruner_mistakes(key: Key, named: Named, epochs: int) -> list[tuple[Key, str]]:
    wrapped = named.options.get("wrapped_pruner") if named.name == "patient" else None
    if wrapped is not None:
        inside = (*key, "wrapped_pruner")
        try:
            inner = Named.model_validate(wrapped)
        except ValidationError:
            return [(inside, f"must be a pruner: a name, or a mapping with a name, got {show(wrapped)}")]
        if found := _pruner_mistakes(inside, inner, epochs):
            return found
    return _mistakes(key, named, PRUNERS, PRUNERS.__getitem__, lambda: make_pruner(named, epochs))


def _mistakes(
    key: Key, named: Named, names: Collection[str], class_of: Callable[[str], type], make: Callable[[], Any]
) -> list[tuple[Key, str]]:
    if named.name not in names:
        return [(key, f"unknown {key[1]} {named.name!r}; {nearest(named.name, names)}")]
    takes = {} if named.name == "grid" else options_of(class_of(named.name))
    found: list[tuple[Key, str]] = []
    for option, value in named.options.items():
        if option not in takes:
            hint = nearest(option, takes) if takes else "it has none"
            found.append(((*key, option), f"{named.name} has no option {option!r}; {hint}"))
        elif takes[option] and not any(type(value) in _TYPES[kind][0] for kind in takes[option]):
            rule = " or ".join(_TYPES[kind][1] for kind in takes[option])
            found.append(((*key, option), f"must be {rule}, got {show(value)}"))
    if found:
        return found
    try:
        make()
    except UserError as error:
        return [(key, str(error))]
    except (TypeError, ValueError, AttributeError) as error:
        return [(key, f"{named.name}: {error}")]
    return []


def options_of(kind: type) -> dict[str, tuple[str, ...]]:
    """The options of a sampler or pruner that a file can set, each with the annotations of the values it takes."""
    found: dict[str, tuple[str, ...]] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        annotation = getattr(parameter.annotation, "__name__", parameter.annotation)
        kinds = tuple(str(annotation).split(" | "))
        if name == "wrapped_pruner":
            found[name] = ()
        elif name not in _OURS and set(kinds) <= set(_TYPES):
            found[name] = kinds
    return found
