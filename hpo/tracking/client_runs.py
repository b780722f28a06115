"""Runs written by MLflow's public client, which works with every store and takes a few requests for each run."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import final

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Run, ViewType
from mlflow.exceptions import MlflowException

from hpo.tracking.mlflow_compat import MLFLOW_PARENT_RUN_ID
from hpo.tracking.paging import search_runs
from hpo.tracking.runs import Change, Child, NewRun, Runs


@final
class ClientRuns(Runs):
    """Writes run by run, each in three to five requests, however much there is to log."""

    batch_size = 20
    """Small, since an interrupted batch is repeated and its requests are sent one by one."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        self._client = client
        self._experiment = experiment
        self._params: dict[str, frozenset[str]] = {}

    def write(self, changes: Sequence[Change]) -> None:
        """See `Runs.write`."""
        for change in changes:
            try:
                self._write(change)
            except MlflowException:
                if not self._was_deleted(change):
                    raise

    def children(self, parent: str) -> Iterator[Child]:
        """See `Runs.children`."""
        for run in self._below(parent):
            # MLflow refuses to change a param.
            self._params[run.info.run_id] = frozenset(run.data.params)
            deleted = run.info.lifecycle_stage == LifecycleStage.DELETED
            yield Child(run.info.run_id, run.info.status, deleted, run.data.tags)

    def steps(self, runs: Sequence[str], names: Sequence[str]) -> Mapping[str, Mapping[str, set[int]]]:
        """See `Runs.steps`."""
        found: dict[str, dict[str, set[int]]] = defaultdict(dict)
        for run in runs:
            for name in self._client.get_run(run).data.metrics.keys() & set(names):
                found[run][name] = {point.step for point in self._client.get_metric_history(run, name)}
        return found

    def _write(self, change: Change) -> None:
        client, run_id = self._client, change.run.run_id or self._create(change)
        if change.datasets:
            client.log_inputs(run_id, change.datasets)
        there = self._params.get(run_id, frozenset())
        params = [param for param in change.params if param.key not in there]
        client.log_batch(run_id, metrics=change.metrics, params=params, tags=change.tags)
        for name, text in change.texts.items():
            client.log_text(run_id, text, name)
        if change.reopens:
            client.update_run(run_id, status="RUNNING")
        if change.end is not None:
            client.set_terminated(run_id, change.end.status, change.end.time)
            self._params.pop(run_id, None)

    def _create(self, change: Change) -> str:
        new, run = change.new, change.run
        assert new is not None, "the change of a run that does not exist yet says how to create it"
        created = self._found(new) if run.doubtful else None
        if created is None:
            run.doubtful = True
            created = self._client.create_run(self._experiment, new.start, dict(new.tags), new.name)
        run.run_id, run.doubtful = str(created.info.run_id), False
        return run.run_id

    def _found(self, new: NewRun) -> Run | None:
        name, value = new.own
        role = f"tags.`hpo.role` = '{new.tags['hpo.role']}'"
        return next(self._below(new.parent, f" and tags.`{name}` = '{value}' and {role}"), None)

    def _below(self, parent: str, more: str = "") -> Iterator[Run]:
        condition = f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'{more}"
        return search_runs(self._client, [self._experiment], condition, ViewType.ALL)

    def _was_deleted(self, change: Change) -> bool:
        """Whether somebody deleted the run, so that nothing more is to be logged to it."""
        if change.run.run_id is None:
            return False
        run = self._client.get_run(change.run.run_id)
        return bool(run.info.lifecycle_stage == LifecycleStage.DELETED)
