"""The user's own function by import path."""

import sys

import pytest

from hpo.config.declared import NOTHING_DECLARED
from hpo.errors import ModelError
from hpo.models import build, discover

CODE = """
import keras

def make(params, dataset):
    assert isinstance(params, dict)
    model = keras.Sequential([keras.Input(dataset.input_shape), keras.layers.Dense(params["units"])])
    if params.get("compiled"):
        model.compile("sgd", "mse")
    return model

def forgets(params, dataset):
    make(params, dataset)

def broken(params, dataset):
    return 1 / 0

def three(params, dataset, more):
    return None

class Thing:
    pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_models", raising=False)
    (tmp_path / "own_models.py").write_text(CODE)
    return tmp_path


@pytest.fixture
def info(info_of):
    return info_of((4,), classes=None)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_function_of_params_and_dataset(folder, info, compiled):
    built = build("own_models:make", {"units": 3, "compiled": compiled}, info, [folder])
    assert built.model.output_shape == (None, 3)
    assert built.model.compiled is compiled
    assert (built.fit, built.declared(), built.reads) == (None, None, {"units", "compiled"})


def test_declares_nothing(folder, info):
    assert discover("own_models:make", info, [folder]) == NOTHING_DECLARED
    assert discover("mlp", info, [folder]) == NOTHING_DECLARED


def test_must_return_a_model(folder, info):
    with pytest.raises(ModelError, match=r"own_models:forgets must return a keras\.Model, got None; does it end with"):
        build("own_models:forgets", {"units": 3}, info, [folder])


def test_a_bug_stays_what_it_is(folder, info):
    with pytest.raises(ZeroDivisionError):
        build("own_models:broken", {}, info, [folder])


@pytest.mark.parametrize("name", ["three", "Thing", "CODE"])
def test_must_be_one_of_the_kinds(folder, info, name):
    (folder / "own_models.py").write_text(CODE + "CODE = 3\n")
    with pytest.raises(ModelError, match=rf"own_models:{name} must be a function \(params, dataset\), a function"):
        build(f"own_models:{name}", {}, info, [folder])
