"""From a plan to jobs: the engine started, the data prepared, a job for each configuration."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hpo import models
from hpo.config.declared import NOTHING_DECLARED
from hpo.config.experiment import DatasetSpec, TrainingSpec
from hpo.config.loss_parts import logged_plain_loss
from hpo.config.mistakes import explain
from hpo.config.named import plain_choice
from hpo.config.resolved import Resolved
from hpo.config.score import Score
from hpo.config.space import dataset_with, in_section, sets_section, training_with
from hpo.config.training_rules import disagreements, loss_for_scaling, undoes_target_scaling
from hpo.data.prepared_variants import PreparedVariants, Variants, redrawn
from hpo.engines import Engine
from hpo.engines.table import make_engine
from hpo.errors import DataError, FileMistakes, HpoError, InvalidSettings
from hpo.plan.data_arguments import data_mistake
from hpo.plan.data_rules import wrong_in_experiment, wrong_in_space
from hpo.plan.plan import Plan
from hpo.plan.trainable import mistake_of, refuse_impossible
from hpo.system.platforms import refuse_other_backends
from hpo.system.scratch import scratch_folder
from hpo.text.credentials import hidden_in
from hpo.training.messages import Job

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo
    from hpo.loop.checkpoints_folder import CheckpointsFolder
    from hpo.loop.record import Record
    from hpo.study.record import TrialRecord


@dataclass(frozen=True)
class SaveTo:
    """Where a trial's model is to be saved, and when."""

    file: Path
    """A Keras file (.keras)."""
    if_better_than: Score | None = None
    """Only if it has a better score than this."""


@dataclass(frozen=True)
class Prepared:
    """Everything that is needed to train trials."""

    plan: Plan
    """The plan, with the parameters that its model declares."""
    engine: Engine
    info: "DatasetInfo"
    data: PreparedVariants
    """The folders where workers find the dataset and its variants."""


@contextmanager
def prepared(plan: Plan, workers: int | None = None) -> Iterator[Prepared]:
    """Starts the engine, and prepares the data while its workers start, which takes longer.

    `workers`: the largest number of workers that is needed.

    Raises:
        FileMistakes: the data cannot be prepared as a key of the dataset section says, or no configuration of the
            search space makes a model.
        DataError: any other mistake in the data.
        ModelError: a model of the user cannot be found or built.
    """
    refuse_other_backends()
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_folder())
        engine = make_engine(plan.experiment.engine, workers or plan.trials, scratch / "workers.log")
        stack.callback(engine.close)
        variants = variants_of(plan)
        check_space(plan, variants)
        data = PreparedVariants(variants, scratch)
        engine.expect(str(data.base), import_paths(plan))
        yield Prepared(_explored(plan, engine, data.base), engine, variants.base.info, data)


def variants_of(plan: Plan) -> Variants:
    """The plan's data, and their variants for configurations that set keys of the dataset section.

    Raises:
        FileMistakes: a mistake in the data, reported at the key that caused it or that names their source.
    """
    try:
        return Variants(plan.experiment.dataset, plan.folders, _metrics(plan))
    except DataError as error:
        raise FileMistakes([data_mistake(plan.experiment, plan.space, plan.documents, error)]) from None


def _metrics(plan: Plan) -> list[str]:
    """The objective, the loss and the other metrics of a study, as far as they are written in its file."""
    # What a user's own model calls its metrics is its own affair.
    if models.keys(plan.space.model) is None:
        return []
    training = plan.experiment.training
    others = [spec.name for spec in training.metrics]
    return [plan.experiment.objective.metric, *filter(None, [plain_choice(training.loss)]), *others]


def check_space(plan: Plan, variants: Variants) -> None:
    """Checks that the files suit the data, and that some configuration can be trained.

    Raises:
        FileMistakes: a metric or a class that the task does not have, or no configuration can be trained.
    """
    data, documents = variants.base, plan.documents
    wrong = wrong_in_experiment(plan.experiment, plan.space, data)
    found = [documents["experiment"].mistake(key, message) for key, message in wrong]
    wrong = wrong_in_space(plan.space, data.info)
    found += [documents["search_space"].mistake(key, message) for key, message in wrong]
    if found:
        raise FileMistakes(found)

    def check(config: Mapping[str, Any]) -> None:
        variants.check(spec := sections(plan, config)[1])
        if spec.arguments == variants.spec.arguments:
            models.check(plan.space.model, plan.space.settings(config), variants.base.info, plan.folders)

    refuse_impossible(plan, check)


def _explored(plan: Plan, engine: Engine, folder: Path) -> Plan:
    """The plan with the parameters that its model declares: none for models of hpo.

    Raises:
        FileMistakes: a model of the user cannot be trained as the training section says.
    """
    if plan.declared is not None:
        return plan
    model, paths = plan.space.model, import_paths(plan)
    if models.keys(model) is not None:
        return replace(plan, declared=NOTHING_DECLARED)
    plan = replace(plan, declared=engine.discover(model, str(folder), paths))
    if jobs := examined(plan, folder):
        with refused_at_their_keys(plan):
            engine.examine(jobs, plan.experiment.study.trial_timeout)
    return plan


@contextmanager
def refused_at_their_keys(plan: Plan) -> Iterator[None]:
    """What a block says of a user's model becomes mistakes of the files.

    Raises:
        FileMistakes: the block raised InvalidModel.
    """
    try:
        yield
    except models.InvalidModel as error:
        raise FileMistakes(mistake_of(plan, line) for line in str(error).splitlines()) from None
    except HpoError:
        # The model may be built with other values, or its trial says why not.
        return


