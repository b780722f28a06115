"""Writes and reads the file of an exported trial: parameters, experiment, scores, versions, data digest."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from hpo.config.yaml_file import Document, read_yaml, to_yaml
from hpo.errors import FileMistakes, Mistake
from hpo.plan.plan import Plan
from hpo.plan.rebuilt import plan_of, plan_of_study
from hpo.statistics.sampling import clause, tested
from hpo.study.confirmation import Estimate
from hpo.study.read import StudyView
from hpo.study.record import TrialRecord
from hpo.system.whole_files import replaced

_STOPPED = ("pruner", "deadline", "target", "interrupt", "paused")


@dataclass(frozen=True)
class Confirmed:
    """The results for the trial from confirming the study."""

    noise_floor: float
    """Standard deviation of the objective from seed to seed."""
    chosen: bool
    """Whether this trial was chosen."""
    validation: Estimate | None = None
    """The objective over seeds; None for a trial that was no finalist."""
    test: Mapping[str, Estimate] = field(default_factory=dict)
    """Test metric -> its estimate over seeds, with the sampling of its examples where that is known; set only for the
    chosen trial."""
    sampling: str | None = None
    """What the interval of `validation` leaves out, in words; None where each seed had a split of its own."""


@dataclass(frozen=True)
class Exported:
    """The content of an exported file: a plan, one configuration, and the scores that it reached."""

    study: str
    trial: int
    plan: Plan
    parameters: Mapping[str, Any]
    seed: int
    epochs: int
    """The number of epochs that the trial trained, whether or not it was stopped then."""
    scores: Mapping[str, Any]
    digest: str
    """The digest of the data that the scores were measured on."""
    versions: Mapping[str, str] = field(default_factory=dict)
    confirmed: Confirmed | None = None

    @property
    def value(self) -> float:
        """The objective that the trial reached."""
        return float(self.scores[self.plan.experiment.objective.metric])

    @property
    def stopped_after(self) -> int | None:
        """The epoch after which the trial was stopped from outside; None if it ended by itself."""
        return self.epochs if self.scores.get("ended_by") in _STOPPED else None

    @property
    def limit(self) -> int | None:
        """The epoch at which further runs end: where the trial was stopped, or None for all epochs.

        A trial that was confirmed has no limit, since confirming trains in full.
        """
        in_full = self.confirmed is not None and self.confirmed.validation is not None
        return None if in_full else self.stopped_after


def document(view: StudyView, trial: TrialRecord) -> dict[str, Any]:
    """A trial as JSON values: parameters, experiment, scores, versions, data digest, and what confirming it said."""
    scores: dict[str, Any] = {view.objective.metric: trial.value, "best_epoch": trial.best_epoch}
    ended_by = "paused" if trial.paused else trial.ended_by
    scores |= {"epochs": trial.epochs, "ended_by": ended_by, "test": dict(trial.test)}
    content = {
        "study": view.name,
        "trial": trial.number,
        "parameters": dict(trial.params),
        "seed": trial.seed,
        "scores": scores,
        "data": {"name": view.identity["dataset"]["name"], "digest": view.identity["dataset"]["digest"]},
        "versions": dict(view.versions),
        "experiment": _experiment(view, trial),
        "folders": list(view.folders),
    }
    if trial.resolved is not None:
        content["resolved"] = asdict(trial.resolved)
    return {**content, "confirmed": _confirmed(view, trial)} if view.confirmation is not None else content


def _experiment(view: StudyView, trial: TrialRecord) -> dict[str, Any]:
    """The study's experiment with the epochs that the trial was allowed: the study may have been given more since."""
    experiment = dict(view.experiment)
    if trial.resolved is not None and "epochs" in trial.resolved.training:
        experiment["training"] = {**experiment["training"], "epochs": trial.resolved.training["epochs"]}
    return experiment


