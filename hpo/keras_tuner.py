"""Code written for KerasTuner, run by hpo: `from hpo.keras_tuner import RandomSearch` instead of `from keras_tuner`.

Constructors and methods have KerasTuner's own signatures (1.4). Trials train side by side, in worker processes, and are
kept in a study: `tuner.study` is what `hpo.tune` returns. What cannot be had is refused, and the message says what to
do instead. The test part is `search(test_data=...)`, else the validation data once more, else split off by hpo.
"""

import math
import shutil
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from keras_tuner import HyperModel, HyperParameters, Objective

from hpo.config.declared import Declared
from hpo.errors import UserError
from hpo.python import of_keras_tuner as own
from hpo.python.given import Wanted
from hpo.python.space import Space
from hpo.python.tune import experiment_of, name_of, set_keys, tuned

if TYPE_CHECKING:
    from hpo.python.study import Study
    from hpo.study.record import TrialRecord

__all__ = [
    "BayesianOptimization", "GridSearch", "HyperModel", "HyperParameters", "Hyperband", "Objective", "RandomSearch",
]  # fmt: skip


class Tuner:
    """What all tuners share."""

    def __init__(  # noqa: PLR0913, PLR0917 - KerasTuner's own signature
        self,
        hypermodel: Any = None,
        objective: "str | Objective | None" = None,
        max_trials: int | None = 10,
        seed: int | None = None,
        hyperparameters: HyperParameters | None = None,
        tune_new_entries: bool = True,
        allow_new_entries: bool = True,
        max_retries_per_trial: int = 0,
        max_consecutive_failed_trials: int = own.CONSECUTIVE,
        *,
        max_model_size: int | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        directory: str | Path | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
        executions_per_trial: int = 1,
        workers: int | None = None,
        **others: Any,
    ) -> None:
        for name, value in others.items():
            if name not in own.INSTEAD:
                raise TypeError(f"{type(self).__name__}: unknown argument {name}")
            if value is not None:
                raise UserError(f"{name}: cannot be used here: {own.INSTEAD[name]}")
        if max_consecutive_failed_trials != own.CONSECUTIVE:
            raise UserError(f"max_consecutive_failed_trials: cannot be {max_consecutive_failed_trials}: {own.GIVEN_UP}")
        if hypermodel is None or not (callable(hypermodel) or hasattr(hypermodel, "build")):
            raise UserError("hypermodel: must be a function (hp) or a HyperModel; run_trial cannot be overridden here")
        if "run_trial" in vars(type(self)):
            raise UserError("run_trial: is KerasTuner's own loop; override fit of a HyperModel instead")
        self.hypermodel = hypermodel
        self.project_name = project_name or name_of(hypermodel)
        self.max_trials = max_trials
        self.seed = seed
        self.executions_per_trial = executions_per_trial
        self._objective, self._logged = own.objective_of(objective)
        self._hyperparameters, self._new = hyperparameters, (tune_new_entries, allow_new_entries)
        self._compiled = (max_model_size, optimizer, loss, metrics)
        self._home, self._overwrite, self._workers = directory, overwrite, workers
        self._retries = max_retries_per_trial
        self._study: Study | None = None

    @abstractmethod
    def _sections(self) -> dict[str, Any]:
        """The section `study` of this tuner."""

    def _epochs(self, wanted: int) -> int:
        return wanted

    @property
    def study(self) -> "Study":
        """The study of the search, or of an earlier one of the same project.

        Raises:
            NotFound: nothing was searched yet.
        """
        if self._study is None:
            from hpo.python.study import open_study

            self._study = open_study(self.project_name, self._home)
        return self._study

    def search(  # noqa: PLR0913, PLR0917 - the arguments of Keras's fit
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        verbose: Any = "auto",
        callbacks: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[Any, float] | None = None,
        sample_weight: Any = None,
        *,
        test_data: Any = None,
        **others: Any,
    ) -> None:
        """Searches: KerasTuner's own `search`, whose arguments are those of Keras's `fit`.

        `test_data`: (x, y) on which trials are tested, which chooses nothing.

        Raises:
            UserError: an argument that cannot be used; the message says what to do instead.
        """
        if given := [name for name, value in others.items() if value is not None]:
            raise UserError(f"{given[0]}: {own.NOT_OF_FIT}")
        if not shuffle:
            raise UserError("shuffle: training samples are shuffled in each epoch; leave it out")
        parts = own.parts_of_fit(x, y, sample_weight, validation_data, validation_split)
        weights = {} if class_weight is None else {"class_weight": dict(class_weight)}
        most = self._epochs(epochs or (own.ENDLESS if self._own_fit() else 1))
        own.say_how_to_repeat(self.executions_per_trial)
        sections: dict[str, dict[str, Any]] = {
            "training": {"early_stopping": False, "batch_size": batch_size or 32, "epochs": most, **weights},
            "dataset": {"scaling": "none", "target_scaling": "none"},
            "study": {"seed": self.seed or 0, "retries": self._retries, **self._sections()},
            "engine": set_keys(workers=self._workers),
        }
        sections["study"] |= set_keys(trials=self.max_trials)
        test = own.as_in_keras(test_data) if test_data is not None else parts.validation
        wanted = Wanted(
            experiment_of(self.project_name, self._objective, sections), self._model(epochs is not None),
            Space(self._parameters()), replace(parts, test=test), tuple(callbacks or ()),
        )  # fmt: skip
        self._study = tuned(wanted, self._home, verbose != 0, self._forget if self._overwrite else None)
        self._overwrite = False

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """The hyperparameters of the best trials, best first; `hypermodel.build` takes them."""
        from hpo.models.keras_tuner import hyperparameters

        declared = Declared(self._default_space().get_config()).widened(Declared(self.study.declared))
        return [hyperparameters(declared, trial.params) for trial in self._ranked()[:num_trials]]

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        """The models of the best trials, at the weights of their best epoch. That of the best one was saved; the others
        are trained again, from the same seed."""
        return [self.study.trial(trial.number).model() for trial in self._ranked()[:num_models]]

    def search_space_summary(self, extended: bool = False) -> None:
        """Prints the hyperparameters that building the model at its defaults declares."""
        own.print_space(self._default_space(), extended)

    def results_summary(self, num_trials: int = 10) -> None:
        """Prints the hyperparameters and the score of the best trials."""
        own.print_results(self.study, self._ranked()[:num_trials], num_trials)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        rule = "hpo runs the search; tuner.study has its trials, models, tables and figures"
        raise AttributeError(f"{name}: is KerasTuner's own and not here: {rule}")

    def _ranked(self) -> "list[TrialRecord]":
        from hpo.study.record import ranked

        return list(ranked(list(self.study.trials), self.study.objective))

    def _default_space(self) -> HyperParameters:
        """What the model declares at its defaults, with what was given."""
        space = HyperParameters()
        if self._hyperparameters is not None:
            space.merge(self._hyperparameters)
        if hasattr(self.hypermodel, "declare_hyperparameters"):
            self.hypermodel.declare_hyperparameters(space)
        getattr(self.hypermodel, "build", self.hypermodel)(space)
        return space

    def _parameters(self) -> dict[str, Any]:
        """The parameters that were given, which replace those of the same name that the model declares."""
        given, (tuned, allowed) = self._hyperparameters, self._new
        known = {} if given is None else {one.name: own.parameter_of(one) for one in given.space}
        if tuned and allowed:
            return known
        others = {one.name: one.default for one in self._default_space().space if one.name not in known}
        if others and not allowed:
            raise UserError(f"allow_new_entries: hyperparameters lacks what the model declares: {', '.join(others)}")
        return {**known, **others}

    def _given(self) -> set[str]:
        return set() if self._hyperparameters is None else {one.name for one in self._hyperparameters.space}

    def _own_fit(self) -> bool:
        return isinstance(self.hypermodel, HyperModel) and type(self.hypermodel).fit is not HyperModel.fit

    def _model(self, by_epochs: bool) -> Any:
        if self._own_fit():
            how = own.Fitting(self._logged, by_epochs)
            return own.CompiledWithFit(self.hypermodel, *self._compiled, how=how)
        if all(one is None for one in self._compiled):
            return self.hypermodel
        return own.Compiled(self.hypermodel, *self._compiled)

    def _forget(self) -> None:
        """Deletes the study of an earlier search."""
        from hpo.storage.lock import sole_coordinator
        from hpo.study.open import delete_study
        from hpo.system.home import default_storage, home_folder

        home = home_folder(self._home)
        with sole_coordinator(default_storage(home), self.project_name):
            delete_study(default_storage(home), self.project_name)
        for folder in ("models", "checkpoints", "code"):
            shutil.rmtree(home / folder / self.project_name, ignore_errors=True)


