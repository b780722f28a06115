"""Windows over series: which rows they hold, in which part they lie, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load, open_prepared, save
from hpo.data.prepared_variants import Variants
from hpo.data.series_table import read_windows
from hpo.errors import DataError

N = 60
DAYS = pd.date_range("2024-01-30", periods=N).strftime("%Y-%m-%d")
# The value of a row is its place, and 100 more in the second of two shops.
FRAME = pd.DataFrame({"day": DAYS, "sold": np.arange(N, dtype=float), "rain": np.arange(N) % 7 * 0.5})
BY_DAY: dict[str, Any] = {"validation": {"time": "day", "size": 15}}


def read(folder: Path, frame: pd.DataFrame, series: dict[str, Any], **options: Any) -> Dataset:
    frame.to_csv(folder / "sales.csv", index=False)
    section = {"path": "sales.csv", "target": "sold", "test": 15, **options, "series": series}
    return load(DatasetSpec.model_validate(section), [folder])


def test_a_window_and_what_is_forecast_lie_in_one_part(tmp_path: Path) -> None:
    mixed = FRAME.sample(frac=1, random_state=0)
    dataset = read(tmp_path, mixed, {"window": 4, "horizon": 2, "gap": 1, "stride": 2}, **BY_DAY)
    for name, first, last in (("training", 0, 29), ("validation", 30, 44), ("test", 45, 59)):
        part = dataset.part(name)
        starts = np.arange(first, last - 5, 2)
        np.testing.assert_array_equal(part.x[:, :, 0], starts[:, None] + np.arange(4))
        np.testing.assert_array_equal(part.y, starts[:, None] + [5, 6])
    info = dataset.info
    assert (info.input_shape, info.outputs, info.feature_names) == ((4, 2), 2, ("sold", "rain"))
    assert info.series is not None
    assert info.series.output_names == ("sold_2", "sold_3")
    assert "test 5 of rows 45 to 59 (counted from 0, in order of time)" in info.notes[0]
    assert "training 2024-01-30 to 2024-02-28" in info.notes[1]
    # Of the rows of the training part, each once, and of no later ones.
    assert info.scaling.offset == pytest.approx([14.5, FRAME["rain"][:30].mean()])
    assert info.scaling.factor[0] == pytest.approx(1 / np.arange(30).std())


def test_windows_of_one_series_are_views(tmp_path: Path) -> None:
    x = read(tmp_path, FRAME.drop(columns="day"), {"window": 5}).training.x
    assert x.base is not None
    assert np.shares_memory(x[0], x[1])
    assert x.dtype == np.float32
    # Seconds since 1970, which float32 does not tell apart.
    seconds = FRAME.drop(columns="day").assign(second=1.7e9 + np.arange(N))
    assert read(tmp_path, seconds, {"window": 5}).training.x.dtype == np.float64


def two_shops() -> pd.DataFrame:
    other = FRAME.assign(sold=FRAME["sold"] + 100)
    return pd.concat([FRAME.assign(shop="b"), other.assign(shop="a")])


@pytest.mark.parametrize("options", [BY_DAY, {"drop": ["day"], "validation": 0.25}])
def test_no_window_has_rows_of_two_series(tmp_path: Path, options: dict[str, Any]) -> None:
    frame = two_shops()
    dataset = read(tmp_path, frame, {"window": 3, "group": "shop"}, **{**options, "test": 0.25})
    for name in ("training", "validation", "test"):
        part = dataset.part(name)
        assert (np.diff(part.x[:, :, 0], axis=1) == 1).all()
        np.testing.assert_array_equal(part.y, part.x[:, -1, 0] + 1)
        assert {*(part.x[:, 0, 0] // 100)} == {0.0, 1.0}
    assert dataset.test.x[:, :, 0].min() % 100 == 45
    assert "of 2 series" in dataset.info.notes[0]


def test_several_targets_and_a_target_that_is_no_input(tmp_path: Path) -> None:
    dataset = read(tmp_path, FRAME, {"window": 3, "horizon": 2}, target=["sold", "rain"], drop=["sold"], **BY_DAY)
    assert dataset.info.input_shape == (3, 1)
    np.testing.assert_array_equal(dataset.training.y[0], [3, 1.5, 4, 2])
    assert dataset.info.target_scaling is not None


def test_names_are_classes_and_whole_numbers_are_none(tmp_path: Path) -> None:
    frame = FRAME.assign(weather=np.where(FRAME["rain"] > 1, "wet", "dry"), count=np.arange(N) % 3)
    assert read(tmp_path, frame, {"window": 3}, target="weather", **BY_DAY).info.class_names == ("dry", "wet")
    assert read(tmp_path, frame, {"window": 3}, target="count", **BY_DAY).info.task == "regression"
    assert read(tmp_path, frame, {"window": 3}, target="count", task="classification", **BY_DAY).info.classes == 3


def test_trials_divide_the_rows_otherwise_and_share_the_test_part(tmp_path: Path) -> None:
    # "late" is a category where the training part goes further than row 30.
    frame = FRAME.assign(weather=np.where(np.arange(N) < 32, np.where(np.arange(N) % 2, "wet", "dry"), "late"))
    frame.to_csv(tmp_path / "sales.csv", index=False)
    section = {"path": "sales.csv", "target": "sold", "test": 15, "series": {"window": 3}, **BY_DAY}
    variants = Variants(DatasetSpec.model_validate(section), [tmp_path])
    other = variants.dataset(DatasetSpec.model_validate({**section, "validation": {"time": "day", "size": 10}}))
    assert other.info.digests["test"] == variants.base.info.digests["test"]
    assert (other.test.x != variants.base.test.x).any()


def test_folds_go_forward_and_a_prepared_dataset_comes_back(tmp_path: Path) -> None:
    dataset = read(tmp_path, FRAME, {"window": 3}, validation={"time": "day", "folds": 3})
    assert [fold.validation.x[0, 0, 0] for fold in dataset.folds] == [12, 23, 34]
    assert all(fold.training.y.max() < fold.validation.x[:, :, 0].min() for fold in dataset.folds)
    save(dataset, tmp_path / "prepared")
    again = open_prepared(tmp_path / "prepared")
    assert again.info.series == dataset.info.series
    np.testing.assert_array_equal(again.folds[1].training.x, dataset.folds[1].training.x)


def test_a_forecast_is_made_from_each_row_on(tmp_path: Path) -> None:
    info = read(tmp_path, two_shops(), {"window": 4, "stride": 3, "group": "shop"}, **BY_DAY).info
    new = two_shops().iloc[::-1].drop(columns="rain").assign(rain=1.0, more=2)
    new.to_csv(tmp_path / "new.csv", index=False)
    found = read_windows(tmp_path / "new.csv", info)
    assert found.x.shape == (2 * (N - 3), 4, 2)
    assert (np.diff(found.x[:, :, 0], axis=1) == 1).all()
    np.testing.assert_array_equal(found.ends["shop"], np.repeat(["a", "b"], N - 3))
    assert found.ends["day"][0] == DAYS[3]


@pytest.mark.parametrize(
    ("series", "options", "key", "message"),
    [
        ({"window": 80}, {}, "series.window", "a gap of 0 and a horizon of 1 need 81 rows .* longest series has 60"),
        ({"window": 8, "horizon": 80}, {}, "series.horizon", "need 88 rows that follow each other"),
        ({"window": 15}, {}, "series.window", "need 16 rows .* the validation part has 15 of one series"),
        ({"window": 3, "group": "shoq"}, {}, "series.group", "has no column 'shoq'; did you mean shop"),
        ({"window": 3}, {"target": ["sold", "soled"]}, "target", "has no column 'soled'; did you mean sold"),
        ({"window": 3}, {"target": "day"}, "target", "'day' cannot be the target and the time or group"),
        ({"window": 3}, {"frame": two_shops()}, "validation.time", "line 2 and line 62 have the same; series: {group"),
        (
            {"window": 3},
            {"frame": FRAME.iloc[::-1], "validation": 15},
            "",
            "column 'day' has an earlier date in line 3 than in line 2; validation: {time: day}",
        ),
        (
            {"window": 3},
            {"frame": FRAME.iloc[::-1], "validation": 15, "drop": ["day"]},
            "",
            "by column 'day' the latest row comes first, .* validation: {time: day} sorts them",
        ),
        ({"window": 3}, {"frame": FRAME.assign(rain=[1, None] * 30)}, "", "'rain': .* the first in line 3; fill in"),
        ({"window": 3}, {"frame": FRAME.assign(sold=[None, *range(59)])}, "", "'sold': .* the first in line 2"),
        (
            {"window": 3, "horizon": 2},
            {"frame": FRAME.assign(sold=["a", "b"] * 30)},
            "series.horizon",
            "names are forecast one at a time",
        ),
        ({"window": 3}, {"drop": ["sold", "rain", "shop"]}, "drop", "needs a column that is an input"),
    ],
)
def test_what_cannot_be_forecast_is_refused(
    tmp_path: Path, series: dict[str, Any], options: dict[str, Any], key: str, message: str
) -> None:
    frame = options.pop("frame", FRAME.assign(shop=1))
    with pytest.raises(DataError, match=rf"(?s)sales\.csv: .*{message}") as raised:
        read(tmp_path, frame, series, **{**BY_DAY, **options})
    assert ".".join(raised.value.key) == (key and f"dataset.{key}")


def test_windows_are_over_the_rows_of_a_table() -> None:
    with pytest.raises(DataError, match="series is for the rows of a table"):
        load(DatasetSpec.model_validate({"name": "iris", "target": "a", "series": {"window": 3}}), [])


def test_a_series_that_a_package_ships() -> None:
    section = {"name": "google", "target": "volume", "series": {"window": 20}, "validation": {"time": "date"}}
    dataset = load(DatasetSpec.model_validate(section), [])
    assert dataset.info.input_shape == (20, 6)
    assert dataset.training.y[0] == dataset.training.x[1, -1, 4]
    with pytest.raises(
        DataError, match="google is a table whose rows follow each other in time: set target, and series"
    ):
        load(DatasetSpec(name="google"), [])
