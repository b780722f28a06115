"""Metrics of a whole part: computed from all its predictions together, as scikit-learn computes them."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hpo.config.metric_kinds import Kind, whole_metric
from hpo.config.mistakes import show
from hpo.config.section import Shorthand
from hpo.errors import nearest


class MetricSpec(Shorthand):
    """A metric, with options where it has some."""

    model_config = ConfigDict(extra="allow")
    short_key = "name"

    name: str
    """The metric's name, or the import path of a class or function of your own. Options of Keras's metrics and of your
    own stand beside it. Example: auc"""
    output: str | None = None
    """Which of several outputs it is of. Default: each. Example: gender"""
    average: Literal["binary", "macro", "micro", "weighted"] | None = None
    """How the figures of several classes become one, for precision, recall, f1_score, auc and pr_auc.
    Values: binary: only the second of two classes counts; macro: the mean over the classes; micro: from the counts of
    all classes together; weighted: the mean over the classes, by their number of samples.
    Default: binary for two classes, macro for more. Example: weighted"""
    curve: Literal["ROC", "PR"] | None = None
    """The curve under which auc measures the area. Values: ROC: true against false positives; PR: precision against
    recall, as average precision. Default: ROC. Example: PR"""
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The probability above which a sample counts as the second of two classes. Unit: probability.
    Default: the more probable class. Example: 0.3"""
    log_as: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")] | None = None
    """The name in logs, where one metric is listed several times. Default: its own name. Example: f1_weighted"""

    @model_validator(mode="after")
    def _has_its_options(self) -> Self:
        kind = whole_metric(self.name)
        if kind is None:
            return self
        takes = kind.options
        for option in self.model_extra or ():
            raise ValueError(f"{self.name}: {option}: unknown key; {nearest(option, (*takes, 'log_as'))}")
        for option in ("average", "curve", "threshold"):
            value = getattr(self, option)
            if value is not None and option not in takes:
                rule = f"it takes {', '.join(takes)}" if takes else "write its name alone"
                raise ValueError(f"{self.name} takes no {option}, got {show(value)}; {rule}")
        if kind.of_ranks and self.average in ("binary", "micro"):
            raise ValueError(f"{self.name}: average must be macro or weighted, got {show(self.average)}")
        if self.threshold is not None and self.average not in (None, "binary"):
            raise ValueError(f"threshold needs average binary, got {show(self.average)}")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, handler: SerializerFunctionWrapHandler) -> str | dict[str, Any]:
        options = {key: value for key, value in handler(self).items() if value is not None}
        return options if len(options) > 1 else self.name

    @property
    def kind(self) -> Kind | None:
        """The metric of a whole part that it is; None for one of Keras's own."""
        return whole_metric(self.name)

    @property
    def is_own(self) -> bool:
        """Whether it is the import path of a user's own code."""
        return ":" in self.name

    @property
    def logged(self) -> str:
        """The name in logs: of a class F1 of one's own, f1."""
        own = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name.rpartition(":")[2]).lower()
        return self.log_as or (own if self.is_own else self.name)

    @property
    def options(self) -> dict[str, Any]:
        """The options of one of Keras's metrics, or of one's own."""
        named = {key: getattr(self, key) for key in ("average", "curve", "threshold")}
        return {key: value for key, value in named.items() if value is not None} | (self.model_extra or {})

    @property
    def needs_all_classes(self) -> bool:
        """Whether it is not defined on a part that lacks a class: the area under an ROC curve."""
        return self.kind is not None and self.kind.name == "auc" and self.curve != "PR"

    @property
    def needs_two_classes(self) -> str | None:
        """The option that only two classes allow, if it is set."""
        return "threshold" if self.threshold is not None else "average" if self.average == "binary" else None


def named_once(metrics: tuple[MetricSpec, ...]) -> tuple[MetricSpec, ...]:
    """The same metrics.

    Raises:
        ValueError: two that differ would be logged by one name.
    """
    seen: dict[str, MetricSpec] = {}
    for spec in metrics:
        if seen.setdefault(f"{spec.output} {spec.logged}", spec) != spec:
            raise ValueError(f"{spec.logged} is listed twice; give one of them another name in the logs with log_as")
    return metrics
