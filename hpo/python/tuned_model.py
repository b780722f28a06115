"""The HyperModel that hpo trains for a KerasTuner tuner: the user's own, as the tuner's arguments would have it."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_tuner import HyperModel, HyperParameters
from keras_tuner.errors import FailedTrialError, FatalRuntimeError, FatalValueError

NONE_NAMED = "default_objective"
"""KerasTuner's name for the number that a fit returns, where no objective was named."""
OF_HPO = ("verbose", "validation_data")
"""The arguments that hpo hands to every fit."""


@dataclass(frozen=True)
class Rules:
    """What a tuner's constructor says of each of its models."""

    size: int | None = None
    """The most weights that training changes; a larger model is refused."""
    optimizer: Any = None
    """Compiles each model again with this one, as do the next two."""
    loss: Any = None
    metrics: Any = None
    tuned: Mapping[str, Any] | None = None
    """The configuration of the hyperparameters that alone are tuned; None: all that the model declares."""
    allows_others: bool = True
    """Whether the model may declare others."""

    @property
    def change_nothing(self) -> bool:
        """Whether the model is as its code has it."""
        return self == Rules()


@dataclass(frozen=True)
class Fitting:
    """How a HyperModel's own fit is called, and what it calls the objective."""

    logged: str | None
    """The name under which it logs and returns the objective, if that has no `val_`."""
    epochs: int | None
    """The number of epochs that it is given; None: none."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `search` that it is given."""


class Compiled(HyperModel):  # type: ignore[misc] # KerasTuner has no types
    """A model that is compiled again, refused where it is too large, or tuned in a part of its hyperparameters."""

    def __init__(self, inner: Any, rules: Rules) -> None:
        super().__init__()
        self.inner, self.rules = inner, rules
        self._within: tuple[HyperParameters, HyperParameters] | None = None

    def declare_hyperparameters(self, hp: HyperParameters) -> None:
        """Declares what the model's own class does."""
        if hasattr(self.inner, "declare_hyperparameters"):
            self.inner.declare_hyperparameters(self.within(hp))

    def build(self, hp: HyperParameters) -> Any:
        """Builds the model, and compiles it with what was given."""
        within = self.within(hp)
        model = getattr(self.inner, "build", self.inner)(within)
        self._check_new(within)
        given = {name: one for name in ("optimizer", "loss", "metrics") if (one := getattr(self.rules, name))}
        if given:
            compile_again(model, given)
        size = self.rules.size
        if size and model.built and (count := _weights_of(model)) > size:
            raise FailedTrialError(f"the model has {count} weights that training changes, more than {size}")
        return model

    def within(self, hp: HyperParameters) -> HyperParameters:
        """The hyperparameters as the model sees them: those that are not to be tuned have their defaults."""
        if self.rules.tuned is None:
            return hp
        if self._within is None or self._within[0] is not hp:
            fixed = HyperParameters.from_config({"space": [*self.rules.tuned["space"]], "values": {}})
            fixed.values = {one.name: hp.values[one.name] for one in fixed.space if one.name in hp.values}
            self._within = (hp, fixed)
        return self._within[1]

    def _check_new(self, within: HyperParameters) -> None:
        if self.rules.tuned is None or self.rules.allows_others:
            return
        known = {one["config"]["name"] for one in self.rules.tuned["space"]}
        if others := list(dict.fromkeys(one.name for one in within.space if one.name not in known)):
            lacks = f"hyperparameters lacks what the model declares: {', '.join(others)}"
            raise FatalRuntimeError(f"allow_new_entries: {lacks}")


class CompiledWithFit(Compiled):
    """The same of a HyperModel with a fit of its own, which may know the objective by a name without `val_`."""

    def __init__(self, inner: Any, rules: Rules, how: Fitting) -> None:
        super().__init__(inner, rules)
        self.how = how

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains as the HyperModel does."""
        tell_as_val(kwargs.get("callbacks") or (), self.how.logged)
        kwargs.pop("epochs", None)
        if self.how.epochs is not None:
            kwargs["epochs"] = self.how.epochs
        # KerasTuner hands on what `search` was given. These two come from hpo, and a fit need not take them.
        taken = inspect.signature(self.inner.fit).parameters
        if not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
            kwargs = {name: one for name, one in kwargs.items() if name in taken or name not in OF_HPO}
        kwargs |= self.how.arguments
        within = self.within(hp)
        found = self.inner.fit(within, model, *args, **kwargs)
        self._check_new(within)
        return as_val(found, self.how.logged, "fit")


def as_val(returned: Any, name: str | None, by: str) -> Any:
    """What a fit returns, its objective under the name that hpo knows it by, unless that is there already.

    Raises:
        FatalValueError: it has metrics, and the tuner names none as the objective. `by`: what returned it.
    """
    if name is None:
        return returned
    if isinstance(returned, list | tuple):
        return [as_val(one, name, by) for one in returned]
    if isinstance(returned, Mapping) and name in returned:
        return {f"val_{name}": returned[name], **returned}
    if isinstance(history := getattr(returned, "history", None), dict) and name in history:
        history.setdefault(f"val_{name}", history[name])
    elif name == NONE_NAMED and (history is not None or isinstance(returned, Mapping)):
        kind = f"{by} returned a {type(returned).__name__}, and no objective was named"
        raise FatalValueError(f'{kind}: name one, such as objective="val_loss", or return one number')
    return returned


def compile_again(model: Any, given: Mapping[str, Any]) -> None:
    """Compiles a model with what was given, and otherwise with what it was compiled with."""
    import keras

    from hpo.training.keras_compat import compiled_with

    changed = dict(given)
    optimizer = given.get("optimizer")
    if isinstance(optimizer, keras.optimizers.Optimizer):
        changed["optimizer"] = type(optimizer).from_config(optimizer.get_config())
    model.compile(**{**(compiled_with(model) if model.compiled else {}), **changed})


def _weights_of(model: Any) -> int:
    return sum(math.prod(one.shape) for one in model.trainable_weights)


def tell_as_val(callbacks: Iterable[Any], name: str | None) -> None:
    """Has callbacks told the metric of this name under the name with `val_`, too; without a name nothing changes."""
    if name is not None:
        for callback in callbacks:
            callback.on_epoch_end = also_as_val(callback.on_epoch_end, name)


def also_as_val(told: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A callback's on_epoch_end that is told a metric under the name with `val_`, too, where that has no value."""

    def on_epoch_end(epoch: int, logs: Mapping[str, Any] | None = None) -> Any:
        logs = dict(logs or {})
        return told(epoch, {f"val_{name}": logs[name], **logs} if name in logs else logs)

    return on_epoch_end
