"""The errors that hpo raises on purpose: one tree, with an exit code for each branch.

HpoError                      1    something failed
├── UserError                 2    a mistake that the user can correct
│   ├── FileMistakes               all mistakes of the YAML files at once
│   ├── DataError                  a dataset that is missing, broken or inconsistent
│   ├── ModelError                 a model that cannot be found or built
│   ├── InvalidSettings            a configuration that the experiment's sections do not allow
│   ├── StudyMismatch              a study of this name exists, with another definition
│   ├── StudyBusy                  another process is running this study
│   └── NotFound                   no such study, trial or file
├── AllFailed                 1    no trial of a study has a score
├── StudyFailed               3    too many trials failed in a row
├── StoreAway                 4    the store of studies was locked, full or not reached for too long
└── Interrupted         128 + n    by signal n: 130 Ctrl-C, 143 termination, 129 hang-up
"""

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from hpo.text.cleaning import clean


class HpoError(Exception):
    """Base of all errors of hpo; the message is meant for the user.

    A message may quote a URL or an error of the user's code. Credentials in it are masked, and control characters are
    spelled out.
    """

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        super().__init__(clean(message))

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows of the error: its message, since the frames of hpo say nothing to its user."""
        return [f"{type(self).__name__}: {self}"]


class UserError(HpoError):
    """A mistake that the user can correct: shown as a message, without a traceback."""

    exit_code = 2


@dataclass(frozen=True)
class Mistake:
    """One mistake in a file that a user wrote.

    `where` is `file:line` or the command-line option that set the value; `key` is the dotted path of the
    value; `message` states the rule and the value.
    """

    where: str
    key: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.message) if part)


class FileMistakes(UserError):
    """All mistakes found in the user's files; one line each."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(dict.fromkeys(mistakes))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class DataError(UserError):
    """A dataset that is missing, broken or inconsistent; the message names the file.

    `key` is the path of the experiment's key at fault, where there is one.
    """

    def __init__(self, message: str, key: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.key = key


class ModelError(UserError):
    """A model that cannot be found or built."""


class InvalidSettings(UserError):
    """A configuration that the experiment's sections do not allow; other configurations may be allowed."""


class StudyMismatch(UserError):
    """A study of this name exists, with another definition."""


class StudyBusy(UserError):
    """Another process is running this study."""


class NotFound(UserError):
    """No such study, trial or file."""


class AllFailed(HpoError):
    """No trial of a study has a score, and some failed; `result` is the result of the run."""

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


class StudyFailed(HpoError):
    """Too many trials failed in a row with the same error."""

    exit_code = 3


class StoreAway(HpoError):
    """The store of studies was locked, full or not reached for too long; the same command continues."""

    exit_code = 4


class Interrupted(HpoError):
    """The user asked to stop. Finished trials are kept, and the same command continues."""

    def __init__(self, message: str, number: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.number = number
        self.exit_code = 128 + number


def first_line(error: BaseException) -> str:
    """The first line of an error's message; the error's type where it has none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def nearest(name: object, valid: Iterable[str]) -> str:
    """Returns `did you mean X?`, or the list of all valid names where none is near."""
    names = [str(candidate) for candidate in valid]
    close = get_close_matches(str(name), names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"valid: {', '.join(names)}"
