import functools
import os
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

from hpo.python.source import code_of


def made_in_a_notebook(source: str, name: str = "build") -> Any:
    """What a cell with this source defines."""
    import linecache

    file = f"/tmp/ipykernel_1/{abs(hash(source))}.py"
    text = textwrap.dedent(source)
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, file, "exec"), scope)
    return scope[name]


CELL = """
    import math
    from os import path as places
    RATE = 0.1
    TABLE = {"a": [1, 2]}
    class Base:
        scale = 2
        def call(self): return math.sqrt(self.scale)
    class Part(Base):
        def call(self):
            return super().call() + RATE
    def helper(x):
        return [Part().call() for _ in range(x)], places.sep
    def unused(): return 1
    def build(params, dataset):
        def inner(): return helper(params["n"]), TABLE
        return inner()
"""


def test_the_code_is_a_module_with_all_that_it_uses() -> None:
    code = code_of({"build": made_in_a_notebook(CELL)})
    text = code.text()
    assert "def unused" not in text
    scope: dict[str, Any] = {}
    exec(text, scope)
    assert scope["build"]({"n": 1}, None) == made_in_a_notebook(CELL)({"n": 1}, None)
    assert code.digest() == code_of({"build": made_in_a_notebook(CELL)}).digest()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("return [Part()", "return 2 * [Part()"),
        ("RATE = 0.1", "RATE = 0.2"),
        ("[1, 2]", "[1, 3]"),
        ("scale = 2", "scale = 3"),
    ],
)
def test_a_change_anywhere_in_it_is_another_code(before, after) -> None:
    changed = CELL.replace(before, after)
    assert changed != CELL
    assert (
        code_of({"build": made_in_a_notebook(changed)}).digest()
        != code_of({"build": made_in_a_notebook(CELL)}).digest()
    )


@pytest.mark.parametrize(
    ("cell", "before", "after"),
    [
        ("def f(): return 1\ndef build(hp, g=f): return g()", "return 1", "return 2"),
        ("R = 1\ndef build(hp, *, g=R): return g", "R = 1", "R = 2"),
        (
            "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def g(*a): return 1 * f(*a)\n    return g\n"
            "@deco\ndef build(hp): return 3",
            "1 * f",
            "2 * f",
        ),
        (
            "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def g(*a): return 1 * f(*a)\n    return g\n"
            "def build(hp): return 3\nbuild = deco(build)",
            "1 * f",
            "2 * f",
        ),
        ("R = 1\nclass C:\n    g = R\n    def f(self): pass\ndef build(hp): return C.g", "R = 1", "R = 2"),
        ("class C:\n    g = 1\ndef build(hp): return C.g", "g = 1", "g = 2"),
        ("class M(type):\n    x = 1\nclass C(metaclass=M): pass\ndef build(hp): return C.x", "x = 1", "x = 2"),
        ("import functools\nP = functools.partial(max, 3)\ndef build(hp): return P(1)", "3)", "4)"),
        (
            "import functools\ndef f(x): return 1\nP = functools.partial(f, 3)\ndef build(hp): return P()",
            "return 1",
            "return 2",
        ),
        ("def f(): return 1\nD = {'a': [f]}\ndef build(hp): return D", "return 1", "return 2"),
        (
            "import numpy as np\nclass C:\n    def __init__(self, a): self.a = {'b': [a]}\nc = C(np.zeros(3))\n"
            "def build(hp): return c",
            "zeros",
            "ones",
        ),
        (
            "import pandas as pd\nF = pd.DataFrame({'a': ['u', 'v']})\ndef build(hp): return F",
            "'v'",
            "'w'",
        ),
        (
            "import functools\ndef g(): return 1\nclass C:\n    @functools.cached_property\n    def f(self): return g()"
            "\ndef build(hp): return C().f",
            "return 1",
            "return 2",
        ),
    ],
)
def test_what_a_definition_or_an_object_contains_is_part_of_it(cell, before, after) -> None:
    changed = cell.replace(before, after)
    first, same, other = (code_of({"build": made_in_a_notebook(one)}).digest() for one in (cell, cell, changed))
    assert first == same != other


