"""New studies that begin with past trials: `extend` copies them, `warm_start` only lets samplers learn from them."""

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import NotFound, StudyMismatch, UserError
from hpo.system.home import storage_url
from hpo.system.private_files import private_folder

if TYPE_CHECKING:
    from optuna import Study
    from rich.console import Console

    from hpo.cli.reuse.import_trials import Past
    from hpo.cli.reuse.past_trials import Gathered
    from hpo.config.declared import Declared
    from hpo.plan.plan import Plan
    from hpo.study.definition import Definition
    from hpo.study.read import StudyView


@dataclass(frozen=True)
class Begun:
    """A study that begins with past trials."""

    study: str
    source: str
    """The study, or the folder, in which they were run."""
    taken: int
    """Past trials that were copied into the study, or that its sampler knows."""
    left_out: Mapping[str, int]
    """Reason why trials were left out -> their number."""
    counting: int
    """How many of the study's configurations the past trials count as."""
    budget: int | None
    """How many configurations the study may try in all; None where time or a grid limits it."""
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Options:
    """The options of both commands beside the new study's file."""

    overrides: Sequence[str] = ()
    home: str | Path | None = None
    storage: str | None = None
    """SQLAlchemy URL of the past study, where it is not the new study's."""
    console: "Console | None" = None


def extend(study: str, experiment: str | Path | Mapping[str, Any], options: Options | None = None) -> Begun:
    """Starts a study with edited ranges, and copies every ended trial of an old study that is within them.

    The copies keep curves, results, seeds and times, and count as trials of the new study; `hpo.run` continues it. The
    old study changes only in one attribute, which names the new one. The same call again adds the missing trials.

    Args:
        study: the old study.
        experiment: the new study's YAML file, or a mapping with the same keys.
        options: overrides of the file, and where the stores are.

    Raises:
        UserError: the new study has the old one's name, or trials of its own; no trial is in its space.
        NotFound: there is no such study.
        StudyMismatch: objective, data, model or training differ, so that scores would not compare.
    """
    from hpo.cli.reuse.import_trials import carry
    from hpo.cli.reuse.past_trials import Wanted, of_study, same_pruner
    from hpo.config.declared import Declared
    from hpo.loop.as_begun import decided_as
    from hpo.study.attributes import DECLARED
    from hpo.study.read import decided_in, known_study, view_of
    from hpo.study.stored_trial import own_trials

    options = options or Options()
    plan = _plan(experiment, study, options)
    storage = storage_url(options.storage or plan.storage, plan.home)
    old = known_study(storage, study)
    view = view_of(old, storage)
    plan = decided_as(plan, decided_in(old.user_attrs))
    stored = old.user_attrs.get(DECLARED)
    declared = None if stored is None else Declared(stored)
    definition = _definition(replace(plan, declared=declared))
    _check_comparable(view, definition)
    trials = {trial.number: trial for trial in own_trials(old.get_trials(deepcopy=False))}
    wanted = Wanted(definition.whole_space, view.objective, strict=True)
    found = of_study(view, trials, wanted, same_pruner(view.experiment["study"], definition.experiment["study"]))
    with _locked_new_study(plan, definition, found, study, declared):
        past = [_with_model(one, plan) for one in found.past]
        carry(plan.storage, plan.experiment.name, definition.whole_space, view.objective.metric, past, options.console)
        _link(plan, old)
    counting = len({one.record.origin for one in past})
    return _begun(plan, study, found, counting)


def warm_start(experiment: str | Path | Mapping[str, Any], source: str | Path, options: Options | None = None) -> Begun:
    """Starts a study whose sampler and pruner know past trials: of a study, or of a KerasTuner project's folder.

    Parameters are matched by name. The past trials are no trials of the new study: they count towards no budget, are
    never its best, and are in no table. The same call again adds the missing trials.

    Args:
        experiment: the new study's YAML file, or a mapping with the same keys.
        source: the name of a study, or a folder.
        options: overrides of the file, and where the stores are.

    Raises:
        UserError: the new study has trials of its own; no past trial is in its space.
        NotFound: there is no such study, or the folder is no project.
    """
    from hpo.cli.reuse.import_trials import observe
    from hpo.cli.reuse.keras_tuner_project import is_project, read_project
    from hpo.cli.reuse.past_trials import Wanted, of_project, of_study, same_pruner
    from hpo.study.read import known_study, view_of

    options = options or Options()
    plan = _plan(experiment, str(source), options)
    objective, warnings = plan.experiment.objective, []
    if is_project(Path(source)):
        trials = read_project(Path(source))
        definition = _definition(plan)
        found = of_project(Path(source), trials, Wanted(definition.whole_space, objective, strict=False))
    else:
        storage = storage_url(options.storage or plan.storage, plan.home)
        old = known_study(storage, str(source))
        view = view_of(old, storage)
        definition = _definition(plan)
        warnings = list(_other_data(view, definition))
        known = {trial.number: trial for trial in old.get_trials(deepcopy=False)}
        same = same_pruner(view.experiment["study"], definition.experiment["study"]) and view.objective == objective
        found = of_study(view, known, Wanted(definition.whole_space, objective, strict=False), same)
    with _locked_new_study(plan, definition, found, None, None):
        observe(
            plan.storage, plan.experiment.name, definition.whole_space, objective.metric, found.past, options.console
        )
    return replace(_begun(plan, str(source), found, counting=0), warnings=warnings)


