"""Commands to copy from a report, with the options for its stores but without passwords."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from hpo.text.urls import masked


@dataclass(frozen=True)
class Stores:
    """The options for the stores that the report's own command had; None where an option was not given."""

    home: Path | None = None
    storage: str | None = None
    tracking: str | None = None

    def read(self, command: str) -> str:
        """A command with the options of the study store only."""
        return command + _option("--home", self.home) + _option("--storage", self.storage)

    def all(self, command: str) -> str:
        """A command with the options of the study store and of MLflow's store."""
        return self.read(command) + _option("--tracking-uri", self.tracking)

    def ui(self, study: str) -> str:
        """The command that shows a study in MLflow's UI."""
        return f"hpo ui {study}" + _option("--home", self.home) + _option("--uri", self.tracking)


USUAL = Stores()
"""The stores of the default home folder, which need no options."""


def _option(name: str, value: Path | str | None) -> str:
    """An option with its value; empty where there is no value, or the value has a password."""
    text = "" if value is None else str(value)
    return f" {name} {shlex.quote(text)}" if text and masked(text) == text else ""
