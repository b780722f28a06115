"""The models that hpo knows, with layers of all kinds, trained by a template: the figures are those of `model.fit`."""

from typing import Any

import keras
import pytest
from toys import Curves, assert_same, curves_by_fit, curves_in_graph, dataset

from hpo import models
from hpo.config.experiment import TrainingSpec
from hpo.training.compiling import compile_model
from hpo.training.graph import GraphLoop
from hpo.training.template import Templates


def compiled(name: str, params: dict[str, Any]) -> keras.Model:
    keras.utils.clear_session()
    keras.utils.set_random_seed(7)
    model = models.build(name, params, dataset().info).model
    compile_model(model, TrainingSpec(), dataset().info)
    return model


def in_template(templates: Templates, model: keras.Model) -> Curves:
    with templates.lent(model, "toy", lambda copy: GraphLoop(copy, dataset())) as lent:
        assert lent.template is not None, lent.reason
        return curves_in_graph(lent.template.loop, 64)


NORMALIZED = {
    "activation": "leaky_relu", "leaky_slope": 0.4, "normalization": "batch", "normalization_2": "layer", "l2": 0.01,
    "l1_1": 0.001, "dropout": 0.2, "constant_input": True, "use_bias_3": False, "output_use_bias": False,
}  # fmt: skip
BLOCKS = {
    "blocks": [{"filters": 3, "padding": "valid", "convolutions": 2}, {"pooling": "none", "batch_normalization": True}],
    "filters": 2, "l1": 0.001, "activation_2": "leaky_relu", "leaky_slope": 0.2,
}  # fmt: skip
PAIRS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "normalized": (
        "mlp",
        NORMALIZED | {"units": [8, 6, 4]},
        NORMALIZED | {"units": [8, 6, 9], "dropout": 0.4, "l2": 0.2},
    ),
    "blocks": (
        "cnn",
        BLOCKS | {"dense": [4, 3]},
        BLOCKS | {"dense": [12, 6], "kernel_initializer": "he_normal", "l1": 0.02},
    ),
    "steps": (
        "conv1d",
        {"blocks": 1, "filters": 4, "kernel": 2, "dense": 5, "dropout": 0.2},
        {"blocks": 1, "filters": 4, "kernel": 2, "dense": 9, "dropout": 0.4},
    ),
    "recurrent": (
        "rnn",
        {"layers": 2, "units": 3, "units_2": 2, "cell": "gru", "bidirectional": True, "dropout": 0.2},
        {"layers": 2, "units": 3, "units_2": 2, "cell": "gru", "bidirectional": True, "dropout": 0.3},
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_models_that_differ_in_numbers_train_in_one_graph_as_if_by_fit(name: str) -> None:
    kind, first, second = PAIRS[name]
    templates = Templates()
    in_template(templates, compiled(kind, first))
    found = in_template(templates, compiled(kind, second))
    assert len(templates) == 1
    assert_same(found, curves_by_fit(compiled(kind, second), dataset(), 64))
