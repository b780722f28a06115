"""Saving a trial's model: whole or not at all, what keeps it from being saved, whether it can be loaded again."""

import re
import resource
from pathlib import Path

import keras
import numpy as np
import pytest
from toys import FLAT, HEAD, dataset, layer, model_of

from hpo.training.saving import Saved, save


@keras.saving.register_keras_serializable("test_saving")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


class Times(keras.layers.Layer):
    def __init__(self, factors):
        super().__init__()
        self.factors = factors

    def call(self, x):
        return x * self.factors


class Unregistered(Doubled):
    pass


@keras.saving.register_keras_serializable("test_saving")
class Forgets(Times):
    """Its configuration lacks what it is made with."""

    def get_config(self):
        return {"name": self.name}


def test_a_model_of_keras_own_layers_is_saved(tmp_path: Path) -> None:
    path = tmp_path / "new" / "best.keras"
    assert save(model_of(FLAT, HEAD), dataset(), path) == Saved(str(path))
    assert [file.name for file in path.parent.iterdir()] == ["best.keras"]


def test_layers_of_the_users_own_are_loaded_once(tmp_path: Path) -> None:
    path = tmp_path / "best.keras"
    assert save(model_of(FLAT, Doubled, HEAD), dataset(), path) == Saved(str(path))


@pytest.mark.parametrize(
    ("inside", "note"),
    [
        (layer("Lambda", lambda x: 2 * x), "ValueError: Requested the deserialization of a `Lambda` layer .*"),
        (lambda: Forgets(2.0), "TypeError: .*got an unexpected keyword argument 'name'"),
        (Unregistered, "TypeError: Could not locate class 'Unregistered'. Make sure .*trying to load them."),
    ],
)
def test_a_model_that_cannot_be_loaded_again_says_so(tmp_path: Path, inside, note: str) -> None:
    saved = save(model_of(FLAT, inside, HEAD), dataset(), tmp_path / "best.keras")
    assert saved.file == str(tmp_path / "best.keras")
    assert saved.note is not None
    assert re.fullmatch(f"is saved, but cannot be loaded again: {note}", saved.note), saved.note


def test_a_layer_without_get_config_cannot_be_saved(tmp_path: Path) -> None:
    saved = save(model_of(FLAT, lambda: Times(np.ones(36, np.float32)), HEAD), dataset(), tmp_path / "best.keras")
    assert saved.file is None
    assert saved.note is not None
    assert saved.note.startswith("cannot be saved: NotImplementedError: Object Times")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_costs_no_scores(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where a folder should be")
    saved = save(model_of(FLAT, HEAD), dataset(), tmp_path / "models" / "tiny" / "best.keras")
    assert saved == Saved(None, f"cannot be saved: {tmp_path}/models/tiny: Not a directory")


def test_a_full_disk_leaves_no_half_of_a_model(tmp_path: Path) -> None:
    kept = tmp_path / "best.keras"
    kept.write_bytes(b"an earlier one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    model = model_of(FLAT, layer("Dense", 64), HEAD)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        saved = save(model, dataset(), kept)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert saved == Saved(None, "cannot be saved: File too large")
    assert [file.name for file in tmp_path.iterdir()] == ["best.keras"]
    assert kept.read_bytes() == b"an earlier one"
