"""Augmentation: training batches change, each key in its range; validation, test and the saved model do not."""

from typing import Any

import keras
import numpy as np
import pytest
from toys import (
    MLP,
    SCALING,
    assert_same,
    curves_by_fit,
    curves_in_graph,
    dataset,
    model_of,
)

from hpo.config.experiment import Augmentation
from hpo.data.dataset import DatasetInfo, Scaling
from hpo.training.augmentation import Augment, augment_steps, layers_of
from hpo.training.graph import GraphLoop

SIZE = 41
MIDDLE = SIZE // 2


def info_of(shape: tuple[int, ...], scaling: Scaling = SCALING) -> DatasetInfo:
    return DatasetInfo("toy", "toy", "classification", shape, 3, 3, False, {}, {}, "", scaling)


def changed(x: np.ndarray, seed: int = 0, **keys: Any) -> np.ndarray:
    augment = Augment(Augmentation.model_validate(keys), info_of(x.shape[1:]), seed)
    return np.asarray(augment(x.astype(np.float32)))


def spots(down: int = 0, right: int = 10) -> np.ndarray:
    """200 images with a small square, so far from their middle."""
    x = np.zeros((200, SIZE, SIZE, 1))
    x[:, MIDDLE + down - 1 : MIDDLE + down + 2, MIDDLE + right - 1 : MIDDLE + right + 2] = 1
    return x


def places(x: np.ndarray) -> np.ndarray:
    """Where the squares are, from the middle: shape (n, 2), down and right."""
    weights = x[..., 0] / x.sum(axis=(1, 2, 3))[:, None, None]
    axis = np.arange(SIZE) - MIDDLE
    return np.stack([(weights.sum(axis=2) * axis).sum(axis=1), (weights.sum(axis=1) * axis).sum(axis=1)], axis=1)


def spread(values: np.ndarray, low: float, high: float, slack: float) -> None:
    """All values lie in a range, and fill most of it."""
    assert values.min() >= low - slack
    assert values.max() <= high + slack
    assert values.max() - values.min() > 0.9 * (high - low)


def test_rotation_turns_to_either_side_up_to_its_share_of_a_turn() -> None:
    found = places(changed(spots(), rotation=0.05))
    spread(np.degrees(np.arctan2(-found[:, 0], found[:, 1])), -18, 18, slack=1)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 10, atol=0.5)


def test_zoom_goes_in_and_out() -> None:
    found = places(changed(spots(), zoom=0.2))
    # A height of 1 + zoom of the image is shown: what was at 10 is nearer then.
    spread(found[:, 1], 10 / 1.2, 10 / 0.8, slack=0.5)
    np.testing.assert_allclose(found[:, 0], 0, atol=0.5)


def test_translation_shifts_both_axes_apart_from_each_other() -> None:
    found = places(changed(spots(right=0), translation=0.25))
    for axis in (0, 1):
        spread(found[:, axis], -0.25 * SIZE, 0.25 * SIZE, slack=0.5)
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.3


def test_flip_mirrors_every_other_time() -> None:
    found = places(changed(spots(), flip="horizontal")).round()
    assert set(found[:, 1]) == {-10, 10}
    assert 60 < (found[:, 1] < 0).sum() < 140
    assert set(places(changed(spots(5), flip="vertical")).round()[:, 0]) == {-5, 5}


def test_noise_has_its_deviation_on_any_samples() -> None:
    difference = changed(np.zeros((500, 7)), noise=0.3)
    assert difference.std() == pytest.approx(0.3, rel=0.05)
    assert difference.mean() == pytest.approx(0, abs=0.02)


def test_pixels_that_enter_an_image_are_zero_before_scaling_by_default() -> None:
    scaling = Scaling("standard", np.array(33.0, np.float32), np.array(1 / 78, np.float32))
    augment = Augment(Augmentation(translation=0.5), info_of((8, 8, 1), scaling), 0)
    seen = np.asarray(augment(np.full((50, 8, 8, 1), 2.0, np.float32)))
    assert seen.min() == pytest.approx(-33 / 78)
    assert changed(np.full((50, 8, 8, 1), 2.0), translation=0.5, fill="nearest").min() == pytest.approx(2)


def test_the_same_seed_gives_the_same_changes_and_each_layer_draws_for_itself() -> None:
    keys = {"rotation": 0.1, "zoom": 0.2, "noise": 0.1}
    augment = Augment(Augmentation.model_validate(keys), info_of((SIZE, SIZE, 1)), 5)
    x = spots().astype(np.float32)
    first, second = np.asarray(augment(x)), np.asarray(augment(x))
    assert (first != second).mean() > 0.9
    augment.begin(5)
    np.testing.assert_array_equal(augment(x), first)
    assert (changed(x, seed=6, **keys) != first).mean() > 0.9
    found = places(changed(spots(), rotation=0.1, zoom=0.2))
    turned, distance = np.arctan2(found[:, 0], found[:, 1]), np.linalg.norm(found, axis=1)
    assert abs(np.corrcoef(turned, distance)[0, 1]) < 0.3


def test_keys_that_change_nothing_add_no_layer() -> None:
    assert layers_of(Augmentation(rotation=0.0, fill="wrap"), info_of((8, 8, 1))) == []


EVERYTHING = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, flip="horizontal", noise=0.05)


def test_in_the_graph_and_by_fit_the_same_batches_are_seen() -> None:
    data = dataset()
    found = curves_in_graph(GraphLoop(model_of(*MLP), data, None, Augment(EVERYTHING, data.info, 5)), 64)
    model = model_of(*MLP)
    augment_steps(model, Augment(EVERYTHING, data.info, 5))
    assert_same(found, curves_by_fit(model, data, 64))


# Weights that do not move tell what they are shown.
STILL = {"learning_rate": 1e-12, "epochs": 2, "early_stopping": False}


def test_a_trials_training_alone_is_augmented(run_job: Any, tmp_path: Any) -> None:
    plain = run_job(training=STILL)
    assert plain.curves["loss"] == pytest.approx([plain.curves["loss"][0]] * 2, rel=1e-4)
    by_fit = {**STILL, "callbacks": ["own_code:CountBatches"]}
    runs = [
        run_job(training=training, augmentation=Augmentation(noise=noise), save_to=str(tmp_path / "model.keras"))
        for training, noise in ((STILL, 0.8), (STILL, 0.1), (STILL, 0.8), (by_fit, 0.8))
    ]
    for line in runs:
        assert line.curves["val_loss"] == pytest.approx(plain.curves["val_loss"], rel=1e-5)
        assert line.last.test == pytest.approx(plain.last.test, rel=1e-5)
        first, second = line.curves["loss"]
        assert abs(first - second) > 1e-4
        assert abs(first - plain.curves["loss"][0]) > 1e-4
    assert runs[0].curves == runs[2].curves
    assert runs[0].curves["loss"] != runs[1].curves["loss"]
    saved = keras.saving.load_model(tmp_path / "model.keras")
    assert [type(one).__name__ for one in saved.layers] == ["Rescaling", "Sequential"]


def test_a_trial_whose_augmentation_does_not_suit_the_data_is_invalid(run_job: Any, prepared: Any) -> None:
    failed = run_job(data=prepared(name="iris"), augmentation=Augmentation(zoom=0.1)).last
    assert failed.reason == "invalid"
    assert failed.message.startswith("dataset.augmentation.zoom: needs images")
