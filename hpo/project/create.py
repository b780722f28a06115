"""Creates the files of a new project; everything is checked before the first file is written."""

import json
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

from hpo.config.dataset import TABLE_ENDINGS
from hpo.errors import DataError, UserError
from hpo.project.model_arguments import is_keras_tuner, ranges
from hpo.project.notebook import notebook

if TYPE_CHECKING:
    from rich.console import Console

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Wanted:
    """The data and the model of a new project."""

    data: Path | None = None
    """A file or folder of data; None: handwritten digits, which come with scikit-learn."""
    target: str | None = None
    """The column to predict, if the data are a table."""
    model: str | None = None
    """`module:name` of the user's own model; None: a model of hpo, or a new model function to start from."""


@dataclass(frozen=True)
class Created:
    """A new project."""

    folder: Path
    files: tuple[Path, ...]
    guessed: tuple[str, ...]
    """The parameters whose meaning is unknown, so that their ranges are guesses."""

    @property
    def cd_prefix(self) -> str:
        """`cd FOLDER && ` for the beginning of a command; empty if the project is in the working directory."""
        return "" if self.folder == Path.cwd() else f"cd {shlex.quote(_shown(self.folder))} && "


def create_project(folder: Path, wanted: Wanted) -> Created:
    """Writes an experiment, a search space, a notebook, and a model function if the project needs one.

    Raises:
        UserError: a file of the project is there already, or the data or the model cannot be used; nothing is written.
    """
    folder = folder.absolute()
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", wanted.data.stem if wanted.data else folder.name).strip("-") or "study"
    dataset = _dataset(folder, wanted)
    objective = _objective(dataset, folder)
    space, guessed = _space(folder, wanted, objective)
    texts = {
        "experiment.yaml": _filled(
            "experiment.yaml", name=name, dataset=_inline(dataset), objective=objective
        ),
        "search_space.yaml": space,
        "study.ipynb": notebook("experiment.yaml", name, objective),
    }  # fmt: skip
    if wanted.data is None and wanted.model is None:
        texts["models.py"] = (_TEMPLATES / "models.py").read_text(encoding="utf-8")
    if there := [one for one in texts if (folder / one).exists()]:
        raise UserError(f"{folder}: has {', '.join(there)} already; name another folder: hpo init FOLDER")
    return Created(folder, _write(folder, {**texts, **_schemas()}), guessed)


def print_created(out: "Console", created: Created) -> None:
    """Prints the files of a new project, and the commands to run next."""
    for path in created.files:
        if not path.parent.name.startswith("."):
            out.print(f"wrote {_shown(path)}", soft_wrap=True, markup=False)
    if created.guessed:
        out.print(
            f"The ranges of {', '.join(created.guessed)} are guesses: correct them in search_space.yaml first.",
            soft_wrap=True, markup=False,
        )  # fmt: skip
    for command, what in (
        ("hpo check experiment.yaml", "what would run, without training"),
        ("hpo run experiment.yaml", "the study; the same command continues after a stop"),
    ):
        out.print(f"  {created.cd_prefix}{command}   # {what}", soft_wrap=True, markup=False)


def no_experiment() -> UserError:
    """The error for a command that needs an experiment's file and was given none."""
    found = sorted([*Path().glob("*.yaml"), *Path("experiments").glob("*.yaml")])
    known = [str(path) for path in found if re.search(r"^search_space:", _text(path), re.MULTILINE)]
    hint = f"here are: {', '.join(known)}" if known else "hpo init writes one to start from"
    return UserError(f"hpo run needs an experiment's file: hpo run EXPERIMENT; {hint}")


