"""The code is as ARCHITECTURE.md describes it: imports point down, the map is true, and each module says what it is."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import grimp
from tiny import ROOT

HPO = ROOT / "hpo"
FOLDERS = sorted(path.parent for path in HPO.glob("*/__init__.py"))
FILES = sorted(path for path in HPO.glob("*.py"))
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_imports_point_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    linted = subprocess.run([str(linter)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert linted.returncode == 0, linted.stdout


def layers() -> dict[str, Any]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = (contract for contract in contracts if contract["type"] == "layers")
    return found


def test_the_floors_are_few_and_hold_every_room() -> None:
    assert layers()["exhaustive"] is True
    assert len(layers()["layers"]) <= 12


def test_the_map_shows_the_floors_and_their_rooms() -> None:
    block = PAGE.partition("## The map")[2].partition("\n## ")[0]
    floors: list[set[str]] = []
    for line in re.findall(r"^    .*", block, flags=re.M):
        if re.match(r" +\d+  ", line):
            floors.append(set())
        floors[-1].update(re.findall(r"(\w+)(?:/|\.py) {2,}", line))
    assert floors == [set(layer.split(" | ")) for layer in layers()["layers"]]


def test_the_page_names_files_and_rooms_that_exist() -> None:
    names = re.findall(r"`([\w/.]+(?:\.(?:py|yaml|txt|toml|jinja)|/))`", PAGE)
    assert len(names) > 50
    assert [name for name in names if not ((ROOT / name).exists() or (HPO / name).exists())] == []


def test_no_circles() -> None:
    graph = grimp.build_graph("hpo", cache_dir=None)
    order = TopologicalSorter({module: graph.find_modules_directly_imported_by(module) for module in graph.modules})
    order.prepare()


def test_the_rooms_are_few() -> None:
    assert len(FILES) <= 8
    assert len(FILES) + len(FOLDERS) <= 26


def test_each_module_begins_with_a_line_that_describes_it() -> None:
    for path in HPO.glob("**/*.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, path
        assert text.splitlines()[0].endswith((".", ":")), path


def test_a_file_fits_a_few_screens() -> None:
    long = {path.name: count for path in HPO.glob("**/*.py") if (count := len(path.read_text().splitlines())) > 300}
    assert long == {}


def test_the_folders_of_tests_are_those_of_the_code() -> None:
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("**/test_*.py"))}
    assert rooms <= {folder.name for folder in FOLDERS}


def test_no_two_test_modules_share_a_name() -> None:
    """Pytest imports them by their names alone: the second of two would not be run."""
    names = Counter(path.name for path in ROOT.glob("tests/**/*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
