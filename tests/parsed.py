"""Documents read as an experiment or a search space, or refused with all their mistakes."""

from collections.abc import Sequence

from hpo.config.assignments import examine_assignments
from hpo.config.experiment import DatasetSpec, Experiment, TrainingSpec, examine_experiment
from hpo.config.space import SearchSpace
from hpo.config.space_file import examine_space
from hpo.config.yaml_file import Document
from hpo.errors import FileMistakes


def override(document: Document, assignments: Sequence[str]) -> Document:
    """A document with `a.b=c` assignments laid over it."""
    changed, mistakes = examine_assignments(document, assignments)
    if mistakes:
        raise FileMistakes(mistakes)
    return changed


def parse_experiment(document: Document) -> Experiment:
    """A document as an experiment."""
    found = examine_experiment(document)
    if found.mistakes or found.valid is None:
        raise FileMistakes(found.mistakes)
    return found.valid


def parse_space(
    document: Document, training: TrainingSpec | None = None, dataset: DatasetSpec | None = None
) -> SearchSpace:
    """A document as a search space that sets keys of these sections."""
    found = examine_space(document, training, dataset)
    if found.mistakes or found.valid is None:
        raise FileMistakes(found.mistakes)
    return found.valid
