"""Import paths of the user's own code."""

import sys

import pytest

from hpo.errors import ModelError
from hpo.system.imports import load_object


@pytest.fixture(autouse=True)
def _clean_path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_loads_a_dotted_attribute_of_a_dotted_module(tmp_path):
    write(tmp_path, "imp_pack/inner.py", "class Maker:\n    @staticmethod\n    def make():\n        return 7\n")
    assert load_object("imp_pack.inner:Maker.make", [tmp_path])() == 7


def test_folders_come_first_once_and_in_order(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    write(first, "imp_first.py", "value = 'a'\n")
    write(second, "imp_first.py", "value = 'b'\n")
    assert load_object("imp_first:value", [first, second]) == "a"
    load_object("imp_first:value", [str(first), second, first])
    assert sys.path[:2] == [str(first), str(second)]
    assert sys.path.count(str(first)) == 1


@pytest.mark.parametrize("path", ["models", "a:b:c", ":build", "models:", "my-models:build", ""])
def test_refuses_another_form(path):
    with pytest.raises(ModelError, match=r"must be an import path package\.module:name, got"):
        load_object(path, [])


def test_a_dot_for_the_colon():
    with pytest.raises(ModelError, match=r"got 'package\.module\.build'; did you mean package\.module:build\?"):
        load_object("package.module.build", [])


def test_no_such_module_names_the_nearest(tmp_path):
    write(tmp_path, "imp_models.py", "")
    with pytest.raises(ModelError) as caught:
        load_object("imp_model:build", [tmp_path])
    assert str(caught.value) == (f"imp_model:build: no module 'imp_model' in {tmp_path}; did you mean imp_models?")


def test_no_such_attribute_names_the_nearest(tmp_path):
    write(tmp_path, "imp_attribute.py", "class Net:\n    def build_small(self): ...\n")
    with pytest.raises(ModelError, match=r"imp_attribute has no attribute 'Nett'; did you mean Net\?"):
        load_object("imp_attribute:Nett", [tmp_path])
    with pytest.raises(ModelError, match=r"imp_attribute\.Net has no attribute 'build_smal'; did you mean build_small"):
        load_object("imp_attribute:Net.build_smal", [tmp_path])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n\ny = 1 / 0\n", "ZeroDivisionError: division by zero"),
        ("x = 1\n\nimport imp_not_there\n", "ModuleNotFoundError: No module named 'imp_not_there'"),
        ("x = 1\n\nx = = 2\n", "SyntaxError: invalid syntax"),
        ("x = 1\n\nraise SystemExit('bye')\n", "SystemExit: bye"),
        ("import json\n\njson.loads('{')\n", "JSONDecodeError: Expecting property name"),
    ],
)
def test_an_error_in_the_users_module_has_its_line(tmp_path, text, message):
    name = f"imp_broken_{abs(hash(text))}"
    write(tmp_path, f"{name}.py", text)
    with pytest.raises(ModelError) as caught:
        load_object(f"{name}:x", [tmp_path])
    assert str(caught.value).startswith(f"{name}:x: {name}.py:3: {message}")
