"""What a study says of itself before any figure, above all where it failed."""

from dataclasses import replace

import pytest

from hpo.report.answer import answer
from hpo.report.choice import choice_of
from hpo.report.copied_commands import Stores
from hpo.study.failure import Failure
from hpo.study.read import StudyView, read_study
from hpo.study.record import State, TrialRecord


@pytest.fixture(scope="module")
def view(store) -> StudyView:
    return read_study(store, "few")


def trial(
    number: int, state: State = "complete", value: float | None = None, failure: str | None = None
) -> TrialRecord:
    message = f"model.py:{number}: ValueError: no {failure}"
    why = Failure(failure, message, "Traceback (most recent call last):\n  ...") if failure else None
    curves = {} if value is None else {"val_accuracy": [value]}
    return TrialRecord(
        number, state, {"depth": 1}, 0, number, value=value, best_epoch=1 if value else None, curves=curves,
        failure=why,
    )  # fmt: skip


FAILED = [trial(number, "failed", failure="error") for number in range(5)]
PRUNED = [trial(number, "pruned") for number in range(3)]


@pytest.mark.parametrize(
    ("trials", "headline", "sure", "command"),
    [
        ([], "Nothing to use yet: no trial has started.", "Start one with hpo run and an experiment.", None),
        (FAILED, "Nothing to use: all 5 trials failed: model.py:4: ValueError: no error.", "are listed below", 4),
        (FAILED[:2], "Nothing to use: both trials failed: model.py:1: ValueError: no error.", "listed below", 1),
        (FAILED[:1], "Nothing to use: its only trial failed: model.py:0: ValueError: no error.", "trial 0", 0),
        (
            [*FAILED, trial(5, "failed", failure="nonfinite")],
            "Nothing to use: all 6 trials failed (5 error, 1 nonfinite): model.py:4: ValueError: no error.",
            "This was the error of trial 4",
            4,
        ),
        (PRUNED, "Nothing to use yet: none of its trials has a score (3 pruned).", "with folds", None),
        (
            [*PRUNED, trial(3, "failed", failure="timeout"), trial(4, "running")],
            "Nothing to use yet: none of its trials has a score (3 pruned, 1 failed, 1 running).",
            "Trial 3 failed: model.py:3: ValueError: no timeout.",
            3,
        ),
        ([trial(0, "running")], "Nothing to use yet: its only trial does not have a score (1 running).", "", None),
    ],
)  # fmt: skip
def test_where_nothing_can_be_used_the_headline_says_why_and_a_command_shows_more(
    view, trials, headline, sure, command
):
    said = answer(replace(view, trials=trials), Stores(storage="sqlite:///a.db"))
    assert (said.trial, said.headline) == (None, headline)
    assert sure in " ".join(said.sure)
    shown = [] if command is None else [f"hpo show few {command} --storage sqlite:///a.db"]
    assert [text for text, _ in said.next] == shown


def test_a_long_message_is_cut_in_the_headline(view):
    long = replace(FAILED[0], failure=Failure("error", "x" * 5000))
    assert len(answer(replace(view, trials=[long])).headline) < 260
    silent = replace(FAILED[0], failure=Failure("error"))
    headline = answer(replace(view, trials=[silent])).headline
    assert headline == "Nothing to use: its only trial failed: error, without a message."


def test_where_most_failed_the_answer_says_so(view):
    said = answer(replace(view, trials=[*FAILED, trial(5, value=0.5)]))
    assert said.headline == "Use trial 5."
    assert (
        "5 of the 6 trials failed, so the search tried little. Trial 4: model.py:4: ValueError: no error." in said.sure
    )
    assert [text.split()[1] for text, _ in said.next] == ["confirm", "export", "show"]
    one = answer(replace(view, trials=[FAILED[0], *(trial(number, value=0.5) for number in range(1, 4))]))
    assert not any("failed" in sentence for sentence in one.sure)


def test_the_command_to_confirm_asks_for_no_more_than_there_are(view):
    said = answer(replace(view, trials=[trial(0, value=0.5), trial(1, value=0.6)]))
    assert said.next[0] == ("hpo confirm few --top 2 --seeds 5", "trains the 2 best again with new seeds")
    alone = answer(replace(view, trials=[trial(0, value=0.5)]))
    assert alone.next[0] == ("hpo confirm few --top 1 --seeds 5", "trains it again with new seeds")


def test_the_choice_is_named_as_what_it_is(store, view):
    assert choice_of(view).name.startswith("best single run: trial ")
    assert choice_of(read_study(store, "confirmed")).name == "confirmed choice: trial 3"
    assert choice_of(replace(view, trials=FAILED)) is None
