"""What `hpo.keras_tuner` needs of KerasTuner's code: data, hyperparameters, objectives, and what it prints."""

import copy
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from keras_tuner import HyperParameters, Objective
from keras_tuner.engine.trial import Trial

from hpo.config.declared import Declared
from hpo.errors import UserError
from hpo.python.given_data import Parts
from hpo.python.tuned_model import NONE_NAMED, Compiled, Rules

if TYPE_CHECKING:
    from hpo.python.study import Study
    from hpo.study.record import TrialRecord


INSTEAD: Mapping[str, str] = {
    "distribution_strategy": "trials are spread over processes by hpo; set their number with workers=",
    "logger": "every trial is logged to MLflow; hpo ui shows it",
    "tuner_id": "one process runs a study; its workers share nothing",
    "oracle": "subclass RandomSearch, BayesianOptimization, Hyperband or GridSearch instead, and give it what the "
    "oracle has: objective, max_trials, seed",
}
NAMES: Mapping[str, str] = {
    "name": "project_name",
    "study.trials": "max_trials",
    "study.seed": "seed",
    "study.retries": "max_retries_per_trial",
    "training.epochs": "epochs",
    "training.batch_size": "batch_size",
    "training.class_weight": "class_weight",
    "training.executions": "executions_per_trial",
    "engine.workers": "workers",
}
"""Key of an experiment -> the argument that sets it."""
HOOKS = ("on_epoch_begin", "on_epoch_end", "on_batch_begin", "on_batch_end")
NEVER_CALLED: Mapping[str, str] = {
    "on_search_begin": "put its code before the call of search",
    "on_search_end": "put its code after the call of search",
    "pre_create_trial": "hpo proposes the next trials; leave it out",
    "on_trial_begin": "put its code at the beginning of run_trial",
    "on_trial_end": "put its code at the end of run_trial, or go through tuner.study.trials after the search",
    "save_model": "hpo saves the best model; to save others, do so in run_trial under a name of your own",
    "load_model": "tuner.study.trial(3).model() is the model of trial 3",
    "_build_and_fit_model": "have a run_trial instead",
}
"""What KerasTuner calls of a subclass and hpo does not: name -> what to do instead."""
CONSECUTIVE = 3
GIVEN_UP = (
    f"a search ends after {CONSECUTIVE} configurations in a row that failed with the same error, and other failures "
    "are skipped; leave it out"
)
NOT_OF_FIT = "is no argument of search that hpo can use; give arrays or a finite tf.data.Dataset, batch_size and epochs"


ENDLESS = 10_000
"""The most epochs of a fit that counts them itself."""


@dataclass(frozen=True)
class Found:
    """What is known of a search, as KerasTuner's oracle has it."""

    study: "Study"
    ranked: "Sequence[TrialRecord]"
    best: Callable[[int], Sequence[HyperParameters]]
    get_space: Callable[[], HyperParameters]

    @property
    def objective(self) -> Objective:
        """The objective of the study, under the name that hpo knows it by."""
        goal = self.study.objective
        return Objective(goal.metric, str(goal.direction).removesuffix("imize"))

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """The best trials, best first, with their hyperparameters, score and best step."""
        found = []
        for record, hp in zip(self.ranked, self.best(num_trials), strict=False):
            trial = Trial(hp, f"{record.number:04d}", "COMPLETED")
            trial.score, trial.best_step = record.value, (record.best_epoch or 1) - 1
            found.append(trial)
        return found

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"oracle.{name}: is KerasTuner's own and not here: run_trial returns what it would report")


def grid_of_numbers(declared: Declared) -> dict[str, Any]:
    """The numbers whose values in KerasTuner's grid are not those of a grid of hpo: name -> parameter.

    KerasTuner takes the default, which need be none of the steps, and then ten values where there are no steps.
    """
    entries, names = [], set()
    known = HyperParameters.from_config(copy.deepcopy(dict(declared.config)))
    for one, entry in zip(known.space, declared.config["space"], strict=True):
        entries.append(entry)
        values = sorted(one.values) if entry["class_name"] in {"Int", "Float"} else []
        if values and (one.step is None or not any(math.isclose(one.default, value) for value in values)):
            config = {"values": [one.default, *values], "conditions": entry["config"].get("conditions")}
            entries[-1] = {"class_name": "Choice", "config": {"name": one.name, **config}}
            names.add(one.name)
    parameters = parameters_of(Declared({"space": entries, "values": {}}))
    return {key: one for key, one in parameters.items() if one.get("sets", key) in names}


def print_space(space: HyperParameters, extended: bool) -> None:
    """Prints hyperparameters as KerasTuner does."""
    print(f"Search space summary\nDefault search space size: {len(space.space)}")
    for one in space.space:
        config = one.get_config()
        if not extended:
            config.pop("name")
        print(f"{one.name} ({type(one).__name__})\n{config}")


def print_results(study: "Study", best: "Sequence[TrialRecord]", number: int) -> None:
    """Prints the best trials as KerasTuner does."""
    objective = study.objective
    direction = str(objective.direction).removesuffix("imize")
    print(f"Results summary\nResults in study {study.name}, {study.home}")
    print(f'Showing {number} best trials\nObjective(name="{objective.metric}", direction="{direction}")')
    for trial in best:
        print(f"\nTrial {trial.number} summary\nHyperparameters:")
        for name, value in trial.params.items():
            print(f"{name}: {value}")
        print(f"Score: {trial.value}")


def parameters_of(given: Declared) -> dict[str, Any]:
    """Hyperparameters of KerasTuner as parameters of a search space, with their conditions."""
    space = given.space("given:model")
    return {
        name: one.model_dump(mode="json", exclude_defaults=True) | {"type": one.type}
        for name, one in space.parameters.items()
    }


