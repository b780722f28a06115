"""The house stands as ARCHITECTURE.md says: imports point down."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from tiny import ROOT


def test_imports_point_down() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    told = subprocess.run([str(linter)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert told.returncode == 0, told.stdout


def test_a_file_fits_a_few_screens() -> None:
    long = {
        path.name: count for path in ROOT.glob("hpo/**/*.py") if (count := len(path.read_text().splitlines())) > 400
    }
    assert long == {}


def test_no_two_test_modules_share_a_name() -> None:
    """Pytest imports them by their names alone: the second of two would not be run."""
    names = Counter(path.name for path in ROOT.glob("tests/**/*.py") if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
