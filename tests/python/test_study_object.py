"""A study as an object, made once: with a known model, in this process."""

import keras
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

import hpo
from hpo.errors import NotFound, UserError
from hpo.study.record import TrialRecord

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4)).astype("float32")
Y = np.where(X[:, 0] > 0, "yes", "no")
SPACE = hpo.Space(width=hpo.Int(4, 16), learning_rate=hpo.Float(0.001, 0.1, log=True))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    home = tmp_path_factory.mktemp("object")
    return hpo.tune(
        "mlp", SPACE, data=(X, Y), objective="val_accuracy", epochs=2, trials=3, name="object", home=home,
        engine={"name": "serial"}, study={"sampler": "random"}, progress=False,
    )  # fmt: skip


def test_its_trials_are_a_table_and_records(study) -> None:
    frame = study.trials
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["trial"]) == [0, 1, 2]
    assert type(frame[["trial", "val_accuracy"]]) is type(frame.sort_values("width")) is pd.DataFrame
    assert [one.number for one in map(study.trial, range(3))] == [0, 1, 2]
    assert frame[-1] == list(frame)[2]
    assert isinstance(frame[1], TrialRecord)
    curves = study.curves()
    assert list(curves.columns) == ["trial", "epoch", "metric", "value"]
    best = curves[(curves.trial == study.best.number) & (curves.metric == "val_accuracy")]
    assert best["value"].max() == study.best.value == frame["val_accuracy"].max()


def test_its_best_model_takes_raw_inputs(study) -> None:
    assert set(study.best.params) == {"width", "learning_rate"}
    model = study.best.model()
    assert isinstance(model, keras.Model)
    table = study.predict(X[:5])
    assert list(table.columns) == ["class", "probability_no", "probability_yes"]
    by_itself = model.predict(X[:5], verbose=0)
    np.testing.assert_allclose(table[["probability_no", "probability_yes"]].to_numpy(), by_itself, atol=1e-6)
    found = study.predictions()
    assert (found["true"] == found["class"]).mean() == pytest.approx(study.best.value)
    with pytest.raises(UserError, match="tunes it on the test part"):
        study.predictions("test")
    # The file of another trial is gone: it is trained again.
    other = next(trial.number for trial in study.trials if trial.number != study.best.number)
    assert len(study.predict(X[:3], trial=other)) == 3


def test_its_figures_are_those_of_the_report(study) -> None:
    history = study.plot.history()
    assert isinstance(history, go.Figure)
    assert {trace.name for trace in history.data} >= {"complete"}
    for name in ("over_time", "curves", "parallel", "importance", "slice", "contour"):
        assert isinstance(getattr(study.plot, name)(), go.Figure)
    assert "history()" in repr(study.plot)


def test_it_is_shown_in_a_few_words(study) -> None:
    assert repr(study).splitlines()[0] == "Study object: 3 complete" or "pruned" in repr(study)
    assert f"best: trial {study.best.number}, val_accuracy" in repr(study)
    page = study._repr_html_()
    assert page.index("Use trial") < page.index("<table>") < page.index("<svg")
    assert len(page) < 20_000
    assert len(repr(study.best)) < 300


def test_it_is_opened_by_name(study) -> None:
    again = hpo.open("object", home=study.home)
    assert again.best == study.best
    assert list(again.trials) == list(study.trials)
    assert again.mlflow_url is None
    with pytest.raises(NotFound, match="did you mean object"):
        hpo.open("objekt", home=study.home)


def test_it_is_confirmed(study) -> None:
    confirmed = study.confirm(2, 2, race=False, progress=False)
    assert repr(confirmed).startswith(f"Study object, confirmed:\nUse trial {study.best.number}: val_accuracy")
    assert "confirmed choice: trial" in repr(study)


def test_it_leaves_files(study, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert study.report().stat().st_size > 1e6
    assert "best.yaml" in "".join(study.export("best.yaml", model="best.keras"))
    text = study.to_yaml("study.yaml")
    assert (tmp_path / "study.yaml").read_text() == text
    went_on = hpo.run("study.yaml", home=study.home, overrides=["study.trials=4"], progress=False)
    assert len(went_on.trials) == 4
