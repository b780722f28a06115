"""Models written for KerasTuner: a HyperModel or `build(hp)` runs unchanged on `keras_tuner.HyperParameters`."""

import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hpo.config.declared import Declared
from hpo.errors import ModelError
from hpo.models.built import Built, InvalidModel

if TYPE_CHECKING:
    import keras
    import keras_tuner

    from hpo.data.dataset import DatasetInfo


def hypermodel_of(model: str, found: Any, info: "DatasetInfo") -> "keras_tuner.HyperModel | None":
    """The HyperModel that an imported object is or returns; None for a function `(params, dataset)`.

    A class is called with the data's `input_shape` and `classes` or `num_classes`, as far as it takes these.

    Raises:
        ModelError: the object is none of these, or its constructor needs other arguments.
    """
    # The code of a HyperModel has imported keras_tuner already; other models need not wait for the import.
    if "keras_tuner" in sys.modules:
        from keras_tuner import HyperModel

        if isinstance(found, HyperModel):
            return found
        if inspect.isclass(found) and issubclass(found, HyperModel):
            return found(**constructor_arguments(model, found, info))
    needs = len(_required(found)) if callable(found) and not inspect.isclass(found) else 0
    if needs not in (1, 2):
        raise ModelError(
            f"{model} must be a function (params, dataset), a function (hp) or a keras_tuner.HyperModel, got {found!r}"
        )
    if needs == 2:
        return None
    from keras_tuner import HyperModel

    hypermodel = HyperModel()
    hypermodel.build = found
    return hypermodel


def build(
    model: str,
    hypermodel: "keras_tuner.HyperModel",
    params: Mapping[str, Any],
    declared: Declared,
) -> Built:
    """Builds the model of one trial; hyperparameters that `params` lacks have their defaults, as in KerasTuner.

    Raises:
        ModelError: `build` did not return a model.
        InvalidModel: `build` raised FailedTrialError.
        Exception: any other exception of `build`.
    """
    from keras_tuner.errors import FailedTrialError

    hp = hyperparameters(declared, params)
    known = len(hp.space)
    hypermodel.declare_hyperparameters(hp)
    try:
        network = checked_model(model, hypermodel.build(hp))
    except FailedTrialError as error:
        raise InvalidModel(str(error)) from error

    def fit(network: "keras.Model", *args: Any, **kwargs: Any) -> Any:
        try:
            return hypermodel.fit(hp, network, *args, **kwargs)
        except FailedTrialError as error:
            raise InvalidModel(str(error)) from error

    def new_declarations() -> Declared | None:
        return Declared.from_config(model, hp.get_config()) if len(hp.space) > known else None

    reads = frozenset(one.name for one in hp.space)
    # Of the code of a tuner's run_trial, which trains what it will.
    apart = getattr(hypermodel, "why_apart", None)
    given = {} if apart is None else {"apart": apart, "by": "run_trial"}
    return Built(network, fit if has_own_fit(hypermodel) else None, new_declarations, reads=reads, **given)


def has_own_fit(model: Any) -> bool:
    """Whether the class of a model brings a `fit`, which KerasTuner's HyperModel has for those that do not."""
    from keras_tuner import HyperModel

    return getattr(type(model), "fit", HyperModel.fit) is not HyperModel.fit


def checked_model(model: str, network: Any) -> "keras.Model":
    """Returns what the user's code returned, if it is a model.

    Raises:
        ModelError: it is not a keras.Model.
    """
    import keras

    if not isinstance(network, keras.Model):
        raise ModelError(f"{model} must return a keras.Model, got {network!r}; does it end with return?")
    return network


def hyperparameters(declared: Declared, params: Mapping[str, Any]) -> "keras_tuner.HyperParameters":
    """The declared hyperparameters with values for the active ones: from `params`, else their defaults.

    A value in `params` that is not declared yet is kept, in case `build` or `fit` declares it.
    """
    from keras_tuner import HyperParameters

    # Copied, since from_config changes its argument.
    hp = HyperParameters.from_config({"space": copy.deepcopy(list(declared.config["space"])), "values": {}})
    names = {one.name for one in hp.space}
    hp.values = {name: value for name, value in params.items() if name not in names}
    # Each round sets the values that the round before has made active. KerasTuner's ensure_active_values would draw
    # them at random, and drops a name that is active under one condition and not under another.
    while missing := [one for one in hp.space if one.name not in hp.values and hp.is_active(one)]:
        for one in missing:
            hp.values.setdefault(one.name, params.get(one.name, one.default))
    return hp


def constructor_arguments(model: str, found: type, info: "DatasetInfo") -> dict[str, Any]:
    """The arguments for the class of a HyperModel: the data's input_shape and classes, as far as it takes them.

    Raises:
        ModelError: the constructor needs other arguments.
    """
    classes = info.classes or info.outputs
    known = {"input_shape": info.input_shape, "classes": classes, "num_classes": classes}
    takes = inspect.signature(found).parameters
    lacking = [name for name in _required(found) if name not in known]
    if lacking:
        raise ModelError(
            f"{model}: its constructor needs {', '.join(lacking)}, and only {', '.join(known)} are known; "
            "name an instance instead of the class"
        )
    return {name: value for name, value in known.items() if name in takes}


def _required(function: Callable[..., Any]) -> list[str]:
    """The parameters without which a function cannot be called."""
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
