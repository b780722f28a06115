"""The ranked table of hand-made studies: order, columns, names, the noise column."""

from dataclasses import replace
from typing import Any

import pytest

from hpo.compare.compare import chosen, parameter_columns, ranking, row, table
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.study.failure import Failure
from hpo.study.read import StudyView
from hpo.study.record import TrialRecord


def trial(number: int, value: float | None, **more: Any) -> TrialRecord:
    known = {"state": "failed" if value is None else "complete", "params": {"depth": number}, **more}
    return replace(TrialRecord(number, "complete", {}, 0, number, value=value), **known)


def study(name: str, *trials: TrialRecord, metric: str = "val_accuracy", floor: float | None = None) -> StudyView:
    direction = "maximize" if metric == "val_accuracy" else "minimize"
    identity = {"objective": {"metric": metric, "direction": direction}}
    score = Estimate(mean=0.45, deviation=0.07, low=0.2, high=0.7, seeds=2)
    known: dict[str, Any] = {
        "searched": 0.5,
        "values": {1: 0.4},
        "tied": True,
        "p_value": None,
        "model_parameters": 9,
        "seconds": 1,
    }
    finalists = (Finalist(trial=1, validation=score, **known), Finalist(trial=0, validation=None, **known))
    confirmation = floor is not None and Confirmation(
        metric=metric, finalists=finalists, chosen=1, noise_floor=floor, test={}
    )
    return StudyView(name, identity, {}, {}, {}, trials, "sqlite://", confirmation=confirmation or None)


ONE = study(
    "one", trial(0, 0.5), trial(1, 0.9), trial(2, None, failure=Failure("error")), trial(3, 0.7, state="pruned")
)


def numbers(frame: Any) -> list[tuple[str, int]]:
    return list(zip(frame["study"], frame["trial"], strict=True))


def test_the_best_comes_first_and_what_has_no_score_last() -> None:
    assert [one.number for one in ranking(ONE)] == [1, 3, 0, 2]
    assert [one.number for one in ranking(study("loss", *ONE.trials, metric="val_loss"))] == [0, 3, 1, 2]
    assert table([study("none")]).empty


@pytest.mark.parametrize(("metric", "order"), [("val_accuracy", [1, 3, 10, 0]), ("val_loss", [11, 0, 10, 3])])
def test_studies_of_one_objective_are_ranked_together(metric: str, order: list[int]) -> None:
    one, other = (
        study("one", *ONE.trials, metric=metric),
        study("other", trial(10, 0.6), trial(11, 0.1), metric=metric),
    )
    frame = table([one, other])
    assert frame["trial"].tolist()[:4] == order
    assert frame["trial"].tolist()[-1] == 2
    assert frame.index.tolist() == list(range(6))


def test_studies_of_two_objectives_stand_one_after_the_other() -> None:
    frame = table([ONE, study("loss", trial(0, 0.2), trial(1, 0.1), metric="val_loss")])
    assert numbers(frame) == [("one", 1), ("one", 3), ("one", 0), ("one", 2), ("loss", 1), ("loss", 0)]
    assert list(frame.columns)[:5] == ["study", "trial", "state", "val_accuracy", "val_loss"]


def test_columns_stand_in_one_order_and_parameters_with_taken_names_say_so() -> None:
    folds = {"curves": {"val_accuracy": [0.5, 0.7]}, "fold_lengths": (1, 1)}
    one = trial(0, 0.6, test={"loss": 0.4, "accuracy": 0.5}, best_epoch=2, fold_best_epochs=(1, 2), **folds)
    odd = {"depth": 1, "state": "x", "val_accuracy": 2, "test_size": 3, "epochs": 4, "behind": 5}
    view = study("s", replace(one, params=odd), trial(1, 0.5, params={"width": 8}))
    assert list(table([view]).columns) == [
        "study", "trial", "state", "val_accuracy", "val_accuracy_std", "best_epoch", "epochs", "seconds",
        "model_parameters", "depth", "params.state", "params.val_accuracy", "params.test_size", "params.epochs",
        "params.behind", "width", "test_accuracy", "test_loss", "failure",
    ]  # fmt: skip
    assert row(view, view.trials[0])["val_accuracy_std"] == pytest.approx(0.02**0.5)
    assert parameter_columns([view, ONE]) == [
        "depth", "params.state", "params.val_accuracy", "params.test_size", "params.epochs", "params.behind", "width",
    ]  # fmt: skip


def test_single_runs_are_measured_in_noise_floors() -> None:
    frame = table([replace(study("s", trial(0, 0.5), trial(1, 1.0), trial(2, 0.25), trial(3, None), floor=0.5))])
    assert frame["behind"].tolist()[:3] == [0.0, 0.5, 0.75]
    assert frame["noise_floors_behind"].tolist()[:3] == [0.0, 1.0, 1.5]
    assert frame["noise_floors_behind"].isna().tolist() == [False, False, False, True]
    assert frame["verdict"].tolist()[:2] == ["chosen", "cannot be told apart"]
    assert frame["confirmed_mean"].tolist()[0] == 0.45
    assert frame["confirmed_mean"].isna().tolist() == [False, True, True, True]
    assert list(frame.columns)[3:10] == [
        "val_accuracy", "confirmed_mean", "confirmed_low", "confirmed_high", "verdict", "behind", "noise_floors_behind",
    ]  # fmt: skip


def test_of_two_floors_the_larger_counts_and_of_losses_the_least_is_best() -> None:
    best = study("best", trial(0, 0.1), metric="val_loss", floor=0.3)
    rest = study("rest", trial(0, 0.3), trial(1, 0.5), metric="val_loss", floor=0.01)
    frame = table([best, rest])
    assert frame["behind"].tolist() == pytest.approx([0, 0.2, 0.4])
    assert frame["noise_floors_behind"].tolist() == pytest.approx([0, 2 / 3, 4 / 3])
    assert table([replace(best, confirmation=None), rest])["noise_floors_behind"].isna().all()
    accuracy = table([ONE, replace(rest, confirmation=None), best])
    assert accuracy["noise_floors_behind"].isna().tolist() == [True] * 6 + [False]
    assert [round(gap, 6) for gap in accuracy["behind"].dropna()] == [0, 0.2, 0.4, 0.2, 0.4, 0]


def test_where_filters_rows_and_top_keeps_the_first_of_them() -> None:
    frame = table([ONE])
    assert chosen(frame, None, None) is frame
    assert chosen(frame, None, 2)["trial"].tolist() == [1, 3]
    assert chosen(frame, "state = 'complete'", 1)["trial"].tolist() == [1]
    assert chosen(frame, "depth < 3", None)["trial"].tolist() == [1, 0, 2]
    assert chosen(table([study("none")]), "depth < 3", 1).empty
