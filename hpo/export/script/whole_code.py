"""Metrics of a whole part as the calls of scikit-learn that a script makes."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from hpo.config.whole_metrics import MetricSpec
from hpo.data.dataset import DatasetInfo
from hpo.training.heads import head_of, logits_of
from hpo.training.whole_part import call_of


def whole_as_code(metrics: Sequence[MetricSpec], model: keras.Model, info: DatasetInfo) -> dict[str, Any]:
    """For a compiled model: `calls`, name in logs -> expression of `y` and `outputs`; `logits`, the activation that
    turns its outputs into probabilities, or None."""
    one_unit = head_of(model).units == 1
    calls = {spec.logged: _call(spec, info.classes, one_unit) for spec in metrics}
    return {"calls": calls, "logits": logits_of(model) if metrics else None}


def _call(spec: MetricSpec, classes: int | None, one_unit: bool) -> str:
    call = call_of(spec, classes)
    truth = f"np.eye({classes}, dtype=int)[y]" if call.truth == "one_hot" else "y"
    predicted = {"numbers": "outputs", "each": "outputs", "second": "outputs[:, -1]"}.get(call.predictions)
    if predicted is None:
        by_threshold = one_unit or call.threshold is not None
        predicted = f"outputs[:, -1] > {call.threshold or 0.5}" if by_threshold else "outputs.argmax(axis=1)"
    return f"metrics.{call.function}({', '.join([truth, predicted, *_arguments(call.arguments)])})"


def _arguments(arguments: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in arguments.items() if value != "binary"]
