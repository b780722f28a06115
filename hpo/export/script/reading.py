"""The lines of a script that read the data: all that trains as x and y, and the parts that the data bring."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hpo.config.experiment import DatasetSpec
from hpo.data.dataset import DatasetInfo, PartName
from hpo.data.files import find, idx_files
from hpo.export.script.fragments import Script
from hpo.export.script.layout import literal, statement
from hpo.system.imports import load_object

SHORT: Mapping[PartName, str] = {"training": "", "validation": "_val", "test": "_test"}
"""What follows x and y in the names of a part."""

_READ_IDX = '''def read_idx(name):
    """An array from an IDX file, plain or gzipped."""
    path = next(path for path in (DATA / name, DATA / f"{name}.gz") if path.exists())
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        dimensions = file.read(4)[3]
        shape = [int.from_bytes(file.read(4), "big") for _ in range(dimensions)]
        return np.frombuffer(file.read(), "uint8").reshape(shape)'''


def given_parts(info: DatasetInfo) -> list[PartName]:
    """The parts that the data bring themselves."""
    drawn = {draw.purpose for draw in info.draws}
    return [part for part in SHORT if part not in drawn]


def read_lines(script: Script, spec: DatasetSpec, info: DatasetInfo, folders: Sequence[Path]) -> list[str]:
    """The lines that read the data."""
    if spec.function is not None:
        return _function(script, spec.function, info, folders)
    path = find(spec.path, folders) if spec.path is not None else Path(info.source)
    if info.source == "scikit-learn":
        return _scikit_learn(script, str(spec.name))
    if info.source == "keras.datasets":
        script.imports.add("import keras")
        return [f"    (x, y), (x_test, y_test) = keras.datasets.{spec.name}.load_data()"]
    script.imports.add("from pathlib import Path")
    script.constants.append(literal(str(path.absolute()), "DATA = Path(", tail=")"))
    readers: Mapping[str, Callable[[Script, DatasetSpec, DatasetInfo], list[str]]]
    readers = {".npz": _npz, ".csv": _table, ".parquet": _table}
    return _idx(script, path, info) if path.is_dir() else readers[path.suffix](script, spec, info)


def _scikit_learn(script: Script, name: str) -> list[str]:
    script.imports.add(f"from sklearn.datasets import load_{name}")
    features = 'data.images.astype("uint8")' if name == "digits" else "data.data"
    return [f"    data = load_{name}()", f"    x, y = {features}, data.target"]


def _idx(script: Script, folder: Path, info: DatasetInfo) -> list[str]:
    script.imports |= {"import gzip", "import numpy as np"}
    script.functions.append(_READ_IDX)
    files, lines = idx_files(folder), []
    for part in given_parts(info):
        for variable, content in (("x", "images"), ("y", "labels")):
            name = files["train" if part == "training" else "test", content].name.removesuffix(".gz")
            lines.append(f'    {variable}{SHORT[part]} = read_idx("{name}")')
    return lines


def _npz(script: Script, spec: DatasetSpec, info: DatasetInfo) -> list[str]:
    script.imports.add("import numpy as np")
    lines = ["    data = np.load(DATA, allow_pickle=False)"]
    for part in given_parts(info):
        key = {"training": "train", "validation": "val", "test": "test"}[part]
        lines.append(f'    x{SHORT[part]}, y{SHORT[part]} = data["x_{key}"], data["y_{key}"]')
    return lines


def _table(script: Script, spec: DatasetSpec, info: DatasetInfo) -> list[str]:
    script.imports.add("import pandas as pd")
    reader = "read_csv" if str(spec.path).endswith(".csv") else "read_parquet"
    target = literal(spec.target)
    lines = [f"    table = pd.{reader}(DATA)", f"    features = table.drop(columns={target})"]
    if named := [column.name for column in info.columns if column.categories is not None]:
        lines.append(literal(named, "features = pd.get_dummies(features, columns=", 4, ")"))
    return [*lines, f'    x, y = features.to_numpy("float64"), table[{target}].to_numpy()']


def own_code(script: Script, path: str, folders: Sequence[Path]) -> str:
    """Imports what a path `module:attribute` names, from where it is found; returns its name."""
    module, _, name = path.partition(":")
    first, _, rest = name.partition(".")
    top = module.partition(".")[0]
    places = (folder for folder in folders if (folder / f"{top}.py").exists() or (folder / top).is_dir())
    if (folder := next(places, None)) is not None:
        script.imports.add("import sys")
        line = statement("sys.path.insert(", ["0", literal(str(folder.absolute()))], ")", indent=0)
        script.paths = list(dict.fromkeys([*script.paths, line]))
    script.own_imports.add(f"from {module} import {first}")
    return f"{first}.{rest}" if rest else first


def _function(script: Script, function: str, info: DatasetInfo, folders: Sequence[Path]) -> list[str]:
    called = own_code(script, function, folders)
    lines = [f"    data = {called}()"]
    if not isinstance(load_object(function, folders)(), Mapping):
        return [*lines, "    (x, y), (x_test, y_test) = data"]
    for part in given_parts(info):
        key = {"training": "train", "validation": "validation", "test": "test"}[part]
        lines.append(f'    x{SHORT[part]}, y{SHORT[part]} = data["{key}"]')
    return lines