def _confirmed(view: StudyView, trial: TrialRecord) -> dict[str, Any]:
    confirmation = view.confirmation
    assert confirmation is not None
    finalist = next((one for one in confirmation.finalists if one.trial == trial.number), None)
    chosen = confirmation.chosen == trial.number
    found: dict[str, Any] = {"noise_floor": confirmation.noise_floor, "chosen": chosen}
    estimate = confirmation.estimate if chosen else finalist and finalist.validation
    if estimate is not None:
        found["validation"] = estimate.model_dump()
    if chosen and (part := clause(confirmation)) is not None:
        found["sampling"] = part
    if chosen:
        found["test"] = {name: estimate.model_dump() for name, (estimate, _) in tested(confirmation).items()}
    return found


def as_yaml(view: StudyView, trial: TrialRecord) -> str:
    """A trial as YAML text; see `document`."""
    head = f"# Trial {trial.number} of study {view.name}. Train it again: hpo train THIS_FILE\n"
    return head + to_yaml(document(view, trial), block=True)


def write_exported(view: StudyView, trial: TrialRecord, path: Path) -> None:
    """Writes a trial to a file: as JSON where it ends in .json, else as YAML."""
    as_json = path.suffix == ".json"
    text = json.dumps(document(view, trial), indent=2, allow_nan=False) + "\n" if as_json else as_yaml(view, trial)
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def exported_of(view: StudyView, trial: TrialRecord) -> Exported:
    """The content that the exported file of a trial would have.

    Raises:
        FileMistakes: the trial's experiment can no longer be read.
    """
    return _exported(document(view, trial), plan_of_study(view))


def read_exported(path: Path) -> Exported:
    """Reads a file that `write_exported` wrote; JSON is YAML.

    Raises:
        NotFound: there is no such file.
        FileMistakes: the file is not an exported trial, or its experiment has mistakes.
    """
    found = read_yaml(path)
    needed = ("study", "trial", "experiment", "parameters", "seed", "scores", "data")
    missing = [key for key in needed if key not in found.data]
    if missing:
        rule = f"is not an exported trial: it lacks {', '.join(missing)}; write one: hpo export STUDY --to {path.name}"
        raise FileMistakes([Mistake(str(path), "", rule)])
    plan = plan_of(_as_trained(found.data), [*_folders(found), Path.cwd(), path.absolute().parent])
    mistakes = [
        found.mistake(("parameters", name), complaint)
        for name, complaint in plan.space.complaints(found.data["parameters"]).items()
        if ":" not in plan.space.model
    ]
    if mistakes:
        raise FileMistakes(mistakes)
    try:
        return _exported(found.data, plan)
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise FileMistakes([Mistake(str(path), "", f"is not an exported trial: reading it raised {error!r}")]) from None


def _as_trained(data: Mapping[str, Any]) -> Any:
    """The experiment, with the scaling that the data decided, which earlier versions of hpo kept beside it alone.

    They scaled no targets.
    """
    experiment, resolved = data["experiment"], data.get("resolved")
    dataset = experiment.get("dataset") if isinstance(experiment, Mapping) else None
    if not isinstance(dataset, Mapping):
        return experiment
    dataset = {"target_scaling": "none", **dataset}
    if dataset.get("scaling") is None and isinstance(resolved, Mapping):
        dataset["scaling"] = (resolved.get("dataset") or {}).get("scaling")
    return {**experiment, "dataset": dataset}


def _folders(found: Document) -> list[str]:
    """The folders of the experiment and its data; files of older versions of hpo do not contain them."""
    folders = found.data.get("folders") or []
    if not isinstance(folders, list) or not all(isinstance(folder, str) for folder in folders):
        raise FileMistakes([found.mistake(("folders",), f"must be a list of folders, got {folders!r}")])
    return folders


def _exported(data: Mapping[str, Any], plan: Plan) -> Exported:
    return Exported(
        study=str(data["study"]),
        trial=int(data["trial"]),
        plan=plan,
        parameters=data["parameters"],
        seed=int(data["seed"]),
        epochs=int(data["scores"]["epochs"]),
        scores=data["scores"],
        digest=str(data["data"]["digest"]),
        versions=data.get("versions") or {},
        confirmed=TypeAdapter(Confirmed).validate_python(data["confirmed"]) if data.get("confirmed") else None,
    )
