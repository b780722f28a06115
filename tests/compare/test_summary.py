"""Several studies side by side: areas under hand-made curves, differences in definitions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from hpo.compare.sentences import noise_floor_sentence, study_sentences
from hpo.compare.summary import differences, summaries
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.study.read import StudyView
from hpo.study.record import TrialRecord

BEGAN = datetime(2026, 3, 1, 12, 0, 0)


def trial(number: int, value: float | None, start: float, end: float) -> TrialRecord:
    record = TrialRecord(number, "failed" if value is None else "complete", {}, 0, number, value=value)
    return replace(record, started=BEGAN + timedelta(seconds=start), ended=BEGAN + timedelta(seconds=end))


def study(name: str, *trials: TrialRecord, metric: str = "val_accuracy", **experiment: Any) -> StudyView:
    direction = "maximize" if metric == "val_accuracy" else "minimize"
    identity = {
        "objective": {"metric": metric, "direction": direction}, "dataset": {"name": "d", "digest": "0"},
        "search_space": {"model": "mlp", "parameters": {}}, "seed": 0,
    }  # fmt: skip
    return StudyView(name, identity, {}, {"name": name, **experiment}, {"keras": "3.15"}, trials, "sqlite://")


SHORT = study("short", trial(0, 0.5, 0, 10), trial(1, 0.9, 10, 20))
# The same in twice the trials and the time, and much more afterwards.
LONG = study(
    "long", trial(0, 0.4, 0, 10), trial(1, 0.5, 10, 20), *(trial(n, 0.95, 10 * n, 10 * n + 10) for n in range(2, 9))
)


def test_averages_are_taken_over_the_length_of_the_shortest() -> None:
    short, long = summaries([SHORT, LONG])
    # Two trials each. Both have a score from second 10 on.
    assert short.by_trials == pytest.approx((0.5 + 0.9) / 2)
    assert long.by_trials == pytest.approx((0.4 + 0.5) / 2)
    assert (short.by_time, long.by_time) == (0.5, 0.4)
    assert (short.best, short.trial, short.trials, short.seconds) == (0.9, 1, 2, 20)
    assert (long.best, long.trials, long.seconds) == (0.95, 9, 90)
    assert (short.behind, long.behind) == (pytest.approx(0.05), 0)


def test_pauses_between_two_runs_do_not_count_and_two_workers_count_once() -> None:
    paused = study("paused", trial(0, 0.5, 0, 10), trial(1, 0.7, 5, 12), trial(2, 0.9, 5000, 5010))
    (line,) = summaries([paused])
    assert line.seconds == 22
    # 0.5 from second 10 on, 0.7 from second 12 on; the last came at the very end.
    assert line.by_time == pytest.approx((0.5 * 2 + 0.7 * 10) / 12)


def test_a_short_trial_inside_a_longer_one_of_two_workers_counts_once() -> None:
    (line,) = summaries([study("s", trial(0, 0.5, 0, 10), trial(1, 0.7, 2, 4), trial(2, 0.9, 20, 30))])
    assert line.seconds == 20
    # The short one ends first; the long one is no better; the last ends it.
    assert line.by_time == pytest.approx(0.7)


def test_each_pause_is_left_out_of_the_clock_and_what_overlaps_counts_once() -> None:
    """Three spans of work: 0 to 10, 100 to 112 by two workers, 200 to 206; 28 seconds in all."""
    trials = [
        trial(0, 0.2, 0, 10), trial(1, 0.4, 100, 108), trial(2, 0.6, 104, 112), trial(3, 0.8, 200, 203),
        trial(4, 0.9, 203, 206),
    ]  # fmt: skip
    (line,) = summaries([study("s", *trials)])
    assert line.seconds == 28
    # 0.2 from second 10 on, 0.4 from 18, 0.6 from 22, 0.8 from 25, 0.9 at the very end.
    assert line.by_time == pytest.approx((0.2 * 8 + 0.4 * 4 + 0.6 * 3 + 0.8 * 3) / 18)
    assert line.by_trials == pytest.approx((0.2 + 0.4 + 0.6 + 0.8 + 0.9) / 5)


def test_running_trials_and_trials_without_times_are_not_counted() -> None:
    running = replace(trial(1, None, 10, 20), state="running", ended=None)
    begun = replace(trial(2, 0.9, 20, 30), started=None)
    (line,) = summaries([study("s", trial(0, 0.5, 0, 10), running, begun)])
    assert (line.trials, line.seconds, line.by_trials) == (1, 10, 0.5)


def test_trials_count_in_the_order_of_their_ends_and_less_than_a_second_counts_too() -> None:
    (line,) = summaries([study("s", trial(0, 0.9, 0, 0.5), trial(1, 0.5, 0, 0.25))])
    # 0.5 at a quarter of a second, and 0.9 at the end.
    assert (line.trial, line.seconds) == (0, 0.5)
    assert (line.by_time, line.by_trials) == (pytest.approx(0.5), pytest.approx(0.7))


def test_a_study_without_a_score_is_behind_nobody_and_shortens_nobody() -> None:
    empty = study("empty", trial(0, None, 0, 1))
    first, second = summaries([SHORT, empty])
    assert (first.behind, first.by_trials) == (0, pytest.approx((0.5 + 0.9) / 2))
    assert (second.best, second.trial, second.behind, second.by_time) == (None, None, None, None)
    (alone,) = summaries([study("none")])
    assert (alone.trials, alone.seconds, alone.by_time) == (0, 0, None)


def test_a_pruned_trial_has_a_score_and_a_failed_one_has_none() -> None:
    pruned = replace(trial(0, 0.9, 0, 10), state="pruned")
    failed = replace(trial(1, 0.95, 10, 20), state="failed")
    # A trial of folds that was stopped has none.
    folds = replace(trial(2, None, 20, 30), state="pruned")
    (folded,) = summaries([study("s", folds)])
    assert (folded.best, folded.by_trials) == (None, None)
    (line,) = summaries([study("s", pruned, failed)])
    assert (line.best, line.trial, line.by_trials) == (0.9, 0, pytest.approx(0.9))


def test_single_runs_are_measured_in_noise_floors_where_both_are_known() -> None:
    half, whole = study("half", trial(0, 0.5, 0, 1)), study("whole", trial(0, 1.0, 0, 1))
    known = [confirmed(half, 0.1), confirmed(whole, 0.25)]
    line, best = summaries(known)
    assert (line.behind, line.noise_floors_behind, line.noise_floor) == (0.5, 2.0, 0.1)
    assert (best.behind, best.noise_floors_behind) == (0, 0)
    for views in ([known[0], whole], [half, known[1]], [half, whole]):
        lines = summaries(views)
        assert lines[0].noise_floors_behind is None
        assert [one.verdict for one in lines] == [None, None]


def test_a_failed_trial_takes_its_time_and_scores_nothing() -> None:
    (line,) = summaries([study("s", trial(0, None, 0, 10), trial(1, 0.5, 10, 20), trial(2, 0.6, 20, 30))])
    assert (line.trials, line.by_trials) == (3, pytest.approx(0.55))
    (empty,) = summaries([study("s", trial(0, None, 0, 10))])
    assert (empty.best, empty.by_trials, empty.by_time, empty.behind, empty.by_time_ahead) == (None,) * 5


def test_of_losses_the_lower_curve_is_the_better() -> None:
    losses = study("loss", trial(0, 2.0, 0, 10), trial(1, 1.0, 10, 20), trial(2, 3.0, 20, 30), metric="val_loss")
    late = study("late", trial(0, 1.5, 0, 15), trial(1, 1.4, 15, 30), metric="val_loss")
    first, second = summaries([losses, late])
    assert first.by_trials == pytest.approx((2.0 + 1.0) / 2)
    assert second.by_trials == pytest.approx((1.5 + 1.4) / 2)
    assert (first.behind, second.behind) == (0, pytest.approx(0.4))


def test_other_objectives_are_compared_with_their_like_alone() -> None:
    losses = study("loss", trial(0, 2.0, 0, 10), metric="val_loss")
    assert [line.behind for line in summaries([SHORT, LONG, losses])] == [pytest.approx(0.05), 0, 0]


def confirmed(view: StudyView, floor: float, values: Sequence[float] = (0.5, 0.5)) -> StudyView:
    """The study with a confirmation of one finalist."""
    score = Estimate(mean=sum(values) / len(values), deviation=floor, low=0.4, high=0.6, seeds=len(values))
    finalist = Finalist(
        trial=0, searched=0.5, values=dict(enumerate(values)), validation=score, p_value=None, tied=True,
        model_parameters=None, seconds=None,
    )  # fmt: skip
    found = Confirmation(metric=view.objective.metric, finalists=(finalist,), chosen=0, noise_floor=floor, test={})
    return replace(view, confirmation=found)


def test_confirmed_means_and_resampled_orders_say_which_study_is_better() -> None:
    good = confirmed(study("good", *SHORT.trials), 0.01, (0.8, 0.81, 0.79, 0.8, 0.8))
    bad = confirmed(study("bad", *LONG.trials), 0.01, (0.7, 0.71, 0.69, 0.7, 0.7))
    near = confirmed(study("near", *SHORT.trials), 0.01, (0.79, 0.8, 0.8, 0.81, 0.79))
    losses = study("losses", trial(0, 2.0, 0, 10), metric="val_loss")
    lines = summaries([good, bad, near, losses])
    assert [line.verdict for line in lines] == ["best", "worse", "cannot be told apart", None]
    assert lines[1].confirmed_behind == pytest.approx(0.1)
    assert (lines[0].by_trials_ahead or 0) + (lines[1].by_trials_ahead or 0) < 1
    assert lines[3].by_trials_ahead is None
    text = " ".join(study_sentences(lines))
    assert "By confirmed means, good has the best val_accuracy, 0.8000; bad is worse, 0.1000 behind (p = " in text
    assert "near cannot be told apart from it" in text
    assert "Which study was better by trials" in text
    only = " ".join(study_sentences(summaries([good, SHORT])))
    assert "hpo confirm compares studies by means over seeds: short is not confirmed." in only
    assert "not the same" not in text + only
    dataset = {"name": "d", "digest": "1"}
    other = replace(near, name="other", identity={**near.identity, "dataset": dataset})
    text = next(study_sentences(summaries([good, other])))
    assert text.startswith("The data of good and other, or their split, are not the same")
    assert list(study_sentences(summaries([losses]))) == []


def test_the_noise_floor_says_where_it_comes_from() -> None:
    assert noise_floor_sentence(SHORT) is None
    view = confirmed(study("s", *(trial(n, 0.5, n, n + 1) for n in range(30))), 0.01)
    sentence = noise_floor_sentence(view) or ""
    assert "from 2 confirming runs of one finalist" in sentence
    assert "of 30 equal configurations, the average one would be 2.0 noise floors behind the best" in sentence


def test_differences_are_flat_keys_and_only_those_that_differ() -> None:
    one = study("one", training={"epochs": 20, "early_stopping": {"patience": 3}}, study={"trials": 5})
    other = study("other", training={"epochs": 40, "early_stopping": None}, study={"trials": 5})
    other = replace(other, versions={"keras": "3.16"})
    assert differences([one, other]) == {
        "training.epochs": {"one": 20, "other": 40},
        "training.early_stopping.patience": {"one": 3},
        "versions.keras": {"one": "3.15", "other": "3.16"},
    }
    assert differences([one, replace(one, name="same")]) == {}
    # The seed and the name are no difference; what one of three studies lacks is.
    identity = {**one.identity, "seed": 5, "dataset": {"name": "d", "digest": "1"}}
    third = replace(one, name="third", identity=identity, experiment={**one.experiment, "dataset": {"limit": 9}})
    second = replace(one, name="two")
    assert differences([one, second, third]) == {
        "dataset.digest": {"one": "0", "two": "0", "third": "1"},
        "dataset.limit": {"third": 9},
    }
