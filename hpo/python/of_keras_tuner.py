"""What `hpo.keras_tuner` needs of KerasTuner's code: data, hyperparameters, and models that are compiled once more."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_tuner import HyperModel, HyperParameters, Objective
from keras_tuner.errors import FailedTrialError

from hpo.config.declared import Declared
from hpo.errors import UserError
from hpo.python.given_data import Parts

if TYPE_CHECKING:
    from hpo.python.study import Study
    from hpo.study.record import TrialRecord


INSTEAD: Mapping[str, str] = {
    "distribution_strategy": "trials are spread over processes by hpo; set their number with workers=",
    "logger": "every trial is logged to MLflow; hpo ui shows it",
    "tuner_id": "one process runs a study; its workers share nothing",
}
CONSECUTIVE = 3
GIVEN_UP = (
    f"a search ends after {CONSECUTIVE} configurations in a row that failed with the same error, and other failures "
    "are skipped; leave it out"
)
NOT_OF_FIT = "is no argument of search that hpo can use; give arrays or a finite tf.data.Dataset, batch_size and epochs"


class Compiled(HyperModel):  # type: ignore[misc] # KerasTuner has no types
    """A model that is compiled once more, and refused where it is too large, as KerasTuner's tuners do."""

    def __init__(self, inner: Any, size: int | None, optimizer: Any, loss: Any, metrics: Any) -> None:
        super().__init__()
        self.inner, self.size = inner, size
        self.given = {"optimizer": optimizer, "loss": loss, "metrics": metrics}

    def build(self, hp: HyperParameters) -> Any:
        """Builds the model, and compiles it with what was given."""
        import keras

        model = getattr(self.inner, "build", self.inner)(hp)
        given = {name: one for name, one in self.given.items() if one is not None}
        if given:
            known = {"optimizer": model.optimizer, "loss": model.loss} if model.compiled else {}
            optimizer = given.get("optimizer")
            if isinstance(optimizer, keras.optimizers.Optimizer):
                given["optimizer"] = type(optimizer).from_config(optimizer.get_config())
            model.compile(**{**known, **given})
        if self.size is not None and model.built and model.count_params() > self.size:
            raise FailedTrialError(f"the model has {model.count_params()} parameters, more than {self.size}")
        return model


ENDLESS = 10_000
"""The most epochs of a fit that counts them itself."""


@dataclass(frozen=True)
class Fitting:
    """How a HyperModel's own fit is called."""

    logged: str | None
    """The name under which it logs the objective, if that has no `val_`."""
    by_epochs: bool
    """Whether it is given the number of epochs."""


class CompiledWithFit(Compiled):
    """The same of a HyperModel with a fit of its own, which may log the objective by a name without `val_`."""

    def __init__(self, *arguments: Any, how: Fitting) -> None:
        super().__init__(*arguments)
        self.how = how

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        """Trains as the HyperModel does."""
        if self.how.logged is not None:
            for callback in kwargs.get("callbacks") or ():
                callback.on_epoch_end = _also_as_val(callback.on_epoch_end, self.how.logged)
        if not self.how.by_epochs:
            kwargs.pop("epochs", None)
        return self.inner.fit(hp, model, *args, **kwargs)


def _also_as_val(told: Callable[..., Any], name: str) -> Callable[..., Any]:
    def on_epoch_end(epoch: int, logs: Mapping[str, Any] | None = None) -> Any:
        logs = dict(logs or {})
        return told(epoch, {**logs, f"val_{name}": logs[name]} if name in logs else logs)

    return on_epoch_end


def grid_of_floats(space: HyperParameters) -> dict[str, Any]:
    """Ten values for each number without a step, as KerasTuner's grid takes them: name -> parameter."""
    return {
        one.name: {"type": "categorical", "choices": [one.prob_to_value(part / 9) for part in range(10)]}
        for one in space.space
        if type(one).__name__ == "Float" and one.step is None and not one.conditions
    }


