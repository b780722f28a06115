"""A confirmation in words: each sentence, and when it is said."""

from typing import Any

import pytest

from hpo.config.experiment import Objective
from hpo.statistics.decision import leader, markdown, overstated, sentences, verdict
from hpo.study.confirmation import Confirmation, Estimate, Finalist

ACCURACY = Objective.model_validate("val_accuracy")
LOSS = Objective.model_validate("val_loss")


def finalist(trial: int, mean: float | None = 0.9, **more: Any) -> Finalist:
    seeds = len(more.setdefault("values", {1: 0.9, 2: 0.9, 3: 0.9}))
    validation = (
        None if mean is None else Estimate(mean=mean, deviation=0.01, low=mean - 0.02, high=mean + 0.03, seeds=seeds)
    )
    known = {"searched": 0.93, "p_value": 0.2, "tied": True, "model_parameters": 100, "seconds": 5.0, **more}
    return Finalist(trial=trial, validation=validation, **known)


def confirmation(*finalists: Finalist, chosen: int, **more: Any) -> Confirmation:
    known = {"metric": "val_accuracy", "noise_floor": 0.0123, "test": {}, **more}
    return Confirmation(finalists=finalists, chosen=chosen, **known)


def said(found: Confirmation, objective: Objective = ACCURACY) -> list[str]:
    return list(sentences(found, objective))


def test_a_confirmation_of_one_finalist_recommends_it_and_compares_nothing() -> None:
    assert said(confirmation(finalist(3, p_value=None), chosen=3)) == [
        "Use trial 3: val_accuracy 0.9000 (0.8800 to 0.9300 at 95%), 3 seeds.",
        "The search overstated it by 0.0300: its score there was 0.9300.",
        "Noise floor: 0.0123, the standard deviation from seed to seed; single trials differ by as much through luck "
        "alone.",
    ]


@pytest.mark.parametrize(
    ("objective", "searched", "difference", "word"),
    [(ACCURACY, 0.95, 0.05, "overstated"), (ACCURACY, 0.9, 0.0, "overstated"), (ACCURACY, 0.8, -0.1, "understated"),
     (LOSS, 0.95, -0.05, "understated"), (LOSS, 0.8, 0.1, "overstated")],
)  # fmt: skip
def test_the_search_overstates_what_was_better_there(
    objective: Objective, searched: float, difference: float, word: str
) -> None:
    one = finalist(3, searched=searched)
    assert overstated(one, objective) == pytest.approx(difference)
    told = f"The search {word} it by {abs(difference):.4f}: its score there was {searched:.4f}."
    assert told in said(confirmation(one, chosen=3), objective)
    assert overstated(finalist(3, None), objective) is None


def test_a_cheaper_finalist_among_the_tied_is_recommended_for_its_size_or_its_time() -> None:
    first, second, third = finalist(1, 0.92, p_value=None), finalist(2, 0.91, model_parameters=50), finalist(4, 0.905)
    told = said(confirmation(first, second, third, chosen=2))
    assert told[1:3] == [
        "Trial 1 has the best mean, 0.9200; trial 2 cannot be told apart from it (p = 0.2) and is cheaper: 50 model "
        "parameters against 100.",
        "Cannot be told apart from the best mean: trial 4.",
    ]
    quicker = finalist(2, 0.91, seconds=2.5)
    told = said(confirmation(first, quicker, third, finalist(5, 0.9), chosen=2))
    assert told[1].endswith("and is cheaper: 2.5 s of training against 5.0 s.")
    assert told[2] == "Cannot be told apart from the best mean: trials 4 and 5."
    unknown = [finalist(1, 0.92, p_value=None, seconds=None), finalist(2, 0.91, seconds=None)]
    assert "0 s of training against 0 s" in said(confirmation(*unknown, chosen=2))[1]


def test_where_the_best_mean_is_chosen_the_others_that_are_tied_are_named() -> None:
    told = said(confirmation(finalist(1, 0.92, p_value=None), finalist(2, 0.91), chosen=1))
    assert told[1] == "Cannot be told apart from the best mean: trial 2."
    assert not any("has the best mean" in line for line in told)


