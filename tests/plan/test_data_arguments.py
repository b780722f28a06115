"""Data that depend on parameters: made once for each variant, of the same rows where that can be."""

import textwrap
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny

import hpo
from hpo.config.space import dataset_with
from hpo.data import open_prepared
from hpo.data.other_rows import rows_note
from hpo.data.prepared_variants import PreparedVariants
from hpo.errors import FileMistakes, InvalidSettings
from hpo.loop.jobs import variants_of
from hpo.plan.plan import load_plan

CODE = """
import numpy as np
CALLS = []
SERIES = np.sin(np.arange(120) / 5) + np.random.default_rng(0).normal(size=120) / 10

def data(params):
    window = params["window"]
    CALLS.append(dict(params))
    x = np.stack([SERIES[at : at + window] for at in range(120 - window)])
    if params.get("squared"):
        x = np.concatenate([x, x**2], axis=1)
    return {"train": (x.astype("float32"), SERIES[window:])}

def named(window, lag=0):
    return data({"window": window})

def labelled(size=4):
    return {"train": (np.zeros((60, size), "float32"), np.arange(60) % size)}
"""
WINDOW = {"type": "categorical", "choices": [3, 5], "sets": "dataset.arguments.window"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("windows")
    (folder / "windowed.py").write_text(textwrap.dedent(CODE))
    return folder


def planned(folder: Path, dataset, parameters=None, **changes):
    space = {"model": "mlp", "parameters": {"depth": 1, "width": 4, "window": WINDOW, **(parameters or {})}}
    experiment = tiny(name="win", dataset=dataset, search_space=space, objective="val_loss", **changes)
    return load_plan(experiment, home=folder / "home", folders=(folder,))


def prepared_for(plan, scratch):
    data = PreparedVariants(variants_of(plan), scratch)
    spec = plan.experiment.dataset

    def opened(**arguments):
        return open_prepared(
            data.folder(dataset_with(spec, {f"dataset.arguments.{n}": v for n, v in arguments.items()}))
        )

    return data, opened


IN_ORDER = {"function": "windowed:data", "shuffle": False, "task": "regression", "validation": 0.25}


def test_variants_have_the_same_rows_in_order_and_are_made_once(folder, tmp_path) -> None:
    plan = planned(folder, IN_ORDER)
    assert plan.experiment.dataset.arguments == {"window": 3}
    data, opened = prepared_for(plan, tmp_path)
    import windowed  # type: ignore[import-not-found]

    base, other = opened(), opened(window=5)
    assert [part.x.shape[1] for part in (base.test, other.test)] == [3, 5]
    for name in ("validation", "test"):
        np.testing.assert_array_equal(base.part(name).y, other.part(name).y)
        np.testing.assert_array_equal(base.part(name).x, other.part(name).x[:, 2:])
    assert rows_note(other.info) is None
    windowed.CALLS.clear()
    opened(window=5)
    opened(window=3)
    assert windowed.CALLS == []
    # What changes nothing is kept once.
    spec = plan.experiment.dataset
    assert data.folder(dataset_with(spec, {"dataset.arguments.squared": 0})) == data.base
    with pytest.raises(InvalidSettings, match=r"windowed:data: windowed.py:9: ValueError"):
        opened(window=120)
    with pytest.raises(InvalidSettings, match=r"dataset.limit would change the test part"):
        data.folder(dataset_with(spec, {"dataset.arguments.window": 5, "dataset.limit": 100}))


def test_what_has_other_rows_says_so(folder, tmp_path) -> None:
    _, opened = prepared_for(planned(folder, {"function": "windowed:named", "task": "regression"}), tmp_path)
    assert rows_note(opened(window=5).info) == (
        "other rows than in other trials: the validation part and the test part of window=5 have other targets"
    )
    assert rows_note(opened(lag=1).info) is None
    plan = planned(folder, "windowed:labelled", {"window": {**WINDOW, "sets": "dataset.arguments.size"}})
    with pytest.raises(
        InvalidSettings, match="the number of outputs must be the same for all trials of a study: 3, not 5"
    ):
        prepared_for(plan, tmp_path / "labelled")[1](size=5)


@pytest.mark.parametrize(
    ("dataset", "sets", "message"),
    [
        (IN_ORDER, "windw", "dataset.arguments.window: is required: windowed:data needs window; write arguments:"),
        ("windowed:named", "windw", "search_space.parameters.window: windowed:named takes no argument windw; did"),
        ({"function": "windowed:named", "arguments": {"windw": 3}}, "lag",
         "dataset.arguments.windw: windowed:named takes no argument windw; did you mean window?"),
        ("iris", "window", "search_space.parameters.window: sets dataset.arguments.window, which needs a function"),
    ],
)  # fmt: skip
def test_bad_arguments_are_reported_where_they_stand(folder, dataset, sets, message) -> None:
    with pytest.raises(FileMistakes) as raised:
        variants_of(planned(folder, dataset, {"window": {**WINDOW, "sets": f"dataset.arguments.{sets}"}}))
    assert message in str(raised.value)


def test_what_a_function_does_not_read_is_noted(folder) -> None:
    variants = variants_of(planned(folder, {**IN_ORDER, "arguments": {"sqared": True}}))
    assert "windowed:data did not read dataset.arguments.sqared" in variants.notes


def test_a_study_over_data_trains_resumes_and_predicts(folder, tmp_path) -> None:
    def run(trials):
        return hpo.run(planned(folder, IN_ORDER, study={"sampler": "grid", "trials": trials}, engine="serial"))

    run(1)
    study = run(2)
    first, second = study.trials
    assert [one.resolved.dataset["arguments"] for one in (first, second)] == [{"window": 3}, {"window": 5}]
    assert [one.test_note for one in (first, second)] == [None, None]
    assert second.model_parameters - first.model_parameters == 2 * 4
    again = study.best.model()
    assert again.input_shape == (None, study.best.params["window"])
