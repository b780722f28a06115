"""The order of test files, and branch coverage of the folders whose tests train nothing: hooks of pytest.

Of a test with several sets of parameters, the coverage of the first is measured.
"""

import importlib
import io
import pkgutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COVERED = ("compare", "config", "loop", "plan", "schedule", "statistics", "storage", "study", "system", "text")

LONGEST = (
    "test_docs",
    "test_readme",
    "test_soak",
    "test_run",
    "test_mlflow_pages",
    "test_graph",
    "test_goes_on",
    "test_keras_tasks",
    "test_pausing",
    "test_shipped_files",
    "test_tune",
    "test_tracking",
    "test_batched_storage",
    "test_splits",
    "test_coordinator",
    "test_trial",
    "test_template",
    "test_contract",
    "test_extend",
    "test_commands",
    "test_confirming",
    "test_script",
    "test_learning_rate",
    "test_local",
    "test_targets",
    "test_own_code",
    "test_reported",
    "test_secrets",
    "test_surprises",
    "test_notebook",
    "test_compiled_model",
    "test_cross_validated_study",
    "test_memory",
    "test_equal_to_fit",
    "test_wheel",
    "test_all_failed",
    "test_ui",
    "test_script_training",
    "test_script_of_images",
)
"""Files whose few tests take long begin first, so that no worker is left alone with one at the end."""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[Any]:
    """Where all tests run, coverage is measured while covered modules are imported, and not while tests are collected.

    It would trace the imports of large libraries and pytest's rewriting of the tests, which takes twice as long.
    """
    config, controller = session.config, _controller(session.config)
    everything = [Path(one).name for one in config.args] == config.getini("testpaths")
    if controller is not None and hasattr(config, "workerinput") and everything:
        controller.pause()
        for name in ("keras", "mlflow", "optuna", "pandas", "sklearn.metrics"):
            importlib.import_module(name)
        controller.resume()
        for room in COVERED:
            package = importlib.import_module(f"hpo.{room}")
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                importlib.import_module(module.name)
        controller.pause()
    return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Orders files by the time that they take, the longest first."""
    tests = Counter(item.path for item in items)

    def rank(item: pytest.Item) -> tuple[int, int, Path]:
        name = item.path.stem
        return (LONGEST.index(name) if name in LONGEST else len(LONGEST), -tests[item.path], item.path)

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Measures coverage in the tests that count and in their fixtures, and in no others."""
    controller = _controller(item.config)
    counts = item.path.parent.name in COVERED and _first_of_its_parameters(item)
    if controller is not None and controller.started != counts:
        (controller.resume if counts else controller.pause)()
    return (yield)


def _first_of_its_parameters(item: pytest.Item) -> bool:
    """Whether a test has no parameters, or the first of each: what is traced takes half as long again."""
    callspec = getattr(item, "callspec", None)
    return callspec is None or not any(callspec.indices.values())


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Prints the coverage of statements and branches."""
    measured = _controller(config)
    if measured is not None:
        total = measured.summary(io.StringIO())
        terminalreporter.write_line(f"{total:.1f}% of statements and branches covered of hpo/: {', '.join(COVERED)}")


def _controller(config: pytest.Config) -> Any:
    """What measures coverage; None where that is switched off."""
    return getattr(config.pluginmanager.getplugin("_cov"), "cov_controller", None)
