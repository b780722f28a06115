"""Finds the parameters of a user's model in its source code, without running it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from hpo.errors import ModelError, nearest

_RANGES = (
    (("learning_rate", "lr"), "{type: float, low: 1.0e-4, high: 1.0e-1, log: true}"),
    (("dropout",), "{type: float, low: 0.0, high: 0.5}"),
    (("activation",), "{type: categorical, choices: [relu, tanh, silu]}"),
    (("optimizer",), "{type: categorical, choices: [adam, sgd]}"),
    (("l2", "l1", "decay"), "{type: float, low: 1.0e-6, high: 1.0e-2, log: true}"),
    (("depth", "layers", "blocks"), "{type: int, low: 1, high: 4}"),
    (("kernel",), "{type: categorical, choices: [3, 5]}"),
    (("width", "units", "filters", "hidden", "neurons", "size", "dim"), "{type: int, low: 8, high: 128, log: true}"),
    (("momentum",), "{type: float, low: 0.0, high: 0.99}"),
)
_UNKNOWN = "{type: float, low: 0.0, high: 1.0}"


def is_keras_tuner(path: str, folders: tuple[Path, ...]) -> bool:
    """Whether a model `package.module:name` is written for KerasTuner, and so declares what it varies.

    Raises:
        ModelError: there is no such file, or nothing of that name in it.
    """
    node = _definition(path, folders)
    if isinstance(node, ast.ClassDef):
        return True
    return len(node.args.args) == 1


def ranges(path: str, folders: tuple[Path, ...]) -> dict[str, tuple[str, bool]]:
    """Parameter -> a range as YAML, and whether its meaning is known, for each `params["name"]` in a function.

    A range without a known meaning is a guess.

    Raises:
        ModelError: there is no such file, or nothing of that name in it.
    """
    node = _definition(path, folders)
    if isinstance(node, ast.ClassDef) or not node.args.args:
        return {}
    return {name: _range(name) for name in dict.fromkeys(_looked_up(node, node.args.args[0].arg))}


def _range(name: str) -> tuple[str, bool]:
    for words, found in _RANGES:
        if any(word in name for word in words):
            return found, True
    return _UNKNOWN, False


def _looked_up(node: ast.FunctionDef, params: str) -> Iterator[str]:
    """The keys in `params["key"]` and `params.get("key")`, in the order of the source."""
    found = []
    for part in ast.walk(node):
        key: ast.expr | None = None
        if isinstance(part, ast.Subscript) and _is(part.value, params):
            key = part.slice
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.args:
            key = part.args[0] if part.func.attr == "get" and _is(part.func.value, params) else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found.append((key.lineno, key.col_offset, key.value))
    return (name for _, _, name in sorted(found))


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _definition(path: str, folders: tuple[Path, ...]) -> ast.FunctionDef | ast.ClassDef:
    module, colon, name = path.partition(":")
    if not colon or not name.isidentifier():
        raise ModelError(f"--model: must be module:name, as in models:build, got {path!r}")
    file = _file(path, module, folders)
    try:
        tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    except SyntaxError as error:
        raise ModelError(f"{file}:{error.lineno}: SyntaxError: {error.msg}") from None
    known = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    if name not in known:
        hint = nearest(name, known) if known else "it defines no function and no class"
        raise ModelError(f"--model: {file} has no {name}; {hint}")
    return known[name]


def _file(path: str, module: str, folders: tuple[Path, ...]) -> Path:
    relative = Path(*module.split("."))
    for folder in folders:
        for candidate in (folder / relative.with_suffix(".py"), folder / relative / "__init__.py"):
            if candidate.is_file():
                return candidate
    known = sorted({one.stem for folder in folders for one in folder.glob("*.py")})
    hint = f"; {nearest(module, known)}" if known else ""
    where = " or ".join(dict.fromkeys(str(folder) for folder in folders))
    raise ModelError(f"--model {path}: no module {module!r} in {where}{hint}")
