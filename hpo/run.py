"""The whole pipeline, top to bottom: from an experiment's file to its best trial. READ THIS FIRST.

    experiment.yaml -> Plan -> dataset -> study -> ask -> job -> engine -> events -> tell, log -> Result

The imports stand inside the functions, since `hpo --help`, and every complaint about a file, should be there
before the libraries are.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from hpo.coordinator import Ending
    from hpo.data.dataset import Dataset
    from hpo.engines import Engine
    from hpo.experiment import Objective
    from hpo.plan import Plan
    from hpo.record import TrialRecord
    from hpo.space import SearchSpace
    from hpo.study import Definition, Study
    from hpo.training.messages import Job


@dataclass(frozen=True)
class Result:
    """What a run came to."""

    name: str
    """Name of the study."""
    ended: "Ending"
    """done, timeout or target."""
    trials: "Sequence[TrialRecord]"
    """All trials of the study, in the order of their numbers; those of earlier runs too."""
    best: "TrialRecord | None"
    """The trial with the best validation score, if any has one."""
    objective: "Objective"
    """What the study improves."""
    storage: str
    """SQLAlchemy URL of the study, without password."""
    tracking_uri: str
    """MLflow tracking URI of the runs, without password."""
    home: Path
    seconds: float
    """Wall time of this run."""


def run(
    experiment: "str | Path | Mapping[str, Any]",
    *,
    overrides: Sequence[str] = (),
    home: str | Path | None = None,
    console: "Console | None" = None,
) -> Result:
    """Runs an experiment, or goes on with it, and returns its result.

    Args:
        experiment: its YAML file, or a mapping of what would stand in it.
        overrides: assignments such as `study.trials=10` over the file.
        home: the folder of all that is left: HPO_HOME or ./mlruns where not given.
        console: where progress is shown; nowhere if not given.

    Raises:
        UserError: a mistake in the files, the data, or a study that cannot go on; nothing was changed.
        StudyFailed: too many configurations in a row failed with the same error.
        Interrupted: by Ctrl-C; the same call goes on.
    """
    from hpo.plan import load_plan

    began = time.monotonic()
    plan = load_plan(experiment, overrides, home)
    with prepared(plan) as (engine, dataset, folder):
        ended, trials = _study(plan, engine, dataset, folder, console)
    return _result(plan, ended, trials, time.monotonic() - began)


@contextmanager
def prepared(plan: "Plan", workers: int | None = None) -> "Iterator[tuple[Engine, Dataset, Path]]":
    """Starts the engine and prepares the data, side by side: workers need longer to start than data to load.

    Yields the engine, with at most `workers` workers, the dataset, and the folder where workers find it.
    """
    from hpo.data import load, save
    from hpo.engines.table import make_engine
    from hpo.scratch import scratch_folder

    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        engine = make_engine(plan.experiment.engine, workers or plan.trials, scratch / "workers.log")
        stack.callback(engine.close)
        dataset = load(plan.experiment.dataset, plan.folders)
        folder = scratch / "data"
        save(dataset, folder)
        yield engine, dataset, folder


def _study(
    plan: "Plan", engine: "Engine", dataset: "Dataset", folder: Path, console: "Console | None"
) -> "tuple[Ending, Sequence[TrialRecord]]":
    from hpo.coordinator import Budget, Coordinator
    from hpo.lock import sole_coordinator
    from hpo.progress import Progress
    from hpo.study import open_study
    from hpo.tracking import track

    experiment = plan.experiment
    spec, objective = experiment.study, experiment.objective
    declared = engine.discover(plan.space.model, str(folder), _import_paths(plan))
    definition = _definition(plan, dataset, declared)
    with sole_coordinator(plan.storage, experiment.name):
        study = open_study(plan.storage, experiment.name, definition, spec)
        study.recover()
        jobs = _Jobs(plan, study, folder, declared)
        progress = Progress(console, objective, plan.trials, spec.timeout)
        budget = Budget(plan.trials, spec.timeout, spec.target, spec.trial_timeout, spec.retries)
        with track(plan, definition, dataset.info, study) as tracker, progress.shown(study.trials()):
            coordinator = Coordinator(study, engine, objective, budget, jobs.make, jobs.declare, (tracker, progress))
            ended = coordinator.run()
        return ended, study.trials()


def _definition(plan: "Plan", dataset: "Dataset", declared: Mapping[str, Any]) -> "Definition":
    from hpo.study import Definition

    experiment, info = plan.experiment, dataset.info
    identity = {
        "search_space": plan.space.model_dump(mode="json"),
        "objective": experiment.objective.model_dump(mode="json"),
        # The digest stands for where the data are, and for how they were split.
        "dataset": {"name": info.name, "digest": info.digest, "scaling": info.scaling.method},
        "training": experiment.training.model_dump(mode="json"),
        "seed": experiment.study.seed,
    }
    resolved = {**experiment.model_dump(mode="json"), "search_space": identity["search_space"]}
    return Definition(_widened(plan, declared), experiment.training.epochs, identity, plan.files, resolved)


def _widened(plan: "Plan", declared: Mapping[str, Any]) -> "SearchSpace":
    from hpo.models import to_space

    return plan.space.merged(to_space(declared, plan.space.model))


def _import_paths(plan: "Plan") -> tuple[str, ...]:
    return tuple(map(str, plan.folders))


def make_job(
    plan: "Plan",
    params: Mapping[str, Any],
    seed: int,
    folder: Path,
    declared: Mapping[str, Any],
    save_to: Path | None = None,
) -> "Job":
    """The job of one configuration, numbered 0, on the data prepared in a folder."""
    from hpo.space import training_with
    from hpo.training.messages import Job

    # What a KerasTuner model declares is its own: only what the file's space names may set keys of training.
    written = {name: value for name, value in params.items() if name in plan.space.parameters}
    return Job(
        trial=0,
        params=_widened(plan, declared).settings(params),
        seed=seed,
        model=plan.space.model,
        training=training_with(plan.experiment.training, plan.space.settings(written)),
        objective=plan.experiment.objective,
        data=str(folder),
        import_paths=_import_paths(plan),
        declared=declared or None,
        save_to=str(save_to) if save_to else None,
    )


class _Jobs:
    """Makes jobs of trials, and keeps what a KerasTuner model declares as it goes."""

    def __init__(self, plan: "Plan", study: "Study", folder: Path, declared: Mapping[str, Any]) -> None:
        self._plan = plan
        self._study = study
        self._folder = folder
        self._declared = study.declared or declared
        self._models = plan.home / "models" / plan.experiment.name
        study.widen(_widened(plan, self._declared))

    def make(self, record: "TrialRecord", best: float | None) -> "Job":
        """The job of a trial; `best` is what its model must beat to be kept."""
        save_to = self._models / f"trial-{record.number:04}.keras"
        job = make_job(self._plan, record.params, record.seed, self._folder, self._declared, save_to)
        return replace(job, trial=record.number, save_if_better_than=best)

    def declare(self, config: Mapping[str, Any]) -> None:
        """Lets later trials vary what a model has declared meanwhile."""
        self._declared = config
        self._study.declare(config)
        self._study.widen(_widened(self._plan, config))


def _result(plan: "Plan", ended: "Ending", trials: "Sequence[TrialRecord]", seconds: float) -> Result:
    from hpo.record import ranked
    from hpo.urls import masked

    return Result(
        name=plan.experiment.name,
        ended=ended,
        trials=trials,
        best=next(iter(ranked(trials, plan.experiment.objective)), None),
        objective=plan.experiment.objective,
        storage=masked(plan.storage),
        tracking_uri=masked(plan.tracking_uri),
        home=plan.home,
        seconds=seconds,
    )
