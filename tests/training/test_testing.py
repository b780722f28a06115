"""Tests of trials that fail: the trial stands, and says which scores are missing and why."""

import math
from collections.abc import Mapping

import pytest

from hpo.training.testing import OWN_FIT, Scored, evaluated, mean_tested


def evaluate(part: str) -> Mapping[str, float]:
    if part == "test_shifted":
        raise MemoryError
    if part == "test_left":
        raise SystemExit("enough")
    return {"loss": math.nan if part == "test_lost" else 0.5, "accuracy": 0.25}


@pytest.mark.parametrize(
    ("extra", "scores", "note"),
    [
        ([], {"loss": 0.5, "accuracy": 0.25}, None),
        (["shifted"], {"loss": 0.5, "accuracy": 0.25}, "test_shifted failed: MemoryError"),
        (["left"], {"loss": 0.5, "accuracy": 0.25}, "test_left failed: SystemExit: enough"),
        (
            ["lost", "noisy"],
            {"loss": 0.5, "accuracy": 0.25, "lost_accuracy": 0.25, "noisy_loss": 0.5, "noisy_accuracy": 0.25},
            "test_lost left out, not finite: loss",
        ),
    ],
)
def test_each_part_is_tested_by_itself(extra: list[str], scores: dict[str, float], note: str | None) -> None:
    assert evaluated(extra, evaluate) == Scored(scores, note)


def test_a_note_names_the_models_own_fit() -> None:
    assert evaluated([], evaluate, own_fit=True).note == OWN_FIT
    assert evaluated(["left"], evaluate, own_fit=True).note == f"{OWN_FIT}; test_left failed: SystemExit: enough"


def test_folds_have_the_means_of_what_all_have() -> None:
    good, bad = Scored({"loss": 1.0, "accuracy": 0.5}), Scored({"accuracy": 1.0}, "test left out, not finite: loss")
    assert mean_tested([good, bad]) == Scored({"accuracy": 0.75}, "fold 2: test left out, not finite: loss")
    assert mean_tested([bad, bad]).note == bad.note
    assert mean_tested([good, good]) == good
