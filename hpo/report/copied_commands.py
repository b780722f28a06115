"""Commands to be copied from a report: with the options that name its stores, and no password in them."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from hpo.text.urls import masked


@dataclass(frozen=True)
class Stores:
    """Where a report was told to look, as its own command was; None where it looked in the usual place."""

    home: Path | None = None
    storage: str | None = None
    tracking: str | None = None

    def read(self, command: str) -> str:
        """A command that reads or writes the studies alone."""
        return command + _option("--home", self.home) + _option("--storage", self.storage)

    def all(self, command: str) -> str:
        """A command that takes MLflow's store as well."""
        return self.read(command) + _option("--tracking-uri", self.tracking)

    def ui(self, study: str) -> str:
        """The command that shows a study in MLflow's UI."""
        return f"hpo ui {study}" + _option("--home", self.home) + _option("--uri", self.tracking)


USUAL = Stores()
"""The stores of the home folder that needs no naming."""


def _option(name: str, value: Path | str | None) -> str:
    """An option with its value; without both where the value has a password."""
    text = "" if value is None else str(value)
    return f" {name} {shlex.quote(text)}" if text and masked(text) == text else ""
