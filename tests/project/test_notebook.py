"""The notebook of `hpo init`, executed by a real kernel."""

from pathlib import Path

import nbclient
import nbformat
import pytest

from hpo.project.create import Wanted, create_project


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    created = create_project(tmp_path / "first", Wanted())
    experiment = created.folder / "experiment.yaml"
    text = experiment.read_text()
    experiment.write_text(text.replace("trials: 30 ", "trials: 3 ").replace("epochs: 20 ", "epochs: 2 "))
    notebook = nbformat.read(created.folder / "study.ipynb", as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(created.folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error"]
    assert any("text/html" in output.get("data", {}) for output in outputs)
