"""Scripts of augmented images: the same layers, on training batches alone; generated data make no script."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from formatting import formatted
from image_folders import write_images

from hpo.config.dataset import DatasetSpec
from hpo.data import load
from hpo.errors import UserError
from hpo.export.script import script_of
from hpo.plan.exported_file import Exported
from hpo.plan.plan import load_plan

PARAMETERS = {"depth": 1, "width": 64, "learning_rate": 0.01}


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Exported]:
    monkeypatch.chdir(tmp_path)

    def make(dataset: dict[str, Any], objective: str = "val_accuracy", **more: Any) -> Exported:
        space = {"model": "mlp", "parameters": PARAMETERS}
        experiment = {"name": "s", "dataset": dataset, "search_space": space, "objective": objective}
        plan = load_plan({**experiment, "training": {"epochs": 15}})
        scores = {objective: 0.9, "epochs": 15, "best_epoch": 15, "test": {}}
        return Exported("s", 3, plan, PARAMETERS, 7, 15, scores, "0" * 32)

    return make


def test_an_augmented_trial(exported: Callable[..., Exported], tmp_path: Path) -> None:
    augmentation = {"rotation": 0.03, "translation": 0.05, "flip": "vertical", "noise": 0.05, "fill": "constant"}
    data = {"name": "digits", "limit": 300, "scaling": "standard", "augmentation": augmentation}
    text = script_of(exported(data))
    formatted(text, tmp_path)
    assert "layers.RandomRotation(" in text
    assert "layers.GaussianNoise(0.05)," in text
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "best.py", "exec"), names)
    (x, y), _, _ = names["load_data"]()
    batches = names["augmented"](x, y)
    epochs = [np.concatenate([batch.numpy() for batch, _ in batches]) for _ in range(2)]
    assert epochs[0].shape == x.shape
    assert (epochs[0] != epochs[1]).mean() > 0.9
    # The background that moves in is that of the scaled images.
    assert np.median(epochs[0][:, 0, 0]) == pytest.approx(x.min(), abs=0.1)
    exec(compile(text.replace('"vertical"', '"horizontal"'), "best.py", "exec"), names)
    names["main"]()
    assert "augmented" not in script_of(exported({"name": "digits", "limit": 300, "augmentation": {"noise": 0.0}}))


def test_a_folder_of_images_is_read_by_keras(
    exported: Callable[..., Exported], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    section = {"path": str(write_images(tmp_path / "colours", size=None)), "image_size": [7, 6]}
    text = script_of(exported(section))
    formatted(text, tmp_path)
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(text, "best.py", "exec"), names)
    dataset = load(DatasetSpec.model_validate(section), [])
    for (x, y), name in zip(names["load_data"](), ("training", "validation", "test"), strict=True):
        part = dataset.part(name)
        assert x == pytest.approx(dataset.info.scaling.apply(np.asarray(part.x)), abs=1e-6)
        assert np.array_equal(y, part.y)


def test_generated_data(exported: Callable[..., Exported], tmp_path: Path) -> None:
    body = "    while True:\n        x = rng.random((batch_size, 2))\n        yield x, x.sum(axis=1)\n"
    (tmp_path / "generated_for_script.py").write_text(f"def sums(batch_size, rng):\n{body}")
    data = {"function": "generated_for_script:sums", "steps_per_epoch": 5, "validation": 50, "test": 50}
    with pytest.raises(UserError, match=r"generated data make no plain script; --to best\.yaml exports"):
        script_of(exported(data, "val_mae"))
