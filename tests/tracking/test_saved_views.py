"""What the views are made of: which parameters they show, which runs, and that they fit into a tag."""

import dataclasses
import json
import random
import string
from typing import Any

import pytest
from logged import unpacked

from hpo.config.experiment import Objective
from hpo.study.record import Confirms, TrialRecord
from hpo.tracking.mlflow_compat import MAX_VIEW_LENGTH
from hpo.tracking.saved_views import Shown, confirmation_tag, trials_tag
from hpo.tracking.varying_parameters import MOST_AXES, Varied

SHOWN = Shown(
    "toy", "a" * 32, 1_700_000_000_000, Objective(metric="val_loss", direction="minimize"), ["width", "rate"], ["width"]
)


def trial(number: int, value: float | None, state: Any = "complete", **params: Any) -> TrialRecord:
    return TrialRecord(number, state, params, seed=0, origin=number, value=value)


def varied(*trials: TrialRecord, declared: Any = ()) -> Varied:
    found = Varied(declared)
    for one in trials:
        found.see(one)
    return found


def test_until_trials_have_ended_what_may_vary_is_shown():
    found = varied(trial(0, None, "running", width=1), declared=["width", "rate"])
    assert (found.columns(), found.axes()) == (["width", "rate"], ["width", "rate"])


def test_parameters_that_never_vary_are_no_columns():
    trials = [trial(n, n / 10, width=n, rate=0.1, declared_by_the_model=n % 2, depth=3 - n) for n in range(3)]
    found = varied(*trials, declared=["depth", "rate", "width"])
    assert found.columns() == ["depth", "width", "declared_by_the_model"]
    assert found.axes() == found.columns()


def test_a_parameter_that_some_trials_lack_is_a_column_and_no_axis():
    trials = [trial(n, n / 10, width=n, **({"momentum": n / 10} if n % 2 else {})) for n in range(6)]
    found = varied(*trials)
    assert found.columns() == ["momentum", "width"]
    assert found.axes() == ["width"]


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        (["a", "b", "a", "c"], True),
        ([True, False, True, True], True),
        ([None, 0.1, 0.2, 0.3], False),  # None is not logged
        (["auto", 1, 2, 3], False),
        (["nan", 1, 2, 3], False),
        ([f"text {n}" for n in range(31)], False),
    ],
)
def test_an_axis_has_numbers_or_few_texts(values: list[Any], axis: bool):
    found = varied(*(trial(n, 0.1 * n, width=n, other=value) for n, value in enumerate(values)))
    assert found.axes() == (["other", "width"] if axis else ["width"])


def test_failed_trials_lack_a_score_and_take_no_axis_away():
    trials = [trial(n, n / 10, width=n) for n in range(4)]
    assert varied(*trials, trial(4, 0.9, "failed")).axes() == ["width"]


def test_of_many_parameters_the_most_influential_are_axes():
    chance = random.Random(0)
    trials = []
    for number in range(60):
        params: dict[str, Any] = {f"p{n:02}": chance.random() for n in range(15)} | {"kind": chance.choice("abc")}
        score = 2 * params["p03"] + 3 * (params["p11"] - 0.5) ** 2 + 0.5 * (params["kind"] == "b")
        trials.append(trial(number, score, **params))
    axes = varied(*trials).axes()
    assert len(axes) == MOST_AXES
    assert {"p03", "p11", "kind"} <= set(axes)
    assert axes == sorted(axes)


def test_columns_have_the_names_that_are_logged():
    found = varied(*(trial(n, 0.1, **{"größe|x": n, "dotted.name": {"inner": n}}) for n in range(2)))
    assert found.columns() == ["dotted.name.inner", "gr__e_x"]


def test_confirming_runs_do_not_vary():
    runs = [dataclasses.replace(trial(n, 0.1, width=n), confirms=Confirms(0, n)) for n in range(3)]
    assert varied(*runs, declared=["rate"]).columns() == ["rate"]


@pytest.mark.parametrize("make", [trials_tag, confirmation_tag])
def test_a_view_is_of_one_study_and_sorted_in_the_right_direction(make: Any):
    key, value = make(SHOWN)
    role = "trial" if make is trials_tag else "confirm"
    assert key.startswith("mlflow.sharedViewState.hpo-")
    assert key.endswith("-toy")
    found = unpacked((key, value))
    assert found["searchFilter"] == f"tags.hpo.role = '{role}' AND tags.mlflow.parentRunId = '{'a' * 32}'"
    assert (found["orderByKey"], found["orderByAsc"]) == ("metrics.`best_val_loss`", True)
    assert {"metrics.`best_val_loss`", "params.`width`", "params.`rate`"} <= set(found["selectedColumns"])
    # What a UI reads that knows no names of views.
    assert json.loads(value)["searchFilter"] == found["searchFilter"]
    sections = {section["uuid"] for section in found["compareRunSections"]}
    assert {card["metricSectionId"] for card in found["compareRunCharts"]} <= sections
    assert make(SHOWN) == (key, value)
    assert "metrics.`test_loss`" not in found["columnOrder"], "a column that no run has"
    assert "metrics.`test_loss`" in unpacked(make(dataclasses.replace(SHOWN, tested=True)))["columnOrder"]
    up = dataclasses.replace(SHOWN, objective=Objective(metric="val_accuracy", direction="maximize"))
    assert unpacked(make(up))["orderByAsc"] is False


def test_curves_of_a_cross_validated_study_are_those_of_its_first_fold():
    cards = unpacked(trials_tag(dataclasses.replace(SHOWN, folded=True)))["compareRunCharts"]
    assert [card["selectedMetricKeys"] for card in cards if card["type"] == "LINE"] == [
        ["fold_1_val_loss"],
        ["fold_1_loss", "fold_1_val_loss"],
    ]


def test_a_study_of_constants_has_no_parallel_coordinates():
    cards = unpacked(trials_tag(dataclasses.replace(SHOWN, columns=[], axes=[])))["compareRunCharts"]
    assert "PARALLEL" not in {card["type"] for card in cards}


@pytest.mark.parametrize("count", [1, 16, 60, 400])
@pytest.mark.parametrize("length", [8, 250])
@pytest.mark.parametrize("make", [trials_tag, confirmation_tag])
def test_a_view_fits_into_a_tag_whatever_varies(make: Any, length: int, count: int):
    chance = random.Random(count)
    names = ["".join(chance.choices(string.ascii_letters, k=length)) for _ in range(count)]
    metric = "val_" + "".join(chance.choices(string.ascii_letters, k=min(240, 2 * length)))
    shown = Shown("s" * 200, "b" * 32, 0, Objective(metric=metric, direction="maximize"), names, names[-MOST_AXES:])
    tag = make(shown)
    assert len(tag[0]) <= 250
    assert len(tag[1]) <= MAX_VIEW_LENGTH
    kept = [name for name in names if f"params.`{name}`" in unpacked(tag)["selectedColumns"]]
    assert len(kept) == count if count <= 16 and length == 8 else kept
    if make is trials_tag:
        (parallel,) = (card for card in unpacked(tag)["compareRunCharts"] if card["type"] == "PARALLEL")
        assert set(parallel["selectedParams"]) == set(names[-MOST_AXES:]) & set(kept)
