"""Losses, metrics and the like of Keras by name with options, and those of the user by import path."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from hpo.config.named import Choice
from hpo.config.training_rules import plain_name
from hpo.config.whole_metrics import MetricSpec
from hpo.errors import nearest
from hpo.models import InvalidModel
from hpo.system.imports import load_object

_SHORT = {"mse": "meansquarederror", "mae": "meanabsoluteerror", "bce": "binarycrossentropy"}


def look_up(key: str, module: Any, name: str) -> None:
    """Checks that Keras knows a name.

    Raises:
        InvalidModel: it does not; `key` is the key that names it.
    """
    try:
        module.get(name)
    except ValueError:
        names = sorted({known for known in vars(module) if known[0].islower()} - {"deserialize", "get", "serialize"})
        raise InvalidModel(f"{key}: Keras knows no {name!r}; {nearest(name, names)}") from None


def class_of(module: Any, name: str) -> Any:
    """The class of keras.losses or keras.metrics of a name, which may be that of its function: mean_squared_error.

    Raises:
        InvalidModel: there is none.
    """
    classes = {plain_name(known): kind for known, kind in vars(module).items() if inspect.isclass(kind)}
    plain = plain_name(name)
    if (found := classes.get(_SHORT.get(plain, plain))) is None:
        raise InvalidModel(f"{module.__name__.rpartition('.')[2]}: {name} takes no options; write its name alone")
    return found


def called(key: str, kind: Callable[..., Any], options: Mapping[str, Any]) -> Any:
    """What a class or function makes of options.

    Raises:
        InvalidModel: it does not take them, or refuses a value; `key` is the key that names them.
    """
    name = getattr(kind, "__name__", kind)
    try:
        inspect.signature(kind).bind(**options)
    except TypeError as error:
        raise InvalidModel(
            f"{key}: {name}: {error}; it takes {', '.join(inspect.signature(kind).parameters)}"
        ) from None
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise InvalidModel(f"{key}: {name}: {error}") from error


def made(key: str, choice: Choice, folders: Sequence[str]) -> Any:
    """A function (y, outputs) of the user's, or what a class, or a function that takes options, makes of its options.

    Raises:
        ModelError: there is no such object.
        InvalidModel: it does not take the options, or makes nothing that can be called.
    """
    found = load_object(choice.name, folders)
    if not inspect.isclass(found) and not choice.options and _is_of_outputs(found):
        return found
    result = called(key, found, choice.options)
    if not callable(result):
        raise InvalidModel(f"{key}: {choice.name} must make what can be called with (y, outputs), made {result!r}")
    return result


def own_metric(spec: MetricSpec, folders: Sequence[str]) -> Any:
    """The user's metric: one of Keras's kind, or a function (y, outputs) of which the mean is taken.

    Raises:
        ModelError, InvalidModel: see `made`.
    """
    found, options = load_object(spec.name, folders), spec.options
    if inspect.isclass(found) and "name" in inspect.signature(found).parameters:
        options = {"name": spec.logged, **options}
    metric = made("metrics", Choice(spec.name, options), folders)
    if isinstance(metric, keras.metrics.Metric):
        return metric
    return keras.metrics.MeanMetricWrapper(metric, name=spec.logged)


def renamed(name: str, log_as: str) -> Any:
    """A metric of Keras's as its name alone means it, logged under another."""
    found = keras.metrics.get(name)
    if isinstance(found, keras.metrics.Metric):
        return type(found)(name=log_as)
    return keras.metrics.MeanMetricWrapper(found, name=log_as)


def _is_of_outputs(found: Any) -> bool:
    """Whether a function takes two arguments: what is true, and what a model puts out."""
    try:
        inspect.signature(found).bind(None, None)
    except TypeError:
        return False
    return True
