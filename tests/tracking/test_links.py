"""Where the end of a run says that its trials are to be seen."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from hpo.cli.run_output import print_result
from hpo.config.objective import Objective
from hpo.run import Result
from hpo.study.record import TrialRecord


@pytest.mark.parametrize(
    ("uri", "command"),
    [
        ("sqlite:////somewhere/mlflow.db", "hpo ui toy --home /somewhere"),
        ("https://ada:***@mlflow.example:8443/base/", "hpo ui toy --uri https://mlflow.example:8443/base"),
        ("http://localhost:5000", "hpo ui toy --uri http://localhost:5000"),
    ],
)
def test_the_end_of_a_run_says_how_to_open_its_trials(uri: str, command: str):
    out = io.StringIO()
    best = TrialRecord(
        0, "complete", {"width": 8}, seed=0, origin=0, value=0.9, best_epoch=1, curves={"val_loss": [0.9]}
    )
    objective = Objective(metric="val_loss")
    result = Result("toy", "done", [best], best, objective, "sqlite:////s/optuna.db", uri, Path("/somewhere"), 1.0)
    print_result(Console(file=out, width=200), result)
    assert f"  {command}   # compare the trials" in out.getvalue()