def default_space(hypermodel: Any, given: HyperParameters | None) -> HyperParameters:
    """What a model declares at its defaults, with what was given."""
    space = HyperParameters()
    if given is not None:
        space.merge(given)
    if hypermodel is not None:
        model = Compiled(hypermodel, Rules())
        model.declare_hyperparameters(space)
        model.build(space)
    return space


def forget(folder: Any, study: str) -> None:
    """Deletes a study and what it keeps. `folder`: its home; None for the usual one."""
    from hpo.storage.lock import sole_coordinator
    from hpo.study.open import delete_study
    from hpo.system.home import default_storage, home_folder

    home = home_folder(folder)
    with sole_coordinator(default_storage(home), study):
        delete_study(default_storage(home), study)
    for kept in ("models", "checkpoints", "code"):
        shutil.rmtree(home / kept / study, ignore_errors=True)


def parts_of_fit(x: Any, y: Any, weights: Any, validation: Any, share: float) -> Parts:
    """The data of `fit` as parts; `share`: how much of them, at their end, is the validation part."""
    if x is None:
        raise UserError("x: is required: an array, or a tf.data.Dataset of (x, y)")
    if y is None:
        if share:
            raise UserError("validation_split: is for arrays; give validation_data")
        return Parts(x, validation=as_in_keras(validation))
    (x,) = as_in_keras((x,))
    given = (x, y) if weights is None else (x, y, weights)
    if validation is not None or not share:
        return Parts(given, validation=as_in_keras(validation))
    at = math.floor(len(y) * (1 - share))

    def part(one: Any, rows: slice) -> Any:
        if isinstance(one, Mapping):
            return {name: part(value, rows) for name, value in one.items()}
        return [part(value, rows) for value in one] if isinstance(one, list | tuple) else one[rows]

    first, last = (tuple(part(one, rows) for one in given) for rows in (slice(at), slice(at, None)))
    return Parts(first, validation=last)


def as_in_keras(part: Any) -> Any:
    """(x, ...), whose x is a sequence where hpo would take it for grey images, which it gives a channel."""
    import numpy as np

    if not isinstance(part, tuple | list) or not part:
        return part
    x, *others = part
    return (x.astype("float32") if getattr(x, "dtype", None) == np.uint8 and x.ndim == 3 else x, *others)


def stand_in() -> Parts:
    """Data for a run_trial that has its own: nothing looks at them."""
    import numpy as np

    part = (np.zeros((2, 1), np.float32), np.zeros(2, np.float32))
    return Parts(part, test=part, validation=part)


def looked_at(args: Sequence[Any], kwargs: Mapping[str, Any], test: Any) -> Parts:
    """The data for the test of a model that a run_trial trains: those that `search` hands on, if hpo knows them."""
    names = dict(zip(("x", "y"), args, strict=False)) | dict(kwargs)
    x, y, validation = (names.get(name) for name in ("x", "y", "validation_data"))
    try:
        parts = parts_of_fit(x, y, None, validation, names.get("validation_split") or 0.0)
    except (UserError, TypeError):
        return stand_in()
    return replace(parts, test=as_in_keras(test) if test is not None else parts.validation)


def in_own_names(mistakes: str) -> str:
    """Mistakes in the keys of an experiment, as mistakes in the arguments of a tuner that set them."""
    return re.sub(r"^experiment: ([\w.]+):", lambda key: f"{NAMES.get(key[1], key[1])}:", mistakes, flags=re.MULTILINE)


def refuse_pipelines(args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuses arguments of `run_trial` that no other process can get.

    Raises:
        UserError: one is a tf.data.Dataset.
    """
    if given := [str(name) for name, one in (*enumerate(args), *kwargs.items()) if hasattr(one, "element_spec")]:
        rule = "a tf.data.Dataset cannot be handed to the worker processes that run run_trial and hooks"
        raise UserError(f"search: argument {given[0]}: {rule}; make it within run_trial, or give arrays")


def refuse_never_called(tuner: type) -> None:
    """Refuses a subclass whose methods hpo would not call.

    Raises:
        UserError: with each of them.
    """
    if found := [f"{name}: is never called here: {why}" for name, why in NEVER_CALLED.items() if hasattr(tuner, name)]:
        raise UserError("\n".join(f"{tuner.__name__}.{one}" for one in found))


def begun_by_hyperband(max_epochs: int, factor: int) -> int:
    """How many trials KerasTuner's Hyperband begins. It counts its brackets and sizes them in two ways, as here."""
    brackets, epochs = 0, float(max_epochs)
    while epochs >= 1:
        epochs, brackets = epochs / factor, brackets + 1
    last = math.ceil(1 + math.log(max_epochs, factor))
    return sum(math.ceil(last / (one + 1) * factor**one) for one in range(brackets))


def objective_of(objective: Any) -> tuple[Any, str | None]:
    """The key `objective` for what KerasTuner takes, and the name under which a fit logs it, if that has no `val_`."""
    if isinstance(objective, list | tuple):
        raise UserError(
            "objective: hpo improves one metric; name the most important one, and log the others as metrics"
        )
    if objective is None:
        # The number that fit or run_trial returns.
        objective = Objective(NONE_NAMED, "min")
    name, direction = (objective.name, objective.direction) if isinstance(objective, Objective) else (objective, None)
    metric = name if name.startswith("val_") else f"val_{name}"
    key = metric if direction is None else {"metric": metric, "direction": f"{direction}imize"}
    return key, None if metric == name else name
