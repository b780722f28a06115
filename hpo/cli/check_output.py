"""The output of `hpo check`: a summary of what would run."""

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from hpo.config.resolved import flat
from hpo.text.tables import print_facts
from hpo.text.urls import masked
from hpo.text.values import count, counts, duration, megabytes, setting

if TYPE_CHECKING:
    from hpo.cli.preview.check import Checked, Tried
    from hpo.config.experiment import DatasetSpec
    from hpo.config.section import Section


def print_check(out: Console, checked: "Checked") -> None:
    """Prints what would run."""
    from hpo.data.scaling import samples_in_words, scaling_in_words

    plan, info = checked.plan, checked.dataset
    study = plan.experiment.study
    facts: list[tuple[str, Any]] = []
    facts.append(("experiment", f"{plan.experiment.name}: {plan.experiment.objective.metric}, "
                  f"{plan.experiment.objective.direction}"))  # fmt: skip
    facts.append(("dataset", f"{info.name}: {info.task}, {counts(info.sizes)}; {samples_in_words(info)}"))
    facts.append(("scaling", scaling_in_words(info)))
    if info.folds is not None:
        facts.append(("validation", f"{info.folds} folds, a model for each; the sizes above are of the first"))
    for name, text in _other_settings(plan.experiment.dataset).items():
        facts.append((name, text))
    budget = [f"{count(plan.trials)} trials" if plan.trials else "any number of trials"]
    budget += [duration(study.timeout)] if study.timeout else []
    facts.append(("study", f"{', '.join(study.deciders)}; at most {' and '.join(budget)}"))
    for size, tried in checked.tried.items():
        facts.append((f"{size} model", _outcome(tried)))
    for remark in dict.fromkeys(remark for tried in checked.tried.values() for remark in tried.remarks):
        facts.append(("note", Text(remark)))
    facts += [("note", Text(note)) for note in (*checked.notes, *info.notes)]
    if checked.seconds is not None:
        low, high = checked.seconds
        facts.append(("time", f"about {duration(round(low))} to {duration(round(high))}, if no trial is stopped early"))
    facts.append(("stores", f"{masked(plan.storage)}, {masked(plan.tracking_uri)}"))
    print_facts(out, facts)
    for warning in checked.warnings:
        out.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)
    out.print("Both were tried for one step of training, validation and test; nothing was written.")


def _outcome(tried: "Tried") -> Text:
    if tried.failure is not None:
        return Text(f"such trials fail: {tried.failure}")
    if tried.cost is None:
        return Text(f"{count(tried.parameters)} parameters; its cost is unknown, as that of an own fit or train_step")
    cost = tried.cost
    return Text(
        f"{count(cost.parameters)} parameters, {megabytes(cost.memory)}, {duration(cost.epoch_seconds)} an epoch"
    )


def _other_settings(spec: "DatasetSpec") -> dict[str, str]:
    """Settings of the data other than those of splitting and scaling: name -> text."""
    found = {}
    if spec.steps_per_epoch is not None:
        found["epoch"] = (
            f"{count(spec.steps_per_epoch)} fresh batches; the training samples are drawn to fit the scaling"
        )
    if spec.augmentation is not None:
        found["augmentation"] = _flat(spec.augmentation)
    for name, extra in (spec.extra_tests or {}).items():
        found[f"test_{name}"] = f"the test part, {_flat(extra)}"
    return found


def _flat(section: "Section") -> str:
    return ", ".join(f"{key} {setting(value)}" for key, value in flat(section.model_dump(mode="json")))
