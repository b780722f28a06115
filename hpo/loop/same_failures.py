"""When a study is given up: a FatalError, or too many configurations in a row that failed with the same error."""

from hpo.study.failure import Failure

# A study ends after this many failures in a row.
_MOST = 3
# Many configurations in a row may make no model, and each costs only milliseconds.
_MOST_INVALID = 30
# Failures that are due to the configuration rather than to the code or the machine. They end a study only before
# anything has succeeded: with a wide range of learning rates, three divergences in a row are no surprise.
_OF_CONFIGURATION = ("nonfinite", "invalid", "timeout")


class SameFailures:
    """Counts the configurations that failed in a row with the same error."""

    def __init__(self, succeeded: bool) -> None:
        """`succeeded`: whether any trial of the study has succeeded yet."""
        self._succeeded = succeeded
        self._error = ""
        self._count = 0
        self.complaint: str | None = None
        """Why the study is given up; None as long as it goes on."""

    def succeed(self) -> None:
        """A trial succeeded."""
        self._succeeded, self._count = True, 0

    def fail(self, failure: Failure) -> None:
        """A configuration failed for good."""
        if failure.reason == "fatal":
            self.complaint = f"the code of the model ended the study: {failure.line}"
        if self._succeeded and failure.reason in _OF_CONFIGURATION:
            self._count = 0
            return
        # The messages of dead workers and of losses that are not finite may differ each time.
        error = str(failure) if failure.reason in ("error", "invalid") else failure.reason
        self._count = self._count + 1 if error == self._error else 1
        self._error = error
        if self._count >= (_MOST_INVALID if failure.reason == "invalid" else _MOST):
            self.complaint = f"{self._count} configurations in a row failed with the same error: {error}"
