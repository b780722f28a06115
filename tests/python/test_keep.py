import os
import subprocess
import sys
import time

import pytest

from hpo.errors import UserError
from hpo.python.keep import Given, keep_code, leaving_nothing


def test_a_refused_call_leaves_the_module_of_the_same_code_as_it_was(tmp_path) -> None:
    def kept(number):
        # Only what the pickle holds differs, as where the function stands in its file.
        scope = {"__name__": "__main__"}
        exec(compile("\n" * number + "def build(hp): return 1", "of_keep", "exec"), scope)
        return keep_code(tmp_path, "study", Given({"build": scope["build"]}, {}))[0]

    module = kept(1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def refused():
        assert kept(2) == module
        assert len(list(tmp_path.glob("*.pkl"))) == 2
        raise UserError("refused")

    with pytest.raises(UserError), leaving_nothing(tmp_path):
        refused()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


SCRIPT = """
{lines}
from pathlib import Path
import numpy as np
from hpo.config.experiment import DatasetSpec
from hpo.data import load
from hpo.python.keep import Given, keep_code
import beside_kept

def scaled(factor):
    return lambda x: factor * x

SCALES = [scaled(2), scaled({factor})]

def data(size):
    with open("calls", "a") as file:
        file.write("called ")
    x = np.arange(2.0 * size).reshape(size, 2)
    return {{"train": (SCALES[0](x) + SCALES[1](x) + beside_kept.VALUE, np.arange(size) % 3)}}

def build(): return {result}

folder = Path("{study}")
module, _ = keep_code(folder, "{study}", Given({{"build": build}}, {{"data": data}}))
section = DatasetSpec(function=f"{{module}}:data", cache=True, arguments={{"size": 60}})
print(module, load(section, [folder]).info.notes[-1])
"""


def test_what_a_function_of_a_notebook_returned_is_kept_by_its_source(tmp_path) -> None:
    def calls(**changes):
        given = {"lines": "", "result": 1, "factor": 3, "study": "first", **changes}
        environment = {**os.environ, "HPO_CACHE": str(tmp_path / "cache")}
        # When a process began is known to a second, and what is younger may be another than it has imported.
        time.sleep(1.5)
        (tmp_path / "script.py").write_text(SCRIPT.format(**given))
        command = [sys.executable, "script.py"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
        return (tmp_path / "calls").read_text().count("called")

    said: list[str] = []
    (tmp_path / "beside_kept.py").write_text("VALUE = 1\n")
    assert calls() == 1, said
    # Other lines, another model and another study, and so another module.
    assert calls(lines="# some\n# lines", result=2, study="second") == 1
    assert "the data of second_" in said[-1]
    assert said[0].split()[0] != said[1].split()[0]
    # One of two closures whose variables have one name.
    assert calls(factor=4) == 2
    (tmp_path / "beside_kept.py").write_text("VALUE = 2\n")
    assert calls(factor=4) == 3
    assert calls(factor=4) == 3
