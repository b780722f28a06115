"""The output of `hpo run` at its end: the best trials, the stores, and commands to continue with."""

from typing import TYPE_CHECKING, Any

from rich.console import Console

from hpo.cli.trial_output import TOP, print_best, print_remarks, trial_json
from hpo.study.record import count_states, ranked
from hpo.text.console import print_commands
from hpo.text.values import counts, duration

if TYPE_CHECKING:
    from hpo.run import Result

_WHY = {
    "done": "done",
    "timeout": "out of time",
    "target": "target reached",
    "worthwhile": "done, since another tenth of the budget is expected to gain too little,",
    "exhausted": "done, all configurations of the search space were tried,",
}


def print_result(out: Console, result: "Result") -> None:
    """Prints the result of a run."""
    from hpo.tracking.links import server_address

    states = counts(count_states(result.trials))
    out.print(f"\nStudy {result.name}: {_WHY[result.ended]} after {duration(round(result.seconds))}; trials: {states}")
    best = ranked(result.trials, result.objective)[:TOP]
    home = "" if result.home == type(result.home).cwd() / "mlruns" else f" --home {result.home}"
    if best:
        print_best(out, best, result.objective.metric, more=f"hpo compare {result.name}{home} --wide shows them")
        out.print("No trial was chosen by its test score.")
        print_remarks(out, best)
    out.print(f"Study store: {result.storage}\nMLflow store: {result.tracking_uri}\n", soft_wrap=True)
    if result.unlogged:
        server = server_address(result.tracking_uri)
        address = "" if server is None else f" --tracking-uri {server}"
        what = f"send the runs that the MLflow store lacks: {result.unlogged}"
        print_commands(out, (f"hpo log {result.name}{home}{address}", what))
    if not best:
        out.print("No trial has a score yet; the same command continues.")
        return
    print_commands(
        out,
        (f"hpo ui {result.name}{_uri(result) or home}", "compare the trials in the MLflow UI"),
        (f"hpo compare {result.name}{home}", "all trials, ranked"),
        (f"hpo confirm {result.name}{home}", "train the best five again with new seeds, to see which to use"),
        (f"hpo export {result.name}{home} --to best.yaml --model best.keras", "save the best and its model"),
    )


def _uri(result: "Result") -> str | None:
    """The option that names the tracking server, where the runs are on one."""
    from hpo.tracking.links import server_address

    server = server_address(result.tracking_uri)
    return None if server is None else f" --uri {server}"


def result_json(result: "Result") -> dict[str, Any]:
    """The result of a run for programs."""
    best = ranked(result.trials, result.objective)
    metric = result.objective.metric
    return {
        "study": result.name, "ended": result.ended, "states": count_states(result.trials),
        "best": trial_json(best[0], metric) if best else None,
        "top": [trial_json(trial, metric) for trial in best[:TOP]],
        "storage": result.storage, "tracking_uri": result.tracking_uri, "home": str(result.home),
        "seconds": result.seconds, "unlogged_runs": result.unlogged,
    }  # fmt: skip
