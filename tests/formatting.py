"""Code that hpo writes, looked at by a linter."""

import subprocess
import sys
from pathlib import Path


def formatted(text: str, folder: Path) -> None:
    """Checks a script as a user's own linter would, at the usual widths of lines."""
    path = folder / "checked.py"
    path.write_text(text)
    for arguments in (["check"], ["format", "--diff"], ["format", "--diff", "--line-length", "120"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--isolated", str(path)]
        linted = subprocess.run(command, capture_output=True, text=True, check=False)
        assert linted.returncode == 0, linted.stdout + linted.stderr + text
