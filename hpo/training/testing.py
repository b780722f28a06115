"""The test of a trial: its figures on the test part and on the extra tests, and what there is to say of them.

The test part never chooses, not even by failing: what cannot be tested has no score, and the trial stands.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo.training.failures import one_line
from hpo.training.folds import mean_scores

OWN_FIT = "the HyperModel has a fit of its own: if that prepares the inputs, those of the test were not prepared by it"


@dataclass(frozen=True)
class Scored:
    """What a test came to."""

    scores: Mapping[str, float] = field(default_factory=dict)
    """Metric -> its value on the test part, on an extra test as NAME_metric; those that are finite."""
    note: str | None = None
    """Why scores are missing, or what they are not of."""


def evaluated(
    extra_tests: Sequence[str], evaluate: Callable[[str], Mapping[str, Any]], own_fit: bool = False
) -> Scored:
    """Tests on the part `test` and on the parts `test_NAME`, each by itself."""
    scores: dict[str, float] = {}
    notes = [OWN_FIT] if own_fit else []
    for name in ("", *extra_tests):
        part = f"test_{name}" if name else "test"
        try:
            found = {metric: float(value) for metric, value in evaluate(part).items()}
        except (Exception, SystemExit) as error:  # SystemExit: the user's code called exit()
            notes.append(f"{part} failed: {one_line(error)}")
            continue
        if lost := [metric for metric, value in found.items() if not math.isfinite(value)]:
            notes.append(f"{part} left out, not finite: {', '.join(lost)}")
        prefix = f"{name}_" if name else ""
        scores |= {f"{prefix}{metric}": value for metric, value in found.items() if math.isfinite(value)}
    return Scored(scores, "; ".join(notes) or None)


def mean_tested(folds: Sequence[Scored]) -> Scored:
    """The means over the models of folds, and what there is to say of each."""
    notes: dict[str, list[str]] = {}
    for number, fold in enumerate(folds, 1):
        if fold.note is not None:
            notes.setdefault(fold.note, []).append(str(number))
    said = [note if len(of) == len(folds) else f"fold {', '.join(of)}: {note}" for note, of in notes.items()]
    return Scored(mean_scores([fold.scores for fold in folds]), "; ".join(said) or None)
