"""What a network puts out that stays as it is is computed once, where that changes no figure."""

from dataclasses import replace

import numpy as np
import pytest

from hpo.config.experiment import Augmentation
from hpo.data import open_prepared
from hpo.training import features, one_model
from hpo.training.building import made_for
from hpo.training.features import features_of
from hpo.training.messages import Finished

DIGITS = {"name": "digits", "limit": 120}
FROZEN = {
    "architecture": "MobileNet", "alpha": 0.25, "image_size": 32, "weights": "none", "unfreeze": 0, "dropout": 0.2,
}  # fmt: skip


@pytest.fixture
def found(job_of, prepared):
    """What trains in the place of a model, and the model itself."""

    def find(model="application", params=FROZEN, **more):
        job = job_of(model, data=prepared(**DIGITS), params=params, **more)
        dataset = open_prepared(job.data)
        made = made_for(job, dataset)
        return features_of(job, made, dataset), made.model

    return find


def test_the_layers_behind_see_what_the_network_puts_out_and_share_it(found, prepared, monkeypatch):
    first, model = found()
    assert [layer.name for layer in first.built.model.layers] == [layer.name for layer in model.layers[-2:]]
    dataset = open_prepared(prepared(**DIGITS))
    for name in ("training", "validation", "test"):
        whole = model.predict(dataset.info.prepared(dataset.part(name).x), verbose=0)
        mine = first.built.model.predict(first.dataset.part(name).x, verbose=0)
        np.testing.assert_allclose(mine, whole, rtol=1e-5, atol=1e-6)
        assert first.dataset.part(name).y is not None
    model.set_weights(first.whole(first.built.model.get_weights()))
    assert len(first.behind(model.get_weights())) == 2
    second, _ = found(params={**FROZEN, "dropout": 0.4})
    # The same layers with the same weights: they were put through once.
    assert second.dataset is first.dataset
    # Another worker finds it in the folder of the data.
    features._KEPT.clear()
    monkeypatch.setattr(features, "_put_through", None)
    third, _ = found()
    np.testing.assert_array_equal(third.dataset.training.x, first.dataset.training.x)
    assert isinstance(third.dataset.test.x, np.memmap)
    monkeypatch.undo()
    monkeypatch.setattr(features, "_MOST_ON_DISK", 1)
    other, _ = found(seed=4)
    assert not isinstance(other.dataset.test.x, np.memmap)
    assert other.dataset is not first.dataset
    assert other.job.data != first.job.data


def test_whatever_else_trains_is_left_alone(found, monkeypatch):
    assert found("transfer_models:frozen", {})[0] is None
    assert found("mlp", {})[0] is None
    assert found(params={**FROZEN, "unfreeze": 2})[0] is None
    assert found(augmentation=Augmentation(noise=0.1))[0] is None
    assert found(training={"callbacks": ["TerminateOnNaN"]})[0] is None
    monkeypatch.setattr(features, "_MOST_BYTES", 1000)
    assert found()[0] is None


def test_the_figures_are_those_of_the_whole_model(run_job, prepared, monkeypatch, tmp_path):
    def trained():
        line = run_job(
            "application", data=prepared(**DIGITS), params=FROZEN, training={"epochs": 3, "batch_size": 16},
            save_to=str(tmp_path / "model.keras"),
        )  # fmt: skip
        assert isinstance(line.last, Finished), line.last
        return line

    once = trained()
    monkeypatch.setattr(one_model, "features_of", lambda *_: None)
    whole = trained()
    for name, curve in whole.curves.items():
        # Random weights tell images hardly apart: the last digit decides the class of one.
        assert once.curves[name] == pytest.approx(curve, rel=1e-3, abs=0.02 if "accuracy" in name else 1e-5)
    assert once.last.test["loss"] == pytest.approx(whole.last.test["loss"], rel=1e-3)
    assert replace(once.last, test={}, model_file=None) == replace(whole.last, test={}, model_file=None)
