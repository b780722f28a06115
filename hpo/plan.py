"""From files to a plan: the experiment and its search space, every mistake of both found before anything is made."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from hpo import models, shipped
from hpo.errors import FileMistakes, Mistake, ModelError
from hpo.experiment import Experiment, parse_experiment
from hpo.space import SearchSpace, parse_space, training_with
from hpo.training.rules import Disagreement, disagreements
from hpo.yaml_file import Document, Key, override, read_yaml

_DEFAULT_TRIALS = 50
_TRIED = 200

Parsed = TypeVar("Parsed")


@dataclass(frozen=True)
class Plan:
    """An experiment and its search space, checked."""

    experiment: Experiment
    space: SearchSpace
    files: Mapping[str, str]
    """The YAML texts, `experiment` and `search_space`, as the user wrote them."""
    folders: tuple[Path, ...]
    """Where relative paths and import paths of the user's are looked for, in this order."""
    home: Path
    """Where the run leaves what it leaves."""
    documents: Mapping[str, Document] = field(default_factory=dict)
    """`experiment` and `search_space`, with the line of each key, for mistakes that only the data bring to light."""

    @property
    def trials(self) -> int | None:
        """Configurations to bring to an end; None: as many as the time allows, or the whole grid."""
        study = self.experiment.study
        if study.trials is not None or study.timeout is not None or study.sampler.name == "grid":
            return study.trials
        return _DEFAULT_TRIALS

    @property
    def storage(self) -> str:
        """SQLAlchemy URL of Optuna's database."""
        return self.experiment.study.storage or default_storage(self.home)

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking URI."""
        return self.experiment.tracking.uri or default_tracking(self.home)


def home_folder(home: str | Path | None = None) -> Path:
    """The folder of all that runs leave: the argument, else HPO_HOME, else ./mlruns."""
    return Path(home or os.environ.get("HPO_HOME") or "mlruns").absolute()


def default_storage(home: Path) -> str:
    """SQLAlchemy URL of the home folder's Optuna database."""
    return f"sqlite:///{home / 'optuna.db'}"


def default_tracking(home: Path) -> str:
    """MLflow tracking URI of the home folder's database."""
    return f"sqlite:///{home / 'mlflow.db'}"


def load_plan(
    source: str | Path | Mapping[str, Any],
    overrides: Sequence[str] = (),
    home: str | Path | None = None,
) -> Plan:
    """Reads and checks an experiment and its search space; creates nothing.

    Args:
        source: the experiment's file, or what would stand in it.
        overrides: `a.b=c` assignments over the file.
        home: see `home_folder`.

    Raises:
        NotFound: there is no such file.
        FileMistakes: all mistakes of both files at once.
    """
    if isinstance(source, Mapping):
        document, folder, text = Document("experiment", dict(source)), Path.cwd(), _dump(source)
    else:
        document, folder = read_yaml(Path(source)), Path(source).absolute().parent
        text = Path(source).read_text(encoding="utf-8")
    text += "".join(f"# overridden by --set {assignment}\n" for assignment in overrides)
    document = override(document, overrides)

    mistakes: list[Mistake] = []
    experiment = _collect(mistakes, lambda: parse_experiment(document))
    sections = (experiment.training, experiment.dataset) if experiment else (None, None)
    space_document, space_text = _collect(mistakes, lambda: _space_document(document, folder)) or (None, "")
    space = None
    if space_document is not None:
        space = _collect(mistakes, lambda: parse_space(space_document, *sections))
    if space is not None and space_document is not None:
        mistakes += _unknown_model(space, space_document)
    sound = experiment or _sound_part(document, mistakes)
    if sound is not None:
        mistakes += _study_mistakes(sound, space, document)
    if mistakes or experiment is None or space is None:
        raise FileMistakes(mistakes)
    files = {"experiment": text, "search_space": space_text}
    documents = {"experiment": document, "search_space": space_document or document}
    return Plan(experiment, space, files, tuple(dict.fromkeys((Path.cwd(), folder))), home_folder(home), documents)


def plan_of(experiment: Mapping[str, Any], folder: Path | None = None) -> Plan:
    """The plan of an experiment that a study or an exported file keeps, with its search space within.

    Raises:
        FileMistakes: all its mistakes at once.
    """
    plan = load_plan(experiment)
    return replace(plan, folders=(*plan.folders, folder)) if folder else plan


def _collect(mistakes: list[Mistake], parse: Callable[[], Parsed]) -> Parsed | None:
    try:
        return parse()
    except FileMistakes as error:
        mistakes += error.mistakes
        return None


