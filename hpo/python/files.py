"""A study of Python as files: its experiment, and the code that this names as a module beside it."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import UserError
from hpo.python.keep import folder_of

if TYPE_CHECKING:
    from hpo.study.read import StudyView

_UNWRITABLE = re.compile(r"^\w+ = (\.\.\.  # |[\w.]*<(locals|lambda)>)", flags=re.M)


def experiment_text(view: "StudyView") -> str:
    """The experiment file of a study, with its search space inside."""
    from hpo.config.yaml_file import read_value, to_yaml

    text = view.files["experiment"]
    experiment = read_value("experiment", text)
    if isinstance(experiment, Mapping) and not isinstance(experiment.get("search_space"), Mapping):
        space = read_value("search space", view.files["search_space"])
        return to_yaml({**experiment, "search_space": space}, block=True)
    return text


def write_files(view: "StudyView", path: Path, home: Path) -> list[Path]:
    """Writes the experiment of a study, and its code beside it, where it was given in Python; returns the files.

    A module with the source is written. Where code refers to objects that no source can express, the pickles of the
    study's own folder are copied with the module that reads them.

    Raises:
        UserError: the file has no YAML suffix, or its folder does not exist.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(f"{path}: must end in .yaml")
    if not path.absolute().parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.absolute().parent}")
    text = experiment_text(view)
    path.write_text(text, encoding="utf-8")
    folder, written = folder_of(home, view.name), [path]
    for module in _modules(text):
        source, kept = view.files.get("code", ""), folder / f"{module}.py"
        of_data = re.search(rf"\bfunction: ['\"]?{module}:", text) is not None
        if source and not of_data and not _UNWRITABLE.search(source):
            target = path.with_name(f"{module}.py")
            docstring = f'"""The code of study {view.name}, as it was given to hpo.tune."""'
            target.write_text(f"{docstring}\n\n{source}", encoding="utf-8")
            written.append(target)
        elif kept.is_file():
            for file in (kept, *folder.glob(f"{module}-*.pkl"), *(folder.glob("data-*.pkl") if of_data else ())):
                written.append(path.with_name(file.name))
                shutil.copy2(file, written[-1])
    return written


def _modules(text: str) -> list[str]:
    """The modules that were made of what Python gave, of an experiment's text."""
    return list(dict.fromkeys(re.findall(r"\b(\w+_[0-9a-f]{10}):[^\W\d]", text)))