def test_each_finalist_that_is_not_chosen_is_named_with_the_reason() -> None:
    worse = [finalist(number, 0.8, tied=False, p_value=0.001) for number in (5, 6)]
    out = finalist(7, 0.7, tied=False, p_value=0.0001, stopped_early=True, values={1: 0.7})
    unstable = finalist(8, 0.95, tied=False, failures={1: "nonfinite", 2: "nonfinite", 3: "timeout"}, p_value=None)
    barely = finalist(9, None, tied=False, p_value=None, values={1: 0.7})
    found = confirmation(unstable, finalist(1, p_value=None), *worse, out, barely, chosen=1)
    assert leader(found).trial == 1
    assert [verdict(one, found) for one in found.finalists] == [
        "failed on 3 seeds", "chosen", "worse", "worse", "worse", "too few runs",
    ]  # fmt: skip
    failures = dict.fromkeys(range(4), "error")
    gone = finalist(10, None, tied=False, p_value=None, stopped_early=True, values={}, failures=failures)
    assert "Out of the race after 4 seeds: trial 10." in said(confirmation(*found.finalists, gone, chosen=1))
    told = said(found)
    assert "Worse than the best mean by more than chance (p < 0.05): trials 5, 6 and 7." in told
    assert "Out of the race after 1 seed: trial 7." in told
    assert "Trial 8 failed on 3 seeds (nonfinite and timeout): see its runs in MLflow." in told
    assert not any("told apart" in line or "small differences" in line for line in told)


def test_a_choice_within_the_margin_says_how_much_worse_it_may_be() -> None:
    first, second = finalist(1, 0.92, p_value=None), finalist(2, 0.91, model_parameters=50)
    told = said(confirmation(first, second, chosen=2, margin=0.02, may_cost=0.0345))
    assert told[1] == (
        "Trial 1 has the best mean, 0.9200; trial 2 is within 0.02 of it and cheaper: 50 model parameters against 100. "
        "It may be worse by up to 0.0345 (at 95%)."
    )


@pytest.mark.parametrize(
    ("seeds", "others", "basis"),
    [(2, 3, "the 2 seeds since the last look, the choice allowed for."), (3, 0, "3 seeds."), (3, 1, "3 seeds."),
     (3, 2, "3 seeds, the choice allowed for.")],
)  # fmt: skip
def test_what_an_interval_rests_on_is_said(seeds: int, others: int, basis: str) -> None:
    expected = Estimate(mean=0.89, deviation=0.01, low=0.87, high=0.91, seeds=seeds)
    found = confirmation(*(finalist(number) for number in range(others + 1)), chosen=0, expected=expected)
    assert said(found)[0] == f"Use trial 0: val_accuracy 0.8900 (0.8700 to 0.9100 at 95%), {basis}"
    assert "The search overstated it by 0.0400: its score there was 0.9300." in said(found)


def test_seeds_that_were_added_after_a_look_say_what_that_costs() -> None:
    assert not any("look" in line for line in said(confirmation(finalist(3), chosen=3, looks=(8,))))
    told = said(confirmation(finalist(3), chosen=3, looks=(8, 17)))[-1]
    assert told.startswith("Seeds were added after a look at the results, so this is look 2.")
    assert told.endswith("Equal finalists are called worse in up to 5% of studies at each look.")


@pytest.mark.parametrize(("seeds", "few"), [(2, True), (3, False)])
def test_fewer_than_three_seeds_tell_little(seeds: int, few: bool) -> None:
    told = said(confirmation(finalist(3, values=dict.fromkeys(range(seeds), 0.9)), chosen=3))
    hint = "2 seeds cannot show small differences; the same command with more --seeds adds to them."
    assert (hint in told) is few


def test_test_scores_are_said_after_the_choice() -> None:
    score = Estimate(mean=0.8, deviation=0.1, low=0.7, high=0.9, seeds=3)
    told = said(confirmation(finalist(3), chosen=3, test={"accuracy": score, "auc": score}))
    interval = "0.8000 (0.7000 to 0.9000 at 95%)"
    assert told[1] == f"On the test part, looked at after the choice: accuracy {interval} and auc {interval}."


def test_as_markdown_there_is_a_line_for_each_finalist() -> None:
    found = confirmation(finalist(3), finalist(4, None, tied=False, p_value=None), chosen=3)
    lines = markdown(found, ACCURACY).splitlines()
    assert lines[-4:] == [
        "| trial | searched | confirmed val_accuracy | |",
        "|---|---|---|---|",
        "| 3 | 0.9300 | 0.9000 (0.8800 to 0.9300 at 95%) | chosen |",
        "| 4 | 0.9300 | - | too few runs |",
    ]
