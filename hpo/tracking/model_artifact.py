"""A saved Keras model as an MLflow model, written without importing Keras, which would take seconds."""

import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from mlflow import MlflowClient, pyfunc
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Run
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import ColSpec, Schema, TensorSpec
from numpy import dtype

from hpo.data.dataset import Array, DatasetInfo, Input
from hpo.system.digests import sha256_of
from hpo.tracking.mlflow_compat import save_example, write_environment
from hpo.tracking.paging import search_logged_models

if TYPE_CHECKING:
    import pandas as pd

_PACKAGES = ("mlflow", "tensorflow", "keras", "numpy")


@dataclass(frozen=True)
class KerasModel:
    """A .keras file, and what is logged with it."""

    file: Path
    data: DatasetInfo
    """The data that it was trained on."""
    trial: int
    """Number of its trial."""
    example: Array | None = None
    """A few samples as they came, shape (n, *input_shape); none for a model that takes the columns of a table."""


def log_model(client: MlflowClient, run: Run, model: KerasModel) -> str:
    """Logs a .keras file as the run's model `model`, unless it is there already; returns the model's id.

    `mlflow.keras.load_model(f"runs:/{run_id}/model")` loads it, `mlflow.pyfunc` likewise. Source of the steps:
    `mlflow.models.Model.log`, which needs an active run and the model in memory.
    """
    run_id, experiment = run.info.run_id, run.info.experiment_id
    tags = {"hpo.trial": str(model.trial), "hpo.sha256": sha256_of(model.file)}
    found = search_logged_models(client, [experiment], f"source_run_id = '{run_id}'")
    same = [known for known in found if tags.items() <= known.tags.items()]
    for known in same:
        if known.status == LoggedModelStatus.READY:
            return str(known.model_id)
    # An earlier attempt may have been interrupted before all of the model's files were there.
    logged = same[0] if same else client.create_logged_model(experiment, "model", run_id, tags, model_type="keras")
    outputs = client.get_run(run_id).outputs
    if logged.model_id not in {one.model_id for one in (outputs.model_outputs if outputs else ())}:
        client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    with TemporaryDirectory(prefix="hpo-model-") as folder:
        description = Model(
            artifact_path=logged.artifact_location,
            run_id=run_id,
            model_uuid=logged.model_id,
            model_id=logged.model_id,
            signature=_signature(model.data),
        )
        save_example(description, _example(model), folder)
        write_model(Path(folder), model.file, description)
        client.log_model_artifacts(logged.model_id, folder)
    client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    return str(logged.model_id)


def _signature(data: DatasetInfo) -> ModelSignature:
    """Tables have a named column for each feature; all other data is one array."""
    float32 = dtype("float32")
    inputs = Schema([TensorSpec(float32, (-1, *data.input_shape))])
    if _has_columns(data):
        inputs = Schema([ColSpec("double", name) for name in data.feature_names])
    if data.inputs:
        inputs = Schema([TensorSpec(dtype(_type(one)), (-1, *one.shape), name) for name, one in data.inputs.items()])
    elif data.is_text:
        inputs = Schema([TensorSpec(dtype("str"), (-1, *data.input_shape))])
    if data.targets or data.target_shape or data.task in ("reconstruction", "custom"):
        return ModelSignature(inputs=inputs)
    # A model for two classes may have a single sigmoid unit.
    width = -1 if data.classes == 2 else data.outputs
    return ModelSignature(inputs=inputs, outputs=Schema([TensorSpec(float32, (-1, width))]))


def _type(one: Input) -> str:
    return "str" if one.is_text else one.dtype


def _has_columns(data: DatasetInfo) -> bool:
    """Whether a sample is a row of a table; windows over its rows are arrays."""
    return bool(data.columns) and data.series is None


def _example(model: KerasModel) -> "Array | pd.DataFrame | None":
    if model.example is None or model.data.inputs or model.data.is_text or model.data.by_column:
        return None
    if not _has_columns(model.data):
        return model.example.astype("float32")
    import pandas as pd

    return pd.DataFrame(model.example, columns=list(model.data.feature_names))


def write_model(folder: Path, model_file: Path, description: Model) -> None:
    """Writes the folder that `mlflow.keras.save_model` would write."""
    (folder / "data").mkdir()
    shutil.copyfile(model_file, folder / "data" / "model.keras")
    (folder / "data" / "keras_module.txt").write_text("keras")
    description.add_flavor(
        "keras",
        data="data",
        keras_version=version("keras"),
        keras_backend="tensorflow",
        save_exported_model=False,
    )
    pyfunc.add_to_model(description, loader_module="mlflow.keras", conda_env="conda.yaml", python_env="python_env.yaml")
    description.model_size_bytes = model_file.stat().st_size
    description.save(str(folder / "MLmodel"))
    pinned = [f"{package}=={version(package)}" for package in _PACKAGES]
    (folder / "requirements.txt").write_text("\n".join(pinned) + "\n")
    write_environment(folder, pinned)