def _space_document(document: Document, folder: Path) -> tuple[Document, str]:
    wanted = document.data.get("search_space")
    if isinstance(wanted, Mapping):
        return document.below("search_space"), _dump(wanted)
    if not isinstance(wanted, str):
        # The experiment's own check says what is wrong with it.
        raise FileMistakes([])
    if "/" in wanted or wanted.endswith((".yaml", ".yml")):
        candidates = [Path(wanted), folder / wanted]
    else:
        spaces = [*(parent / "search_spaces" for parent in (folder.parent, Path.cwd())), shipped.search_spaces()]
        candidates = [place / f"{wanted}.yaml" for place in spaces]
    for candidate in candidates:
        if candidate.is_file():
            near = candidate.absolute().is_relative_to(Path.cwd())
            return read_yaml(Path(_relative(candidate)) if near else candidate), candidate.read_text(encoding="utf-8")
    looked = ", ".join(dict.fromkeys(map(_relative, candidates)))
    known = sorted({path.stem for candidate in candidates for path in candidate.parent.glob("*.yaml")})
    hint = f"; there are: {', '.join(known)}" if known else ""
    raise FileMistakes([document.mistake(("search_space",), f"not found: looked for {looked}{hint}")])


def _sound_part(document: Document, mistakes: Sequence[Mistake]) -> Experiment | None:
    """The experiment less its sections with mistakes, so that the others can be checked further."""
    wrong = {mistake.key.partition(".")[0].partition("[")[0] for mistake in mistakes}
    kept = {key: value for key, value in document.data.items() if key not in wrong}
    if "training" in wrong:
        # Which metrics there are is not known.
        kept.pop("objective", None)
    stand_ins = {"name": "unnamed", "dataset": "digits", "search_space": {}, "objective": "val_loss"}
    try:
        return parse_experiment(Document(document.name, {**stand_ins, **kept}))
    except FileMistakes:
        return None


def _study_mistakes(experiment: Experiment, space: SearchSpace | None, document: Document) -> list[Mistake]:
    from hpo.samplers import option_mistakes

    found = option_mistakes(experiment, document)
    if space is None:
        return found
    if experiment.study.sampler.name == "grid" and (endless := space.uncountable()):
        names = ", ".join(endless)
        found.append(document.mistake(("study", "sampler"), f"a grid needs a step, or choices, for {names}"))
    # A KerasTuner model declares parameters of its own, which are not known before it is built.
    declares = ":" in space.model
    for index, config in enumerate(experiment.study.enqueue):
        for name, complaint in space.complaints(config).items():
            if not declares or name in space.parameters:
                found.append(document.mistake(("study", "enqueue", index, name), complaint))
    usual = {"loss", "accuracy", "mae", *experiment.training.metrics}
    if not declares:
        for key, name in _metrics_named(experiment):
            metric = name.removeprefix("val_")
            if metric not in usual:
                rule = f"is no metric of this training; add {metric} to training.metrics, or take one of "
                valid = [f"val_{known}" for known in sorted(usual)] + (sorted(usual) if len(key) > 1 else [])
                found.append(document.mistake(key, rule + ", ".join(valid)))
    found += [document.mistake(("training", *wrong.key), wrong.message) for wrong in _disagreements(experiment, space)]
    return found


def _disagreements(experiment: Experiment, space: SearchSpace) -> list[Disagreement]:
    """What the training section has whatever varies: in the extremes of the space, and some configurations at random.

    Where only some have it, their trials fail with reason invalid.
    """
    everywhere: list[Disagreement] | None = None
    for config in space.examples(_TRIED if space.parameters else 0):
        try:
            found = list(disagreements(training_with(experiment.training, space.settings(config))))
        except ValidationError:
            continue
        keys = {wrong.key for wrong in found}
        everywhere = found if everywhere is None else [wrong for wrong in everywhere if wrong.key in keys]
        if not everywhere:
            return []
    return everywhere or []


def _metrics_named(experiment: Experiment) -> Iterator[tuple[Key, str]]:
    """The keys that name a metric, and which."""
    yield ("objective",), experiment.objective.metric
    for name in ("early_stopping", "reduce_on_plateau"):
        section = getattr(experiment.training, name)
        if section is not None and section.monitor is not None:
            yield ("training", name, "monitor"), section.monitor.metric


def _unknown_model(space: SearchSpace, document: Document) -> list[Mistake]:
    keys = {parameter.sets or name: name for name, parameter in space.parameters.items()}
    try:
        unknown = models.unknown_keys(space.model, keys)
    except ModelError as error:
        return [document.mistake(("model",), str(error))]
    return [document.mistake(("parameters", keys[key]), message) for key, message in unknown.items()]


def _dump(data: Mapping[str, Any]) -> str:
    import io

    from ruamel.yaml import YAML

    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(dict(data), stream)
    return stream.getvalue()


def _relative(path: Path) -> str:
    return os.path.relpath(path)
