"""Configurations as points of a cube, and back."""

import numpy as np
import pytest

from hpo.config.space import SearchSpace
from hpo.schedule.cube import Cube

SPACE = SearchSpace.model_validate(
    {
        "model": "mlp",
        "parameters": {
            "depth": {"type": "int", "low": 1, "high": 4},
            "width": {"type": "int", "low": 32, "high": 512, "log": True},
            "units": {"type": "int", "low": 16, "high": 60, "step": 16},
            "activation": {"type": "categorical", "choices": ["relu", "tanh", "silu"]},
            "batch_size": {"type": "categorical", "choices": [512, 32, 128]},
            "layers": {"type": "categorical", "choices": [[8], [8, 8], [16]]},
            "batch_norm": {"type": "boolean"},
            "dropout": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
            "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"activation": "tanh"}},
            "fixed": 7,
        },
    }
)


def test_every_configuration_comes_back() -> None:
    cube = Cube(SPACE)
    for config in SPACE.examples(300):
        assert SPACE.key(cube.decode(cube.encode(config))) == SPACE.key(config)


def test_points_are_real_configurations_and_cover_the_space() -> None:
    cube = Cube(SPACE)
    points = np.random.default_rng(0).random((400, cube.size))
    configs = [cube.decode(point) for point in points]
    assert all(not SPACE.complaints(config) for config in configs)
    assert {config["depth"] for config in configs} == {1, 2, 3, 4}
    assert {config["units"] for config in configs} == {16, 32, 48}
    assert {str(config["layers"]) for config in configs} == {"[8]", "[8, 8]", "[16]"}
    assert {"momentum" in config for config in configs} == {True, False}
    share = np.mean([config["depth"] == 1 for config in configs])
    assert share == pytest.approx(0.25, abs=0.08)
    settled = cube.settled(points)
    assert np.array_equal(cube.settled(settled), settled, equal_nan=True)


def test_fixed_values_are_kept_and_decide_what_exists() -> None:
    cube = Cube(SPACE)
    for point in np.random.default_rng(0).random((20, cube.size)):
        config = cube.decode(point, {"activation": "tanh", "depth": 3})
        assert (config["activation"], config["depth"], "momentum" in config) == ("tanh", 3, True)


def test_distances_of_configurations_follow_the_kinds_of_their_parameters() -> None:
    """Names are equally far from each other, numbers in a list by their order, ranges by their scale."""
    cube = Cube(SPACE)
    base = next(SPACE.examples(0))

    def apart(name: str, one: object, other: object) -> float:
        points = np.array([cube.encode({**base, name: value}) for value in (one, other)])
        features, _ = cube.features(points)
        return float(np.linalg.norm(features[0] - features[1]))

    assert apart("activation", "relu", "silu") == pytest.approx(apart("activation", "relu", "tanh"))
    assert apart("batch_size", 32, 512) == pytest.approx(2 * apart("batch_size", 32, 128))
    assert apart("width", 32, 64) == pytest.approx(apart("width", 256, 512), rel=0.05)
    assert apart("batch_norm", True, False) == pytest.approx(0.5)


def test_a_space_without_anything_that_varies() -> None:
    cube = Cube(SearchSpace.model_validate({"model": "mlp", "parameters": {"depth": 2}}))
    assert cube.decode(cube.encode({"depth": 2})) == {"depth": 2}
    assert cube.features(np.zeros((3, 0)))[0].shape == (3, 0)
