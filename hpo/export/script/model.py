"""The part of a script that builds and compiles the model."""

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo.data.dataset import DatasetInfo
from hpo.export.script.fragments import Script
from hpo.export.script.layout import WIDTH, arguments, literal, statement
from hpo.export.script.reading import own_code
from hpo.export.script.recipe import Compiling, Own, Recipe

_KNOWN_OF_DATA = ("name", "task", "input_shape", "classes", "outputs", "one_hot", "class_names")


def add_model(
    script: Script, recipe: Recipe, params: Mapping[str, Any], info: DatasetInfo, folders: Sequence[Path]
) -> None:
    """Adds the function build_model, which returns a compiled model, and how it is called."""
    script.imports.add("import keras")
    if recipe.own is None:
        script.imports.add("from keras import layers")
        lines = ["    model = keras.Sequential(", "        ["]
        lines += [line for layer in recipe.layers or () for line in _item(layer, indent=12)]
        lines += ["        ]", "    )"]
    else:
        lines = _own(script, recipe.own, params, info, folders)
    if recipe.compiling is not None:
        lines += _compile(recipe.compiling)
    doc = '    """The model of the trial, compiled."""'
    script.functions.append("\n".join(["def build_model():", doc, *lines, "    return model"]))
    script.main.append("    model = build_model()")


def _own(script: Script, own: Own, params: Mapping[str, Any], info: DatasetInfo, folders: Sequence[Path]) -> list[str]:
    called = own_code(script, f"{own.module}:{own.name}", folders)
    script.constants.append(literal(dict(params), "PARAMETERS = "))
    if own.kind == "function":
        script.imports.add("from types import SimpleNamespace")
        known = arguments({name: getattr(info, name) for name in _KNOWN_OF_DATA})
        script.constants.append("# What the model may ask of the data.")
        script.constants.append(statement("DATASET = SimpleNamespace(", known, ")", indent=0))
        return [f"    model = {called}(dict(PARAMETERS), DATASET)"]
    script.imports.add("import keras_tuner")
    script.constants += ["HP = keras_tuner.HyperParameters()", "HP.values = dict(PARAMETERS)"]
    if own.kind == "hp function":
        return [f"    model = {called}(HP)"]
    made = statement(f"{called}(", arguments(own.arguments), ")", indent=0) if "class" in own.kind else called
    script.constants.append(f"HYPERMODEL = {made}")
    return ["    HYPERMODEL.declare_hyperparameters(HP)", "    model = HYPERMODEL.build(HP)"]


def _compile(compiling: Compiling) -> list[str]:
    optimizer = f"keras.optimizers.{compiling.optimizer}({', '.join(arguments(compiling.options))})"
    items = [f"optimizer={optimizer}", f"loss={compiling.loss}", f"metrics={literal(list(compiling.metrics))}"]
    lines = _item(f"model.compile({', '.join(items)})", indent=4)
    return [*lines[:-1], lines[-1].removesuffix(",")]


def _item(code: str, indent: int, name: str = "") -> list[str]:
    """An expression as an item, of that name, of a list: on a line, or a call with an argument a line."""
    pad = " " * indent
    tree = ast.parse(code, mode="eval").body
    line = f"{pad}{name}{code},"
    if len(line) <= WIDTH or not isinstance(tree, ast.Call):
        return [line]

    def part(node: ast.expr) -> str:
        return str(ast.get_source_segment(code, node))

    items = [line for one in tree.args for line in _item(part(one), indent + 4)]
    items += [line for one in tree.keywords for line in _item(part(one.value), indent + 4, f"{one.arg}=")]
    return [f"{pad}{name}{part(tree.func)}(", *items, f"{pad}),"]
