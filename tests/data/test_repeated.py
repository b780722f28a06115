"""Samples that stand in two parts are counted and reported."""

from pathlib import Path

import numpy as np
import pandas as pd

from hpo.config.experiment import DatasetSpec
from hpo.data import load


def test_repeated_rows_of_a_table_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(100, 3)), columns=list("abc")).assign(y=rng.integers(0, 2, 100))
    pd.concat([frame] * 3).assign(row=np.tile(np.arange(100), 3)).to_csv(tmp_path / "t.csv", index=False)

    def read(**options):
        return load(DatasetSpec.model_validate({"path": "t.csv", "target": "y", **options}), [tmp_path])

    dataset = read()
    training, validation = ({tuple(row) for row in part.x} for part in (dataset.training, dataset.validation))
    assert dataset.info.repeated == {
        "validation": sum(tuple(row) in training for row in dataset.validation.x),
        "test": sum(tuple(row) in training | validation for row in dataset.test.x),
    }
    assert dataset.info.repeated["test"] > 40
    (note,) = [note for note in dataset.info.notes if "also in" in note]
    assert note.startswith(f"there are {dataset.info.repeated['validation']} of the 48 validation samples (")
    assert note.endswith("remove repeated ones, or keep them together by validation.group")
    grouped = read(validation={"group": "row"})
    assert (grouped.info.repeated, grouped.info.notes[-1][:5]) == ({}, "parts")


def test_equal_images_with_equal_labels_are_counted_in_the_parts_that_data_bring(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4), np.uint8)
    y = np.arange(60) % 2
    x_test, y_test = x[:20].copy(), y[:20].copy()
    y_test[:5] = 1 - y_test[:5]
    x_test[5, 0, 0] ^= 1
    np.savez(tmp_path / "toy.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    info = load(DatasetSpec(path="toy.npz"), [tmp_path]).info
    assert info.repeated == {"test": 14}
    assert info.notes == (
        "there are 14 of the 20 test samples (70%) also in the training or validation part, inputs and target alike, "
        "so their scores may flatter; remove repeated ones",
    )
