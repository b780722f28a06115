"""The output of `hpo extend`, `hpo warm-start`, `hpo log` and `hpo copy`."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from hpo.cli.reuse.copy_study import CopiedStudy
from hpo.cli.reuse.extend import Begun
from hpo.cli.reuse.log_again import LoggedAgain
from hpo.text.console import print_commands


def print_begun(out: Console, begun: Begun, experiment: Path, options: Mapping[str, Sequence[Any]]) -> None:
    """Prints the new study, the trials that were left out, and the command that continues.

    `options` are those of the command, `--set` -> values; `hpo run` gets the same.
    """
    for warning in begun.warnings:
        out.print(f"warning: {warning}", soft_wrap=True)
    past = begun.taken + sum(begun.left_out.values())
    how = "has" if begun.counting else "knows"
    out.print(f"Study {begun.study} {how} {begun.taken} of the {past} trials of {begun.source}.", soft_wrap=True)
    for reason, count in begun.left_out.items():
        out.print(f"  {count} left out: {reason}")
    if begun.counting:
        left = "" if begun.budget is None else f" of {begun.budget}"
        out.print(f"They count as {begun.counting} trials{left} of the new study. Add trials with --trials.")
    else:
        out.print("They do not count as trials of the new study. Its sampler and pruner learn from them.")
    words = [word for option, values in options.items() for value in values if value for word in (option, str(value))]
    out.print()
    print_commands(out, (shlex.join(["hpo", "run", str(experiment), *words]), "continues from there"))


def begun_json(begun: Begun) -> dict[str, Any]:
    """The new study for programs."""
    return asdict(begun)


def print_copied(out: Console, copied: CopiedStudy) -> None:
    """Prints what was copied, what was not, and where the study goes on."""
    confirming = f" and {copied.confirming_runs} confirming runs" if copied.confirming_runs else ""
    out.print(
        f"Study {copied.study}: {copied.trials} trials{confirming} copied to {copied.target}.\n"
        f"Its models and checkpoints stay in {copied.home}, and are used from there: go on with the study in one "
        "of the two stores only.",
        soft_wrap=True,
    )
    if copied.logged is not None:
        print_logged(out, copied.logged)
    else:
        out.print(f"Its MLflow runs were not copied. With --tracking-uri URI, hpo log {copied.study} writes them.")
    out.print("\nTo use the copy, set HPO_STORAGE to its URL, or give it with --storage.")


def copied_json(copied: CopiedStudy) -> dict[str, Any]:
    """The copied study for programs."""
    return asdict(copied)


def print_logged(out: Console, logged: LoggedAgain) -> None:
    """Prints how much of a study MLflow now has."""
    confirming = f" and {logged.confirming_runs} confirming runs" if logged.confirming_runs else ""
    missing = f"{logged.repaired} of these runs were missing or unfinished" if logged.repaired else "none was missing"
    out.print(
        f"Study {logged.study}: {logged.trials} trials{confirming} in {logged.tracking_uri}; {missing}.", soft_wrap=True
    )


def logged_json(logged: LoggedAgain) -> dict[str, Any]:
    """The logged study for programs."""
    return asdict(logged)
