"""Arguments of the function that makes the data, where a search space varies them: those of the file's own data."""

from collections.abc import Mapping

from hpo.config.experiment import Experiment
from hpo.config.space import SearchSpace, in_section
from hpo.config.yaml_file import Document
from hpo.errors import DataError, Mistake


def setters(space: SearchSpace) -> dict[str, str]:
    """The arguments that parameters set: name -> parameter."""
    paths = {one: in_section(space.target(one), "dataset") for one in space.parameters}
    return {path[1]: one for one, path in paths.items() if path[:1] == ("arguments",) and len(path) > 1}


def with_first_arguments(experiment: Experiment, space: SearchSpace) -> Experiment:
    """The experiment with a value for each argument that parameters set: the default, or the smallest or first one.

    Data of these arguments are what trials are compared with: see `hpo.data.prepared_variants`.
    """
    given = dict(experiment.dataset.arguments or {})
    found = {}
    for argument, name in setters(space).items():
        parameter = space.parameters[name]
        default, values = getattr(parameter, "default", None), parameter.values() or parameter.extremes()
        if argument not in given and in_section(space.target(name), "dataset")[2:] == () and values:
            found[argument] = values[0] if default is None else default
    if not found:
        return experiment
    dataset = experiment.dataset.model_copy(update={"arguments": {**found, **given}})
    return experiment.model_copy(update={"dataset": dataset})


def data_mistake(
    experiment: Experiment, space: SearchSpace, documents: Mapping[str, Document], error: DataError
) -> Mistake:
    """A mistake in the data at the key that caused it, or that names their source."""
    spec = experiment.dataset
    key = error.key or ("dataset", "function" if spec.function else "path" if spec.path else "name")
    setter = setters(space).get(str(key[2])) if key[:2] == ("dataset", "arguments") and len(key) > 2 else None
    written = documents["experiment"].data.get("dataset")
    written = written.get("arguments") or {} if isinstance(written, dict) else {}
    if setter is not None and key[2] not in written:
        return documents["search_space"].mistake(("parameters", setter), str(error))
    return documents["experiment"].mistake(key, str(error))
