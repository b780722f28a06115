"""Searches of MLflow, through all pages of their results."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, LoggedModel, Run, ViewType
from mlflow.entities.model_registry import RegisteredModel

PAGE = 1000
"""Results for each request."""

_MODELS = 100
"""Results for each request of logged and registered models: MLflow's maximum."""


def search_runs(
    client: MlflowClient, experiments: Sequence[str], condition: str, view: int = ViewType.ACTIVE_ONLY
) -> Iterator[Run]:
    """The runs for which a condition holds, newest first; a page is requested only when it is needed."""
    among = list(experiments)
    return _pages(lambda token: client.search_runs(among, condition, view, max_results=PAGE, page_token=token))


def find_run(client: MlflowClient, study: str) -> Run | None:
    """The run of the newest study of that name; None if there is none."""
    condition = f"tags.`hpo.role` = 'study' and tags.`hpo.study` = '{study}'"
    # A study's experiment has its name, unless somebody gave it another.
    named = client.get_experiment_by_name(study)
    for experiments in ([named] if named is not None else [], search_experiments(client)):
        known = [experiment.experiment_id for experiment in experiments]
        for first in range(0, len(known), PAGE):
            for run in search_runs(client, known[first : first + PAGE], condition):
                return run
    return None


def search_experiments(client: MlflowClient) -> Iterator[Experiment]:
    """All experiments that were not deleted."""
    return _pages(lambda token: client.search_experiments(max_results=PAGE, page_token=token))


def search_logged_models(client: MlflowClient, experiments: Sequence[str], condition: str) -> Iterator[LoggedModel]:
    """The logged models for which a condition holds."""
    among = list(experiments)
    return _pages(lambda token: client.search_logged_models(among, condition, max_results=_MODELS, page_token=token))


def search_registered_models(client: MlflowClient) -> Iterator[RegisteredModel]:
    """All registered models."""
    return _pages(lambda token: client.search_registered_models(max_results=_MODELS, page_token=token))


def _pages(find: Callable[[str | None], Any]) -> Iterator[Any]:
    """All results, page by page; `find` gets the token of the next page."""
    token = None
    while True:
        page = find(token)
        yield from page
        if not (token := page.token):
            return
