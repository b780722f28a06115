"""`run_trial` of a tuner's subclass as the fit of a HyperModel: what it returns is the trial's score."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_tuner import HyperModel, HyperParameters
from keras_tuner.engine.trial import Trial

from hpo.models.keras_tuner import has_own_fit
from hpo.python.tuned_model import Compiled, as_val, tell_as_val

NONE_MADE = "run_trial built no model by self.hypermodel.build or super().run_trial"


class RunTrial(HyperModel):  # type: ignore[misc] # KerasTuner has no types
    """Calls `run_trial` of a copy of the tuner, in the process that trains the trial."""

    def __init__(self, tuner: Any, model: Compiled | None, logged: str | None, given: tuple[Any, Any]) -> None:
        """`model`: that of the tuner, if it has one; `given`: the arguments that `search` hands on."""
        super().__init__()
        self.tuner, self.model, self.logged, self.given = tuner, model, logged, given
        self._makes: _Makes | None = None

    def declare_hyperparameters(self, hp: HyperParameters) -> None:
        """Declares what the tuner's model does."""
        if self.model is not None:
            self.model.declare_hyperparameters(hp)

    def build(self, hp: HyperParameters) -> Any:
        """The tuner's model, or one that stands for it where there is none."""
        if self.model is not None:
            return self.model.build(hp)
        import keras

        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    def fit(self, hp: HyperParameters, model: Any, *_: Any, callbacks: Sequence[Any] = (), **__: Any) -> Any:
        """Runs the trial."""
        args, kwargs = self.given
        within = hp if self.model is None else self.model.within(hp)
        tuner = copy.copy(self.tuner)
        tuner.hypermodel = self._makes = None if self.model is None else _Makes(self.model, hp, model, callbacks)
        tuner.watches = callbacks
        number = next((one.trial for one in callbacks if hasattr(one, "trial")), 0)
        trial = Trial(hyperparameters=within, trial_id=f"{number:04d}")
        tell_as_val(callbacks, self.logged)
        return as_val(tuner.run_trial(trial, *args, **kwargs), self.logged, "run_trial")

    def why_apart(self) -> str | None:
        """Why the model that `build` returned is not what was trained."""
        made = 0 if self._makes is None else self._makes.made
        if made == 1:
            return None
        return f"run_trial built {made} models" if made else NONE_MADE


class _Makes:
    """The tuner's HyperModel within `run_trial`: what it builds first is the model that hpo keeps."""

    def __init__(self, model: Compiled, hp: HyperParameters, first: Any, watches: Sequence[Any]) -> None:
        self._model, self._hp, self._first, self._watches = model, hp, first, watches
        self.made = 0

    def build(self, hp: Any) -> Any:
        """Builds a model."""
        self.made += 1
        if self.made == 1:
            return self._first
        return self.build_again(hp)

    def build_again(self, hp: Any) -> Any:
        """Builds a model for another training, whose weights the first one takes where it is better."""
        return self._model.build(self._hp if hp is self._model.within(self._hp) else hp)

    def fit(self, hp: Any, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains a model as the HyperModel does; Keras's own fit reports its epochs."""
        if has_own_fit(self._model.inner):
            return self._model.inner.fit(hp, model, *args, **kwargs)
        callbacks = list(kwargs.get("callbacks") or ())
        others = [one for one in self._watches if one not in callbacks]
        return model.fit(*args, **{**kwargs, "callbacks": [*callbacks, *others]})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model.inner, name)


def run_trial(tuner: Any, trial: Trial, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """KerasTuner's own `run_trial`: builds and trains the model of a trial, as often as the tuner says."""
    from keras.callbacks import TensorBoard

    from hpo.training.user_callbacks import log_folder

    results = []
    for execution in range(tuner.executions_per_trial):
        callbacks = copy.deepcopy(list(kwargs.get("callbacks") or ()))
        for callback in callbacks:
            if isinstance(callback, TensorBoard):
                number = execution + 1 if tuner.executions_per_trial > 1 else None
                callback.log_dir = log_folder(callback.log_dir, int(trial.trial_id), number)
        callbacks += [_hooks(tuner, trial), *tuner.watches]
        build = tuner.hypermodel.build_again if execution else tuner.hypermodel.build
        model = build(trial.hyperparameters)
        own = {**kwargs, "callbacks": callbacks}
        results.append(tuner.hypermodel.fit(trial.hyperparameters, model, *args, **own))
    return results


def _hooks(tuner: Any, trial: Trial) -> Any:
    from keras.callbacks import LambdaCallback

    def epoch(name: str) -> Callable[..., Any]:
        return lambda number, logs=None: getattr(tuner, name)(trial, hooks.model, number, logs=logs)

    def batch(name: str) -> Callable[..., Any]:
        return lambda number, logs=None: getattr(tuner, name)(trial, hooks.model, number, logs)

    hooks = LambdaCallback(
        on_epoch_begin=epoch("on_epoch_begin"), on_epoch_end=epoch("on_epoch_end"),
        on_train_batch_begin=batch("on_batch_begin"), on_train_batch_end=batch("on_batch_end"),
    )  # fmt: skip
    return hooks
