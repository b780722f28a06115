import numpy as np
import pandas as pd
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data.prepare import load
from hpo.errors import DataError
from hpo.python.given_data import Parts, drawn_at_random, source_of_data
from hpo.system.kept_code import load_kept

X, Y = np.arange(80.0).reshape(40, 2), np.arange(40) % 2


def loaded(folder, data, **parts):
    source = source_of_data(Parts(data, **parts), folder)
    assert not source.functions
    return load(DatasetSpec.model_validate({"name": "given", **source.section}), (folder,))


def test_arrays_are_kept_once_for_their_owner_alone(tmp_path) -> None:
    dataset = loaded(tmp_path / "study", (X, Y.tolist()), test=(X[:8], Y[:8]), validation=(X[8:20], Y[8:20]))
    assert dataset.info.sizes == {"training": 40, "validation": 12, "test": 8}
    (kept,) = (tmp_path / "study").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    loaded(tmp_path / "study", (X, Y), test=(X[:8], Y[:8]), validation=(X[8:20], Y[8:20]))
    assert list((tmp_path / "study").iterdir()) == [kept]


def test_parts_come_as_keras_has_them_or_by_name(tmp_path) -> None:
    as_keras = loaded(tmp_path, ((X, Y), (X[:8], Y[:8])))
    by_name = loaded(tmp_path, {"train": (X, Y), "test": (X[:8], Y[:8])})
    assert as_keras.info.sizes["test"] == by_name.info.sizes["test"] == 8
    assert as_keras.info.digest == by_name.info.digest


def test_a_data_frame_is_a_table(tmp_path) -> None:
    frame = pd.DataFrame({"a": X[:, 0], "kind": pd.Categorical(["u", "v"] * 20), "y": Y}, index=range(100, 140))
    whole = loaded(tmp_path, frame, target="y")
    assert [column.name for column in whole.info.columns] == ["a", "kind"]
    apart = loaded(tmp_path, (frame.drop(columns="y"), frame["y"]))
    assert apart.info.digest == whole.info.digest
    with pytest.raises(DataError, match="target: must name the column to predict, got nothing; columns: a, kind, y"):
        loaded(tmp_path, frame)
    section = source_of_data(Parts(frame, target=("a", "y")), tmp_path).section
    assert section["target"] == ["a", "y"]
    with pytest.raises(DataError, match=r"must name the column to predict, got \('a', 'z'\); columns: a, kind, y"):
        source_of_data(Parts(frame, target=("a", "z")), tmp_path)


def test_a_pipeline_is_gathered_into_arrays(tmp_path) -> None:
    import tensorflow as tf

    pipeline = tf.data.Dataset.from_tensor_slices((X, Y))
    arrays = loaded(tmp_path, (X, Y))
    for made in (pipeline, pipeline.batch(16), pipeline.batch(16).prefetch(2)):
        assert loaded(tmp_path, made).info.digest == arrays.info.digest
    with pytest.raises(DataError, match="has no end; give a function"):
        loaded(tmp_path, pipeline.repeat())


def test_several_inputs_are_kept_as_they_came(tmp_path) -> None:
    source = source_of_data(Parts(({"left": X, "right": X[:, :1]}, Y)), tmp_path)
    assert source.section == {"function": "data"}
    assert list(source.files) == ["data"]


def kept(folder, data):
    source = source_of_data(Parts(data), folder)
    return load_kept(folder, *source.files["data"])["train"]


def test_batches_of_several_inputs_or_with_weights_are_not_batched_again(tmp_path) -> None:
    import tensorflow as tf

    for inputs, more in (({"a": X}, ()), ({"a": X, "b": X[:, :1]}, (np.ones(40),))):
        pipeline = tf.data.Dataset.from_tensor_slices((inputs, Y, *more)).batch(8, drop_remainder=True)
        x, y, *weights = kept(tmp_path, pipeline)
        assert x["a"].shape == (40, 2)
        assert all(one.shape == (40,) for one in (y, *weights))


def test_a_pipeline_that_shuffles_is_the_same_at_each_call_once_its_order_is_fixed(tmp_path) -> None:
    import tensorflow as tf

    plain = tf.data.Dataset.from_tensor_slices((X, Y))
    fixed = plain.shuffle(40, seed=1, reshuffle_each_iteration=False).batch(8)
    digests = [loaded(tmp_path, fixed).info.digest for _ in range(2)]
    assert digests[0] == digests[1] != loaded(tmp_path, plain).info.digest
    assert drawn_at_random(Parts({"train": fixed}))
    noisy = plain.map(lambda x, y: (x + tf.random.normal((2,), dtype=x.dtype), y))
    assert drawn_at_random(Parts((X, Y), test=noisy))
    assert not drawn_at_random(Parts(plain.batch(8), test=(X, Y)))


def test_a_list_of_samples_is_no_list_of_inputs(tmp_path) -> None:
    section = source_of_data(Parts(([np.arange(5.0)] * 3, [0, 1, 0])), tmp_path).section
    assert np.load(section["path"])["x_train"].shape == (3, 5)
    x, _ = kept(tmp_path, ([X, X[:, :1]], Y))
    assert [one.shape for one in x] == [(40, 2), (40, 1)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (X, "data: must be \\(x, y\\), got ndarray"),
        ({"training": (X, Y)}, "data: a mapping needs the part train, got: training"),
        ({"train": (X, Y), "val": (X, Y)}, "data: unknown parts val; valid: train, test, validation"),
        ((pd.DataFrame({"a": X[:, 0]}), pd.Series(Y, name="a")), "data: x has a column a already"),
        (([[1], [1, 2]], [0, 1]), "data: x: must be an array: .*padding"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(tmp_path, data, message) -> None:
    with pytest.raises(DataError, match=message):
        source_of_data(Parts(data), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_beside_the_caller_is_a_path(tmp_path, monkeypatch) -> None:
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path)
    for data in ("pets", tmp_path / "pets"):
        assert source_of_data(Parts(data), tmp_path).section == {"path": str(data)}
    assert source_of_data(Parts("digits"), tmp_path).section == {"name": "digits"}


def test_several_targets_have_weights_for_each(tmp_path) -> None:
    import tensorflow as tf

    y, weights = {"a": Y, "b": X}, {"a": Y + 1.0, "b": np.ones(40)}
    pipeline = tf.data.Dataset.from_tensor_slices((X, y, weights))
    for data in ((X.tolist(), y, weights), pipeline, pipeline.batch(7)):
        found = kept(tmp_path, data)[2]
        assert {name: one.tolist() for name, one in found.items()} == {"a": (Y + 1.0).tolist(), "b": [1] * 40}
    *_, listed = kept(tmp_path, (X, [Y, X], [Y + 1.0, None]))
    assert listed[0].tolist() == (Y + 1.0).tolist()
    assert listed[1] is None
