"""What a function or class is made of: its text, and the names that it reads when it is defined or called."""

import ast
import dis
import functools
import hashlib
import importlib
import importlib.util
import inspect
import linecache
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any

from hpo.python.described import Description, is_users, literal
from hpo.system.code_files import is_users_file

_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME")
"""The instructions that read a global name."""


def used_by(one: Any) -> Iterator[tuple[str, Any]]:
    """What a function or class refers to: name -> object, from its globals, closure, bases, defaults and decorators."""
    if isinstance(one, type):
        for base in one.__bases__:
            if base is not object:
                yield base.__name__, base
        for function in methods_of(one):
            yield from used_by(function)
        if is_users(type(one).__module__):
            yield type(one).__name__, type(one)
        known = next((function.__globals__ for function in methods_of(one)), vars(sys.modules.get(one.__module__, ast)))
        yield from _used_by_definition(one, known)
        return
    for name in dict.fromkeys(_names_of(one.__code__)):
        if name in one.__globals__:
            yield name, one.__globals__[name]
    yield from _imported_within(one)
    for name, cell in zip(one.__code__.co_freevars, one.__closure__ or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not set yet
            continue
    if hasattr(one, "__wrapped__"):
        yield one.__name__, one.__wrapped__
    else:
        yield from _used_by_definition(one, one.__globals__)


def _used_by_definition(one: Any, known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is evaluated when a function or class is defined: decorators, defaults, and the body of a class."""
    defaults = {}
    if isinstance(one, FunctionType):
        defaults = {
            parameter.name: parameter.default
            for parameter in inspect.signature(one, follow_wrapped=False).parameters.values()
            if parameter.default is not parameter.empty
        }
    text = _text_of(one)
    try:
        node: Any = ast.parse(text or "").body[0]
    except (SyntaxError, IndexError):
        # A lambda within a line, or no text at all.
        for name, value in defaults.items():
            yield f"{one.__name__.strip('<>')}_{name}", value
        return
    if isinstance(one, FunctionType):
        for name, default in _defaults_by_argument(node):
            if isinstance(default, ast.Name) and name in defaults:
                yield default.id, defaults[name]
    for name in dict.fromkeys(_read_at_definition(node)):
        if name in known and known[name] is not one:
            yield name, known[name]


def _defaults_by_argument(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        arguments = [*node.args.posonlyargs, *node.args.args]
        first = len(arguments) - len(node.args.defaults)
        for argument, default in zip(arguments[first:], node.args.defaults, strict=True):
            yield argument.arg, default
        for argument, keyword in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            yield argument.arg, keyword


def _read_at_definition(node: Any) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        named = {id(default) for _, default in _defaults_by_argument(node)}
        parts = [*node.decorator_list, *node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]
        for part in parts:
            if not (id(part) in named and isinstance(part, ast.Name)):
                yield from _read_at_definition(part)
        return
    if isinstance(node, ast.ClassDef):
        for inner in (*node.decorator_list, *(keyword.value for keyword in node.keywords), *node.body):
            yield from _read_at_definition(inner)
        return
    if isinstance(node, ast.AnnAssign):
        if node.value is not None:
            yield from _read_at_definition(node.value)
        return
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        yield node.id
    for child in ast.iter_child_nodes(node):
        yield from _read_at_definition(child)


def methods_of(one: type) -> list[FunctionType]:
    """The functions that a class defines."""
    return [function for member in vars(one).values() for function in functions_of(member)]


def functions_of(member: Any) -> Iterator[FunctionType]:
    """The functions within a member of a class: a method, a property, or what wraps a function."""
    if isinstance(member, functools.cached_property):
        member = member.func
    if isinstance(member, property):
        yield from (one for one in (member.fget, member.fset, member.fdel) if isinstance(one, FunctionType))
    member = getattr(member, "__func__", member)
    member = inspect.unwrap(member) if callable(member) else member
    if isinstance(member, FunctionType):
        yield member


def _names_of(code: CodeType) -> Iterator[str]:
    """The global names that code reads, that of functions within it included."""
    for one in dis.get_instructions(code):
        if one.opname in _GLOBAL:
            yield one.argval
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names_of(inner)


def _imported_within(one: FunctionType) -> Iterator[tuple[str, Any]]:
    """The modules of the user's that a function imports when it is called."""
    for name in dict.fromkeys(_imported_by(one.__code__, one.__globals__.get("__package__") or "")):
        if (module := _users_module(name)) is not None:
            yield name, module


def _imported_by(code: CodeType, package: str) -> Iterator[str]:
    """The modules that code imports when it runs, that of functions within it included."""
    before: list[Any] = [0, None]
    for one in dis.get_instructions(code):
        if one.opname == "IMPORT_NAME":
            # Python loads the level of a relative import, and the names that are wanted, just before.
            level, wanted = before
            if not level or package:
                name = importlib.util.resolve_name(f"{'.' * level}{one.argval}", package)
                yield name
                yield from (f"{name}.{part}" for part in wanted or ())
        # Comes before what is loaded, in functions of more than 256 constants.
        if one.opname != "EXTENDED_ARG":
            before = [before[1], one.argval]
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imported_by(inner, package)


def _users_module(name: str) -> ModuleType | None:
    """A module of the user's, imported as by the code that names it; None for any other, and for what is none."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
        if spec is None or not spec.origin or not is_users_file(spec.origin):
            return None
        return importlib.import_module(name)
    except Exception:  # the user's own module fails, as it will where it is wanted
        return None


def codes_in(one: Any) -> Iterator[CodeType]:
    """The code of the functions that are defined within a function or class."""
    waiting = [function.__code__ for function in (methods_of(one) if isinstance(one, type) else [one])]
    while waiting:
        inner = [part for part in waiting.pop().co_consts if isinstance(part, CodeType)]
        yield from inner
        waiting += inner


def source_of(one: Any) -> str:
    """The text of a function or class; a digest of its instructions where nobody has its text, as at a prompt."""
    text = _text_of(one)
    if text is not None:
        return text.rstrip()
    digest = instructions_of(methods_of(one) if isinstance(one, type) else [one], _content_of(one))
    return f"{one.__name__} = ...  # its source is unknown; its instructions are {digest}"


def _text_of(one: Any) -> str | None:
    try:
        text = _class_source(one) if isinstance(one, type) else inspect.getsource(one)
    except (OSError, TypeError):
        return None
    return None if text is None else textwrap.dedent(text)


def _content_of(one: Any) -> str:
    """The attributes of a class without a text, which in a notebook is each one without methods."""
    if not isinstance(one, type):
        return ""
    own = {name: value for name, value in vars(one).items() if not name.startswith("__") or name == "__annotations__"}
    known = {name: value for name, value in own.items() if not any(True for _ in functions_of(value))}
    return "".join(
        f"{name} = {literal(value) or Description(lambda *_: None).of(value)}\n" for name, value in known.items()
    )


def _class_source(one: type) -> str | None:
    """The text of a class. `inspect` finds no class of a notebook, whose `__main__` has no file."""
    own = [function for function in methods_of(one) if function.__qualname__.startswith(f"{one.__qualname__}.")]
    for function in own:
        lines = linecache.getlines(function.__code__.co_filename)
        for node in ast.walk(ast.parse("".join(lines))):
            if isinstance(node, ast.ClassDef) and node.name == one.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                if first <= function.__code__.co_firstlineno <= (node.end_lineno or first):
                    return "".join(lines[first - 1 : node.end_lineno])
    return inspect.getsource(one)


def instructions_of(functions: Sequence[FunctionType], content: str = "") -> str:
    """A digest of the instructions of functions, with what else is known."""
    found = "".join(_instructions(function.__code__) for function in functions) + content
    return hashlib.sha256(found.encode()).hexdigest()[:16]


def _instructions(code: CodeType) -> str:
    constants = [
        _instructions(one) if isinstance(one, CodeType) else literal(one) or repr(one) for one in code.co_consts
    ]
    return repr((code.co_code, code.co_names, constants))