def print_space(space: HyperParameters, extended: bool) -> None:
    """Prints hyperparameters as KerasTuner does."""
    print(f"Search space summary\nDefault search space size: {len(space.space)}")
    for one in space.space:
        config = one.get_config()
        if not extended:
            config.pop("name")
        print(f"{one.name} ({type(one).__name__})\n{config}")


def print_results(study: "Study", best: "Sequence[TrialRecord]", number: int) -> None:
    """Prints the best trials as KerasTuner does."""
    objective = study.objective
    direction = str(objective.direction).removesuffix("imize")
    print(f"Results summary\nResults in study {study.name}, {study.home}")
    print(f'Showing {number} best trials\nObjective(name="{objective.metric}", direction="{direction}")')
    for trial in best:
        print(f"\nTrial {trial.number} summary\nHyperparameters:")
        for name, value in trial.params.items():
            print(f"{name}: {value}")
        print(f"Score: {trial.value}")


def parameter_of(one: Any) -> Any:
    """A hyperparameter of KerasTuner as one of a search space."""
    config = {"class_name": type(one).__name__, "config": {**one.get_config(), "conditions": []}}
    (found,) = Declared({"space": [config], "values": {}}).space("given:model").parameters.values()
    return found.model_dump(mode="json", exclude_defaults=True) | {"type": found.type}


def parts_of_fit(x: Any, y: Any, weights: Any, validation: Any, share: float) -> Parts:
    """The data of `fit` as parts; `share`: how much of them, at their end, is the validation part."""
    if x is None:
        raise UserError("x: is required: an array, or a tf.data.Dataset of (x, y)")
    if y is None:
        if share:
            raise UserError("validation_split: is for arrays; give validation_data")
        return Parts(x, validation=as_in_keras(validation))
    (x,) = as_in_keras((x,))
    given = (x, y) if weights is None else (x, y, weights)
    if validation is not None or not share:
        return Parts(given, validation=as_in_keras(validation))
    at = math.floor(len(y) * (1 - share))

    def part(one: Any, rows: slice) -> Any:
        if isinstance(one, Mapping):
            return {name: part(value, rows) for name, value in one.items()}
        return [part(value, rows) for value in one] if isinstance(one, list | tuple) else one[rows]

    first, last = (tuple(part(one, rows) for one in given) for rows in (slice(at), slice(at, None)))
    return Parts(first, validation=last)


def as_in_keras(part: Any) -> Any:
    """(x, ...), whose x is a sequence where hpo would take it for grey images, which it gives a channel."""
    import numpy as np

    if not isinstance(part, tuple | list) or not part:
        return part
    x, *others = part
    return (x.astype("float32") if getattr(x, "dtype", None) == np.uint8 and x.ndim == 3 else x, *others)


def say_how_to_repeat(executions: int) -> None:
    """Prints how to train the best configurations again, where each was wanted more than once."""
    if executions > 1:
        again = f"study.confirm(seeds={executions})"
        print(f"executions_per_trial: each configuration trains once; tuner.{again} trains the best ones again")


def begun_by_hyperband(max_epochs: int, factor: int) -> int:
    """How many trials KerasTuner's Hyperband begins. It counts its brackets and sizes them in two ways, as here."""
    brackets, epochs = 0, float(max_epochs)
    while epochs >= 1:
        epochs, brackets = epochs / factor, brackets + 1
    last = math.ceil(1 + math.log(max_epochs, factor))
    return sum(math.ceil(last / (one + 1) * factor**one) for one in range(brackets))


def objective_of(objective: Any) -> tuple[Any, str | None]:
    """The key `objective` for what KerasTuner takes, and the name under which a fit logs it, if that has no `val_`."""
    if isinstance(objective, list | tuple):
        raise UserError(
            "objective: hpo improves one metric; name the most important one, and log the others as metrics"
        )
    if objective is None:
        raise UserError('objective: must name a logged metric such as "val_accuracy"; return logs from fit, no number')
    name, direction = (objective.name, objective.direction) if isinstance(objective, Objective) else (objective, None)
    metric = name if name.startswith("val_") else f"val_{name}"
    key = metric if direction is None else {"metric": metric, "direction": f"{direction}imize"}
    return key, None if metric == name else name
