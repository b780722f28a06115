"""Training one configuration again, alone: the same seed gives the same curve."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import HpoError

if TYPE_CHECKING:
    from hpo.plan import Plan


@dataclass
class Retrained:
    """What training a configuration again came to."""

    digest: str
    """Of the data that it was trained on."""
    best_epoch: int | None = None
    value: float | None = None
    """The objective at the best epoch."""
    test: Mapping[str, float] = field(default_factory=dict)
    curves: dict[str, list[float]] = field(default_factory=dict)


def retrain(
    plan: "Plan", params: Mapping[str, Any], seed: int, epochs: int | None = None, save_to: Path | None = None
) -> Retrained:
    """Trains one configuration of a plan on a worker of its own.

    After `epochs` it is stopped as a pruner would, so that a pruned trial comes back as it was.

    Raises:
        HpoError: the training failed; with its traceback.
    """
    from hpo.jobs import declared_by_model, make_job, prepared
    from hpo.training.messages import EpochDone, Failed, Finished, Lost

    with prepared(plan, workers=1) as (engine, dataset, folder):
        declared = declared_by_model(plan, engine, folder)
        engine.submit(make_job(plan, params, seed, folder, declared, save_to))
        done = Retrained(dataset.info.digest)
        while True:
            for event in engine.events(timeout=1.0):
                if isinstance(event, EpochDone):
                    for name, value in event.metrics.items():
                        done.curves.setdefault(name, []).append(value)
                    if event.epoch == epochs:
                        engine.stop(event.trial, "pruner")
                    else:
                        engine.proceed(event.trial)
                elif isinstance(event, Failed | Lost):
                    detail = getattr(event, "traceback", "")
                    raise HpoError(f"the training failed: {event.reason}: {event.message}\n{detail}".strip())
                elif isinstance(event, Finished):
                    done.best_epoch, done.test = event.best_epoch, event.test
                    if event.best_epoch is not None:
                        done.value = done.curves[plan.experiment.objective.metric][event.best_epoch - 1]
                    return done
