"""What an experiment would run: its data, its budget, its smallest and its largest model. Trains nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.quiet import without_greetings
from hpo.urls import masked

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo
    from hpo.plan import Plan
    from hpo.training.measure import Cost


@dataclass(frozen=True)
class Checked:
    """What would run."""

    plan: "Plan"
    dataset: "DatasetInfo"
    configurations: Mapping[str, Mapping[str, Any]]
    """`smallest` and `largest`: parameters by name."""
    costs: "Mapping[str, Cost]"
    """`smallest` and `largest`: what these models cost."""

    @property
    def seconds(self) -> tuple[float, float] | None:
        """Estimated time of the study: all trials like the smallest, and all like the largest; no trial stopped early.

        Seconds on all workers together; None where the number of trials is open.
        """
        from hpo.engines.table import count_workers

        trials = self.plan.trials
        if trials is None:
            return None
        epochs, folds = self.plan.experiment.training.epochs, self.dataset.folds or 1
        workers = count_workers(self.plan.experiment.engine)
        costs = (self.costs["smallest"], self.costs["largest"])
        each = [(cost.start_seconds + cost.epoch_seconds * epochs) * folds * trials / workers for cost in costs]
        timeout = self.plan.experiment.study.timeout or float("inf")
        return min(each[0], timeout), min(each[1], timeout)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "name": self.plan.experiment.name,
            "dataset": {"name": self.dataset.name, "task": self.dataset.task, "sizes": dict(self.dataset.sizes),
                        "folds": self.dataset.folds,
                        "input_shape": list(self.dataset.input_shape), "digest": self.dataset.digest},
            "trials": self.plan.trials, "timeout": self.plan.experiment.study.timeout,
            **{size: {"parameters": dict(self.configurations[size]), "cost": asdict(cost)}
               for size, cost in self.costs.items()},
            "estimated_seconds": self.seconds, "storage": masked(self.plan.storage),
            "tracking_uri": masked(self.plan.tracking_uri),
        }  # fmt: skip


def check(experiment: str | Path, overrides: Sequence[str] = (), home: str | Path | None = None) -> Checked:
    """Reads the files and the data, and builds the smallest and the largest model of the space.

    Raises:
        UserError: a mistake in the files, the data or the model.
    """
    from hpo.plan import load_plan

    plan = load_plan(experiment, overrides, home)
    with without_greetings():
        from hpo.training.measure import measure
        from hpo.training.process import limit_threads
    from hpo.jobs import check_space, make_job, sections, variants_of, widened
    from hpo.models import discover

    variants = variants_of(plan)
    dataset = variants.base
    check_space(plan, variants)
    limit_threads(plan.experiment.engine.threads_per_worker)
    declared = discover(plan.space.model, dataset.info, plan.folders)
    space = widened(plan, declared)
    configurations = dict(zip(("smallest", "largest"), space.extremes(), strict=True))
    costs = {}
    for size, config in configurations.items():
        job = make_job(plan, config, 0, lambda spec: Path(), declared)
        costs[size] = measure(job, variants.dataset(sections(plan, config)[1]))
    return Checked(plan, dataset.info, configurations, costs)
