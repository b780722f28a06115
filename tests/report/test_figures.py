"""What figures show of small studies, and where their axes end."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from studies import flat, run

from hpo.report.axes import limits, log_ticks, parameter_axis, score_axis, whole_axis
from hpo.report.copied_commands import Stores
from hpo.report.course import curves, history, over_time
from hpo.report.figures import contour, importance, slices
from hpo.report.importance import importances
from hpo.report.parallel import _axis, parallel
from hpo.report.plotly_json import Drawing, Missing
from hpo.report.thinning import Source, read_source
from hpo.tracking.links import server_address


@pytest.fixture(scope="module")
def equal(tmp_path_factory) -> Source:
    """A study of four trials that all have the same score."""
    url = f"sqlite:///{tmp_path_factory.mktemp('equal')}/optuna.db"
    run(url, flat, name="equal", trials=4)
    return read_source(url, "equal")


def traces(drawing: Drawing | Missing) -> list[dict]:
    assert isinstance(drawing, Drawing), drawing
    return json.loads(drawing.content)["data"]


@pytest.mark.parametrize(
    ("metric", "values", "ends"),
    [
        ("val_accuracy", [0.2, 1.0], (0, 1)),
        ("val_sparse_categorical_accuracy", [0.9], (0, 1)),
        ("val_auc_1", [0.5], (0, 1)),
        ("val_f1_score", [0.5], (0, 1)),
        ("val_loss", [0.2, 3.0], (0, None)),
        ("val_mae", [0.2], (0, None)),
        ("val_r2_score", [-3.0, 0.9], (None, 1)),
        ("val_cosine_similarity", [-0.3], (None, 1)),
        ("val_poisson", [-2.0], (None, None)),
        ("val_accuracy", [0.0, 97.0], (0, None)),  # in percent
    ],
)
def test_an_axis_of_scores_ends_where_scores_end(metric, values, ends):
    assert limits(metric, values) == ends
    axis = score_axis(metric, values)
    assert axis["range"][0] < axis["range"][1]
    for value in values:
        assert axis["range"][0] <= value <= axis["range"][1]
    assert ends[0] is None or axis["range"][0] >= ends[0]
    assert ends[1] is None or axis["range"][1] <= ends[1]


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5, -2.0, 1e-9])
def test_an_axis_of_one_value_has_a_length(value):
    low, high = score_axis("val_accuracy", [value])["range"]
    assert low <= value <= high
    assert low < high


def test_whole_numbers_have_whole_ticks():
    assert (whole_axis(0, 2)["dtick"], whole_axis(0, 2)["range"]) == (1, [-0.5, 2.5])
    assert "dtick" not in whole_axis(1, 20)
    assert parameter_axis("depth", IntDistribution(1, 4))["dtick"] == 1
    assert parameter_axis("x", CategoricalDistribution([64, "relu", None]))["categoryarray"] == ["64", "relu", "null"]
    assert parameter_axis("x", FloatDistribution(0.5, 0.5))["range"] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-4, 1e-1, [1e-4, 1e-3, 1e-2, 1e-1]),
        (32, 512, [32, 50, 100, 200, 512]),
        (0.001, 0.1, [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1]),
        (7, 7, [7]),
    ],
)
def test_a_logarithmic_axis_has_round_ticks_between_its_ends(low, high, ticks):
    assert log_ticks(low, high) == ticks


def test_equal_scores_are_equally_coloured(equal):
    lines = traces(parallel(equal))
    assert len(lines) == 4
    assert len({line["line"]["color"] for line in lines}) == 1


@pytest.mark.parametrize("name", ["few", "confirmed", "three", "wild", "many"])
def test_the_choice_is_marked_in_every_figure_of_trials(store, name):
    source = read_source(store, name)
    title = "confirmed choice: trial 3" if name == "confirmed" else f"best single run: trial {source.scored[0].number}"
    figures = [history(source), over_time([source]), curves(source), parallel(source)]
    if name == "many":
        figures += [slices(source, ["learning_rate", "depth"]), contour(source, ["learning_rate", "depth"])]
    for figure in figures:
        marked = [trace for trace in traces(figure) if trace.get("name") == title]
        assert marked, title
        assert set(marked[0]["customdata"]) - {None} == {source.choice.trial.number}


def test_every_value_has_its_place_on_the_axis_of_its_parameter(store):
    source = read_source(store, "few")
    depth, word = IntDistribution(1, 2), CategoricalDistribution(["[8]", "[8, 4]"])
    some = [replace(source.scored[0], params=params) for params in (
        {"depth": 1, "widths": [8]}, {"depth": 5, "widths": [8, 4]}, {"widths": [16]}, {"depth": 2},
    )]  # fmt: skip
    # A depth of 5 and widths of 16 are from when the ranges were wider.
    assert [_axis("depth", depth, some).place(trial) for trial in some] == [0, 1, None, 0.25]
    assert [text for _, text in _axis("depth", depth, some).ticks] == ["1", "2", "3", "4", "5"]
    assert [_axis("widths", word, some).place(trial) for trial in some] == [0, 0.5, 1, None]
    assert parameter_axis("widths", word, [[16]])["categoryarray"] == ["[8]", "[8, 4]", "[16]"]
    rate = _axis("rate", FloatDistribution(0.01, 1.0, log=True), [replace(some[0], params={"rate": 0.0})])
    assert rate.place(replace(some[0], params={"rate": 0.0})) is None
    assert rate.place(replace(some[0], params={"rate": 0.1})) == pytest.approx(0.5)


def test_an_axis_of_curves_leaves_out_first_epochs_that_are_far_off(tmp_path):
    url = f"sqlite:///{tmp_path}/optuna.db"
    run(url, lambda job: [-1e6, *(0.5 + 0.01 * epoch for epoch in range(12))], name="far", trials=3)
    axis = json.loads(curves(read_source(url, "far")).content)["layout"]["yaxis"]
    assert 0 < axis["range"][0] < 0.5
    assert 0.61 < axis["range"][1] <= 1
    assert "minallowed" not in axis


def test_states_look_different_and_failures_are_visible(store):
    source = read_source(store, "wild")
    names = {trace["name"]: trace for trace in traces(history(source))}
    assert set(names) - {"best so far"} == {"complete", "failed", source.choice.name}
    assert names["failed"]["customdata"] == [3, 7, 11]
    few = read_source(store, "few")
    states = {state: [t.number for t in few.scored if t.state == state] for state in ("complete", "pruned")}
    for figure in (history(few), curves(few)):
        drawn = {trace["name"]: set(trace.get("customdata", ())) - {None} for trace in traces(figure)}
        assert drawn["pruned"] == set(states["pruned"])


@pytest.mark.parametrize("name", ["one", "three", "few"])
def test_nothing_is_ranked_or_interpolated_from_few_trials(store, name):
    source = read_source(store, name)
    found = importances(source)
    assert found.important == []
    missing = importance(found)
    assert "from 30 comparable scores on" in missing.reason
    assert isinstance(slices(source, []), Missing)
    assert isinstance(over_time([source]), Missing) == (name == "one")


def test_commands_name_the_stores_that_were_named_and_no_password():
    assert Stores().all("hpo confirm s") == "hpo confirm s"
    named = Stores(Path("my runs"), "sqlite:///a.db", "http://localhost:5000")
    options = " --home 'my runs' --storage sqlite:///a.db"
    assert named.all("hpo confirm s") == f"hpo confirm s{options} --tracking-uri http://localhost:5000"
    assert named.read("hpo show s 3") == f"hpo show s 3{options}"
    assert named.ui("s") == "hpo ui s --home 'my runs' --uri http://localhost:5000"
    secret = Stores(None, "postgresql://me:pa55w0rd@db/x", "https://me:pa55w0rd@mlflow")
    assert secret.all("hpo confirm s") == "hpo confirm s"


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
        ("https://me:pa55w0rd@mlflow.example/team", "https://mlflow.example/team"),
        ("https://t0ken-of-mine@[::1]:8080?token=t0ken-of-mine", "https://[::1]:8080"),
        ("https://mlflow.example/t0ken-of-mine", None),
        ("sqlite:///mlflow.db", None),
        ("postgresql://me:pa55w0rd@db/mlflow", None),
        ("http://host:port", None),
    ],
)
def test_a_servers_address_is_published_without_credentials(uri, address):
    assert server_address(uri) == address
