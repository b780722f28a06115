"""What the tuners of `hpo.keras_tuner` share: KerasTuner's own methods, over a study."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_tuner import HyperParameters, Objective, Oracle

from hpo.config.declared import Declared
from hpo.errors import FileMistakes, UserError
from hpo.models.keras_tuner import has_own_fit, hyperparameters
from hpo.python import of_keras_tuner as own
from hpo.python.given import Wanted
from hpo.python.given_data import batch_size_of
from hpo.python.run_trial import RunTrial, run_trial
from hpo.python.space import Space
from hpo.python.tune import experiment_of, name_of, set_keys, tuned
from hpo.python.tuned_model import NONE_NAMED, Compiled, CompiledWithFit, Fitting, Rules

if TYPE_CHECKING:
    from hpo.python.study import Study
    from hpo.study.record import TrialRecord


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
        own.refuse_never_called(type(self))
        if isinstance(hypermodel, Oracle):
            hypermodel, others = None, {**others, "oracle": hypermodel}
        for name, value in others.items():
            if name not in own.INSTEAD:
                raise TypeError(f"{type(self).__name__}: unknown argument {name}")
            if value is not None:
                raise UserError(f"{name}: cannot be used here: {own.INSTEAD[name]}")
        if max_consecutive_failed_trials != own.CONSECUTIVE:
            raise UserError(f"max_consecutive_failed_trials: cannot be {max_consecutive_failed_trials}: {own.GIVEN_UP}")
        if not (
            callable(hypermodel)
            or hasattr(hypermodel, "build")
            or (hypermodel is None and self._overrides("run_trial"))
        ):
            raise UserError("hypermodel: must be a function (hp) or a HyperModel, or the class must have a run_trial")
        if hyperparameters is None and not (tune_new_entries and allow_new_entries):
            name = "allow_new_entries" if tune_new_entries else "tune_new_entries"
            raise UserError(f"{name}: is False, so hyperparameters must say what is tuned")
        self.hypermodel = hypermodel
        self.project_name = project_name or name_of(type(self) if hypermodel is None else hypermodel)
        self.max_trials = max_trials
        self.seed = seed
        self.executions_per_trial = executions_per_trial
        self.watches: Sequence[Any] = ()
        self._objective, self._logged = own.objective_of(objective)
        self._hyperparameters, self._new = hyperparameters, (tune_new_entries, allow_new_entries)
        self._compiled = {"size": max_model_size, "optimizer": optimizer, "loss": loss, "metrics": metrics}
        self._home, self._overwrite, self._workers = directory, overwrite, workers
        self._retries = max_retries_per_trial
        self._study: Study | None = None

    def _sections(self) -> dict[str, Any]:
        """The section `study` of this tuner: random search, as KerasTuner's Tuner has no other of its own."""
        return {"sampler": "random", "pruner": "none"}

    def _epochs(self, wanted: int | None) -> int | None:
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

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Searches: KerasTuner's own `search`, whose arguments are those of Keras's `fit`.

        x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
        sample_weight; and `test_data`: (x, y) on which trials are tested, which chooses nothing. A class that has a
        `run_trial` of its own gets them all as they are.

        Raises:
            UserError: an argument that cannot be used; the message says what to do instead.
        """
        if self._logged == NONE_NAMED and not self._own_fit() and not self._overrides("run_trial"):
            raise UserError('objective: must name a logged metric such as "val_accuracy", or a fit return a number')
        # A fit of its own may bring its data.
        brings = self._own_fit() and not args and kwargs.get("x") is None
        if self._overrides("run_trial", *own.HOOKS) or brings:
            self._search_by_trial(args, kwargs, kwargs.pop("test_data", None))
        else:
            self._search_by_fit(*args, **kwargs)

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Builds and trains the model of a trial, for a subclass that calls it with other arguments.

        A subclass may do anything instead; what it returns is the score: a number, a mapping of metrics, a History, or
        a list of these. It runs in a worker process, on a copy of the tuner: what it changes there stays there.
        """
        return run_trial(self, trial, args, {**kwargs, **set_keys(epochs=self._epochs(None))})

    def on_epoch_begin(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
        """For a subclass; called within the trial's process, as the next three are."""

    def on_epoch_end(self, trial: Any, model: Any, epoch: int, logs: Any = None) -> None:
        """For a subclass."""

    def on_batch_begin(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
        """For a subclass."""

    def on_batch_end(self, trial: Any, model: Any, batch: int, logs: Any = None) -> None:
        """For a subclass."""

    def _search_by_trial(self, args: Any, kwargs: dict[str, Any], test: Any) -> None:
        own.refuse_pipelines(args, kwargs)
        tuner = copy.copy(self)
        vars(tuner).update(_study=None, _home=None)
        inner = None if self.hypermodel is None else Compiled(self.hypermodel, self._rules())
        if kwargs.get("callbacks") is None:
            kwargs.pop("callbacks", None)
        parts = own.looked_at(args, kwargs, test) if self.hypermodel is not None else own.stand_in()
        sections = {"training": {"early_stopping": False, "epochs": own.ENDLESS}}
        self._run(RunTrial(tuner, inner, self._logged, (args, kwargs)), parts, (), sections, kwargs.get("verbose"))

    def _search_by_fit(  # noqa: PLR0913, PLR0917 - the arguments of Keras's fit
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
        if given := [name for name, value in others.items() if value is not None]:
            raise UserError(f"{given[0]}: {own.NOT_OF_FIT}")
        if not shuffle:
            raise UserError("shuffle: training samples are shuffled in each epoch; leave it out")
        parts = own.parts_of_fit(x, y, sample_weight, validation_data, validation_split)
        test = own.as_in_keras(test_data) if test_data is not None else parts.validation
        wanted = self._epochs(epochs)
        # A fit of its own counts its epochs itself.
        most = own.ENDLESS if self._own_fit() else wanted or 1
        weights = {} if class_weight is None else {"class_weight": dict(class_weight)}
        model = self._model(wanted, {**set_keys(batch_size=batch_size), **weights})
        if self._own_fit():
            # It weighs the classes itself, with its argument.
            weights = {}
        again = {"executions": self.executions_per_trial} if self.executions_per_trial > 1 else {}
        size = batch_size or batch_size_of(x) or 32
        sections = {"training": {"early_stopping": False, "batch_size": size, "epochs": most, **weights, **again}}
        self._run(model, replace(parts, test=test), tuple(callbacks or ()), sections, verbose)

    def _run(self, model: Any, parts: Any, callbacks: tuple[Any, ...], sections: dict[str, Any], verbose: Any) -> None:
        study = {
            "seed": self.seed or 0,
            "retries": self._retries,
            **self._sections(),
            **set_keys(trials=self.max_trials),
        }
        unscaled = {"scaling": "none", "target_scaling": "none"}
        sections |= {"dataset": unscaled, "study": study, "engine": set_keys(workers=self._workers)}
        experiment = experiment_of(self.project_name, self._objective, sections)
        wanted = Wanted(experiment, model, Space(self._parameters()), parts, callbacks)
        earlier = partial(own.forget, self._home, self.project_name) if self._overwrite else None
        try:
            self._study = tuned(wanted, self._home, verbose != 0, earlier)
        except FileMistakes as mistakes:
            raise UserError(own.in_own_names(str(mistakes))) from None
        self._overwrite = False

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        """The hyperparameters of the best trials, best first; `hypermodel.build` takes them."""
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

    @property
    def oracle(self) -> own.Found:
        """What KerasTuner's oracle tells of a search: its best trials, its space and its objective."""
        return own.Found(self.study, self._ranked(), self.get_best_hyperparameters, self._default_space)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        rule = "hpo runs the search; tuner.study has its trials, models, tables and figures"
        raise AttributeError(f"{name}: is KerasTuner's own and not here: {rule}")

    def _ranked(self) -> "list[TrialRecord]":
        from hpo.study.record import ranked

        return list(ranked(list(self.study.trials), self.study.objective))

    def _default_space(self) -> HyperParameters:
        return own.default_space(self.hypermodel, self._hyperparameters)

    def _parameters(self) -> dict[str, Any]:
        """The parameters that were given, which replace those of the same name that the model declares."""
        known = {} if self._hyperparameters is None else own.parameters_of(Declared(self._hyperparameters.get_config()))
        if not self._new[1]:
            others = [one.name for one in self._default_space().space if one.name not in self._given()]
            if others:
                raise UserError(
                    f"allow_new_entries: hyperparameters lacks what the model declares: {', '.join(others)}"
                )
        return known

    def _given(self) -> set[str]:
        return set() if self._hyperparameters is None else {one.name for one in self._hyperparameters.space}

    def _overrides(self, *names: str) -> bool:
        return any(getattr(type(self), name) is not getattr(Tuner, name) for name in names)

    def _own_fit(self) -> bool:
        return has_own_fit(self.hypermodel)

    def _rules(self) -> Rules:
        tuned, allowed = self._new
        space = None if tuned and allowed else self._hyperparameters
        return Rules(**self._compiled, tuned=None if space is None else space.get_config(), allows_others=allowed)

    def _model(self, epochs: int | None, arguments: dict[str, Any]) -> Any:
        rules = self._rules()
        if self._own_fit():
            return CompiledWithFit(self.hypermodel, rules, Fitting(self._logged, epochs, arguments))
        return self.hypermodel if rules.change_nothing else Compiled(self.hypermodel, rules)
