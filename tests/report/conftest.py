"""Studies to report on, in one store: from none at all to several hundred trials, and hostile ones."""

import shutil
from collections.abc import Sequence
from typing import Any

import optuna
import pytest
from studies import definition, run

from benchmarks.synthetic import synthetic_study
from hpo.config.experiment import StudySpec
from hpo.study.attributes import CONFIRMATION
from hpo.study.confirmation import Confirmation, Estimate, Finalist
from hpo.study.open import open_study
from hpo.training.messages import Failed, Job

HOSTILE = "<script>window.hacked = true</script>"
MESSAGE = "<img src=x onerror='window.hacked = true'> & <b>more</b>"

WILD: dict[str, Any] = {
    "model": "mlp",
    "parameters": {
        "depth": {"type": "int", "low": 1, "high": 2},
        "word": {"type": "categorical", "choices": [HOSTILE, "plain", "it's"]},
        "widths": {"type": "categorical", "choices": [[8], [8, 4]]},
    },
}
SINGLE: dict[str, Any] = {"model": "mlp", "parameters": {"depth": {"type": "int", "low": 1, "high": 9}}}


def _fails(job: Job) -> Sequence[Failed]:
    return [Failed(job.trial, "error", MESSAGE, "Traceback ...\nValueError: no")]


def _perfect(job: Job) -> Sequence[float]:
    """All come to 1.0, the first within one epoch."""
    return [1.0] if job.trial == 0 else [0.5, 1.0]


def _sometimes(job: Job) -> Any:
    return _fails(job) if job.trial % 4 == 3 else [0.1, 0.1 * job.params["depth"] + 0.01 * job.trial]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a store with the studies few, many, losses, none, one, three, failed, single, wild, confirmed."""
    home = tmp_path_factory.mktemp("report")
    url = f"sqlite:///{home}/optuna.db"
    synthetic_study(url, "few", 12)
    synthetic_study(url, "many", 450)
    synthetic_study(url, "losses", 30, objective="val_loss")
    synthetic_study(url, "confirmed", 12)
    confirm(url, "confirmed", chosen=3, other=5)
    open_study(url, "none", definition(), StudySpec())
    run(url, name="one", trials=1)
    shutil.rmtree(home / "models" / "one")
    run(url, _perfect, name="three", trials=3)
    run(url, _fails, name="failed", trials=2)
    run(url, lambda job: [0.1 * job.params["depth"]], name="single", trials=8, space=SINGLE)
    run(url, _sometimes, name="wild", trials=14, space=WILD)
    return url


def confirm(url: str, name: str, chosen: int, other: int) -> None:
    """Writes a confirmation as `hpo confirm` does: two finalists that cannot be told apart."""

    def finalist(trial: int, mean: float, p: float | None) -> Finalist:
        estimate = Estimate(mean=mean, deviation=0.004, low=mean - 0.005, high=mean + 0.005, seeds=5)
        return Finalist(
            trial=trial, searched=0.97, values=dict.fromkeys(range(5), mean), validation=estimate, p_value=p,
            tied=True, model_parameters=1234, seconds=7.5,
        )  # fmt: skip

    found = Confirmation(
        metric="val_accuracy", finalists=(finalist(other, 0.9561, None), finalist(chosen, 0.9552, 0.4)), chosen=chosen,
        noise_floor=0.0042, test={"accuracy": Estimate(mean=0.951, deviation=0.004, low=0.946, high=0.956, seeds=5)},
    )  # fmt: skip
    study = optuna.load_study(study_name=name, storage=url)
    study.set_user_attr(CONFIRMATION, found.model_dump(mode="json"))
