"""One study in an MLflow store: a parent run, and a run for each trial. Only MlflowClient, no active runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment, LifecycleStage, Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH

from hpo.confirm.confirmation import Confirmation
from hpo.confirm.decision import verdict
from hpo.errors import UserError
from hpo.record import TrialRecord
from hpo.tracking import entities
from hpo.tracking.connection import connect
from hpo.tracking.model_artifact import KerasModel, log_model
from hpo.tracking.study_info import Ending, StudyInfo
from hpo.versions import git_commit

# The UI opens such an experiment in machine-learning mode rather than in its mode for language models.
_EXPERIMENT_TAGS = {"mlflow.experimentKind": "custom_model_development"}


@dataclass
class _TrialRun:
    run_id: str
    told: int | None
    """Epochs logged; None where only the store can know."""
    params: frozenset[str] = field(default_factory=frozenset)


class Store:
    """Writes one study. Every method may be called again after it failed, and then mends what is missing."""

    def __init__(self, uri: str, artifacts: Path | None, study: StudyInfo, resume: bool) -> None:
        """Opens the store and the study's run.

        Raises:
            UserError: the experiment was deleted in MLflow.
            Exception: MLflow's or SQLAlchemy's, where the store cannot be reached.
        """
        self._study = study
        self._client = connect(uri)
        self._common = self._common_tags()
        self._experiment = self._open_experiment(artifacts).experiment_id
        self._runs: dict[int, _TrialRun] = {}
        self._best = entities.BestSoFar()
        self.run_id = self._open_parent(resume)

    def start(self, record: TrialRecord) -> None:
        """Creates the run of a trial."""
        self._run_of(record)

    def log_epochs(self, trial: int, points: Sequence[Metric], epochs: int) -> None:
        """Logs metrics of a started trial, those of its epochs in order, up to the number of `epochs`."""
        run = self._runs.get(trial)
        if run is None or not points:
            return
        told, run.told = run.told, None
        self._log_metrics(run.run_id, points)
        if told is not None:
            run.told = max(told, epochs)

    def end(self, record: TrialRecord) -> None:
        """Logs whatever is missing of an ended trial, ends its run, and logs the best so far."""
        self._end(self._run_of(record), record)
        if record.confirms is None:
            points, best = entities.best_so_far([record], self._study.objective, self._best)
            self._log_metrics(self.run_id, points)
            self._best = best
        self._runs.pop(record.number, None)

    def sync(self, records: Sequence[TrialRecord], done: Callable[[], None] = lambda: None) -> int:
        """Ends the run of every ended trial that has none, or one that is not in its final state. Idempotent.

        Calls `done` after each of the records; returns how many were missing or unfinished.
        """
        mended = 0
        ended = sorted(
            (record for record in records if record.state in entities.STATUS),
            key=lambda record: (entities.milliseconds(record.ended), record.number),
        )
        runs = {_own_tag(run.data.tags): run for run in self._search_trials()}
        for record in ended:
            run = runs.get(_own_tag(entities.role_tags(record)))
            if run is None or not self._is_final(run, record):
                self._end(self._create(record) if run is None else _known(run), record)
                mended += 1
            done()
        trials = [record for record in ended if record.confirms is None]
        points, self._best = entities.best_so_far(trials, self._study.objective)
        known = (point for name in {point.key for point in points} for point in self._history(self.run_id, name))
        there = {(point.key, point.step, point.value) for point in known}
        new = [point for point in points if (point.key, point.step, point.value) not in there]
        self._log_metrics(self.run_id, new)
        return mended

    def finish(self, ending: Ending) -> None:
        """Logs the summary, the best configuration and the best model, then ends the study's run."""
        run = self._client.get_run(self.run_id)
        best = ending.best
        values = {MLFLOW_RUN_NOTE: ending.summary, "hpo.best_trial": None if best is None else best.number}
        self._client.log_batch(self.run_id, tags=entities.tags(values))
        if ending.best_config is not None:
            self._client.log_text(self.run_id, ending.best_config, "best.yaml")
        if ending.model_file is not None and best is not None:
            log_model(self._client, run, KerasModel(ending.model_file, self._study.dataset, best.number))
        if ending.confirmation is not None:
            self._confirm(run, ending.confirmation)
        status = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}[ending.status]
        self._client.set_terminated(self.run_id, status)

    def _confirm(self, run: Run, confirmation: Confirmation) -> None:
        """Logs the decision with the study's run, and to each finalist's what its seeds came to."""
        self._log_changed(run, entities.confirmed(confirmation), {"hpo.confirmed_trial": confirmation.chosen})
        self._client.log_text(self.run_id, confirmation.model_dump_json(indent=2), "confirmation.json")
        for finalist in confirmation.finalists:
            condition = f"tags.`hpo.trial` = '{finalist.trial}' and tags.`hpo.role` = 'trial'"
            found = next(self._search_trials(condition), None)
            if found is not None and finalist.validation is not None:
                scores = entities.mean_and_interval(confirmation.metric, finalist.validation)
                self._log_changed(found, scores, {"hpo.verdict": verdict(finalist, confirmation)})

    def _log_changed(self, run: Run, values: Mapping[str, float], tags: Mapping[str, object]) -> None:
        """Logs the values that the run does not show yet: each more would be one more point of a curve."""
        new = {name: value for name, value in values.items() if run.data.metrics.get(entities.key(name)) != value}
        metrics = entities.metrics(new, entities.milliseconds(None))
        self._client.log_batch(run.info.run_id, metrics=metrics, tags=entities.tags(tags))

    def _end(self, run: _TrialRun, record: TrialRecord) -> None:
        if run.told is None:
            self._describe(run, record)
        self._log_metrics(run.run_id, self._missing(run, record))
        self._log_metrics(run.run_id, entities.scores(record))
        if record.error:
            self._client.log_text(run.run_id, record.error, "error.txt")
        self._client.log_batch(run.run_id, tags=entities.state_tags(record, self._study.objective))
        status, ended = entities.STATUS[record.state], entities.milliseconds(record.ended)
        self._client.set_terminated(run.run_id, status, ended)

    def _open_experiment(self, artifacts: Path | None) -> Experiment:
        name = self._study.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            location = artifacts.resolve().as_uri() if artifacts is not None else None
            try:
                created = self._client.create_experiment(name, location, _EXPERIMENT_TAGS)
            except MlflowException:
                # Another coordinator may have created it between the two calls.
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
                return experiment
            return self._client.get_experiment(created)
        if experiment.lifecycle_stage == LifecycleStage.DELETED:
            raise UserError(
                f"MLflow experiment {name!r} was deleted: restore it "
                f"(mlflow experiments restore --experiment-id {experiment.experiment_id}) or use another name"
            )
        return experiment

    def _open_parent(self, resume: bool) -> str:
        objective = self._study.objective
        role = "tags.`hpo.role` = 'study'"
        found = self._search(f"tags.`hpo.study` = '{self._study.name}' and {role}") if resume else iter(())
        run = next(found, None)
        if run is None:
            more = {"hpo.role": "study", "hpo.objective": objective.metric, "hpo.direction": objective.direction}
            tags = {**self._common, **more}
            began = entities.milliseconds(self._study.began)
            run = self._client.create_run(self._experiment, began, tags, self._study.name)
        else:
            self._client.update_run(run.info.run_id, status="RUNNING")
        run_id = str(run.info.run_id)
        links = {f"hpo.{name}": studies for name, studies in self._study.links.items()}
        self._client.log_batch(run_id, tags=entities.tags(links))
        self._client.log_inputs(run_id, entities.dataset_inputs(self._study.dataset))
        self._log_params(run_id, entities.params(self._study.fixed), frozenset(run.data.params))
        self._client.log_text(run_id, self._study.experiment_yaml, "experiment.yaml")
        self._client.log_text(run_id, self._study.space_yaml, "search_space.yaml")
        return run_id

    def _run_of(self, record: TrialRecord) -> _TrialRun:
        """The trial's run: the one at hand, the one in the store, or a new one."""
        run = self._runs.get(record.number)
        if run is None:
            tags = entities.role_tags(record)
            name, number = _own_tag(tags)
            condition = f"tags.`{name}` = '{number}' and tags.`hpo.role` = '{tags['hpo.role']}'"
            found = next(self._search_trials(condition), None)
            run = self._create(record) if found is None else _known(found)
            self._runs[record.number] = run
        return run

    def _create(self, record: TrialRecord) -> _TrialRun:
        more = {
            MLFLOW_PARENT_RUN_ID: self.run_id,
            **entities.role_tags(record),
            "hpo.state": "running",
            "hpo.attempt": str(record.attempt),
            "hpo.origin": str(record.origin),
            **({"hpo.source": record.source} if record.source is not None else {}),
        }
        run = self._client.create_run(
            self._experiment,
            start_time=entities.milliseconds(record.started),
            tags={**self._common, **more},
            run_name=entities.run_name(record),
        )
        trial = _TrialRun(run.info.run_id, 0)
        self._describe(trial, record)
        return trial

    def _describe(self, run: _TrialRun, record: TrialRecord) -> None:
        self._client.log_inputs(run.run_id, entities.dataset_inputs(self._study.dataset))
        self._log_params(run.run_id, entities.trial_params(self._study.fixed, record), run.params)

    def _missing(self, run: _TrialRun, record: TrialRecord) -> list[Metric]:
        if run.told is not None:
            return entities.curves(record, run.told)
        points = entities.curves(record)
        there = {
            name: {metric.step for metric in self._history(run.run_id, name)}
            for name in {point.key for point in points}
        }
        return [point for point in points if point.step not in there[point.key]]

    def _is_final(self, run: Run, record: TrialRecord) -> bool:
        if run.info.lifecycle_stage == LifecycleStage.DELETED:
            return True  # by the user, who wants it gone
        status = entities.STATUS[record.state]
        return bool(run.info.status == status and run.data.tags.get("hpo.state") == record.state)

    def _history(self, run_id: str, name: str) -> list[Metric]:
        return list(self._client.get_metric_history(run_id, name))

    def _log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        for first in range(0, len(metrics), MAX_METRICS_PER_BATCH):
            self._client.log_batch(run_id, metrics=metrics[first : first + MAX_METRICS_PER_BATCH])

    def _log_params(self, run_id: str, params: Sequence[Param], there: frozenset[str]) -> None:
        # MLflow refuses to change a param.
        missing = [param for param in params if param.key not in there]
        for first in range(0, len(missing), MAX_PARAMS_TAGS_PER_BATCH):
            self._client.log_batch(run_id, params=missing[first : first + MAX_PARAMS_TAGS_PER_BATCH])

    def _search_trials(self, condition: str = "") -> Iterator[Run]:
        below = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}'"
        return self._search(" and ".join(filter(None, (below, condition))), ViewType.ALL)

    def _search(self, condition: str, view: int = ViewType.ACTIVE_ONLY) -> Iterator[Run]:
        token = None
        while True:
            page = self._client.search_runs([self._experiment], condition, view, page_token=token)
            yield from page
            if not (token := page.token):
                return

    def _common_tags(self) -> dict[str, str]:
        tags = {
            **resolve_tags(),
            "hpo.study": self._study.name,
            "hpo.space_hash": self._study.space_hash,
            "hpo.version": self._study.version,
            "hpo.data_digest": self._study.dataset.digest,
        }
        # MLflow names the commit of the running script's folder; the user's code is in the working directory.
        tags.pop(MLFLOW_GIT_COMMIT, None)
        if commit := git_commit():
            tags[MLFLOW_GIT_COMMIT] = commit
        return tags


def _own_tag(tags: Mapping[str, str]) -> tuple[str, str]:
    """The tag by which a run is found again: trials and confirming runs are numbered apart."""
    name = "hpo.confirm" if tags["hpo.role"] == "confirm" else "hpo.trial"
    return name, tags[name]


def _known(run: Run) -> _TrialRun:
    return _TrialRun(str(run.info.run_id), None, frozenset(run.data.params))


def find_study(uri: str, study: str) -> tuple[str, dict[str, str]] | None:
    """The MLflow experiment id and the run's tags of the newest study of that name; None where there is none."""
    found = study_run(uri, study)
    return None if found is None else (str(found[1].info.experiment_id), dict(found[1].data.tags))


def study_run(uri: str, study: str) -> tuple[MlflowClient, Run] | None:
    """A client of the store, and the run of the newest study of that name; None where there is none."""
    client = connect(uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    condition = f"tags.`hpo.role` = 'study' and tags.`hpo.study` = '{study}'"
    for run in client.search_runs(experiments, condition, max_results=1):
        return client, run
    return None
