"""Whatever is drawn from Keras's layers, optimizers, losses and metrics trains as `model.fit` trains it.

The suite draws the same few models each time. If the variable HPO_FIT_EXAMPLES is set to a number, that many are drawn,
by pytest's option `--hypothesis-seed`. `--hypothesis-show-statistics` shows how they were trained, and how far their
curves and weights were from those of `model.fit`.
"""

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from drawn import Drawn, Trial, build, data_for, drawn_models, trials
from hypothesis import HealthCheck, Phase, event, given, reject, settings
from hypothesis import strategies as st

from hpo.training.graph import GraphLoop
from hpo.training.kept_weights import kept_weights
from hpo.training.needs_fit import needs_fit
from hpo.training.template import Templates

EPOCHS = 2
_EXAMPLES = os.environ.get("HPO_FIT_EXAMPLES")
# A sample more or less in the right class: rounding decides where two are as likely.
_COUNTED = ("accuracy", "auc", "precision", "recall", "f1", "top_k")


@dataclass
class Trained:
    curves: list[dict[str, float]]
    weights: list[Any]
    way: str | None = None


def by_fit(drawn: Drawn, trial: Trial) -> Trained:
    data, model = data_for(drawn), build(drawn, trial)
    history = model.fit(
        data.training.x, data.training.y, trial.batch, EPOCHS, verbose=0, shuffle=False,
        validation_data=(data.validation.x, data.validation.y), validation_batch_size=512,
    ).history  # fmt: skip
    return Trained([{name: values[n] for name, values in history.items()} for n in range(EPOCHS)], model.get_weights())


def in_graph(templates: Templates, drawn: Drawn, trial: Trial, epochs: int = EPOCHS) -> Trained:
    data, model = data_for(drawn), build(drawn, trial)
    with templates.lent(model, drawn.data, lambda copy: GraphLoop(copy, data)) as lent:
        own = lent.template is None
        loop = GraphLoop(model, data) if own else lent.template.loop
        loop.trace()
        order, curves = np.arange(len(data.training)), []
        for _ in range(epochs):
            logs = loop.train(order, trial.batch, lambda loss: None)
            validation = loop.evaluate("validation", lambda loss: None)
            curves.append(logs | {f"val_{name}": value for name, value in validation.items()})
        return Trained(curves, kept_weights(model if own else lent.template.model), lent.reason)


def assert_same(found: Trained, expected: Trained) -> None:
    for one, other in zip(found.curves, expected.curves, strict=True):
        wanted = {}
        for name, value in other.items():
            counted = any(part in name for part in _COUNTED)
            wanted[name] = pytest.approx(value, rel=2e-3, abs=0.16 if counted else 1e-3, nan_ok=True)
        assert one == wanted, found.way
    for one, other in zip(found.weights, expected.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=5e-3, atol=2e-3, err_msg=str(found.way))


def difference(found: Trained, expected: Trained) -> float:
    """The largest one of a metric that is no count, relative where the metric exceeds 1, or of a weight."""
    pairs = [
        (one[name], value, max(1.0, abs(value)))
        for one, other in zip(found.curves, expected.curves, strict=True)
        for name, value in other.items()
        if not any(part in name for part in _COUNTED) and math.isfinite(value)
    ]
    metrics = max((abs(one - other) / scale for one, other, scale in pairs), default=0.0)
    weights = zip(found.weights, expected.weights, strict=True)
    return max([metrics, *(float(np.max(np.abs(one - other), initial=0)) for one, other in weights)])


def check(drawn: Drawn, first: Trial | None, second: Trial) -> str | None:
    """Trains both one after the other, as a worker does; returns why the second had no template."""
    try:
        expected = by_fit(drawn, second)
    except (ValueError, TypeError, IndexError, tf.errors.OpError):
        reject()  # layers that do not fit together
    if reason := needs_fit(build(drawn, second)):
        event(f"by fit: {reason}")
        return reason
    templates = Templates()
    if first is not None:
        in_graph(templates, drawn, first, epochs=1)
    found = in_graph(templates, drawn, second)
    assert_same(found, expected)
    event(f"in the graph, alone: {found.way}" if found.way else "in the graph, with a template")
    far = difference(found, expected)
    event(f"differs by less than 1e{math.ceil(math.log10(far))}" if far else "equal")
    return found.way


@settings(
    max_examples=int(_EXAMPLES or 3), derandomize=_EXAMPLES is None, database=None, deadline=None,
    phases=[Phase.explicit, Phase.generate], suppress_health_check=[*HealthCheck],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
@given(drawn_models(), st.none() | trials, trials)
def test_drawn_models_train_as_by_fit_one_after_the_other(drawn: Drawn, first: Trial | None, second: Trial) -> None:
    check(drawn, first, second)