def _shown(path: Path) -> str:
    """A path relative to the working directory if it is below it; else the whole path."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _dataset(folder: Path, wanted: Wanted) -> Any:
    if wanted.data is None:
        if wanted.target is not None:
            raise UserError("--target: names a column of a table, which needs --data FILE")
        return "digits"
    data = wanted.data.absolute()
    if not data.exists():
        raise UserError(f"--data: no such file or folder: {wanted.data}")
    is_table = data.name.lower().endswith(TABLE_ENDINGS)
    if is_table and wanted.target is None:
        raise UserError(f"--data {wanted.data}: a table needs --target COLUMN; {_columns(data)}")
    # A path relative to the experiment's file, so that the project can be moved together with its data.
    path = os.path.relpath(data, folder) if data.is_relative_to(folder) else str(data)
    if wanted.target is None:
        return {"path": path}
    identifiers = _identifiers(data, wanted.target) if is_table else []
    return {"path": path, "target": wanted.target, **({"drop": identifiers} if identifiers else {})}


def _columns(data: Path) -> str:
    from hpo.data.table_file import Format, read_table_file

    try:
        frame = read_table_file(data, Format()).frame
    except DataError as error:
        return f"its columns cannot be read: {error}"
    return f"its columns: {', '.join(map(str, frame.columns))}"


def _identifiers(data: Path, target: str) -> list[str]:
    """The columns that tell rows apart and nothing about them: other texts in each row, and numbers called id."""
    from hpo.data.table_columns import identifiers
    from hpo.data.table_file import Format, read_table_file

    table = read_table_file(data, Format())
    return [name for name in identifiers(table) if name != target]


def _objective(dataset: Any, folder: Path) -> str:
    """An objective for the task, which is found from the data. Reading the data also finds mistakes in them."""
    from hpo.config.dataset import DatasetSpec
    from hpo.data import load

    if dataset == "digits":
        return "val_accuracy"
    info = load(DatasetSpec.model_validate(dataset), (folder, Path.cwd())).info
    return "val_accuracy" if info.classes else "val_mae"


def _space(folder: Path, wanted: Wanted, objective: str) -> tuple[str, tuple[str, ...]]:
    """The search space's text, and the parameters whose ranges are guesses."""
    if wanted.model is None:
        own = "models:build" if wanted.data is None else "mlp"
        shipped = ranges_of_mlp()
        return _filled("search_space.yaml", model=own, parameters=_lines(shipped)), ()
    folders = (Path.cwd(), folder)
    model = json.dumps(wanted.model)
    if is_keras_tuner(wanted.model, folders):
        note = "# The model declares what it varies; parameters named here replace its own.\nparameters: {}"
        return _filled("search_space.yaml", model=model, parameters=note), ()
    found = ranges(wanted.model, folders)
    guessed = tuple(name for name, (_, known) in found.items() if not known)
    doubt = "   # a guess: correct it"
    lines = {name: text if known else text + doubt for name, (text, known) in found.items()}
    for name in ("batch_size", "learning_rate"):
        lines.setdefault(name, ranges_of_mlp()[name])
    return _filled("search_space.yaml", model=model, parameters=_lines(lines)), guessed


def ranges_of_mlp() -> dict[str, str]:
    """Parameter -> range as YAML, for a small network of dense layers."""
    return {
        "depth": "{type: int, low: 1, high: 3}",
        "width": "{type: int, low: 16, high: 256, log: true}",
        "activation": "{type: categorical, choices: [relu, tanh, silu]}",
        "dropout": "{type: float, low: 0.0, high: 0.5}",
        "batch_size": "{type: categorical, choices: [32, 64, 128]}",
        "learning_rate": "{type: float, low: 1.0e-4, high: 1.0e-1, log: true}",
    }


def _lines(parameters: dict[str, str]) -> str:
    width = max(map(len, parameters), default=0) + 2
    return "\n".join(["parameters:", *(f"  {name + ':':<{width}}{text}" for name, text in parameters.items())])


def _inline(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "{" + ", ".join(f"{key}: {json.dumps(text, ensure_ascii=False)}" for key, text in value.items()) + "}"


def _filled(template: str, **values: str) -> str:
    return Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(values)


def _schemas() -> dict[str, str]:
    """Copies of the schemas (file -> text), so that editors find them inside the project."""
    folder = Path(__file__).parent / "schemas"
    return {
        f".schemas/{kind}.schema.json": (folder / f"{kind}.schema.json").read_text(encoding="utf-8")
        for kind in ("experiment", "search-space")
    }


def _write(folder: Path, texts: dict[str, str]) -> tuple[Path, ...]:
    written = []
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    return tuple(written)
