"""What `hpo extend`, `hpo warm-start` and `hpo log` print: what was taken over, what was told."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from hpo.reuse.extend import Begun
from hpo.reuse.log_again import Told


def print_begun(out: Console, begun: Begun, experiment: Path, options: Mapping[str, Sequence[Any]]) -> None:
    """The new study, what was left out, and how to go on: by `hpo run` with the same options, `--set` -> values."""
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
    out.print(f"\n  {shlex.join(['hpo', 'run', str(experiment), *words])}   # continues from there", soft_wrap=True)


def begun_json(begun: Begun) -> dict[str, Any]:
    """The same for programs."""
    return asdict(begun)


def print_told(out: Console, told: Told) -> None:
    """What MLflow has of a study now."""
    confirming = f" and {told.confirming_runs} confirming runs" if told.confirming_runs else ""
    missing = f"{told.mended} of these runs were missing or unfinished" if told.mended else "none of them was missing"
    out.print(
        f"Study {told.study}: {told.trials} trials{confirming} in {told.tracking_uri}; {missing}.", soft_wrap=True
    )


def told_json(told: Told) -> dict[str, Any]:
    """The same for programs."""
    return asdict(told)
