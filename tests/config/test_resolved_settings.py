"""What a trial resolved to travels with it: Optuna's record, MLflow, show, exported files, later runs."""

import json

import mlflow
from tiny import tiny
from typer.testing import CliRunner

import hpo
from hpo.cli.commands import app
from hpo.compare.compare import read_studies
from hpo.confirm.confirm import confirm
from hpo.plan.exported_file import document
from hpo.study.read import confirming_runs

SPACE = {
    "model": "mlp",
    "parameters": {
        "depth": 1,
        "units_wanted": {"type": "int", "low": 4, "high": 8, "sets": "width"},
        "scaling": {"type": "categorical", "choices": ["standard", "none"], "sets": "dataset.scaling"},
        "warm": {"type": "categorical", "choices": [1], "sets": "schedule.warmup_epochs"},
    },
}


def test_resolved_settings_are_logged_stored_shown_and_exported(tmp_path):
    experiment = tiny(
        dataset={"name": "iris", "scaling": "minmax"}, search_space=SPACE, engine="serial",
        training={"epochs": 1, "schedule": {"name": "constant", "warmup_epochs": 0}},
        study={"trials": 2, "sampler": "random", "pruner": "none"},
    )  # fmt: skip
    ran = hpo.run(experiment, home=tmp_path)
    confirm("tiny", 1, 2, home=tmp_path)
    (view,) = read_studies(["tiny"], tmp_path)
    runs = confirming_runs(view.storage, "tiny")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    logged = client.search_runs([client.get_experiment_by_name("tiny").experiment_id])
    params = {run.info.run_name: run.data.params for run in logged}
    for record in (*view.trials, *runs):
        assert record.resolved is not None
        assert record.resolved.dataset["scaling"] == record.params["scaling"]
        assert record.resolved.dataset["task"] == "classification"
        assert record.resolved.training["schedule"]["warmup_epochs"] == 1
        assert record.resolved.model == {"depth": 1, "width": record.params["units_wanted"]}
    for record in view.trials:
        mine = params[f"trial-{record.number:04d}"]
        assert mine["dataset.scaling"] == record.params["scaling"]
        assert mine["training.schedule.warmup_epochs"] == "1.0"
        assert mine["model.width"] == str(record.params["units_wanted"])
    assert list(ran.trials) == list(view.trials)
    assert document(view, view.trials[0])["resolved"]["dataset"]["scaling"] == view.trials[0].params["scaling"]
    shown = CliRunner().invoke(app, ["show", "tiny", "0", "--json", "--home", str(tmp_path)])
    assert json.loads(shown.stdout)["resolved"]["training"]["epochs"] == 1
    table = CliRunner().invoke(app, ["show", "tiny", "0", "--home", str(tmp_path)]).stdout
    assert "dataset.scaling" in table
