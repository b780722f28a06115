"""How far an exported trial is trained again: to where it was stopped from outside, else in full."""

from types import SimpleNamespace
from typing import Any

import pytest

from hpo.plan.exported_file import Confirmed, Exported
from hpo.study.confirmation import Estimate

SCORE = Estimate(mean=0.8, deviation=0.1, low=0.7, high=0.9, seeds=3)
FINALIST = Confirmed(0.1, chosen=False, validation=SCORE)


@pytest.mark.parametrize(
    ("ended_by", "confirmed", "stopped", "limit"),
    [
        ("epochs", None, None, None),
        ("early_stopping", None, None, None),
        ("pruner", None, 5, 5),
        ("deadline", None, 5, 5),
        ("target", None, 5, 5),
        ("interrupt", None, 5, 5),
        ("target", FINALIST, 5, None),
        ("target", Confirmed(0.1, chosen=False), 5, 5),
        (None, None, None, None),
    ],
)
def test_epochs_of_further_runs(ended_by: str | None, confirmed: Any, stopped: int | None, limit: int | None) -> None:
    objective = SimpleNamespace(metric="val_loss")
    plan: Any = SimpleNamespace(experiment=SimpleNamespace(objective=objective))
    one = Exported("s", 3, plan, {}, 7, 5, {"val_loss": 0.25, "ended_by": ended_by}, "0" * 32, confirmed=confirmed)
    assert (one.stopped_after, one.limit, one.value) == (stopped, limit, 0.25)
