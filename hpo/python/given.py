"""From what Python gave to a plan: code and data are kept in the study's own folder, and an experiment names them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpo.errors import UserError
from hpo.plan.plan import Plan, load_plan
from hpo.python.given_data import Parts, Source, source_of_data
from hpo.python.keep import Given, folder_of, keep_code
from hpo.python.of_main import with_main_kept
from hpo.python.space import Space, space_of
from hpo.system.home import home_folder


@dataclass(frozen=True)
class Wanted:
    """What a study is to be made of."""

    experiment: Mapping[str, Any]
    """The keys of an experiment file, without those of the fields below."""
    model: Any
    space: Space | Mapping[str, Any] | str | Path | None
    data: Parts
    callbacks: tuple[Any, ...] = ()


def plan_of_given(wanted: Wanted, home: str | Path | None) -> Plan:
    """The plan of a study that Python describes. What has a mistake is found before anything is written.

    Raises:
        UserError: all mistakes of the keys at once; or a model, data or callbacks that cannot be used.
    """
    name = str(wanted.experiment["name"])
    objects = _objects(wanted)
    # Names in the place of what is not kept yet.
    trial = _completed(wanted, Source({"function": "unknown:data"}), objects, "unknown")
    load_plan(trial, home=home)
    folder = folder_of(home_folder(home), name)
    source = source_of_data(wanted.data, folder)
    kept = {**objects, **source.functions}
    if not kept and not source.files:
        return with_main_kept(load_plan(_completed(wanted, source, objects, ""), home=home))
    anew = frozenset(one for one in objects if one.startswith("callback_") and not callable(objects[one]))
    module, code = keep_code(folder, name, Given(objects, source.functions, anew), source.files)
    experiment = _completed(wanted, source, objects, module)
    plan = load_plan(experiment, home=home, folders=(folder, *map(Path, code.folders)))
    return with_main_kept(replace(plan, files={**plan.files, "code": code.text()} if objects else plan.files))


def _objects(wanted: Wanted) -> dict[str, Any]:
    """What is kept of the model and its callbacks: name -> function, class or object."""
    found: dict[str, Any] = {}
    if wanted.model is not None and not isinstance(wanted.model, str):
        if not callable(wanted.model) and not callable(getattr(wanted.model, "build", None)):
            raise UserError(f"model: must be a function or a HyperModel, got {type(wanted.model).__name__}")
        if callable(getattr(wanted.model, "fit", None)) and callable(getattr(wanted.model, "compile", None)):
            rule = "must be a function that builds a model, since each trial needs a new one"
            raise UserError(f"model: {rule}; got a {type(wanted.model).__name__} that was built already")
        found["build"] = wanted.model
    for number, callback in enumerate(wanted.callbacks):
        if not isinstance(callback, str):
            found[f"callback_{number}"] = callback
    return found


def _completed(wanted: Wanted, source: Source, objects: Mapping[str, Any], module: str) -> dict[str, Any]:
    """The experiment, with its model, callbacks and data by name."""
    experiment = dict(wanted.experiment)
    model = f"{module}:build" if "build" in objects else wanted.model
    dataset = {**experiment.get("dataset", {}), **source.section}
    if dataset.get("function") == "data":
        dataset["function"] = f"{module}:data"
    if "path" in source.section or "function" in source.section:
        dataset.setdefault("name", experiment["name"])
    if wanted.callbacks:
        named = [
            one if isinstance(one, str) else f"{module}:callback_{number}"
            for number, one in enumerate(wanted.callbacks)
        ]
        experiment["training"] = {**experiment.get("training", {}), "callbacks": named}
    return {**experiment, "dataset": dataset, "search_space": space_of(wanted.space, model)}