def _plan(experiment: str | Path | Mapping[str, Any], past: str, options: Options) -> "Plan":
    from hpo.plan.plan import load_plan

    plan = load_plan(experiment, options.overrides, options.home)
    if plan.experiment.name == past:
        raise UserError(f"the new study needs a name of its own, not {past}: change name in its file, or give --name")
    return plan


def _definition(plan: "Plan") -> "Definition":
    """The new study's definition, with the data as they are now."""
    from hpo.loop.definition import definition_of
    from hpo.loop.jobs import prepared

    with prepared(plan, workers=1) as ready:
        return definition_of(ready.plan, ready.info)


def _check_comparable(view: "StudyView", definition: "Definition") -> None:
    from hpo.study.definition import differences

    # The new space may name other files than the old one.
    read = view.identity.get("files", {}).keys() & definition.identity.get("files", {}).keys()

    def essence(identity: Mapping[str, Any]) -> dict[str, Any]:
        data = {key: value for key, value in identity["dataset"].items() if key != "name"}
        model = {"model": identity["search_space"]["model"]}
        if read:
            model["files"] = {name: identity["files"][name] for name in sorted(read)}
        return {"objective": identity["objective"], "dataset": data, **model, "training": identity["training"]}

    if found := list(differences(essence(view.identity), essence(definition.identity))):
        raise StudyMismatch(
            f"study {view.name} cannot be extended like this, since its scores and new ones would not be comparable:\n"
            + "\n".join(f"  {line}" for line in found)
            + f"\nundo the change, or let a study learn from its trials: hpo warm-start FILE --from {view.name}"
        )


def _other_data(view: "StudyView", definition: "Definition") -> Iterator[str]:
    then, now = view.identity["dataset"]["digest"], definition.identity["dataset"]["digest"]
    if then != now:
        yield f"the scores of study {view.name} are used although they are from other data (digest {then}, not {now})"


@contextmanager
def _locked_new_study(
    plan: "Plan", definition: "Definition", found: "Gathered", extends: str | None, declared: "Declared | None"
) -> Iterator[None]:
    """Holds the lock of the new study, which is created if it does not exist.

    Raises:
        UserError: there is nothing to add, or the study has trials of its own.
    """
    from hpo.storage.lock import sole_coordinator
    from hpo.study.open import open_study

    name = plan.experiment.name
    if not found.past:
        reasons = (
            ", ".join(f"{count} {reason}" for reason, count in Counter(found.left_out).items()) or "there are none"
        )
        raise UserError(f"no past trial is in the search space of {name}: {reasons}")
    with sole_coordinator(plan.storage, name):
        _check_own(plan, extends)
        study = open_study(plan.storage, name, definition, plan.experiment.study)
        if declared is not None:
            study.declare(declared)
        yield


def _check_own(plan: "Plan", extends: str | None) -> None:
    from hpo.study.attributes import CARRIED
    from hpo.study.read import known_study
    from hpo.study.stored_trial import own_trials

    name = plan.experiment.name
    try:
        trials = own_trials(known_study(plan.storage, name).get_trials(deepcopy=False))
    except NotFound:
        return
    if any(trial.user_attrs.get(CARRIED, {}).get("source") != extends or extends is None for trial in trials):
        raise UserError(
            f"study {name} has trials of its own already; use another name: change name in the file, or --name"
        )


def _with_model(one: "Past", plan: "Plan") -> "Past":
    """The past trial with a copy of its model file, since the new study deletes models that are beaten."""
    kept = one.record.model_file
    if kept is None or not Path(kept).is_file():
        return replace(one, record=replace(one.record, model_file=None))
    copy = plan.home / "models" / plan.experiment.name / f"carried-{one.record.number:04}.keras"
    private_folder(copy.parent)
    shutil.copyfile(kept, copy)
    return replace(one, record=replace(one.record, model_file=str(copy)))


def _link(plan: "Plan", old: "Study") -> None:
    """Stores each study's name in the other one, and the new name in the old study's MLflow run, if there is one."""
    from hpo.study.attributes import EXTENDED_BY, EXTENDS
    from hpo.study.read import known_study
    from hpo.tracking.log_study import tag_study

    name = plan.experiment.name
    known_study(plan.storage, name).set_user_attr(EXTENDS, old.study_name)
    named = filter(None, old.user_attrs.get(EXTENDED_BY, "").split(","))
    successors = ",".join(dict.fromkeys([*named, name]))
    old.set_user_attr(EXTENDED_BY, successors)
    tag_study(plan.tracking_uri, old.study_name, "hpo.extended_by", successors)


def _begun(plan: "Plan", source: str, found: "Gathered", counting: int) -> Begun:
    left_out = dict(Counter(found.left_out).most_common())
    return Begun(plan.experiment.name, source, len(found.past), left_out, counting, plan.trials)
