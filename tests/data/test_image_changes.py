"""Changed copies of the test part, and what only images can have."""

from pathlib import Path

import numpy as np
import pytest

from hpo.config.experiment import DatasetSpec
from hpo.data import Dataset, load, open_prepared, save, source_data
from hpo.errors import DataError


def digits(**options: object) -> Dataset:
    return load(DatasetSpec.model_validate({"name": "digits", "limit": 100, **options}), [])


def test_copies_are_shifted_and_rotated_with_zeros_where_nothing_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_data, "_CHUNK", 7 * 64)  # seven images at a time
    extra_tests = {
        "shifted": {"shift": [1, -3]},
        "turned": {"rotate": 90},
        "tilted": {"rotate": 15.5},
        "both": {"rotate": 180, "shift": [0, 2]},
    }
    dataset = digits(extra_tests=extra_tests)
    x = dataset.test.x
    expected = np.zeros_like(x)
    expected[:, 1:, :-3] = x[:, :-1, 3:]
    np.testing.assert_array_equal(dataset.part("test_shifted").x, expected)
    # Counterclockwise: what was at the right is on top.
    np.testing.assert_array_equal(dataset.part("test_turned").x, np.rot90(x, axes=(1, 2)))
    expected = np.zeros_like(x)
    expected[:, :, 2:] = np.rot90(x, 2, axes=(1, 2))[:, :, :-2]
    np.testing.assert_array_equal(dataset.part("test_both").x, expected)
    tilted = dataset.part("test_tilted").x
    assert tilted.dtype == np.uint8
    assert tilted.max() <= 16
    assert (tilted != x).any()
    for part in dataset.extra_tests.values():
        np.testing.assert_array_equal(part.y, dataset.test.y)
    assert dataset.info.extra_tests == ("shifted", "turned", "tilted", "both")


def test_copies_are_kept_beside_the_parts_and_change_none_of_them(tmp_path: Path) -> None:
    plain, dataset = digits(), digits(extra_tests={"shifted": {"shift": [0, 2]}})
    assert dataset.info.digests == plain.info.digests
    save(dataset, tmp_path / "data")
    opened = open_prepared(tmp_path / "data")
    assert opened.info.extra_tests == ("shifted",)
    np.testing.assert_array_equal(opened.part("test_shifted").x, dataset.part("test_shifted").x)
    np.testing.assert_array_equal(opened.part("test_shifted").y, dataset.test.y)


@pytest.mark.parametrize(
    ("options", "key", "message"),
    [
        ({"extra_tests": {"s": {"shift": [0, 1]}}}, "extra_tests.s", r"needs images.* of iris have shape \(4,\)"),
        ({"augmentation": {"rotation": 0.1}}, "augmentation.rotation", r"needs images.* of iris have shape \(4,\)"),
        ({"augmentation": {"flip": "horizontal"}}, "augmentation.flip", "needs images"),
        (
            {"name": "digits", "extra_tests": {"test_s": {"rotate": 1}}},
            "extra_tests.test_s",
            "must not begin with test",
        ),
    ],
)
def test_changes_that_do_not_suit_the_data_are_refused_at_their_key(
    options: dict[str, object], key: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load(DatasetSpec.model_validate({"name": "iris", **options}), [])
    assert ".".join(caught.value.key) == f"dataset.{key}"


def test_any_samples_can_have_noise() -> None:
    assert load(DatasetSpec.model_validate({"name": "iris", "augmentation": {"noise": 0.1}}), [])
