"""Registers a trial's model in MLflow's registry, with a description and an example of its input."""

from pathlib import Path
from typing import TYPE_CHECKING

from hpo.errors import HpoError, UserError
from hpo.plan.exported_file import Exported, exported_of
from hpo.plan.plan import Plan
from hpo.system.home import tracking_address
from hpo.system.versions import versions
from hpo.text.cleaning import code, markdown
from hpo.text.values import score, settings_table
from hpo.tracking.address import cannot_open, set_environment

if TYPE_CHECKING:
    from hpo.data.dataset import Array, DatasetInfo
    from hpo.study.read import StudyView
    from hpo.study.record import TrialRecord

_EXAMPLES = 3


def register(
    view: "StudyView",
    trial: "TrialRecord",
    why: str,
    model: Path,
    name: str,
    home: str | Path | None,
    tracking_uri: str | None = None,
) -> str:
    """Registers a .keras file under a name, with the alias champion; returns the version's number.

    Raises:
        NotFound: MLflow has no run of the trial.
        UserError: MLflow cannot be reached, or refuses the model.
    """
    set_environment()
    from hpo.tracking import registry
    from hpo.tracking.model_artifact import KerasModel

    exported = exported_of(view, trial)
    info, example = _data(exported.plan, model)
    uri = tracking_address(tracking_uri, home)
    version = registry.Version(
        name=name,
        study=view.name,
        model=KerasModel(model, info, trial.number, example),
        description=_description(exported, why, info, name),
        tags={
            "hpo.study": view.name,
            "hpo.trial": trial.number,
            "hpo.seed": trial.seed,
            "hpo.data_digest": exported.digest,
            "hpo.version": versions()["hpo"],
            "hpo.confirmed": str(bool(exported.confirmed and exported.confirmed.chosen)).lower(),
        },
    )
    try:
        return registry.register(uri, version)
    except HpoError:
        raise
    except Exception as error:  # MLflow's, SQLAlchemy's, or of the network
        raise cannot_open(uri, error) from None


def _data(plan: Plan, model: Path) -> "tuple[DatasetInfo, Array | None]":
    """The description of the training data, and a few samples; None for those of several inputs, and where they
    can no longer be read."""
    from hpo.loop.jobs import variants_of
    from hpo.training.model_data import read_info

    info = read_info(model)
    try:
        dataset = variants_of(plan).base
    except UserError:
        if info is None:
            raise
        return info, None
    if dataset.info.inputs:
        return info or dataset.info, None
    if dataset.stream is not None:
        # Samples alone, with targets, or with weights too.
        batch = next(iter(dataset.stream("validation", _EXAMPLES)))
        x = batch[0] if isinstance(batch, tuple) else batch
        return info or dataset.info, x.numpy()[:_EXAMPLES]
    return info or dataset.info, dataset.validation.x[:_EXAMPLES]


def _description(exported: Exported, why: str, info: "DatasetInfo", name: str) -> str:
    """The Markdown text of the version's page."""
    tests = ", ".join(f"{markdown(key)} {score(value)}" for key, value in (exported.scores.get("test") or {}).items())
    place = f'"models:/{name}@champion"'
    lines = [
        f"{markdown(why[0].upper() + why[1:])}. It is from study {markdown(exported.study)}.",
        f"On the test part, which was not used for any choice, the trial's own run had {tests or 'no score'}.",
        f"The model takes {markdown(_input(info))} without scaling, which is part of the model. "
        f"It returns {markdown(_output(info))}.",
        f"Use it: {code(f'hpo predict models:/{name}@champion INPUT -o out.csv')}, "
        f"or {code(f'mlflow.keras.load_model({place})')}.",
        f"Trained on {markdown(info.name)}, digest {code(exported.digest)}, with seed {exported.seed}.",
    ]
    return "\n\n".join(lines) + "\n\n" + "\n".join(settings_table(exported.parameters))


def _input(info: "DatasetInfo") -> str:
    if info.series is not None:
        return f"windows of shape {info.input_shape}, of the features {', '.join(info.feature_names)}"
    if info.columns:
        return f"tables with columns {', '.join(column.name for column in info.columns)}"
    kind = "images" if len(info.input_shape) == 3 else "arrays"
    return f"{kind} of shape {info.input_shape}"


def _output(info: "DatasetInfo") -> str:
    if info.task == "regression":
        return f"{info.outputs} numbers" if info.outputs > 1 else "a number"
    named = f": {', '.join(info.class_names)}" if info.class_names else ""
    sigmoid = ", or, from a single sigmoid unit, that of the second class" if info.classes == 2 else ""
    return f"a probability for each of {info.outputs} classes{named}{sigmoid}"
