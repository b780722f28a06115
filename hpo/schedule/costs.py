"""What an epoch of a configuration costs: ridge regression of the logarithm of seconds."""

import numpy as np

from hpo.schedule.history import History

_RIDGE = 0.3
# Predictions stay within these factors of the geometric mean.
_LEAST, _MOST = 0.1, 50.0


class Costs:
    """Predicts the seconds of a unit from the features of configurations."""

    def __init__(self, history: History, features: np.ndarray) -> None:
        known = np.flatnonzero((history.done > 0) & (history.seconds > 0))
        logs = np.log(history.seconds[known] / history.done[known])
        self._mean = float(logs.mean()) if len(known) else 0.0
        terms = _terms(features[known])
        square = terms.T @ terms + _RIDGE * np.eye(terms.shape[1])
        self._weights = np.linalg.solve(square, terms.T @ (logs - self._mean))

    def of(self, features: np.ndarray) -> np.ndarray:
        """The predicted seconds of a unit, shape (n,)."""
        away = np.clip(_terms(features) @ self._weights, np.log(_LEAST), np.log(_MOST))
        seconds: np.ndarray = np.exp(self._mean + away)
        return seconds


def _terms(features: np.ndarray) -> np.ndarray:
    return np.hstack([features - 0.5, np.square(features - 0.5)])
