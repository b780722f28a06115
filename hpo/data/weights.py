"""How much samples count: one array for all targets, or one for each; a number a sample, or for each of its steps."""

from collections.abc import Sequence

import numpy as np

from hpo.data.dataset import Array
from hpo.data.several import Arrays, Several, by_name, mapped
from hpo.data.source_data import Values
from hpo.data.targets import Targets
from hpo.errors import DataError, nearest


def check_weights(weights: Sequence[Values | None], targets: Targets, alike: bool = False) -> None:
    """Checks that the weights of parts are of the targets, in shapes that go with theirs.

    Args:
        weights: those of each part; of pipelines, arrays without samples.
        targets: what the parts have.
        alike: whether all parts must have such weights if those of one have more than one dimension.

    Raises:
        DataError: they name other targets, are of another structure or shape, or only some parts have them.
    """
    places, there = targets.places(), [one for one in weights if one is not None]
    for one in there:
        _check_names(one, targets)
        for target, shape in places.items():
            _check_shape(one, target, shape, len(places) > 1)
    for target in places if alike else ():
        shapes = [None if one is None else _of(one.array, target).shape[1:] for one in weights]
        if any(shapes) and len(set(shapes)) > 1:
            first = next(one for one, shape in zip(weights, shapes, strict=True) if one is not None and shape)
            got = ", ".join("none" if shape is None else str(("samples", *shape)) for shape in shapes)
            raise DataError(f"{_place(first, target)}: all parts must have weights of one shape, got {got}")


def as_of_targets(weights: Values | None, targets: Targets) -> Arrays | None:
    """Checked weights in float32, several in the order of their targets."""
    if weights is None:
        return None
    found = mapped(weights.array, lambda one: np.asarray(one, np.float32))
    if isinstance(found, Several):
        return Several({name: found.arrays[name] for name in targets.labels}, found.listed)
    return found


def _check_names(weights: Values, targets: Targets) -> None:
    """That there is one array, or one for each target."""
    given = weights.array
    if not isinstance(given, Several):
        return
    if targets.only is not None or not targets.labels:
        rule = "there are not several targets, so weights must be one array"
        raise DataError(f"{weights.place}: {rule}, got one for each of {', '.join(given.arrays)}")
    if given.listed is not targets.listed:
        forms = ("a dict", "a list")
        raise DataError(
            f"{weights.place}: must be {forms[targets.listed]} as the targets are, got {forms[given.listed]}"
        )
    for name in given.arrays:
        if name not in targets.labels:
            raise DataError(f"{weights.place}: there is no target {name!r}; {nearest(name, targets.labels)}")
    if without := [name for name in targets.labels if name not in given.arrays]:
        rule = "each target must have weights, of which ones change nothing"
        raise DataError(f"{weights.place}: {rule}, got none for {', '.join(without)}")


def _check_shape(weights: Values, target: str, places: tuple[int, ...] | None, are_several: bool) -> None:
    one = _of(weights.array, target)
    shape, place = one.shape[1:], _place(weights, target)
    # Of one number a sample, all steps count alike.
    if not shape or shape == (1,):
        return
    if are_several and not isinstance(weights.array, Several):
        rule = "one a sample, since they are those of all targets; weights of steps are an array for each target"
        raise DataError(f"{place}: weights must be numbers, {rule}, got shape {('samples', *shape)}")
    if places is not None and not _fits(shape, places):
        rule = f"one for each of {places}" if places else "one a sample"
        raise DataError(f"{place}: weights must be numbers, {rule}, got shape {('samples', *shape)}")


def _fits(shape: tuple[int, ...], places: tuple[int, ...]) -> bool:
    """Whether Keras multiplies losses at these places by weights of this shape: a one stands for all of them."""
    if len(shape) == len(places) + 1 and shape[-1] == 1:
        shape = shape[:-1]
    return len(shape) == len(places) and all(size in (1, of) for size, of in zip(shape, places, strict=True))


def _of(weights: Arrays, target: str) -> Array:
    return by_name(weights)[target] if isinstance(weights, Several) else weights


def _place(weights: Values, target: str) -> str:
    return f"{weights.place} {target}" if isinstance(weights.array, Several) else weights.place
