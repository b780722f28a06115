"""The memory of a step of several models as one program."""

import keras

from hpo.training.step_memory import bytes_of_sample, rows_evaluated, too_large


def test_patches_and_outputs_of_a_sample_are_counted():
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), layers.Conv2D(16, 3), layers.Conv2D(8, 5, 2, "same"), layers.Flatten()]
    )
    expected = 4 * (30 * 30 * (16 + 9 * 3) + 15 * 15 * (8 + 25 * 16) + 15 * 15 * 8)
    assert bytes_of_sample(model) == expected


def test_rows_and_groups_are_bounded_by_bytes():
    small, wide = 1000, 2**20
    assert [rows_evaluated(k, small) for k in (1, 8, 64)] == [8192, 1024, 128]
    assert [rows_evaluated(k, wide) for k in (1, 8, 64, 512)] == [256, 32, 4, 1]
    assert too_large(8, 32, wide) is None
    assert too_large(8, 33, wide) == "a step of all would need 264 MiB"
