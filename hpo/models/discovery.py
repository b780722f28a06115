"""Finds the hyperparameters that a KerasTuner model declares, by building it at many values."""

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.errors import ModelError
from hpo.models.keras_tuner import checked_model, hypermodel_of, hyperparameters
from hpo.system.imports import load_object, place_of

if TYPE_CHECKING:
    import keras_tuner

    from hpo.data.dataset import DatasetInfo

MAX_BUILDS = 20
"""The most models built to try other values, beside one at the defaults and one for each conditional scope."""

Point = dict[str, Any]
"""Hyperparameter -> value; all others have their defaults."""


def discover(model: str, info: "DatasetInfo", import_paths: Sequence[Path | str] = ()) -> Declared:
    """The hyperparameters that a KerasTuner model declares; other models declare none.

    Builds the model at its defaults, then within each conditional scope, as KerasTuner's tuners do (its
    `BaseTuner._activate_all_conditions`), then at other values of Int, Choice and Boolean, since
    `for i in range(hp.Int("layers", 1, 3))` declares those of the third layer only at 3. That last step tries several
    values at a time, in at most MAX_BUILDS builds. Hyperparameters that only `HyperModel.fit` declares are not found.

    Raises:
        ModelError: there is no such model, or it cannot be built at its defaults.
    """
    if ":" not in model:
        return NOTHING_DECLARED
    hypermodel = hypermodel_of(model, load_object(model, import_paths), info)
    return NOTHING_DECLARED if hypermodel is None else discovered(model, hypermodel, import_paths)


def discovered(
    model: str,
    hypermodel: "keras_tuner.HyperModel",
    import_paths: Sequence[Path | str] = (),
    given: "keras_tuner.HyperParameters | None" = None,
) -> Declared:
    """The same of a HyperModel, which finds the hyperparameters that are `given` declared already.

    Raises:
        ModelError: it cannot be built at its defaults.
    """
    from keras_tuner.errors import FailedTrialError

    exploration = _Exploration(model, hypermodel)
    if given is not None:
        exploration.found.merge(given)
    error = exploration.build({})
    if isinstance(error, ModelError):
        raise error
    # A model may refuse its defaults and accept other values.
    if error is not None and not isinstance(error, FailedTrialError):
        message = f"cannot be built at its default values: {type(error).__name__}: {error}"
        raise ModelError(f"{model}: {place_of(error, import_paths)}: {message}") from error
    exploration.run()
    return Declared.from_config(model, exploration.found.get_config())


class _Exploration:
    """Builds a model at one point after the other, until it was built at all values that are worth trying."""

    def __init__(self, model: str, hypermodel: "keras_tuner.HyperModel") -> None:
        from keras_tuner import HyperParameters

        self.model = model
        self.hypermodel = hypermodel
        self.found = HyperParameters()
        self.built: list[Point] = []
        self.scopes: deque[Point] = deque()
        self.scopes_seen: list[Any] = []
        self.values: deque[Point] = deque()

    def run(self) -> None:
        """Builds at all points; those of scopes come first, since they are few and the user wrote them down."""
        together, left = True, MAX_BUILDS
        while True:
            if self.scopes:
                points = [self.scopes.popleft()]
            elif left and (points := self._next_points(together)):
                left -= 1
            else:
                return
            error = self.build({name: value for point in points for name, value in point.items()})
            if error is not None and len(points) > 1:
                # One of the values may be the cause: from here on each is tried alone.
                together = False
                self.built.pop()
                self.values.extendleft(reversed(points))

    def build(self, point: Point) -> Exception | None:
        """Builds at a point, and queues points for the hyperparameters that are new; returns what the build raised."""
        import keras

        hp = hyperparameters(Declared(self.found.get_config()), point)
        known, raised = len(hp.space) if self.built else 0, None
        try:
            self.hypermodel.declare_hyperparameters(hp)
            checked_model(self.model, self.hypermodel.build(hp))
        except Exception as error:
            raised = error
        keras.utils.clear_session()
        self.built.append(dict(hp.values))
        self.found.merge(hp, overwrite=False)
        self._queue_scopes(hp, point)
        for new in hp.space[known:]:
            # Values that meet its conditions: the current ones, or those at which its scope will be tried.
            parents = {one.name: hp.values.get(one.name) for one in new.conditions}
            if not hp.is_active(new):
                parents = {one.name: one.values[0] for one in new.conditions}
            self.values.extend({**point, **parents, new.name: value} for value in _branching_values(new))
        return raised

    def _queue_scopes(self, hp: "keras_tuner.HyperParameters", point: Point) -> None:
        self.scopes_seen += hp.active_scopes
        for conditions in hp.inactive_scopes:
            if conditions not in self.scopes_seen:
                self.scopes_seen.append(conditions)
                self.scopes.append({**point, **{one.name: one.values[0] for one in conditions}})

    def _next_points(self, together: bool) -> list[Point]:
        """Takes from the queue the first point that was not built yet, and all points that can be built with it."""
        taken: list[Point] = []
        merged: Point = {}
        rest: deque[Point] = deque()
        for point in self.values:
            if any(point.items() <= built.items() for built in self.built):
                continue
            if not taken or (together and all(merged.get(name, at) == at for name, at in point.items())):
                taken.append(point)
                merged |= point
            else:
                rest.append(point)
        self.values = rest
        return taken


def _branching_values(declared: Any) -> Sequence[Any]:
    """The values at which the code that builds a model may take another branch."""
    kind = type(declared).__name__
    if kind in ("Choice", "Boolean"):
        return list(declared.values)
    # KerasTuner maps a probability below 1 to a value; these are the smallest and the largest value.
    return [declared.prob_to_value(0.0), declared.prob_to_value(1 - 1e-9)] if kind == "Int" else []
