"""The house stands as ARCHITECTURE.md says: imports point down, and each room says what it is."""

import ast
import subprocess
import sys
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
from tiny import ROOT

HPO = ROOT / "hpo"
FOLDERS = sorted(path.parent for path in HPO.glob("*/__init__.py"))
FILES = sorted(path for path in HPO.glob("*.py"))
# What is no room of the tests: what they read.
DATA = "data_files"


def test_imports_point_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    told = subprocess.run([str(linter)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert told.returncode == 0, told.stdout


def test_the_floors_are_few_and_hold_every_room() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract for contract in contracts if contract["type"] == "layers")
    assert layers["exhaustive"] is True
    assert len(layers["layers"]) <= 12


def test_no_circles() -> None:
    graph = grimp.build_graph("hpo", cache_dir=None)
    order = TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
    order.prepare()


def test_the_rooms_are_few() -> None:
    assert len(FILES) <= 8
    assert len(FILES) + len(FOLDERS) <= 26


def test_each_file_opens_with_a_line_that_says_what_it_is() -> None:
    for path in HPO.glob("**/*.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, path
        assert text.splitlines()[0].endswith((".", ":")), path


def test_a_file_fits_a_few_screens() -> None:
    long = {path.name: count for path in HPO.glob("**/*.py") if (count := len(path.read_text().splitlines())) > 370}
    assert long == {}


def test_the_tests_stand_as_the_house_does() -> None:
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("**/test_*.py"))}
    assert rooms <= {folder.name for folder in FOLDERS}


def test_no_two_test_modules_share_a_name() -> None:
    """Pytest imports them by their names alone: the second of two would not be run."""
    names = Counter(path.name for path in ROOT.glob("tests/**/*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
