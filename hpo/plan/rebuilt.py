"""The plan of an experiment that a study, or an exported file, keeps: the one way in which it is made again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.plan.plan import Plan, load_plan

if TYPE_CHECKING:
    from hpo.study.read import StudyView


def plan_of_study(view: "StudyView", options: Mapping[str, Any] | None = None, home: str | Path | None = None) -> Plan:
    """The plan of a study as it stands in its store.

    Args:
        view: the study.
        options: key -> value over the experiment, as `engine.workers`; None leaves a key as it is.
        home: see `hpo.plan.plan.home_folder`.

    Raises:
        FileMistakes: all mistakes of its experiment, or of the options, at once.
    """
    study = {**view.experiment.get("study", {}), "storage": view.storage}
    plan = plan_of({**view.experiment, "study": study}, view.folders, options, home)
    return replace(plan, files=view.files)


def plan_of(
    experiment: Mapping[str, Any],
    folders: Sequence[str | Path] = (),
    options: Mapping[str, Any] | None = None,
    home: str | Path | None = None,
) -> Plan:
    """The plan of a kept experiment, with its search space within.

    Relative paths and the user's own code are looked for in the folders that were kept with it, else in the working
    directory.

    Raises:
        FileMistakes: all its mistakes at once.
    """
    overrides = [f"{key}={value}" for key, value in (options or {}).items() if value is not None]
    plan = load_plan(experiment, overrides, home, kept=True)
    return replace(plan, folders=tuple(dict.fromkeys((*map(Path, folders), *plan.folders))))
