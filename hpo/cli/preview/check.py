"""Checks an experiment: its files, data and budget, and one step of its smallest and its largest model."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo import models
from hpo.errors import InvalidSettings, Mistake, ModelError
from hpo.plan.trainable import mistake_of
from hpo.study.failure import Failure
from hpo.system.platforms import refuse_other_backends
from hpo.system.tensorflow_import import without_import_messages
from hpo.text.urls import masked

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo
    from hpo.data.prepared_variants import Variants
    from hpo.plan.plan import Plan
    from hpo.training.cost import Cost


# Failures that may concern one configuration only.
_OF_CONFIGURATION = ("invalid", "nonfinite", "out_of_memory")


@dataclass(frozen=True)
class Tried:
    """The result of one rehearsed configuration."""

    parameters: int
    """Numbers in the model; 0 where it could not be built."""
    cost: "Cost | None" = None
    """The cost of training the model, where that is known."""
    remarks: tuple[str, ...] = ()
    failure: Failure | None = None
    """Why its trial would fail."""


@dataclass(frozen=True)
class Checked:
    """A checked experiment: what `hpo run` would run."""

    plan: "Plan"
    dataset: "DatasetInfo"
    configurations: Mapping[str, Mapping[str, Any]]
    """`smallest` and `largest`: parameters by name."""
    tried: Mapping[str, Tried]
    """`smallest` and `largest`: results of the rehearsals."""

    @property
    def warnings(self) -> list[Mistake]:
        """Warnings about parameters that change what the objective is made of."""
        return self.plan.warnings(self.dataset.task)

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Estimated seconds of the study: if all trials are like the smallest, and if all are like the largest.

        The estimate is wall time with all workers, and assumes that no trial is stopped early. None where the number of
        trials is open, or a cost is not known.
        """
        from hpo.engines.table import count_workers

        trials = self.plan.trials
        costs = [one.cost for one in self.tried.values() if one.cost is not None]
        if trials is None or len(costs) < len(self.tried):
            return None
        epochs, folds = self.plan.experiment.training.epochs, self.dataset.folds or 1
        workers = count_workers(self.plan.experiment.engine)
        each = [(cost.start_seconds + cost.epoch_seconds * epochs) * folds * trials / workers for cost in costs]
        timeout = self.plan.experiment.study.timeout or float("inf")
        return min(each[0], timeout), min(each[1], timeout)

    @property
    def notes(self) -> list[str]:
        """What a user should know of the model before it trains."""
        space = self.plan.space
        return models.notes(space.model, map(space.settings, self.configurations.values()))

    def as_json(self) -> dict[str, Any]:
        """The result for programs."""
        return {
            "name": self.plan.experiment.name,
            "dataset": {"name": self.dataset.name, "task": self.dataset.task, "sizes": dict(self.dataset.sizes),
                        "folds": self.dataset.folds, "scaling": self.dataset.scaling.method,
                        "input_shape": list(self.dataset.input_shape), "digest": self.dataset.digest,
                        "repeated": dict(self.dataset.repeated), "notes": list(self.dataset.notes)},
            "notes": self.notes,
            "trials": self.plan.trials, "timeout": self.plan.experiment.study.timeout,
            **{size: {"parameters": dict(self.configurations[size]), "cost": asdict(one.cost) if one.cost else None,
                      "remarks": list(one.remarks), "failure": one.failure.reason if one.failure else None,
                      "error": one.failure.line if one.failure else None}
               for size, one in self.tried.items()},
            "warnings": [asdict(warning) for warning in self.warnings],
            "estimated_seconds": self.seconds, "storage": masked(self.plan.storage),
            "tracking_uri": masked(self.plan.tracking_uri),
        }  # fmt: skip


def check(
    experiment: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    home: str | Path | None = None,
    traceback: bool = False,
) -> Checked:
    """Reads the files and the data, and rehearses the smallest and the largest model of the space for one step each.

    If `traceback`, the message of an error in the user's code includes its traceback.

    Raises:
        UserError: a mistake in the files, the data or the model.
    """
    from hpo.loop.as_begun import as_begun
    from hpo.plan.plan import load_plan

    plan = as_begun(load_plan(experiment, overrides, home))
    refuse_other_backends()
    with without_import_messages():
        from hpo.training.process import examine, limit_threads
    from hpo.loop.jobs import check_space, examined, refused_at_their_keys, variants_of
    from hpo.models import discover

    variants = variants_of(plan)
    dataset = variants.base
    check_space(plan, variants)
    limit_threads(plan.experiment.engine.threads_per_worker)
    plan = replace(plan, declared=discover(plan.space.model, dataset.info, plan.folders))
    with refused_at_their_keys(plan):
        examine(examined(plan, Path()), dataset)
    configurations = dict(zip(("smallest", "largest"), plan.whole_space.extremes(), strict=True))
    tried = {size: _tried(plan, variants, config) for size, config in configurations.items()}
    _refuse(plan, experiment, tried, traceback)
    return Checked(plan, dataset.info, configurations, tried)


def _tried(plan: "Plan", variants: "Variants", config: Mapping[str, Any]) -> Tried:
    """Rehearses a configuration, and measures it."""
    from hpo.loop.jobs import make_job, sections
    from hpo.system.scratch import scratch_folder
    from hpo.training.cost import measure
    from hpo.training.rehearsal import rehearse

    try:
        job = make_job(plan, config, 0, lambda spec: Path())
        dataset = variants.dataset(sections(plan, config)[1])
    except InvalidSettings as error:
        return Tried(0, failure=Failure("invalid", str(error)))
    with scratch_folder() as folder:
        rehearsed = rehearse(job, dataset, folder / "data")
    if (failed := rehearsed.failed) is not None:
        failure = Failure(failed.reason, failed.message, failed.traceback)
        return Tried(rehearsed.parameters, failure=failure)
    try:
        cost = measure(job, dataset)
    except Exception:
        # The cost of the user's own fit method may not be measurable; the rehearsal has shown that it trains.
        cost = None
    return Tried(rehearsed.parameters, cost, rehearsed.remarks)


def _refuse(
    plan: "Plan", experiment: str | Path | Mapping[str, Any], tried: Mapping[str, Tried], traceback: bool
) -> None:
    """Raises an error that is in the code, or in all configurations that were tried.

    A single configuration that cannot be built, diverges or takes too much memory would not end a study.
    """
    failed = [one.failure for one in tried.values() if one.failure is not None]
    wrong = [one for one in failed if one.reason not in _OF_CONFIGURATION]
    if not wrong and (len(failed) < len(tried) or {one.reason for one in failed} != {"invalid"}):
        return
    mistakes = dict.fromkeys(str(mistake_of(plan, one.message or "-")) for one in wrong or failed)
    lines = list(mistakes)
    if traceback:
        lines += [one.traceback.strip() for one in wrong if one.traceback]
    elif any(one.traceback for one in wrong):
        more = "traceback=True" if isinstance(experiment, Mapping) else f"hpo check {experiment} --traceback"
        lines.append(f"{more} shows the traceback")
    raise ModelError("\n".join(lines))
