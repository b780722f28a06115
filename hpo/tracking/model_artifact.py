"""A saved Keras model as an MLflow model, written without importing Keras, which would take seconds."""

import shutil
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient, pyfunc
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Run
from mlflow.models import Model, ModelSignature
from mlflow.types.schema import Schema, TensorSpec
from mlflow.utils.environment import _mlflow_conda_env, _PythonEnv
from numpy import dtype
from ruamel.yaml import YAML

from hpo.data.dataset import DatasetInfo

_PACKAGES = ("mlflow", "tensorflow", "keras", "numpy")


def log_model(client: MlflowClient, run: Run, model_file: Path, data: DatasetInfo, trial: int) -> None:
    """Logs a .keras file as the run's model `model`, unless this trial's is there already.

    `mlflow.keras.load_model(f"runs:/{run_id}/model")` loads it, `mlflow.pyfunc` likewise. Source of the steps:
    `mlflow.models.Model.log`, which needs an active run and the model in memory.
    """
    run_id, experiment = run.info.run_id, run.info.experiment_id
    logged = client.search_logged_models([experiment], f"source_run_id = '{run_id}'", max_results=1)
    if logged and logged[0].status == LoggedModelStatus.READY and logged[0].tags.get("hpo.trial") == str(trial):
        return
    model = client.create_logged_model(
        experiment, name="model", source_run_id=run_id, model_type="keras", tags={"hpo.trial": str(trial)}
    )
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    with TemporaryDirectory(prefix="hpo-model-") as folder:
        description = Model(
            artifact_path=model.artifact_location,
            run_id=run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
            signature=_signature(data),
        )
        write_model(Path(folder), model_file, description)
        client.log_model_artifacts(model.model_id, folder)
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def _signature(data: DatasetInfo) -> ModelSignature:
    float32 = dtype("float32")
    inputs = Schema([TensorSpec(float32, (-1, *data.input_shape))])
    return ModelSignature(inputs=inputs, outputs=Schema([TensorSpec(float32, (-1, data.outputs))]))


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
    environment = _mlflow_conda_env(additional_pip_deps=pinned, install_mlflow=False)  # type: ignore[no-untyped-call]
    YAML(typ="safe").dump(environment, folder / "conda.yaml")
    _PythonEnv.current().to_yaml(str(folder / "python_env.yaml"))  # type: ignore[no-untyped-call]
