"""The folder in which a page's blocks run, and their commands: imported by the kernel that runs them, and by the tests.

All that is changed of a page stands here: fewer trials, epochs and seeds, and one worker.
"""

import io
import os
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
from image_folders import write_images
from tiny import ROOT

SMALLER = (
    (r"\b(trials|max_trials)=\d+", r"\1=2, workers=1"),
    (r"\bepochs=\d+", "epochs=1"),
    (r"\b(finalists|seeds)=\d+", r"\1=2"),
    (r"\bworkers=\d+", "workers=1"),
    (r"\btimeout=\"[^\"]+\"", 'timeout="60s"'),
)
"""Replaced in Python code."""

_ADDED = {
    "run": "--trials 2 --workers 1 --set training.epochs=1",
    "confirm": "--top 2 --seeds 2 --workers 1",
    "extend": "--set training.epochs=1",
    "warm-start": "--set training.epochs=1",
}
"""Added to the commands that train."""


def smaller(code: str) -> str:
    """Python code with small settings."""
    for pattern, replacement in SMALLER:
        code = re.sub(pattern, replacement, code)
    return code


def words_of(line: str) -> list[str]:
    """The words of a command without its comment; none for an empty line."""
    return shlex.split(line, comments=True)


def shell(line: str) -> None:
    """Runs an hpo command in this process, whose libraries and workers' server are there already.

    Raises:
        RuntimeError: it ended with another exit code than 0; its output is the message.
    """
    from hpo.cli.main import command

    words = words_of(line)
    assert words[0] == "hpo", line
    words = [os.path.expandvars(word) for word in words] + _ADDED.get(words[1], "").split()
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    before = sys.argv
    try:
        sys.argv = words
        with redirect_stdout(output), redirect_stderr(output):
            code = command()
    finally:
        sys.argv = before
    output.seek(0)
    if code:
        raise RuntimeError(f"{shlex.join(words)}: exit code {code}\n{output.read()}")


def enter(folder: str) -> None:
    """Makes a page's folder the working directory, with the files that pages take for granted."""
    path = Path(folder)
    make_files(path)
    os.chdir(path)
    sys.path[:] = [folder, *(one for one in sys.path if not one.startswith(str(path.parent)))]
    sys.modules.pop("models", None)


def make_files(folder: Path) -> None:
    """The files that a page's reader has: tables, arrays, images, and what the repository brings."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("experiments", "search_spaces"):
        if not (folder / name).exists():
            (folder / name).symlink_to(ROOT / name)
    rng = np.random.default_rng(0)
    rooms, towns = rng.integers(1, 8, 120), rng.choice(["Bern", "Oslo", "Rome"], 120)
    prices = rooms * 50 + rng.normal(0, 20, 120)
    rows = [
        f"{number},{room},{town},2024-{1 + number % 12:02}-15,{number % 30},{price:.1f}"
        for number, (room, town, price) in enumerate(zip(rooms, towns, prices, strict=True))
    ]
    hours = [f"2024-03-{1 + hour // 24:02}T{hour % 24:02}:00,{hour % 24},{hour % 7}" for hour in range(480)]
    (folder / "load.csv").write_text("\n".join(["hour,load,price", *hours]) + "\n")
    (folder / "houses.csv").write_text("\n".join(["id,rooms,town,sold,agent,price", *rows]) + "\n")
    if not (folder / "data" / "pets").exists():
        write_images(folder / "data" / "pets")
    from sklearn.datasets import load_digits

    np.save(folder / "new.npy", load_digits().images[:20, :, :, None])
    np.savez(
        folder / "pictures.npz",
        x_train=rng.integers(0, 255, (120, 12, 12, 1), dtype=np.uint8),
        y_train=rng.integers(0, 3, 120),
        x_test=rng.integers(0, 255, (30, 12, 12, 1), dtype=np.uint8),
        y_test=rng.integers(0, 3, 30),
    )
