"""The output of `hpo show STUDY`: the study's definition, its progress, its best trials."""

from typing import TYPE_CHECKING, Any

from rich.console import Console

from hpo.cli.trial_output import TOP, print_best, print_remarks, trial_json
from hpo.compare.compare import ranking
from hpo.study.record import count_failures, count_states, ranked
from hpo.text.tables import print_facts
from hpo.text.values import counts

if TYPE_CHECKING:
    from hpo.study.read import StudyView


def print_study(out: Console, view: "StudyView", wide: bool = False) -> None:
    """Prints a study."""
    data, space = view.identity["dataset"], view.identity["search_space"]
    facts = [
        ("study", view.name),
        ("objective", f"{view.objective.metric}, {view.objective.direction}"),
        ("dataset", f"{data['name']} ({data['digest']})"),
        ("model", f"{space['model']}, parameters {', '.join(space['parameters'])}"),
        ("trials", counts(count_states(view.trials))),
    ]
    print_facts(out, facts)
    best = ranked(view.trials, view.objective)[:TOP]
    if best:
        print_best(out, best, view.objective.metric, wide, f"hpo show {view.name} --wide shows them")
        print_remarks(out, best)
    for failure, count in count_failures(view.trials).items():
        out.print(f"failed: {count} x {failure}")


def study_json(view: "StudyView") -> dict[str, Any]:
    """A study for programs."""
    metric = view.objective.metric
    return {
        "study": view.name, "objective": metric, "direction": view.objective.direction,
        "dataset": dict(view.identity["dataset"]), "search_space": dict(view.identity["search_space"]),
        "seed": view.identity["seed"], "versions": dict(view.versions), "states": count_states(view.trials),
        "trials": [trial_json(trial, metric) for trial in ranking(view)],
    }  # fmt: skip
