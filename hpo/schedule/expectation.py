"""What the model of curves expects of trials that have not trained to their last unit."""

import numpy as np

from hpo.schedule.blas import one_thread
from hpo.schedule.history import History
from hpo.schedule.observations import observe
from hpo.schedule.process import CurveProcess, Shape

_MOST, _MOST_FITTED = 300, 120
_Z = 1.96


def expected_ends(history: History, seed: int) -> dict[int, tuple[float, float, float]]:
    """Number of a trial -> its expected merit at the last unit, and the ends of the 95% interval of that.

    The process knows ranks, so that no expectation lies beyond the merits that were seen. Empty with fewer than three
    trials.
    """
    rng = np.random.default_rng(seed)
    seen = observe(history)
    finite = np.isfinite(seen.merits)
    if len(np.unique(seen.trials[finite])) < 3:
        return {}
    features, owners = history.cube.features(history.values)
    process = CurveProcess(Shape(owners, history.units))
    with one_thread():
        process.fit(seen.thinned(_MOST_FITTED, rng).rows(features)[0])
        rows, known = seen.thinned(_MOST, rng).rows(features)
        process.condition(rows)
        mean, deviation = process.predict(features[known], history.units, np.arange(len(known)))
    order = np.argsort(seen.scores[finite], kind="stable")
    scores, merits = seen.scores[finite][order], seen.merits[finite][order]
    ends = np.column_stack([mean, mean - _Z * deviation, mean + _Z * deviation])
    found = np.interp(ends, scores, merits)
    return {int(history.numbers[row]): tuple(map(float, found[place])) for place, row in enumerate(known)}  # type: ignore[misc]
