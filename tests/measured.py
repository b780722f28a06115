"""The order of test files, and branch coverage of the folders whose tests train nothing: hooks of pytest."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

COVERED = ("compare", "config", "loop", "plan", "schedule", "statistics", "storage", "study", "system", "text")

LONGEST = (
    "test_soak",
    "test_readme",
    "test_memory",
    "test_run",
    "test_script_training",
    "test_equal_to_fit",
    "test_template",
    "test_notebook",
    "test_secrets",
    "test_wheel",
    "test_all_failed",
    "test_mlflow_pages",
    "test_reported",
    "test_script_of_images",
    "test_ui",
)
"""Files whose few tests take long begin first, so that no worker is left alone with one at the end."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Orders files by their time, the longest first, and marks tests whose coverage is not measured."""
    tests = Counter(item.path for item in items)

    def rank(item: pytest.Item) -> tuple[int, int, Path]:
        name = item.path.stem
        return (LONGEST.index(name) if name in LONGEST else len(LONGEST), -tests[item.path], item.path)

    items.sort(key=rank)
    for item in items if _controller(config) else ():
        if item.path.parent.name not in COVERED:
            item.add_marker(pytest.mark.no_cover)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the coverage of statements and branches."""
    measured = _controller(config)
    if measured is not None:
        total = measured.summary(io.StringIO())
        terminalreporter.write_line(f"{total:.1f}% of statements and branches covered of hpo/: {', '.join(COVERED)}")


def _controller(config: pytest.Config) -> Any:
    """What measures coverage; None where that is switched off."""
    return getattr(config.pluginmanager.getplugin("_cov"), "cov_controller", None)
