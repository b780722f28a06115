"""KerasTuner's RandomSearch beside hpo on twelve tasks, with the same trials: `python -m benchmarks.twelve_tasks`.

KerasTuner draws eight configurations of a task and trains them; hpo trains the same eight by the same `build(hp)`, with
two workers. Each runs in a fresh process and an empty folder. Times are those of the call, and of the whole process.
"""

import argparse
import json
import math
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.processes import environment, python

_WAYS = ("keras_tuner", "hpo")
_BATCH = 64

Found = dict[str, Any]
"""took: seconds of the call; trials: (configuration, validation loss) of each."""


def main() -> None:
    """Runs the tasks one after the other, and prints a row for each and the geometric means."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.twelve_tasks", description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", help="by default all twelve")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "TASK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        way, task = options.one
        found = {"keras_tuner": _keras_tuner, "hpo": _hpo}[way](task, options.trials, options.epochs)
        Path("found.json").write_text(json.dumps(found), encoding="utf-8")
        return
    from benchmarks.example_tasks import EXAMPLES

    print("task                  KerasTuner      hpo  ratio, process   best: KerasTuner, hpo   losses differ by")
    ratios: list[tuple[float, float]] = []
    for task in options.tasks or EXAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            theirs, mine = (_run(way, task, options, Path(folder)) for way in _WAYS)
        ratios.append((theirs["took"] / mine["took"], theirs["whole"] / mine["whole"]))
        known = {json.dumps(config, sort_keys=True): loss for config, loss in theirs["trials"]}
        pairs = [(known[json.dumps(config, sort_keys=True)], loss) for config, loss in mine["trials"]]
        off = statistics.median((mine - theirs) / theirs for theirs, mine in pairs)
        best = [min(one) for one in zip(*pairs, strict=True)]
        print(
            f"{task:20} {theirs['took']:9.1f} s {mine['took']:6.1f} s {ratios[-1][0]:6.2f} {ratios[-1][1]:8.2f}"
            f"       {best[0]:8.4f} {best[1]:8.4f}   {off:+8.1%} ({len(pairs)} trials)",
            flush=True,
        )
    call, whole = (math.exp(statistics.fmean(map(math.log, column))) for column in zip(*ratios, strict=True))
    print(f"geometric means of KerasTuner / hpo: the call {call:.2f}, the whole process {whole:.2f}")


def _run(way: str, task: str, options: argparse.Namespace, folder: Path) -> Found:
    sizes = ("--trials", str(options.trials), "--epochs", str(options.epochs))
    began = time.monotonic()
    command = python("-m", "benchmarks.twelve_tasks", "--one", way, task, *sizes)
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way}, {task}:\n{done.stderr[-3000:]}")
    found: Found = json.loads((folder / "found.json").read_text(encoding="utf-8"))
    if way == "keras_tuner":
        configs = [config for config, _ in found["trials"]]
        (folder / "configurations.json").write_text(json.dumps(configs), encoding="utf-8")
    return {**found, "whole": time.monotonic() - began}


def _parts(task: str) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    from benchmarks.example_tasks import EXAMPLES, split

    x, y = (split(one) for one in EXAMPLES[task].data())
    return (x[0], y[0]), (x[1], y[1])


def _keras_tuner(task: str, trials: int, epochs: int) -> Found:
    import keras_tuner

    from benchmarks.example_tasks import EXAMPLES

    training, validation = _parts(task)
    began = time.monotonic()
    tuner = keras_tuner.RandomSearch(
        EXAMPLES[task].build,
        objective=keras_tuner.Objective("val_loss", "min"),
        max_trials=trials,
        seed=0,
        directory="tuner",
    )
    tuner.search(*training, validation_data=validation, epochs=epochs, batch_size=_BATCH, verbose=0)
    took = time.monotonic() - began
    found = tuner.oracle.get_best_trials(trials)
    return {"took": took, "trials": [(trial.hyperparameters.values, trial.score) for trial in found]}


def _hpo(task: str, trials: int, epochs: int) -> Found:
    import hpo
    from benchmarks.example_tasks import EXAMPLES

    configs = json.loads(Path("configurations.json").read_text(encoding="utf-8"))
    training, validation = _parts(task)
    began = time.monotonic()
    study = hpo.tune(
        EXAMPLES[task].build,
        data=training,
        validation=validation,
        test=validation,
        objective="val_loss",
        epochs=epochs,
        trials=len(configs),
        name=task,
        home="mlruns",
        progress=False,
        dataset={"scaling": "none"},
        training={"batch_size": _BATCH, "early_stopping": False},
        study={"schedule": "one_pass", "sampler": "random", "pruner": "none", "enqueue": configs},
        engine={"workers": 2},
    )
    took = time.monotonic() - began
    return {"took": took, "trials": [(dict(one.params), one.value) for one in study.trials]}


if __name__ == "__main__":
    main()
