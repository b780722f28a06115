"""One study in an MLflow store: a parent run, and a run for each trial. MLflow's active run is not used."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Experiment, LifecycleStage, Metric, Run, ViewType
from mlflow.exceptions import MlflowException

from hpo.errors import UserError
from hpo.statistics.decision import verdict
from hpo.study.confirmation import Confirmation
from hpo.study.record import TrialRecord
from hpo.system.private_files import private_folder
from hpo.system.versions import git_commit
from hpo.text.cleaning import clean
from hpo.tracking import entities
from hpo.tracking.client_runs import ClientRuns
from hpo.tracking.connection import connect
from hpo.tracking.mlflow_compat import (
    EXPERIMENT_TAGS,
    MAX_TAG_VAL_LENGTH,
    MLFLOW_GIT_COMMIT,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_RUN_NOTE,
    source_tags,
)
from hpo.tracking.model_artifact import KerasModel, log_model
from hpo.tracking.paging import search_runs
from hpo.tracking.runs import Change, Child, End, NewRun, RunRef
from hpo.tracking.study_info import Ending, StudyInfo
from hpo.tracking.table_runs import table_runs
from hpo.tracking.unlogged import Key, News, key
from hpo.tracking.view_writer import Views

_PAUSED = {"hpo.state": "paused"}
_LOST = {"hpo.state": "failed", "hpo.failure": "lost"}
_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


@dataclass
class _Trial:
    """What is known about a trial's run."""

    run: RunRef
    known: bool = True
    """Whether all epochs that the store has were written by this process."""
    closed: bool = False
    """Whether the run had ended before its trial went on."""
    described: bool = False
    """Whether its params and its dataset are logged."""


