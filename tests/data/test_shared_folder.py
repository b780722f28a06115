"""The prepared folder: what was saved is opened, mapped, and replaced whole."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load, open_prepared, save
from hpo.data.several import by_name
from hpo.errors import DataError


def digits(**options: Any) -> Dataset:
    return load(DatasetSpec(name="digits", **options), [])


@pytest.mark.parametrize("name", ["digits", "iris", "diabetes"])
def test_what_was_saved_is_opened(tmp_path: Path, name: str) -> None:
    dataset = load(DatasetSpec(name=name), [])
    save(dataset, tmp_path / "below" / "data")
    opened = open_prepared(str(tmp_path / "below" / "data"))
    for part in ("training", "validation", "test"):
        for xy in ("x", "y"):
            saved, got = getattr(dataset.part(part), xy), getattr(opened.part(part), xy)
            assert isinstance(got, np.memmap)
            assert not got.flags.writeable
            assert got.dtype == saved.dtype
            np.testing.assert_array_equal(got, saved)
    for field in vars(dataset.info):
        if field != "scaling":
            assert getattr(opened.info, field) == getattr(dataset.info, field), field
    sample = dataset.test.x[:9]
    np.testing.assert_array_equal(opened.info.scaling.apply(sample), dataset.info.scaling.apply(sample))


def test_saving_again_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    save(digits(), tmp_path / "data")
    old = open_prepared(tmp_path / "data")
    first = np.array(old.training.x[:5])
    save(digits(limit=100), tmp_path / "data")
    assert len(open_prepared(tmp_path / "data").training) == 64
    # Whoever has the old one open keeps it.
    np.testing.assert_array_equal(old.training.x[:5], first)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert sorted(path.suffix for path in (tmp_path / "data").iterdir()) == [".json", *[".npy"] * 6]


def test_folders_that_hold_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be a prepared dataset"):
        open_prepared(tmp_path)
    save(digits(), tmp_path / "data")
    (tmp_path / "data" / "test_x.npy").unlink()
    with pytest.raises(DataError, match=r"test: cannot be read.*delete the folder"):
        open_prepared(tmp_path / "data")
    meta = json.loads((tmp_path / "data" / "meta.json").read_text())
    (tmp_path / "data" / "meta.json").write_text(json.dumps({**meta, "format": 99}))
    with pytest.raises(DataError, match="of format 1, got 99; delete the folder"):
        open_prepared(tmp_path / "data")


def test_weights_of_several_targets_are_opened_as_they_were(tmp_path: Path) -> None:
    for name in ("by_target", "for_all", "as_lists"):
        dataset = load(DatasetSpec(function=f"weighed:{name}"), [Path(__file__).parents[1]])
        save(dataset, tmp_path / name)
        opened = open_prepared(tmp_path / name)
        for part in ("training", "validation", "test"):
            saved, got = dataset.part(part).weights, opened.part(part).weights
            assert by_name(got).keys() == by_name(saved).keys()
            assert getattr(got, "listed", None) == getattr(saved, "listed", None)
            for target, array in by_name(saved).items():
                np.testing.assert_array_equal(by_name(got)[target], array)