IN_ANY_PROCESS = """
from hpo.python.source import code_of

def a(): return 1
def b(): return 2
class C: pass

NAMES = {"k%d" % number for number in range(200)}
MIXED = [{"u", "v", "w"}, {a, b}, {"c": C(), "f": [a]}]
shape = 1

def build(hp): return NAMES, MIXED, hp.shape, "x" in {"x", "y", "z"}

print(code_of({"build": build}).digest())
shape = 2
print(code_of({"build": build}).digest())
"""


def test_unchanged_code_is_the_same_in_each_process(tmp_path) -> None:
    (tmp_path / "script.py").write_text(IN_ANY_PROCESS)
    found = []
    for seed in ("1", "2"):
        command = [sys.executable, str(tmp_path / "script.py")]
        found += subprocess.check_output(command, env={**os.environ, "PYTHONHASHSEED": seed}, text=True).split()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_modules_count_by_their_files_and_constants_by_their_module(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "one_of_source.py").write_text("K = 1\ndef f(): return K\n")
    (tmp_path / "two_of_source.py").write_text("from one_of_source import f\nK = 5\ndef g(): return K\n")
    cell = "from one_of_source import f\nimport two_of_source as two\nfrom two_of_source import g\n"
    apart = made_in_a_notebook(cell + "def build(hp): return f() + g()")
    whole = made_in_a_notebook(cell + "def build(hp): return two.g()")
    before = [code_of({"build": one}).digest() for one in (apart, whole)]
    monkeypatch.setattr("one_of_source.K", 2)
    (tmp_path / "one_of_source.py").write_text("K = 2\ndef f(): return K\n")
    after = [code_of({"build": one}).digest() for one in (apart, whole)]
    assert all(one != other for one, other in zip(before, after, strict=True))
    for name in ("one_of_source", "two_of_source"):
        del sys.modules[name]


def test_where_the_cell_stands_and_what_it_does_not_use_is_no_change() -> None:
    moved = "\n\n    other = 3" + CELL.replace("unused(): return 1", "unused(): return 2")
    assert (
        code_of({"build": made_in_a_notebook(moved)}).digest() == code_of({"build": made_in_a_notebook(CELL)}).digest()
    )


def test_arrays_objects_and_wrapped_functions_count_by_their_content() -> None:
    def wrapped(values):
        scope = {"__name__": "__main__", "VALUES": values}
        exec("def build(hp): return VALUES", scope)
        return functools.lru_cache(scope["build"])

    one, same, other = (code_of({"build": wrapped(np.full(3, value))}) for value in (1, 1, 2))
    assert one.digest() == same.digest() != other.digest()


def test_a_module_of_the_users_is_followed_and_its_folder_is_known(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine_of_source").mkdir()
    (tmp_path / "mine_of_source/__init__.py").touch()
    (tmp_path / "mine_of_source/parts.py").write_text("import numpy as np\ndef build(hp):\n    return np.zeros(3)\n")
    monkeypatch.syspath_prepend(tmp_path)
    from mine_of_source.parts import build  # type: ignore[import-not-found]

    code = code_of({"build": build})
    assert list(code.folders) == [str(tmp_path)]
    assert code.text().startswith("import numpy as np")
    for name in ("mine_of_source", "mine_of_source.parts"):
        del sys.modules[name]


def test_what_a_function_imports_when_it_is_called_is_part_of_it(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "late_of_source.py").write_text("def f(): return 1\n")
    constants = "; ".join(f"x = {number}.5" for number in range(300))
    imports = "import json, keras.layers\n    from late_of_source import f"
    cell = f"def build(hp):\n    {constants}\n    {imports}\n    return f()"

    def digest() -> str:
        return code_of({"build": made_in_a_notebook(cell)}).digest()

    before = digest()
    assert digest() == before
    assert code_of({"build": made_in_a_notebook(cell)}).folders == {str(tmp_path.resolve()): None}
    (tmp_path / "late_of_source.py").write_text("def f(): return 2\n")
    assert digest() != before
    # One that cannot be imported is what its trial will tell of.
    monkeypatch.delitem(sys.modules, "late_of_source")
    (tmp_path / "late_of_source.py").write_text("1 / 0\n")
    assert "late_of_source  #" not in code_of({"build": made_in_a_notebook(cell)}).text()
