"""Rebuilds the plan of an experiment that a study or an exported file has stored. This is the only place that does."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.config.experiment import TrainingSpec
from hpo.plan.plan import Plan, load_plan

if TYPE_CHECKING:
    from hpo.study.read import StudyView


def plan_of_study(view: "StudyView", options: Mapping[str, Any] | None = None, home: str | Path | None = None) -> Plan:
    """The plan of a study in its store.

    Args:
        view: the study.
        options: key -> value that overrides the experiment, as `engine.workers`; None leaves a key as it is.
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
    """The plan of a stored experiment, which contains its search space.

    Relative paths and the user's own code are looked for in the folders that were stored with it, then in the working
    directory.

    Raises:
        FileMistakes: all mistakes of the experiment at once.
    """
    overrides = [f"{key}={value}" for key, value in (options or {}).items() if value is not None]
    plan = load_plan(_as_set(experiment), overrides, home, kept=True)
    return replace(plan, folders=tuple(dict.fromkeys((*map(Path, folders), *plan.folders))))


def _as_set(experiment: Mapping[str, Any]) -> Mapping[str, Any]:
    """The experiment without an optimizer that is the default, and without the sum of the phases' epochs.

    A model may come compiled with another optimizer, and a search space may change the epochs of a phase.
    """
    training = experiment.get("training")
    if not isinstance(training, Mapping):
        return experiment
    left_out = {"optimizer"} if training.get("optimizer") == TrainingSpec().optimizer else set()
    if training.get("phases"):
        left_out.add("epochs")
    return {**experiment, "training": {key: value for key, value in training.items() if key not in left_out}}
