"""What a HyperModel's own `fit` returns, as the objective: by the rules of KerasTuner's tuners."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from hpo.config.objective import Objective


def score_returned(returned: Any, objective: Objective, by: str = "fit") -> float | None:
    """The objective that a fit returned: a number, a mapping that has it, a History, or a list of these, whose mean
    counts; None where it returned nothing. `by`: what messages call it.

    Raises:
        FatalTypeError: it returned something else, as it will in every trial.
        FatalValueError: what it returned lacks the objective.
    """
    if returned is None:
        return None
    if isinstance(returned, list | tuple):
        scores = [score_returned(one, objective, by) for one in returned]
        return statistics.fmean(_known(one, returned, by) for one in scores) if scores else _known(None, returned, by)
    if isinstance(returned, Mapping):
        return _number(_of_objective(returned, objective, by), returned, by)
    if isinstance(returned, keras.callbacks.History):
        history = returned.history
        curve = [_number(value, history, by) for value in _of_objective(history, objective, by)]
        return _known(max(curve, key=objective.merit, default=None), history, by)
    return _number(returned, returned, by)


def metrics_returned(returned: Any, objective: Objective) -> dict[str, float]:
    """The finite metrics of what a fit returned: those of a History at its best epoch, and the mean over a list. It has
    been scored already."""
    if isinstance(returned, list | tuple):
        each = [metrics_returned(one, objective) for one in returned]
        return {
            name: statistics.fmean(one[name] for one in each) for name in each[0] if all(name in one for one in each)
        }
    if isinstance(returned, keras.callbacks.History):
        curve = returned.history[objective.metric]
        best = max(range(len(curve)), key=lambda epoch: objective.merit(float(curve[epoch])))
        returned = {name: values[best] for name, values in returned.history.items() if len(values) == len(curve)}
    if not isinstance(returned, Mapping):
        return {}
    numbers = {str(name): float(value) for name, value in returned.items() if _is_number(value)}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _is_number(value: Any) -> bool:
    """Whether it is one number, which may stand in an array or a tensor."""
    return not isinstance(value, str | bytes) and not np.ndim(value) and hasattr(value, "__float__")


def _number(value: Any, returned: Any, by: str) -> float:
    return float(value) if _is_number(value) else _known(None, returned, by)


def _known(value: float | None, returned: Any, by: str) -> float:
    if value is not None:
        return value
    from keras_tuner.errors import FatalTypeError

    kinds = "a number, a mapping of metrics, a History, or a list of these"
    raise FatalTypeError(f"{by} must return {kinds}, got {_shown(returned)}")


def _of_objective(metrics: Mapping[str, Any], objective: Objective, by: str) -> Any:
    if objective.metric in metrics:
        return metrics[objective.metric]
    from keras_tuner.errors import FatalValueError

    raise FatalValueError(
        f"{by} returned no {objective.metric}, the objective, among {', '.join(metrics) or 'nothing'}"
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) <= 80 else type(value).__name__
