"""Where a study and its trials are to be found in MLflow: links to a server, else the command that starts one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Links:
    """Addresses without credentials."""

    command: str = ""
    """Shows the study in MLflow's UI; empty where nothing is known of its store."""
    study: str | None = None
    """The page of its run, where a server shows it."""
    trials: Mapping[int, str] = field(default_factory=dict)


def links_of(uri: str, study: str, numbers: Sequence[int], command: str) -> Links:
    """The links of a study and of some of its trials; a store that no server shows has none, nor one that is away."""
    from hpo.tracking.links import run_pages

    pages = run_pages(uri, study, numbers)
    if pages is None:
        return Links(command)
    return Links(command, pages.study, pages.trials)
