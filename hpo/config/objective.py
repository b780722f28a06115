"""Metrics and which way is better: what a study improves, what a callback watches."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import WithJsonSchema, field_validator, model_validator

from hpo.config.metrics import KNOWN_METRICS, direction_of, nearest_metric
from hpo.config.mistakes import show
from hpo.config.score import Score, merit, score_of_curve
from hpo.config.section import Shorthand

# Offered by editors; Keras takes more spellings.
_LOGGED = ["loss", *(name for name in KNOWN_METRICS if name.islower())]
_VALIDATED = [f"val_{name}" for name in _LOGGED]


class _Metric(Shorthand):
    """A metric and which way is better."""

    short_key = "metric"

    metric: str
    """The metric's name in Keras's logs. Example: val_accuracy"""
    direction: Literal["maximize", "minimize"] | None = None
    """Which way is better. Values: maximize: higher; minimize: lower.
    Default: known for Keras's own metrics and losses; any other needs it. Example: maximize"""

    @classmethod
    def _inferred(cls, value: dict[str, Any]) -> dict[str, Any]:
        name = value.get("metric")
        if not isinstance(name, str) or value.get("direction") is not None:
            return value
        known = direction_of(name)
        return {**value, "direction": known} if known else value

    @model_validator(mode="after")
    def _has_direction(self) -> Self:
        if self.direction is None:
            how = f"write {{metric: {self.metric}, direction: maximize}}, or minimize"
            if meant := nearest_metric(self.metric):
                raise ValueError(
                    f"Keras knows no metric {show(self.metric)}; did you mean {meant}? For a metric of your own {how}"
                )
            raise ValueError(f"Keras knows no metric {show(self.metric)}, so its direction must be set: {how}")
        return self

    @property
    def contradiction(self) -> str | None:
        """What is wrong with the direction if Keras knows a metric of this name with the other one; else None."""
        known = direction_of(self.metric)
        if known is None or known == self.direction:
            return None
        better = "higher" if known == "maximize" else "lower"
        return (
            f"must be {known}: {self.metric} is better when {better}; leave the direction out, or give a metric of "
            "your own a name of its own"
        )

    @property
    def mode(self) -> Literal["max", "min"]:
        """The direction in the words of Keras's callbacks."""
        return "max" if self.direction == "maximize" else "min"

    def score(self, value: float, epoch: int | None = None) -> Score:
        """A value of the metric as a score, reached at an epoch counted from 1."""
        assert self.direction is not None
        return Score(value, self.direction, epoch)

    def merit(self, values: Any) -> Any:
        """Values of the metric (a number or an array), with their sign changed where lower is better."""
        assert self.direction is not None
        return merit(values, self.direction)


class Monitor(_Metric):
    """What a callback watches: a metric of the training or the validation part."""

    metric: Annotated[
        str,
        WithJsonSchema({"type": "string", "anyOf": [{"enum": [*_VALIDATED, *_LOGGED]}, {"pattern": "^(?!test_)"}]}),
    ]
    """The metric's name in Keras's logs; val_ in front for the validation part. Example: val_loss"""

    @field_validator("metric")
    @classmethod
    def _not_on_test(cls, metric: str) -> str:
        if metric.startswith("test_"):
            raise ValueError(f"the test set never chooses, got {show(metric)}")
        return metric


class Objective(_Metric):
    """What a study improves: a metric on the validation part."""

    metric: Annotated[str, WithJsonSchema({"type": "string", "anyOf": [{"enum": _VALIDATED}, {"pattern": "^val_"}]})]
    """The metric's name in Keras's logs, with val_ in front; val_crossentropy is the loss of a classifier without
    penalties and label smoothing. Example: val_accuracy"""

    @field_validator("metric")
    @classmethod
    def _chosen_on_validation(cls, metric: str) -> str:
        if metric.startswith("val_"):
            return metric
        raise ValueError(
            f"must be a metric on the validation part, got {show(metric)}; "
            f"did you mean val_{metric.removeprefix('test_')}? (the test set never chooses)"
        )

    def score_of(self, curves: Mapping[str, Sequence[float]], fold_lengths: Sequence[int] = ()) -> Score | None:
        """The score of a trial with these curves (metric -> a value for each epoch); None if no epoch was finished.

        See `hpo.config.score.score_of_curve`.
        """
        assert self.direction is not None
        return score_of_curve(curves.get(self.metric, ()), self.direction, fold_lengths)
