"""Reads an experiment and its search space into a plan, and finds every mistake in both before anything is created."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from hpo.config import shipped_spaces
from hpo.config.assignments import examine_assignments
from hpo.config.declared import Declared
from hpo.config.experiment import Experiment, examine_experiment
from hpo.config.loss_parts import warnings_about
from hpo.config.redacted import kept_text, remember_passwords
from hpo.config.space import SearchSpace
from hpo.config.space_file import ExaminedSpace, examine_space
from hpo.config.yaml_file import Document, examine_yaml, read_yaml, to_yaml
from hpo.errors import FileMistakes, Mistake
from hpo.plan.consistency import experiment_mistakes, missing_file, space_mistakes
from hpo.plan.data_arguments import with_first_arguments
from hpo.system.environment import resolved
from hpo.system.home import default_storage, default_tracking, home_folder
from hpo.text.credentials import hidden

_DEFAULT_TRIALS = 50

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Plan:
    """An experiment and its search space, checked."""

    experiment: Experiment
    space: SearchSpace
    files: Mapping[str, str]
    """The YAML texts as the user wrote them, `experiment` and `search_space`, without stores and credentials."""
    folders: tuple[Path, ...]
    """The folders in which the user's relative paths and import paths are looked for, in this order."""
    home: Path
    """The folder in which runs leave their files."""
    documents: Mapping[str, Document] = field(default_factory=dict)
    """`experiment` and `search_space` with the line of each key, for mistakes that are found only with the data."""
    declared: Declared | None = None
    """The hyperparameters that a KerasTuner model declares; None until the model was explored."""

    @cached_property
    def whole_space(self) -> SearchSpace:
        """The space that trials vary: that of the file, and the parameters that the model declares."""
        return self.space if self.declared is None else self.declared.added_to(self.space)

    def warnings(self, task: str) -> list[Mistake]:
        """Warnings about parameters that change what the objective is made of; `task`: classification or regression."""
        document = self.documents.get("search_space", Document("", {}))
        found = warnings_about(self.experiment, self.whole_space, task)
        return [document.mistake(("parameters", name), message) for name, message in found.items()]

    @property
    def trials(self) -> int | None:
        """The number of configurations to try; None: as many as the time allows, or the whole grid."""
        study = self.experiment.study
        if study.trials is not None or study.timeout is not None or study.sampler.name == "grid":
            return study.trials
        return _DEFAULT_TRIALS

    @property
    def storage(self) -> str:
        """SQLAlchemy URL of Optuna's database."""
        return resolved(self.experiment.study.storage or default_storage(self.home))

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking URI."""
        return resolved(self.experiment.tracking.uri or default_tracking(self.home))


def load_plan(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    home: str | Path | None = None,
    kept: bool = False,
    folders: Sequence[Path] = (),
) -> Plan:
    """Reads and checks an experiment and its search space; creates nothing.

    Args:
        source: the experiment's file, or its content as a mapping.
        overrides: `a.b=c` assignments over the file.
        home: see `home_folder`.
        kept: whether a study or an exported file stored the experiment. Rules that earlier versions of hpo did not have
            are then not applied.
        folders: further folders in which the user's relative paths and import paths are looked for, after the others.

    Raises:
        NotFound: there is no such file.
        FileMistakes: all mistakes of both files at once.
    """
    if isinstance(source, Mapping):
        document, folder, text = Document("experiment", dict(source)), Path.cwd(), to_yaml(source, block=True)
        mistakes: list[Mistake] = []
    else:
        document, mistakes = examine_yaml(Path(source))
        folder, text = Path(source).absolute().parent, Path(source).read_text(encoding="utf-8-sig")
    remember_passwords(document.data, overrides)
    document, wrong = examine_assignments(document, overrides)
    mistakes += wrong
    folders = tuple(dict.fromkeys((Path.cwd(), folder, *folders)))

    read = examine_experiment(document)
    mistakes += read.mistakes
    experiment = read.valid
    sections = (experiment.training, experiment.dataset) if experiment else (None, None)
    space_document, space_text = _collect(mistakes, lambda: _space_document(document, folder)) or (None, "")
    space = ExaminedSpace(None, (), frozenset())
    if space_document is not None:
        space = examine_space(space_document, *sections)
        mistakes += [*space.mistakes, *space_mistakes(space, space_document)]
    if experiment is not None:
        further = [*experiment_mistakes(experiment, space, kept), *(() if kept else missing_file(experiment, folders))]
        mistakes += [document.mistake(key, message) for key, message in further if not read.is_doubtful(key)]
    if mistakes or experiment is None or space.valid is None:
        raise FileMistakes(_reported_once(mistakes))
    files = {"experiment": kept_text(text, overrides), "search_space": hidden(space_text)}
    documents = {"experiment": document, "search_space": space_document or document}
    experiment = with_first_arguments(experiment, space.valid)
    return Plan(experiment, space.valid, files, folders, home_folder(home), documents)


def _collect(mistakes: list[Mistake], parse: Callable[[], Parsed]) -> Parsed | None:
    try:
        return parse()
    except FileMistakes as error:
        mistakes += error.mistakes
        return None


def _space_document(document: Document, folder: Path) -> tuple[Document, str]:
    wanted = document.data.get("search_space")
    if isinstance(wanted, Mapping):
        return document.below("search_space"), to_yaml(wanted, block=True)
    if not isinstance(wanted, str):
        # The experiment's own check says what is wrong with it.
        raise FileMistakes([])
    if "/" in wanted or wanted.endswith((".yaml", ".yml")):
        candidates = [Path(wanted), folder / wanted]
    else:
        spaces = [*(parent / "search_spaces" for parent in (folder.parent, Path.cwd())), shipped_spaces.search_spaces()]
        candidates = [place / f"{wanted}.yaml" for place in spaces]
    for candidate in candidates:
        if candidate.is_file():
            near = candidate.absolute().is_relative_to(Path.cwd())
            return read_yaml(Path(_relative(candidate)) if near else candidate), candidate.read_text(encoding="utf-8")
    looked = ", ".join(dict.fromkeys(map(_relative, candidates)))
    known = sorted({path.stem for candidate in candidates for path in candidate.parent.glob("*.yaml")})
    hint = f"; there are: {', '.join(known)}" if known else ""
    raise FileMistakes([document.mistake(("search_space",), f"not found: looked for {looked}{hint}")])


def _reported_once(mistakes: Sequence[Mistake]) -> list[Mistake]:
    """The mistakes without repetitions: a value that could not be read is not reported as missing, too."""
    unread: set[str] = set()
    reported = []
    for mistake in mistakes:
        if mistake.key not in unread or not mistake.message.endswith("got nothing"):
            reported.append(mistake)
        unread.add(mistake.key)
    return reported


def _relative(path: Path) -> str:
    return os.path.relpath(path)
