"""The files of the user's code, found by reading, and whether they are what a process has imported."""

import os
import sys
import time

import pytest

from hpo.system.code_files import code_files
from hpo.system.imports import load_object, may_have_changed


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    before = {*sys.modules}

    def save(name, text=""):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    yield save
    for name in sys.modules.keys() - before:
        del sys.modules[name]


def test_imports_of_all_forms_are_followed_and_libraries_named(write, tmp_path) -> None:
    write(
        "found_main.py",
        "import found_a.b.c as c\ndef f():\n    from found_d import e\n    import numpy.linalg, sklearn\n",
    )
    write("found_a/__init__.py", "raise RuntimeError('is not imported')")
    write("found_a/b/c.py", "from . import d\nfrom ..up import *\nfrom ... import far\n")
    write("found_a/b/d.py", "import json, gone_module\nimport found_main\n")
    write("found_a/up.py", "this is no Python")
    write("found_d/e.py", "from hpo.data import load\n")
    write("found_unused.py")
    found = code_files(["found_main"])
    modules = ["found_a", "found_a.b.c", "found_a.b.d", "found_a.up", "found_d.e", "found_main"]
    assert list(found.files) == modules
    assert found.files["found_a.b.d"] == tmp_path / "found_a" / "b" / "d.py"
    assert found.libraries == {"numpy", "sklearn", "hpo"}
    assert {"numpy", "scikit-learn"} <= found.versions().keys()
    assert not [name for name in sys.modules if name.startswith("found_")]


def test_a_library_is_known_by_its_version(write) -> None:
    found = code_files(["keras.datasets.mnist", "no_such_module_at_all"])
    assert (dict(found.files), found.libraries) == ({}, {"keras"})


def test_a_file_that_is_younger_than_its_import_may_be_another(write, tmp_path) -> None:
    file = write("found_edited.py", "import found_within")
    within = write("found_within.py")
    assert not may_have_changed("found_edited", file)
    time.sleep(0.05)
    load_object("found_edited:__name__", [tmp_path])
    assert not may_have_changed("found_edited", file)
    assert not may_have_changed("found_within", within)
    write("found_within.py")
    assert may_have_changed("found_within", within)
    assert not may_have_changed("found_edited", file)
    file.unlink()
    assert may_have_changed("found_edited", file)


def test_of_what_others_imported_it_is_not_known_when(write) -> None:
    file = write("found_by_others.py")
    __import__("found_by_others")
    assert may_have_changed("found_by_others", file)
    # No process is older than the library that it has imported long ago.
    assert not may_have_changed("os", type(file)(os.__file__))
