"""What `hpo confirm` prints: the decision in words and the table of finalists; JSON for programs."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from hpo.confirm.confirmation import Confirmation, Finalist
from hpo.confirm.decision import overstated, sentences, verdict
from hpo.experiment import Objective

if TYPE_CHECKING:
    from hpo.confirm.confirm import Confirmed


def print_confirmed(out: Console, confirmed: "Confirmed") -> None:
    """The finalists, best mean first, and below them the decision."""
    confirmation = confirmed.confirmation
    why = {"done": "done", "timeout": "out of time, the same command goes on"}.get(confirmed.ended, confirmed.ended)
    runs = f"{confirmed.trained} runs trained" if confirmed.trained else "nothing was left to train"
    out.print(f"\nConfirmation of {confirmed.name}: {why} after {confirmed.seconds:.0f} s; {runs}")
    out.print(finalist_table(confirmation))
    for sentence in sentences(confirmation, confirmed.objective):
        out.print(sentence, soft_wrap=True)
    home = "" if confirmed.home == confirmed.home.cwd() / "mlruns" else f" --home {confirmed.home}"
    out.print(
        f"\n  hpo export {confirmed.name}{home} --to best.yaml --model best.keras   # take it home", soft_wrap=True
    )


def finalist_table(confirmation: Confirmation) -> Table:
    """A line for each finalist."""
    columns = ("trial", "verdict", "searched", "mean", "deviation", "95% interval", "seeds", "p", "weights", "seconds")
    title = f"{confirmation.metric} of the finalists over fresh seeds"
    table = Table(*columns, title=title, title_justify="left")
    for one in confirmation.finalists:
        table.add_row(
            str(one.trial), verdict(one, confirmation), f"{one.searched:.4f}", *_estimated(one), str(len(one.values)),
            "-" if one.p_value is None else f"{one.p_value:.3g}",
            "-" if one.model_parameters is None else f"{one.model_parameters:,}",
            "-" if one.seconds is None else f"{one.seconds:.1f}",
            style="bold" if one.trial == confirmation.chosen else None,
        )  # fmt: skip
    return table


def confirmed_json(confirmed: "Confirmed") -> dict[str, Any]:
    """The same for programs."""
    return {
        "study": confirmed.name, "ended": confirmed.ended, "trained": confirmed.trained,
        "seconds": confirmed.seconds, **confirmation_json(confirmed.confirmation, confirmed.objective),
    }  # fmt: skip


def confirmation_json(confirmation: Confirmation, objective: Objective) -> dict[str, Any]:
    """A confirmation as it is stored, with what follows from it."""
    finalists = [
        {**one.model_dump(mode="json"), "verdict": verdict(one, confirmation), "overstated": overstated(one, objective)}
        for one in confirmation.finalists
    ]
    decision = list(sentences(confirmation, objective))
    return {**confirmation.model_dump(mode="json"), "finalists": finalists, "decision": decision}


def _estimated(one: Finalist) -> tuple[str, str, str]:
    if one.validation is None:
        return "-", "-", "-"
    found = one.validation
    return f"{found.mean:.4f}", f"{found.deviation:.4f}", f"{found.low:.4f} to {found.high:.4f}"
