"""Metrics and which way is better: what a study improves, what a callback watches."""

import re
from typing import Any, Literal, Self

from pydantic import field_validator, model_validator

from hpo.mistakes import show
from hpo.section import Shorthand

_HIGHER_IS_BETTER = re.compile(r"acc|auc|precision|recall|f1|f_?beta|r2|score|cosine|io_?u|kappa")
_LOWER_IS_BETTER = re.compile(r"loss|error|mae|mse|rmse|mape|msle|entropy|hinge|divergence|poisson")


class _Metric(Shorthand):
    """A metric and which way is better."""

    stands_for = "metric"

    metric: str
    """Its name in Keras's logs: val_accuracy, val_loss, val_mae, ..."""
    direction: Literal["maximize", "minimize"] | None = None
    """Found from the metric's name where it is plain."""

    @classmethod
    def _inferred(cls, value: dict[str, Any]) -> dict[str, Any]:
        name = value.get("metric")
        if not isinstance(name, str) or value.get("direction") is not None:
            return value
        higher, lower = _HIGHER_IS_BETTER.search(name), _LOWER_IS_BETTER.search(name)
        if bool(higher) == bool(lower):
            return value
        return {**value, "direction": "maximize" if higher else "minimize"}

    @model_validator(mode="after")
    def _has_direction(self) -> Self:
        if self.direction is None:
            raise ValueError(
                f"{show(self.metric)} does not say its direction: write {{metric: {self.metric}, "
                "direction: maximize}, or minimize"
            )
        return self

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return 1 if self.direction == "maximize" else -1

    @property
    def mode(self) -> Literal["max", "min"]:
        """The direction as Keras's callbacks call it."""
        return "max" if self.direction == "maximize" else "min"

    def better(self, value: float, other: float | None, by: float = 0.0) -> bool:
        """Whether a value improves on another by more than `by`; anything improves on none."""
        return other is None or self.sign * (value - other) > by


class Monitor(_Metric):
    """What a callback watches: a metric of the training or the validation part."""

    @field_validator("metric")
    @classmethod
    def _not_on_test(cls, metric: str) -> str:
        if metric.startswith("test_"):
            raise ValueError(f"the test set never chooses, got {show(metric)}")
        return metric


class Objective(_Metric):
    """What a study improves: a metric on the validation part."""

    @field_validator("metric")
    @classmethod
    def _chosen_on_validation(cls, metric: str) -> str:
        if metric.startswith("val_"):
            return metric
        raise ValueError(
            f"must be a metric on the validation part, got {show(metric)}; "
            f"did you mean val_{metric.removeprefix('test_')}? (the test set never chooses)"
        )
