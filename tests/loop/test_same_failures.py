"""Which failures in a row end a study."""

from hpo.loop.same_failures import SameFailures
from hpo.study.failure import Failure


def complaint(*failures: Failure | None, succeeded: bool = False) -> str | None:
    """What a study is given up for after these failures; None stands for a trial that succeeded."""
    counted = SameFailures(succeeded)
    for failure in failures:
        if failure is None:
            counted.succeed()
        else:
            counted.fail(failure)
    return counted.complaint


def test_three_in_a_row_with_the_same_error_are_too_many() -> None:
    bug, other = Failure("error", "m.py:3: no\nmore"), Failure("error", "m.py:4: no")
    assert complaint(bug, bug) is None
    assert complaint(bug, bug, bug) == "3 configurations in a row failed with the same error: error: m.py:3: no"
    assert complaint(bug, bug, other, bug) is None
    assert complaint(bug, bug, None, bug, bug) is None


def test_failures_with_varying_messages_are_counted_by_reason() -> None:
    dead = [Failure("killed", f"pid {number}") for number in range(3)]
    assert complaint(*dead, succeeded=True) == "3 configurations in a row failed with the same error: killed"


def test_failures_due_to_configurations_count_until_a_trial_succeeds() -> None:
    lost = Failure("nonfinite", "loss is nan")
    assert complaint(lost, lost, lost) is not None
    assert complaint(lost, lost, lost, succeeded=True) is None
    bug = Failure("error", "no")
    assert complaint(bug, bug, lost, bug, succeeded=True) is None


def test_thirty_configurations_without_a_model_end_the_study() -> None:
    invalid = Failure("invalid", "too deep")
    assert complaint(*[invalid] * 29) is None
    assert complaint(*[invalid] * 30) is not None


def test_a_fatal_error_ends_the_study_at_once() -> None:
    assert complaint(Failure("fatal", "FatalValueError: no"), succeeded=True) == (
        "the code of the model ended the study: FatalValueError: no"
    )
