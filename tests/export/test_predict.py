"""Predictions: samples read as the training data were, and what is said of those that cannot be."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hpo.config.dataset_parts import Validation
from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load
from hpo.data.tables import read_features
from hpo.errors import DataError, NotFound, UserError
from hpo.export.input_samples import read_samples
from hpo.export.predict import check_output, predict, write

N = 120
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "size": RNG.random(N),
        "town": np.array(["Ulm", "Bonn", "Jena"])[np.arange(N) % 3],
        "garden": np.arange(N) % 2 == 0,
        "kind": np.array(["flat", "house"])[np.arange(N) // 7 % 2],
    }
)


@pytest.fixture
def houses(tmp_path: Path) -> Dataset:
    TABLE.to_csv(tmp_path / "train.csv", index=False)
    return load(DatasetSpec(path="train.csv", target="kind"), [tmp_path])


@pytest.fixture
def digits() -> Dataset:
    return load(DatasetSpec(name="digits", limit=100), [])


def csv(folder: Path, table: pd.DataFrame) -> Path:
    table.to_csv(folder / "input.csv", index=False)
    return folder / "input.csv"


def test_columns_are_found_by_name_in_any_order(tmp_path: Path, houses: Dataset) -> None:
    whole = load(
        DatasetSpec(path="train.csv", target="kind", validation=Validation(size=1 / N), test=1 / N), [tmp_path]
    )
    shuffled = TABLE[["garden", "kind", "town", "size"]].assign(id=range(N))
    samples = read_samples(csv(tmp_path, shuffled), houses.info)
    assert list(samples.ignored) == ["kind", "id"]
    assert isinstance(samples.x, dict)
    assert {name: values.shape for name, values in samples.x.items()} == dict.fromkeys(("size", "town", "garden"), (N,))
    features = read_features(tmp_path / "input.csv", houses.info).features
    rows = {tuple(row) for row in features}
    assert features.shape == (N, 5)
    assert all(tuple(row) in rows for row in whole.training.x)


def test_a_few_rows_are_encoded_as_all_were(tmp_path: Path, houses: Dataset) -> None:
    everything = read_features(csv(tmp_path, TABLE), houses.info).features
    one = read_features(csv(tmp_path, TABLE.iloc[[4]]), houses.info).features
    np.testing.assert_array_equal(one, everything[[4]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="size"), "trained on columns size, town, garden; missing: size; size: valid: kind"),
        (lambda t: t.rename(columns={"town": "towm"}), "missing: town; town: did you mean towm"),
        (lambda t: t.assign(size="big"), "'size': must hold numbers, line 2 holds big"),
        (lambda t: t.assign(size=np.inf), f"must be finite numbers .* got {N}"),
        (lambda t: t.iloc[:0], "must have at least one row, has none"),
    ],
)
def test_tables_that_are_not_what_the_model_knows(tmp_path: Path, houses: Dataset, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"input\.csv.*{message}"):
        read_samples(csv(tmp_path, change(TABLE)), houses.info)


def test_missing_values_and_unknown_texts_are_filled_and_reported(tmp_path: Path, houses: Dataset) -> None:
    table = TABLE.assign(size=[None, *TABLE["size"][1:]], town=["Köln", *TABLE["town"][1:]])
    assert read_samples(csv(tmp_path, table), houses.info).notes == [
        "column size: 1 missing value is filled as in training",
        "column town: 1 row holds a text that is no category, such as Köln: it counts as none of its categories",
    ]
    refusing = replace(houses.info, fill=None)
    with pytest.raises(DataError, match=r"'size': must have a value in every row, 1 are missing, the first in line 2"):
        read_samples(tmp_path / "input.csv", refusing)


def test_arrays_and_pictures_are_the_same_samples(tmp_path: Path, digits: Dataset) -> None:
    x = np.asarray(digits.test.x[:4])
    np.save(tmp_path / "flat.npy", x[..., 0])
    np.savez(tmp_path / "x.npz", x=x, y=np.zeros(4))
    (tmp_path / "folder").mkdir()
    for number, image in enumerate(x):
        Image.fromarray(image[..., 0]).save(tmp_path / "folder" / f"{number}.png")
    for name in ("flat.npy", "x.npz", "folder"):
        np.testing.assert_array_equal(read_samples(tmp_path / name, digits.info).x, x)
    samples = read_samples(tmp_path / "folder", digits.info)
    assert samples.files == ("0.png", "1.png", "2.png", "3.png")
    np.testing.assert_array_equal(read_samples(tmp_path / "folder" / "2.png", digits.info).x, x[[2]])


def test_samples_of_another_shape(tmp_path: Path, digits: Dataset, houses: Dataset) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 9, 8), np.uint8))
    with pytest.raises(DataError, match=r"of shape \(samples, 8, 8, 1\), got uint8 of shape \(3, 9, 8\)"):
        read_samples(tmp_path / "a.npy", digits.info)
    Image.new("L", (28, 20)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: the model takes pictures of 8 by 8 pixels, got 28 by 20"):
        read_samples(tmp_path / "a.png", digits.info)
    with pytest.raises(DataError, match=r"not trained on grey or coloured pictures, but on samples of shape \(5,\)"):
        read_samples(tmp_path / "a.png", houses.info)
    with pytest.raises(DataError, match=r"not trained on a table, but on samples of shape \(8, 8, 1\)"):
        read_samples(csv(tmp_path, TABLE), digits.info)


def test_files_that_cannot_be_read(tmp_path: Path, digits: Dataset) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"objects\.npy: cannot be read: Object arrays cannot be loaded"):
        read_samples(tmp_path / "objects.npy", digits.info)
    np.savez(tmp_path / "two.npz", a=np.zeros(1), b=np.zeros(1))
    with pytest.raises(DataError, match=r"two\.npz: must have an array x, or a single array, has: a, b"):
        read_samples(tmp_path / "two.npz", digits.info)
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(DataError, match=r"broken\.png: cannot be read as a picture"):
        read_samples(tmp_path / "broken.png", digits.info)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty: holds no \.png"):
        read_samples(tmp_path / "empty", digits.info)
    with pytest.raises(NotFound, match="nowhere: no such file or folder"):
        read_samples(tmp_path / "nowhere", digits.info)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match=r"a\.txt: must be \.csv, \.tsv, \.csv\.gz, \.tsv\.gz, \.parquet, \.npy"):
        read_samples(tmp_path / "a.txt", digits.info)


def test_models_that_are_not_there(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 3)))
    (tmp_path / "m.keras").write_text("no model")
    for model, message in (
        (str(tmp_path / "none.keras"), "none.keras: no such file; a registered model is written models:/NAME@champion"),
        (str(tmp_path / "m.keras"), "cannot be read as a Keras model"),
        ("models:/digits", r"must be models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/digits@champion", r"mlflow\.db: no such file, so no model is registered there"),
    ):
        with pytest.raises(UserError, match=message):
            predict(model, tmp_path / "x.npy", home=tmp_path)
    with pytest.raises(UserError, match=r"out\.txt: must end in \.csv"):
        check_output(tmp_path / "out.txt")


def saved(folder: Path, dataset: Dataset, *layers: Any) -> str:
    import keras

    from hpo.training.model_data import write_info
    from hpo.training.saving import with_preprocessing

    model = keras.Sequential([keras.Input(dataset.info.input_shape), *layers])
    path = folder / "m.keras"
    with_preprocessing(model, dataset.info).save(path)
    write_info(path, dataset.info)
    return str(path)


def test_classes_have_names_and_probabilities(tmp_path: Path, houses: Dataset) -> None:
    import keras

    model = saved(tmp_path, houses, keras.layers.Dense(2, activation="softmax"))
    found = predict(model, csv(tmp_path, TABLE)).table
    assert list(found) == ["class", "probability_flat", "probability_house"]
    expected = np.where(found["probability_flat"] >= found["probability_house"], "flat", "house")
    assert list(found["class"]) == list(expected)
    write(predict(model, csv(tmp_path, TABLE)), tmp_path / "out.csv")
    assert len(pd.read_csv(tmp_path / "out.csv")) == N
    # A single sigmoid unit is the probability of the second class; logits are no probabilities.
    sigmoid = predict(saved(tmp_path, houses, keras.layers.Dense(1, activation="sigmoid")), csv(tmp_path, TABLE)).table
    assert list(sigmoid) == list(found)
    logits = predict(saved(tmp_path, houses, keras.layers.Dense(2)), csv(tmp_path, TABLE)).table
    assert list(logits) == ["class", "output_flat", "output_house"]


def test_numbers_are_predicted(tmp_path: Path) -> None:
    import keras

    TABLE.to_csv(tmp_path / "train.csv", index=False)
    dataset = load(DatasetSpec(path="train.csv", target="size"), [tmp_path])
    found = predict(saved(tmp_path, dataset, keras.layers.Dense(1)), csv(tmp_path, TABLE))
    assert list(found.table) == ["prediction"]
    assert list(found.ignored) == ["size"]
