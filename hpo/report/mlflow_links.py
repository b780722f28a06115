"""Links to a study and its trials on an MLflow server, or the command that starts MLflow's UI."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Links:
    """Links to a study and its trials in MLflow, without credentials."""

    command: str = ""
    """The command that shows the study in MLflow's UI; empty where its store is not known."""
    study: str | None = None
    """The page of the study's run, where a server shows it."""
    trials: Mapping[int, str] = field(default_factory=dict)


def links_of(uri: str, study: str, numbers: Sequence[int], command: str) -> Links:
    """The links of a study and of some of its trials; only the command if no server shows the store or answers."""
    from hpo.tracking.links import run_pages

    pages = run_pages(uri, study, numbers)
    if pages is None:
        return Links(command)
    return Links(command, pages.study, pages.trials)