@final
class RandomSearch(Tuner):
    """Random search."""

    def _sections(self) -> dict[str, Any]:
        return {"sampler": "random", "pruner": "none"}


@final
class BayesianOptimization(Tuner):
    """Bayesian optimization, by Optuna's TPE in the place of a Gaussian process; alpha and beta have no effect."""

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_trials: int = 10,
        num_initial_points: int | None = None,
        alpha: float = 1e-4,
        beta: float = 2.6,
        **options: Any,
    ) -> None:
        super().__init__(hypermodel, objective, max_trials, **options)
        self._first = num_initial_points

    def _sections(self) -> dict[str, Any]:
        first = {} if self._first is None else {"n_startup_trials": self._first}
        return {"sampler": {"name": "tpe", "multivariate": False, **first}, "pruner": "none"}


@final
class Hyperband(Tuner):
    """Hyperband, by Optuna's pruner: as many trials as KerasTuner would begin, each up to `max_epochs`."""

    def __init__(
        self,
        hypermodel: Any = None,
        objective: Any = None,
        max_epochs: int = 100,
        factor: int = 3,
        hyperband_iterations: int = 1,
        **options: Any,
    ) -> None:
        trials = math.ceil(own.begun_by_hyperband(max_epochs, factor) * hyperband_iterations)
        super().__init__(hypermodel, objective, trials, **options)
        self._most, self._factor = max_epochs, factor

    def _epochs(self, wanted: int) -> int:
        return self._most

    def _sections(self) -> dict[str, Any]:
        pruner = {"name": "hyperband", "min_resource": 1, "max_resource": self._most, "reduction_factor": self._factor}
        return {"sampler": "random", "pruner": pruner}


@final
class GridSearch(Tuner):
    """Grid search: every combination once; without `max_trials` the whole grid."""

    def __init__(self, hypermodel: Any = None, objective: Any = None, max_trials: int | None = None, **options: Any):
        super().__init__(hypermodel, objective, max_trials, **options)

    def _sections(self) -> dict[str, Any]:
        return {"sampler": "grid", "pruner": "none"}

    def _parameters(self) -> dict[str, Any]:
        known = super()._parameters()
        floats = own.grid_of_floats(self._default_space())
        return {**known, **{name: one for name, one in floats.items() if self._new[0] or name in self._given()}}
