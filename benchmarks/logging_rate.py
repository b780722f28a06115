"""How fast trials are logged to MLflow, and what that costs. `python -m benchmarks.logging_rate`.

Through the tracker alone: nothing is trained. The trials are handed over at once, so the rate is the highest there is.
"""

import argparse
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from hpo.config.experiment import Objective
from hpo.data.dataset import DatasetInfo, Scaling
from hpo.study.record import TrialRecord
from hpo.tracking import Ending, StudyInfo, Tracker
from hpo.training.messages import EpochDone

_NONE = np.zeros(1, np.float32)
_DATASET = DatasetInfo(
    name="toy", source="scikit-learn", task="classification", input_shape=(64,), classes=10, outputs=10, one_hot=False,
    sizes={"training": 800, "validation": 200, "test": 300},
    digests={part: part[0] * 32 for part in ("training", "validation", "test")}, digest="d" * 32,
    scaling=Scaling("none", _NONE, _NONE),
)  # fmt: skip
_STUDY = StudyInfo(
    name="rate", experiment="rate", space_hash="0" * 16, experiment_yaml="name: rate\n", space_yaml="model: mlp\n",
    dataset=_DATASET, objective=Objective(metric="val_accuracy"), version="0",
    fixed={"training": {f"key_{number}": number for number in range(12)}},
)  # fmt: skip
_METRICS = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")


@dataclass(frozen=True)
class Rate:
    """What it took to log a number of trials."""

    name: str
    trials: int
    seconds: float
    cpu: float
    """CPU seconds of this process."""

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.seconds:.1f} s, {60 * self.trials / self.seconds:,.0f} trials a minute, "
            f"{1000 * self.cpu / self.trials:.2f} ms of CPU a trial"
        )


def trials(count: int, epochs: int) -> list[TrialRecord]:
    """Ended trials as a tiny study leaves them."""
    rng, began = np.random.default_rng(0), datetime.now() - timedelta(hours=1)
    records = []
    for number in range(count):
        curves = {name: rng.uniform(size=epochs).tolist() for name in _METRICS}
        started = began + timedelta(seconds=number / 20)
        params = {"width": number % 64, "learning_rate": float(rng.uniform()), "optimizer": "adam", "depth": 2}
        records.append(
            TrialRecord(
                number, "complete", params, seed=number, origin=number, value=max(curves["val_accuracy"]),
                best_epoch=1 + int(np.argmax(curves["val_accuracy"])), curves=curves, model_parameters=1234,
                test={"loss": 0.5, "accuracy": 0.5}, ended_by="epochs", started=started,
                ended=started + timedelta(seconds=0.1),
            )
        )  # fmt: skip
    return records


def live(uri: str, home: Path, records: list[TrialRecord]) -> Rate:
    """All trials reported as the coordinator reports them: start, every epoch, end."""
    tracker = Tracker.open(uri, home / "artifacts", _STUDY, warn=print)
    tracker.ready()
    wall, cpu = time.perf_counter(), time.process_time()
    for record in records:
        tracker.start_trial(replace(record, state="running", curves={}, value=None, best_epoch=None, ended=None))
        for epoch in range(record.epochs):
            metrics = {name: curve[epoch] for name, curve in record.curves.items()}
            tracker.epoch(EpochDone(record.number, epoch + 1, metrics))
        tracker.end_trial(record)
    return _ended(tracker, "live", len(records), wall, cpu)


def resumed(uri: str, home: Path, records: list[TrialRecord]) -> Rate:
    """The study opened again, when nothing is missing."""
    wall, cpu = time.perf_counter(), time.process_time()
    tracker = Tracker.open(uri, home / "artifacts", _STUDY, resume=True, warn=print)
    tracker.ready()
    tracker.sync(records)
    return _ended(tracker, "resumed, nothing missing", len(records), wall, cpu)


def _ended(tracker: Tracker, name: str, count: int, wall: float, cpu: float) -> Rate:
    tracker.finish(Ending("finished", "done"))
    if not tracker.close(timeout=3600):
        raise RuntimeError("not everything was logged")
    return Rate(name, count, time.perf_counter() - wall, time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.logging_rate", description=__doc__)
    parser.add_argument("--trials", type=int, default=2_000, help="by default %(default)s")
    parser.add_argument("--epochs", type=int, default=3, help="of a trial; five metrics each")
    parser.add_argument("--uri", help="MLflow tracking URI; by default a SQLite file in a fresh folder")
    parser.add_argument("--home", type=Path, help="folder of the artifacts and of the SQLite file")
    parser.add_argument("--client", action="store_true", help="by MLflow's public client, whatever the store is")
    options = parser.parse_args()
    if options.client:
        from hpo.tracking import study_runs

        vars(study_runs)["table_runs"] = lambda client, uri, experiment: None
    records = trials(options.trials, options.epochs)
    with nullcontext(options.home) if options.home else tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        uri = options.uri or f"sqlite:///{home}/mlflow.db"
        print(live(uri, home, records), flush=True)
        print(resumed(uri, home, records), flush=True)


if __name__ == "__main__":
    main()
