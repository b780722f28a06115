import functools
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
