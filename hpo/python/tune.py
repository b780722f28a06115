"""`hpo.tune` and `hpo.run`: a study from functions and arrays, or from a file. Both run as `hpo run` does."""

import difflib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import Interrupted, ModelError, StudyMismatch, UserError
from hpo.python.space import Space, plain
from hpo.run import run as run_plan

if TYPE_CHECKING:
    from hpo.plan.plan import Plan
    from hpo.python.given import Wanted
    from hpo.python.study import Study

_SECTIONS = ("training", "study", "dataset", "engine", "tracking")
_LINES = 40
"""The most lines of a difference that a message shows."""

_OF_KEPT_CODE = re.compile(r"\b\w+_[0-9a-f]{10}:(?=\w)")
_SAME = re.compile(r"  [\w.]+: (?P<value>.+) -> (?P=value)")
"""Of a message about another study: the digest of its code, and a line that differed in this alone."""

_SHUFFLED = (
    "the tf.data.Dataset draws at random and gives other samples at each call, so that its study cannot go on; "
    "give its shuffle a seed and reshuffle_each_iteration=False, and random changes a seed, and start another study"
)


def tune(  # noqa: PLR0913 - the keys of an experiment
    model: Any,
    space: Space | Mapping[str, Any] | str | Path | None = None,
    *,
    data: Any,
    test: Any = None,
    validation: Any = None,
    target: str | Sequence[str] | None = None,
    objective: str | Mapping[str, str] = "val_loss",
    epochs: int | None = None,
    trials: int | None = None,
    timeout: float | str | None = None,
    workers: int | None = None,
    callbacks: Sequence[Any] = (),
    name: str | None = None,
    home: str | Path | None = None,
    progress: bool = True,
    **sections: Mapping[str, Any],
) -> "Study":
    """Tunes a model, or goes on with a study of the same name: the same call again trains only what is missing.

    Args:
        model: `build(params, dataset)`, KerasTuner's `build(hp)` or a HyperModel, from a cell, a script or a module;
            or the name of a model that hpo knows, such as "mlp"; or an import path "package.module:name".
        space: what may vary: a Space; a search space file; nothing where `build(hp)` declares all itself.
        data: (x, y) or (x, y, weights), arrays, or dicts or lists of several inputs or targets, with weights as `fit`
            takes them; a pandas DataFrame, with `target`; a finite tf.data.Dataset; a function, called with
            `dataset={"arguments": ...}` if there are any, that returns any of the parts train, validation and test; or
            what the key `dataset` of a file takes: a name, a file, a mapping of keys.
        test: the part on which trials are tested, which chooses nothing: (x, y) or a tf.data.Dataset. By default a
            fifth of the data.
        validation: the part on which trials are compared. By default a fifth of the rest.
        target: the column of a DataFrame to predict; of a series, `dataset={"series": {"window": 24}}`, also several.
        objective: the metric to improve, such as "val_accuracy".
        epochs: the most epochs of a trial. Default: 20.
        trials: how many configurations to try. Default: 50.
        timeout: how long this call may take: seconds, or a text such as "10m". Default: no limit.
        workers: how many trials train at a time. Default: one for each core.
        callbacks: Keras callbacks; each trial gets copies of its own.
        name: the study's name. Default: that of the function.
        home: the folder for everything that is written. Default: HPO_HOME, or else ./mlruns.
        progress: whether progress is shown.
        sections: further keys by section of the experiment file: `training={"batch_size": 64}`, `study={"seed": 1}`,
            `dataset={"scaling": "none"}`, `engine={"threads_per_worker": 2}`.

    Raises:
        UserError: a mistake in what was given, all at once; or another study has this name: the difference is shown.
        AllFailed: no trial has a score, and some failed.
        StudyFailed: too many configurations in a row failed with the same error.
        Interrupted: Ctrl-C, or the stop button, stopped the call; the same call goes on.
    """
    if unknown := [section for section in sections if section not in _SECTIONS]:
        raise UserError(f"tune: unknown arguments {', '.join(unknown)}; sections: {', '.join(_SECTIONS)}")
    from hpo.python.given import Wanted
    from hpo.python.given_data import Parts

    name = name or name_of(model)
    keys: dict[str, dict[str, Any]] = {
        "training": {"epochs": epochs},
        "study": {"trials": trials, "timeout": timeout},
        "engine": {"workers": workers},
    }
    given = {one: {**plain(sections.get(one, {})), **set_keys(**keys.get(one, {}))} for one in _SECTIONS}
    experiment = experiment_of(name, objective, given)
    wanted = Wanted(experiment, model, space, Parts(data, test, validation, target), tuple(callbacks))
    return tuned(wanted, home, progress)