def examined(plan: Plan, folder: Path) -> list[Job]:
    """Jobs of the smallest model that show whether the training section suits a user's model.

    The second one has the last values of what sets keys of the training section, if anything does.
    """
    smallest, largest = plan.space.extremes()
    last = {key: (plan.space.parameters[key].values() or [value])[-1] for key, value in largest.items()}
    of_training = {key: value for key, value in last.items() if in_section(plan.space.target(key), "training")}
    found: list[Job] = []
    for config in (smallest, {**smallest, **of_training}) if of_training else (smallest,):
        with suppress(InvalidSettings):
            found.append(make_job(plan, config, 0, lambda spec: folder))
    return found


def import_paths(plan: Plan) -> tuple[str, ...]:
    """The folders in which workers look for the user's code."""
    return tuple(map(str, plan.folders))


def sections(plan: Plan, params: Mapping[str, Any]) -> tuple[TrainingSpec, DatasetSpec]:
    """The sections `training` and `dataset` with the values that a configuration sets.

    Raises:
        InvalidSettings: a section does not allow a value, or a combination of values.
    """
    # Only parameters of the file's space may set keys of sections, not those that a KerasTuner model declares.
    written = {name: value for name, value in params.items() if name in plan.space.parameters}
    settings = plan.space.settings(written)
    try:
        return training_with(plan.experiment.training, settings), dataset_with(plan.experiment.dataset, settings)
    except ValidationError as error:
        raise InvalidSettings(explain(error.errors())) from None


def make_job(
    plan: Plan,
    params: Mapping[str, Any],
    seed: int,
    folder: Callable[[DatasetSpec], Path],
    save_to: SaveTo | None = None,
    split: int | None = None,
) -> Job:
    """The job of one configuration, as trial 0; `folder` returns the folder of the data for a dataset section.

    `split`: the seed of another split into training and validation; None: that of the section.

    Raises:
        InvalidSettings: a section of the experiment does not allow a value, or a combination of values.
    """
    from hpo.data.shared_folder import decisions_of

    training, dataset = sections(plan, params)
    dataset = dataset if split is None else redrawn(dataset, split)
    for wrong in disagreements(training):
        raise InvalidSettings(f"training.{'.'.join(wrong.key)}: {wrong.message}")
    space = plan.whole_space
    prepared_in = folder(dataset)
    decided = dict(decisions_of(prepared_in))
    if "target_scaling" in decided and models.keys(plan.space.model) is not None:
        activation = space.settings(params).get("output_activation", "linear")
        if not undoes_target_scaling(decided["target_scaling"], loss_for_scaling(training.loss), activation):
            decided["target_scaling"] = "none"
    return Job(
        trial=0,
        params=space.settings(params),
        resolved=Resolved(
            training.model_dump(mode="json"),
            # A path may be a URL with a password in it.
            hidden_in({**dataset.in_effect(), **decided}),
            space.settings({name: value for name, value in params.items() if not _sets_section(plan, name)}),
        ),
        seed=seed,
        model=plan.space.model,
        training=training,
        objective=plan.experiment.objective,
        data=str(prepared_in),
        plain_loss=logged_plain_loss(plan.experiment, space),
        augmentation=dataset.augmentation,
        import_paths=import_paths(plan),
        callbacks_folder=str(plan.home / "callbacks" / plan.experiment.name) if training.callbacks else None,
        declared=plan.declared or NOTHING_DECLARED,
        save_to=str(save_to.file) if save_to else None,
        save_if_better_than=save_to.if_better_than if save_to else None,
    )


def _sets_section(plan: Plan, name: str) -> bool:
    return name in plan.space.parameters and sets_section(plan.space.target(name))


def _confirming(job: Job) -> Job:
    """The job of one seed: what is confirmed depends neither on bfloat16 nor on several executions."""
    training = job.training.of_one_seed()
    if job.resolved is None or training == job.training:
        return job
    return replace(job, training=training, resolved=replace(job.resolved, training=training.model_dump(mode="json")))


class Jobs:
    """Makes the jobs of a record's trials."""

    def __init__(
        self,
        ready: Prepared,
        record: "Record",
        save_to: "Callable[[TrialRecord, Score | None], SaveTo | None]",
        checkpoints: "CheckpointsFolder | None" = None,
    ) -> None:
        """`save_to`: returns where to save the model of a trial, given the best score so far; None: nowhere."""
        self._checkpoints = checkpoints
        self._ready = ready
        self._record = record
        self._save_to = save_to
        self._folders: dict[int, Path] = {}

    def make(self, trial: "TrialRecord", best: Score | None) -> Job:
        """The job of a trial; `best` is the best score so far.

        Raises:
            InvalidSettings: its configuration cannot be trained.
        """
        plan, data = self._ready.plan, self._ready.data
        if self._record.declared is not None:
            plan = replace(plan, declared=self._record.declared)
        split = trial.confirms.split if trial.confirms else None
        job = make_job(plan, trial.params, trial.seed, data.folder, self._save_to(trial, best), split)
        job = _confirming(job) if trial.confirms else job
        self._folders[trial.number] = Path(job.data)
        if data.crowded:
            running = {known.number for known in self._record.trials() if known.state == "running"}
            self._folders = {number: folder for number, folder in self._folders.items() if number in running}
            data.drop(needed=self._folders.values())
        if self._checkpoints is not None:
            job = replace(job, checkpoints=self._checkpoints.policy, resume=self._checkpoints.of(trial))
        return replace(job, trial=trial.number, alone=self._record.trains_alone(trial))
