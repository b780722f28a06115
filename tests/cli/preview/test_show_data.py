"""`hpo show-data`: samples and class balance, in the terminal and as a picture."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from tiny import tiny
from typer.testing import CliRunner

from hpo.cli.commands import app
from hpo.cli.data_output import print_shown
from hpo.cli.preview.data_picture import draw
from hpo.cli.preview.show_data import Shown, show_data
from hpo.errors import FileMistakes, UserError

DIGITS = {"name": "digits", "limit": 300}


def shown(dataset: Any, **more: Any) -> Shown:
    return show_data(tiny(dataset=dataset, **more))


def printed(what: Shown, width: int = 200, **options: Any) -> str:
    out = Console(width=width, record=True, file=io.StringIO(), **options)
    print_shown(out, what)
    return out.export_text(styles=bool(options.get("color_system")))


@pytest.fixture(scope="module")
def digits() -> Shown:
    return shown({**DIGITS, "augmentation": {"noise": 0.4, "translation": 0.3}})


def test_a_line_of_samples_for_each_class_and_the_same_augmented(digits: Shown) -> None:
    assert [row.label for row in digits.pictures] == list("0123456789")
    for row, changed in zip(digits.pictures, digits.augmented, strict=True):
        assert row.samples.shape == changed.samples.shape == (10, 8, 8)
        assert changed.label == row.label
        assert (row.samples != changed.samples).mean() > 0.5
        for samples in (row.samples, changed.samples):
            assert samples.min() >= 0
            assert samples.max() <= 1
    assert sum(digits.balance["training"].values()) == digits.info.sizes["training"]
    # Without noise, what is empty on all pictures stays so.
    assert shown(DIGITS).augmented == []


def test_in_a_terminal_and_piped(digits: Shown) -> None:
    plain = printed(digits, no_color=True)
    assert "digits: classification, 192 training, 48 validation, 60 test; samples of shape (8, 8, 1)" in plain
    assert "Training samples" in plain
    assert "The same, augmented" in plain
    assert "▀" not in plain
    assert re.search(r"[-=+*#%@]{2}", plain)
    assert re.search(r"\n3 +█+ \d+ +█+ \d+ +█+ \d+ *\n", plain)
    colored = printed(digits, width=60, color_system="truecolor", force_terminal=True)
    assert "▀" in colored
    assert "38;2;" in colored


def test_tables_and_numbers_to_predict() -> None:
    text = printed(shown("iris"))
    assert "iris: classification, 96 training, 24 validation, 30 test; samples of shape (4,)" in text
    assert re.search(r"\nsetosa +█+ 32 +█+ 8 +█+ 10 *\n", text)
    assert text.count("versicolor") + text.count("virginica") + text.count("setosa") == 8 + 3
    found = shown("diabetes", objective="val_mae")
    text = printed(found)
    assert "Features of the training part, before scaling" in text
    assert "Targets, test part" in text
    assert "Samples of each class" not in text
    (target,) = found.targets["training"]
    assert 25 <= target.least < target.mean < target.largest <= 346


def test_a_picture_shows_the_samples_beside_the_augmented_ones(digits: Shown, tmp_path: Path) -> None:
    sizes = {}
    for name, what in {
        "digits": digits,
        "plain": shown(DIGITS),
        "iris": shown("iris"),
        "diabetes": shown("diabetes", objective="val_mae"),
    }.items():
        draw(what, tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as image:
            pixels = np.asarray(image.convert("L"))
            sizes[name] = image.size
        assert 0.02 < (pixels < 200).mean() < 0.6, name
    assert sizes["digits"] == sizes["plain"]
    assert min(sizes["iris"]) > 500
    with pytest.raises(UserError, match=r"must name a \.png file, got samples\.svg"):
        draw(digits, Path("samples.svg"))
    with pytest.raises(UserError, match="cannot be written"):
        draw(shown("iris"), tmp_path / "none" / "samples.png")


def test_the_command(write: Callable[[str, str], Path]) -> None:
    text = "name: x\ndataset:\n  name: iris\n  augmentation:\n    noise: 0.1\n    rotation: 0.1\n"
    file = write("x.yaml", f"{text}search_space: {{model: mlp, parameters: {{}}}}\nobjective: val_accuracy\n")
    with pytest.raises(FileMistakes, match=r"x\.yaml:6: dataset\.augmentation\.rotation: needs images"):
        show_data(file)
    picture = file.with_suffix(".png")
    arguments = ["show-data", str(file), "-o", str(picture), "--set", "dataset.augmentation.rotation=null"]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert picture.is_file()


def test_other_mistakes_in_the_data_name_their_line() -> None:
    with pytest.raises(FileMistakes, match=r"dataset\.extra_tests\.shifted: needs images"):
        shown({"name": "iris", "extra_tests": {"shifted": {"shift": [0, 1]}}})
