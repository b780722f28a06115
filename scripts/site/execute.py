"""Runs the tutorials and writes their outputs into them: python scripts/site/execute.py [NAME ...].

Run it after a change of a tutorial. The tests run the tutorials on small settings, and find outputs of other code than
the notebook has.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat

ROOT = Path(__file__).parent.parent.parent
TUTORIALS = ROOT / "docs" / "tutorials"


def digest(notebook: nbformat.NotebookNode) -> str:
    """What the outputs of a notebook belong to: a digest of its code."""
    code = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def execute(path: Path) -> None:
    """Runs a notebook in an empty folder, and writes it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HPO_HOME": f"{folder}/mlruns", "HPO_CACHE": f"{folder}/cache", "TF_CPP_MIN_LOG_LEVEL": "2"}
        nbclient.NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": folder}}).execute()
    notebook.metadata["executed"] = digest(notebook)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # What libraries print to the second stream is about the machine, not about the study.
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.stem for path in TUTORIALS.glob("*.ipynb")):
        execute(TUTORIALS / f"{name}.ipynb")
