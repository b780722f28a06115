"""Scaling: fitted values, chunks, and columns that do not vary."""

import numpy as np
import pytest

from hpo.data.scaling import Method, Moments, check_range, default_method
from hpo.errors import DataError

RNG = np.random.default_rng(0)


def moments(x: np.ndarray, pieces: int = 1) -> Moments:
    found = Moments(x.shape[1:])
    for piece in np.array_split(x, pieces):
        found.update(piece)
    return found


@pytest.mark.parametrize("pieces", [1, 7])
def test_standard_of_tables_is_per_column(pieces: int) -> None:
    x = RNG.normal([1e6, -5, 0], [2, 30, 1e-3], (1000, 3))
    scaling = moments(x, pieces).scaling("standard")
    np.testing.assert_allclose(scaling.offset, x.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaling.factor, 1 / x.std(axis=0), rtol=1e-6)
    assert scaling.apply(x).dtype == np.float32


@pytest.mark.parametrize("pieces", [1, 7])
def test_images_have_one_number(pieces: int) -> None:
    x = RNG.integers(3, 200, (50, 6, 6, 3), dtype=np.uint8)
    x[0, 0, 0], x[1, 1, 1] = 3, 199
    minmax = moments(x, pieces).scaling("minmax")
    assert minmax.offset.shape == ()
    assert (float(minmax.offset), float(minmax.factor)) == (3.0, pytest.approx(1 / 196))
    assert (minmax.apply(x).min(), minmax.apply(x).max()) == (0, pytest.approx(1))
    standard = moments(x, pieces).scaling("standard")
    assert float(standard.offset) == pytest.approx(x.mean())
    assert standard.apply(x).std() == pytest.approx(1, rel=1e-5)


def test_series_have_one_number_per_column() -> None:
    x = RNG.normal(size=(20, 10, 3)) * [1, 10, 100]
    scaling = moments(x).scaling("minmax")
    np.testing.assert_allclose(scaling.offset, x.min(axis=(0, 1)), rtol=1e-6)
    assert scaling.apply(x).max() == pytest.approx(1)


@pytest.mark.parametrize("method", ["minmax", "standard"])
def test_constant_columns_become_zero(method: Method) -> None:
    x = np.column_stack([np.full(1000, 0.1), np.arange(1000.0), np.full(1000, -7.0)])
    scaled = moments(x, 3).scaling(method).apply(x)
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled[:, [0, 2]], 0, atol=1e-6)
    black = np.zeros((4, 2, 2, 1), np.uint8)
    assert (moments(black).scaling(method).apply(black) == 0).all()


def test_scaling_none_changes_nothing_and_the_default_follows_the_shape() -> None:
    x = RNG.normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_array_equal(moments(x).scaling("none").apply(x), x)
    assert [default_method(shape) for shape in ((4,), (5, 4), (8, 8, 1))] == ["standard", "standard", "minmax"]


@pytest.mark.parametrize(
    ("shape", "numbered", "method"),
    [((20,), True, "none"), ((20,), False, "standard"), ((8, 8, 1), True, "minmax"), ((12, 3), True, "none")],
)
def test_integers_that_are_ids_are_not_scaled_by_default(
    shape: tuple[int, ...], numbered: bool, method: Method
) -> None:
    assert default_method(shape, numbered) == method


def test_integers_that_float32_cannot_tell_apart_must_be_scaled() -> None:
    check_range("ids", moments(np.array([[0, 2**24], [5, 3]])))
    with pytest.raises(DataError, match=r"ids: integers that are not scaled must be .* got -16,777,217.*from 0"):
        check_range("ids", moments(np.array([[0, 3], [-(2**24) - 1, 3]])))
