"""Why a trial failed, in a word, in a line and in full; and what is run again."""

import pytest

from hpo.study.failure import Failure, runs_again


def test_a_failure_as_one_line_and_in_full() -> None:
    bug = Failure("error", "m.py:3: ValueError: no\nsuch thing\n", "Traceback ...\n")
    assert (str(bug), bug.line) == ("error: m.py:3: ValueError: no", "m.py:3: ValueError: no")
    assert bug.text == "m.py:3: ValueError: no\nsuch thing\n\nTraceback ..."
    assert (str(Failure("killed")), Failure("killed").text) == ("killed", "")


@pytest.mark.parametrize(
    ("reason", "deaths", "again"),
    [
        ("lost", 9, True), ("interrupted", 9, True), ("killed", 2, True), ("crashed", 3, False), ("error", 0, False),
        (None, 0, False),
    ],
)  # fmt: skip
def test_interrupted_trials_run_again_and_crashed_ones_up_to_retries(
    reason: str | None, deaths: int, again: bool
) -> None:
    assert runs_again(reason, deaths, retries=2) is again
