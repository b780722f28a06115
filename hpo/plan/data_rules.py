"""What an experiment and its search space must agree on with the data, once these were read."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hpo.config.class_weight import class_weight_mistakes
from hpo.config.experiment import Experiment
from hpo.config.space import CategoricalParameter, SearchSpace, in_section
from hpo.plan.consistency import Wrong, metric_mistakes

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo


def wrong_in_experiment(experiment: Experiment, space: SearchSpace, info: "DatasetInfo") -> Iterator[Wrong]:
    """The keys of an experiment that do not suit the data."""
    yield from metric_mistakes(experiment, space, info.task)
    for key, message in class_weight_mistakes(experiment.training.class_weight, info.class_labels).items():
        yield ("training", "class_weight", *([key] if key else [])), message


def wrong_in_space(space: SearchSpace, info: "DatasetInfo") -> Iterator[Wrong]:
    """The keys of a search space that do not suit the data."""
    for name in space.parameters:
        path = in_section(space.target(name), "training")
        if path[:1] == ("class_weight",):
            yield from _class_weights(space, name, path[1:], info.class_labels)


def _class_weights(space: SearchSpace, name: str, within: Sequence[str], labels: Sequence[str]) -> Iterator[Wrong]:
    """The mistakes of a parameter that sets class weights, or the weight of the class `within`."""
    if within:
        for message in class_weight_mistakes({within[0]: 1.0}, labels).values():
            yield ("parameters", name), message
        return
    parameter = space.parameters[name]
    for index, choice in enumerate[Any](parameter.values() or ()):
        place = ("choices", index) if isinstance(parameter, CategoricalParameter) else ()
        for key, message in class_weight_mistakes(choice, labels).items():
            yield ("parameters", name, *place, *([key] if key else [])), message