class Store:
    """Writes one study. If a method fails, it may be called again, and then writes what is missing."""

    def __init__(self, uri: str, artifacts: Path | None, study: StudyInfo, resume: bool) -> None:
        """Opens the store and the study's run.

        Raises:
            UserError: the experiment was deleted in MLflow.
            Exception: MLflow's or SQLAlchemy's, if the store cannot be reached.
        """
        self._study = study
        self._client = connect(uri)
        self._common = self._common_tags()
        experiment = self._open_experiment(artifacts)
        self._experiment = experiment.experiment_id
        self._runs = table_runs(self._client, uri, experiment) or ClientRuns(self._client, self._experiment)
        self._inputs = entities.dataset_inputs(study.dataset)
        self.ended_before: End | None = None
        """How the study's run had ended before it was opened; None if it is new or still running."""
        self._trials: dict[Key, _Trial] = {}
        self.run_id = self._open_parent(resume)
        self._views = Views(self._client, experiment, study, self._client.get_run(self.run_id))
        self._views.begin()

    def close(self) -> None:
        """Closes its connections."""
        self._runs.close()

    @property
    def batch_size(self) -> int:
        """How many trials are worth writing together."""
        return self._runs.batch_size

    def write(self, news: Sequence[News], points: Sequence[Metric] = ()) -> None:
        """Writes news of trials, of each trial once, and new points of the study's own curves."""
        known = {one.key: self._trials.setdefault(one.key, _Trial(RunRef())) for one in news}
        there = self._steps(news, known)
        changes = [self._change(one, known[one.key], there) for one in news]
        if points:
            changes.append(Change(RunRef(self.run_id), metrics=points))
        self._runs.write(changes)
        for one in news:
            known[one.key].described = True
            known[one.key].closed = one.paused or one.ended
            if one.ended and not one.record.rests:
                del self._trials[one.key]
        self._views.see(one.record for one in news)

    def missing(
        self, records: Sequence[TrialRecord], points: Sequence[Metric]
    ) -> tuple[list[TrialRecord], list[Metric]]:
        """The trials without a run in its final state, and the points that the study's run lacks.

        Runs of other trials that are still running are ended, since nobody else writes while this study is open; those
        of paused trials until these go on.
        """
        self._views.see(records)
        runs = {entities.own_tag(child.tags): child for child in self._runs.children(self.run_id)}
        missing: list[TrialRecord] = []
        for record in entities.by_end(records):
            child = runs.pop(entities.own_tag(entities.role_tags(record)), None)
            final = child is not None and child.has_end_of(record)
            if not final:
                missing.append(record)
            if child is not None and (record.rests or not final):
                self._trials[key(record)] = _Trial(RunRef(child.run_id), known=False, closed=final)
        paused = {key(one): runs.pop(entities.own_tag(entities.role_tags(one)), None) for one in records if one.paused}
        known = {name: child for name, child in paused.items() if child is not None}
        self._trials |= {name: _Trial(RunRef(child.run_id), known=False, closed=True) for name, child in known.items()}
        self._end_runs(list(known.values()), _PAUSED)
        self._end_runs(list(runs.values()), _LOST)
        logged = (point for name in {point.key for point in points} for point in self._history(self.run_id, name))
        there = {(point.key, point.step, point.value) for point in logged}
        return missing, [point for point in points if (point.key, point.step, point.value) not in there]

    def finish(self, ending: Ending, as_before: bool = False) -> None:
        """Logs the summary, the best configuration and the best model, then ends the study's run.

        `as_before`: if the run had ended before, it keeps that status and time.
        """
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
        end = End(_STATUS[ending.status], entities.milliseconds(ending.ended))
        end = self.ended_before or end if as_before else end
        self._client.set_terminated(self.run_id, end.status, end.time)
        self._views.write()

    def _confirm(self, run: Run, confirmation: Confirmation) -> None:
        """Logs the decision to the study's run, and to each finalist's run the result of its seeds."""
        self._log_changed(run, entities.confirmed(confirmation), {"hpo.confirmed_trial": confirmation.chosen})
        self._client.log_text(self.run_id, confirmation.model_dump_json(indent=2), "confirmation.json")
        for finalist in confirmation.finalists:
            condition = f"tags.`hpo.trial` = '{finalist.trial}' and tags.`hpo.role` = 'trial'"
            found = next(self._search_trials(condition), None)
            if found is not None and finalist.validation is not None:
                scores = entities.mean_and_interval(confirmation.metric, finalist.validation)
                self._log_changed(found, scores, {"hpo.verdict": verdict(finalist, confirmation)})

    def _log_changed(self, run: Run, values: Mapping[str, float], tags: Mapping[str, object]) -> None:
        """Logs the values that the run does not have yet. Repeated ones would add points to a curve."""
        new = {name: value for name, value in values.items() if run.data.metrics.get(entities.key(name)) != value}
        metrics = entities.metrics(new, entities.milliseconds(None))
        self._client.log_batch(run.info.run_id, metrics=metrics, tags=entities.tags(tags))

    def _open_experiment(self, artifacts: Path | None) -> Experiment:
        name = self._study.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            if artifacts is not None:
                private_folder(artifacts)
            location = artifacts.resolve().as_uri() if artifacts is not None else None
            try:
                created = self._client.create_experiment(name, location, EXPERIMENT_TAGS)
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
        condition = f"tags.`hpo.study` = '{self._study.name}' and tags.`hpo.role` = 'study'"
        began = entities.milliseconds(self._study.began)
        # A new study may have a run by an earlier attempt whose answer was lost.
        condition += "" if resume else f" and attributes.start_time = {began}"
        run = next(search_runs(self._client, [self._experiment], condition), None)
        if run is None:
            more = {"hpo.role": "study", "hpo.objective": objective.metric, "hpo.direction": objective.direction}
            tags = {**self._common, **more}
            run = self._client.create_run(self._experiment, began, tags, self._study.name)
        else:
            if run.info.status != "RUNNING":
                self.ended_before = End(run.info.status, run.info.end_time)
            self._client.update_run(run.info.run_id, status="RUNNING")
        run_id, links = str(run.info.run_id), {f"hpo.{name}": known for name, known in self._study.links.items()}
        self._client.log_batch(run_id, tags=entities.tags(links))
        self._client.log_inputs(run_id, self._inputs)
        # MLflow refuses to change a param.
        params = entities.params(self._study.fixed)
        self._epochs = entities.epochs_now(run.data, params)
        new = [param for param in params if param.key not in run.data.params]
        self._client.log_batch(run_id, params=new, tags=self._epochs)
        self._client.log_text(run_id, self._study.experiment_yaml, "experiment.yaml")
        self._client.log_text(run_id, self._study.space_yaml, "search_space.yaml")
        return run_id

    def _change(self, news: News, trial: _Trial, there: Mapping[str, Mapping[str, set[int]]]) -> Change:
        record, run_id = news.record, trial.run.run_id
        metrics, tags, end = list(news.points), [], None
        if news.ended:
            metrics += entities.curves(record, news.logged_epochs)
        if not trial.known and run_id is not None:
            has = there.get(run_id, {})
            metrics = [point for point in metrics if point.step not in has.get(point.key, ())]
        if news.ended:
            metrics += entities.scores(record, self._study.objective)
            tags = entities.state_tags(record, self._study.objective)
            end = End(entities.STATUS[record.state], entities.milliseconds(record.ended))
        elif news.paused:
            tags, end = entities.tags(_PAUSED), End("KILLED", entities.milliseconds(None))
        elif trial.closed:
            tags = entities.tags({"hpo.state": "running"})
        params = [] if trial.described else entities.trial_params(self._study.fixed, record)
        if not trial.known and self._epochs:
            # Begun with fewer epochs, it goes on with more.
            params, tags = [param for param in params if param.key != entities.EPOCHS], [*tags, *self._epochs]
        return Change(
            trial.run,
            new=self._new_run(record) if trial.known and not trial.described else None,
            params=params,
            metrics=metrics,
            tags=tags,
            datasets=[] if trial.described else self._inputs,
            texts={"error.txt": entities.text(record.failure.text)} if news.ended and record.failure else {},
            end=end,
            reopens=trial.closed and end is None,
        )

    def _new_run(self, record: TrialRecord) -> NewRun:
        own = entities.role_tags(record)
        tags = {
            **self._common,
            MLFLOW_PARENT_RUN_ID: self.run_id,
            **own,
            "hpo.state": "running",
            "hpo.attempt": str(record.attempt),
            "hpo.origin": str(record.origin),
            **({"hpo.source": record.source} if record.source is not None else {}),
        }
        start = entities.milliseconds(record.started)
        return NewRun(entities.run_name(record), start, tags, entities.own_tag(own), self.run_id)

    def _steps(self, news: Sequence[News], known: Mapping[Key, _Trial]) -> Mapping[str, Mapping[str, set[int]]]:
        """The steps that the store has of trials that an earlier process began: run -> metric -> steps."""
        earlier = {known[one.key].run.run_id: one for one in news if not known[one.key].known}
        runs = [run_id for run_id in earlier if run_id is not None]
        names = {point.key for one in earlier.values() for point in (*one.points, *entities.curves(one.record))}
        return self._runs.steps(runs, sorted(names)) if names else {}

    def _end_runs(self, children: Sequence[Child], state: Mapping[str, str]) -> None:
        """Ends runs that nobody continues: their coordinator was killed before the ends of their trials were stored.

        Their params and curves stay as they are.
        """
        tags = entities.tags(state)
        end = End("KILLED", entities.milliseconds(None))
        left = [child for child in children if child.status == "RUNNING" and not child.deleted]
        if left:
            self._runs.write([Change(RunRef(child.run_id), tags=tags, end=end) for child in left])

    def _history(self, run_id: str, name: str) -> list[Metric]:
        return list(self._client.get_metric_history(run_id, name))

    def _search_trials(self, condition: str) -> Iterator[Run]:
        below = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{self.run_id}' and {condition}"
        return search_runs(self._client, [self._experiment], below, ViewType.ALL)

    def _common_tags(self) -> dict[str, str]:
        tags = {
            # The address of the git repository may have a token in it.
            **{name: clean(value, MAX_TAG_VAL_LENGTH) for name, value in source_tags().items()},
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
