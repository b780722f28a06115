"""A small experiment, and what tests of commands are typed with."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

Command = Callable[..., subprocess.CompletedProcess[str]]


def tiny(**changes: Any) -> dict[str, Any]:
    """An experiment of seconds: iris, small networks, two epochs, one worker (each takes seconds of CPU to start)."""
    experiment: dict[str, Any] = {
        "name": "tiny",
        "dataset": "iris",
        "search_space": {
            "model": "mlp",
            "parameters": {
                "depth": {"type": "int", "low": 1, "high": 2},
                "width": {"type": "int", "low": 4, "high": 16},
                "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
            },
        },
        "objective": "val_accuracy",
        "training": {"epochs": 2},
        "study": {"trials": 4, "sampler": "random"},
        "engine": {"workers": 1},
    }
    return experiment | changes
