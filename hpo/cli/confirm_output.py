"""The output of `hpo confirm`: the table of finalists and the decision in words; JSON for programs."""

from typing import TYPE_CHECKING, Any

from rich.console import Console

from hpo.config.experiment import Objective
from hpo.statistics.decision import overstated, sentences, verdict
from hpo.statistics.sampling import clause, tested
from hpo.study.confirmation import Confirmation
from hpo.text.console import print_commands
from hpo.text.tables import Column, print_table
from hpo.text.values import NOTHING, count, duration, interval, number, score

if TYPE_CHECKING:
    from hpo.confirm.confirm import Confirmed

_MORE = "the same command with --wide shows them, and trains nothing again"


def print_confirmed(out: Console, confirmed: "Confirmed", wide: bool = False) -> None:
    """Prints the finalists, best mean first, and the decision below them."""
    confirmation = confirmed.confirmation
    why = {"done": "done", "timeout": "out of time, the same command continues"}.get(confirmed.ended, confirmed.ended)
    runs = f"{confirmed.trained} run{'s' if confirmed.trained > 1 else ''} trained"
    kept = f", {confirmed.kept} kept from earlier calls" if confirmed.kept else ""
    runs = f"{runs}{kept}" if confirmed.trained else "nothing was left to train"
    out.print(f"\nConfirmation of {confirmed.name}: {why} after {duration(round(confirmed.seconds))}; {runs}")
    chosen = [one.trial for one in confirmation.finalists].index(confirmation.chosen)
    title = f"{confirmation.metric} of the finalists over new seeds; all intervals hold at once"
    print_table(out, finalist_columns(confirmation), title=title, wide=wide, more=_MORE, bold=chosen)
    for sentence in sentences(confirmation, confirmed.objective):
        out.print(sentence)
    home = "" if confirmed.home == confirmed.home.cwd() / "mlruns" else f" --home {confirmed.home}"
    out.print()
    print_commands(
        out,
        (f"hpo export {confirmed.name}{home} --to best.yaml --model best.keras", "save it and its model"),
        (f"hpo ui {confirmed.name}{home}", "the trials and these runs in the MLflow UI"),
    )


def finalist_columns(confirmation: Confirmation) -> list[Column]:
    """A row for each finalist."""
    found = confirmation.finalists
    means = [one.validation for one in found]
    return [
        Column("trial", [str(one.trial) for one in found]),
        Column("verdict", [verdict(one, confirmation) for one in found], 1, text=True),
        Column("searched", [score(one.searched) for one in found], 3),
        Column("mean", [score(one.mean if one else None) for one in means]),
        Column("deviation", [score(one.deviation if one else None) for one in means], 4),
        Column("95% interval", [NOTHING if one is None else interval(one.low, one.high) for one in means], 2),
        Column("seeds", [str(len(one.values)) for one in found], 6),
        Column("p", [number(one.p_value) for one in found], 5),
        Column("size", [count(one.model_parameters) for one in found], 7),
        Column("time", [duration(one.seconds) for one in found], 8),
    ]


def confirmed_json(confirmed: "Confirmed") -> dict[str, Any]:
    """The result of a confirmation for programs."""
    return {
        "study": confirmed.name, "ended": confirmed.ended, "trained": confirmed.trained, "kept": confirmed.kept,
        "seconds": confirmed.seconds, **confirmation_json(confirmed.confirmation, confirmed.objective),
    }  # fmt: skip


def confirmation_json(confirmation: Confirmation, objective: Objective) -> dict[str, Any]:
    """A confirmation as it is stored, with the verdicts and the decision that follow from it.

    Intervals of test scores cover the sampling of examples too, where that is known.
    """
    finalists = [
        {**one.model_dump(mode="json"), "verdict": verdict(one, confirmation), "overstated": overstated(one, objective)}
        for one in confirmation.finalists
    ]
    decision = list(sentences(confirmation, objective))
    scores = {name: estimate.model_dump(mode="json") for name, (estimate, _) in tested(confirmation).items()}
    stored = confirmation.model_dump(mode="json")
    return {**stored, "test": scores, "sampling": clause(confirmation), "finalists": finalists, "decision": decision}