def experiment_of(name: str, objective: Any, sections: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The keys of an experiment, without the sections that have none."""
    return {"name": name, "objective": plain(objective), **{one: plain(keys) for one, keys in sections.items() if keys}}


def set_keys(**keys: Any) -> dict[str, Any]:
    """The keys that have a value."""
    return {key: value for key, value in keys.items() if value is not None}


def tuned(
    wanted: "Wanted", home: "str | Path | None", progress: bool, forget: "Callable[[], None] | None" = None
) -> "Study":
    """Runs what is wanted. `forget` deletes an earlier study of this name, once the plan has no mistake."""
    from hpo.python.given import plan_of_given
    from hpo.python.given_data import drawn_at_random
    from hpo.python.keep import folder_of, leaving_nothing
    from hpo.system.home import home_folder

    with leaving_nothing(folder_of(home_folder(home), str(wanted.experiment["name"]))):
        plan = plan_of_given(wanted, home)
        if forget is not None:
            forget()
            plan = plan_of_given(wanted, home)
        try:
            return started(plan, progress)
        except StudyMismatch as error:
            random = "\n  dataset" in str(error) and drawn_at_random(wanted.data)
            raise StudyMismatch(f"{error}\n{_SHUFFLED}" if random else str(error)) from None


def run(
    experiment: "str | Path | Mapping[str, Any] | Plan",
    *,
    overrides: Sequence[str] = (),
    home: str | Path | None = None,
    progress: bool = True,
    **options: Any,
) -> "Study":
    """Runs an experiment's file, or continues it.

    Args:
        experiment: its YAML file, or a mapping with the keys that the file would have. What stands in the script or in
            a notebook's cell that calls this is named `__main__:NAME`: a model, a function of data, a loss, a metric.
        overrides: assignments such as `study.trials=10`, which replace values of the file.
        home: the folder for everything that the run writes; by default HPO_HOME, or else ./mlruns.
        progress: whether progress is shown.
        options: see `hpo.run.run`.

    Raises:
        UserError, AllFailed, StudyFailed, StoreAway, Interrupted: see `hpo.run.run`.
    """
    from hpo.plan.plan import Plan, load_plan

    if isinstance(experiment, Plan):
        return started(experiment, progress, **options)
    from hpo.python.keep import folder_of, leaving_nothing
    from hpo.python.of_main import with_main_kept

    plan = load_plan(experiment, overrides, home)
    with leaving_nothing(folder_of(plan.home, plan.experiment.name)):
        return started(with_main_kept(plan), progress, **options)


def started(plan: "Plan", progress: bool, **options: Any) -> "Study":
    """Runs a plan, and returns its study."""
    from hpo.python.study import Study
    from hpo.text.notebook_console import console_here

    refuse_in_worker()
    options.setdefault("console", console_here() if progress else None)
    try:
        result = run_plan(plan, **options)
        return Study(result.name, result.home, plan.storage, tracking=plan.tracking_uri, result=result)
    except StudyMismatch as error:
        raise StudyMismatch(_mismatch(plan, str(error))) from None
    except Interrupted as stopped:
        again = "stopped; finished trials are kept: run the same cell or script again to go on"
        raise Interrupted(again, stopped.number) from None


def refuse_in_worker() -> None:
    """Refuses to run a study within a worker of another one, which imports the script that its model stands in.

    Raises:
        ModelError: this process is a worker.
    """
    import multiprocessing

    if multiprocessing.current_process().name == "hpo-worker":
        rule = "this script runs a study while a worker imports it to get its model"
        raise ModelError(f"{rule}; give hpo.tune the function itself, or put the call below if __name__ == '__main__':")


def name_of(model: Any) -> str:
    """A name for the study of a model: that of its function or class."""
    if isinstance(model, str):
        found = model.rpartition(":")[2]
    else:
        found = getattr(model, "__name__", None) or type(model).__name__
    if inspect.isfunction(model) and found == "<lambda>":
        raise UserError("name: is required: the model is a function without a name")
    return re.sub(r"[^A-Za-z0-9.-]+", "-", found).strip("-.") or "study"


def _mismatch(plan: "Plan", message: str) -> str:
    """The message about a study of this name that is another, with the lines of code that differ."""
    code = plan.files.get("code")
    if code is None:
        return message
    # How the command line would go on is of no use to a call.
    message = re.sub(r"start another with --name, or .*", "or start another one with name=", message)
    message = message.replace("with --name", "with name=")
    from hpo.study.read import read_study

    before = read_study(plan.storage, plan.experiment.name).files.get("code", "")
    changed = list(difflib.unified_diff(before.splitlines(), code.splitlines(), "before", "now", lineterm="", n=2))
    # What is named by a module of kept code has another name whenever any of the code is another.
    lines = [_OF_KEPT_CODE.sub("", line) for line in message.splitlines()[:-1]]
    rest = [line for line in lines if not _SAME.fullmatch(line)]
    rest.append("undo the change to go on with this study, or start another one with name=")
    shown = [f"    {line}" for line in changed[:_LINES]]
    if len(changed) > _LINES:
        shown.append(f"    ... {len(changed) - _LINES} more lines")
    return "\n".join([rest[0], "  its code has changed:", *shown, *rest[1:]]) if changed else message
