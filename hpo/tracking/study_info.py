"""What the tracker logs of a study at its start and at its end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from hpo.config.experiment import Objective
from hpo.data.dataset import DatasetInfo
from hpo.study.confirmation import Confirmation
from hpo.study.record import TrialRecord

Status = Literal["finished", "interrupted", "failed"]
"""How a study, or a confirmation, ended."""


@dataclass(frozen=True)
class StudyInfo:
    """What is logged with a study from its start."""

    name: str
    """Name of the study and of its run."""
    experiment: str
    """Name of the MLflow experiment."""
    space_hash: str
    """Content hash of the search space."""
    experiment_yaml: str
    """The experiment file as the user wrote it."""
    space_yaml: str
    """The search space file as the user wrote it."""
    dataset: DatasetInfo
    objective: Objective
    version: str
    """The version of hpo."""
    began: datetime = field(default_factory=datetime.now)
    """When its run begins: before the first trial, even if MLflow gets that one sooner."""
    links: Mapping[str, str] = field(default_factory=dict)
    """`extends` and `extended_by` -> other studies."""
    varied: Sequence[str] = ()
    """The parameters that may vary by the search space. Those that a model declares itself show in the trials."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """What does not vary: key -> value, mappings inside too. None stands for not set and is not logged."""


@dataclass(frozen=True)
class Ending:
    """What is logged when a study ends."""

    status: Status
    summary: str
    """Markdown, shown as the run's description."""
    best: TrialRecord | None = None
    """The best trial; None if none has a score."""
    best_config: str | None = None
    """The best configuration as a YAML file."""
    model_file: Path | None = None
    """The best trial's model, a .keras file."""
    confirmation: Confirmation | None = None
    """The result of confirming the study; None if it was not confirmed."""
    ended: datetime | None = None
    """When it ended; None: now."""
