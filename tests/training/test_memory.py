"""A worker's memory: trial after trial, it does not grow."""

from dataclasses import replace

import psutil

from hpo.engines.local import LocalEngine
from hpo.training.messages import EpochDone, Finished


def test_memory_is_flat_over_tiny_trials(job_of, tmp_path):
    engine = LocalEngine(workers=1, threads_per_worker=1, log=tmp_path / "workers.log")
    (pid,) = engine.pids()
    memory = {}
    for number in range(70):
        params = {"depth": 1, "width": 4 + number % 30, "dropout": 0.1 + number / 300}
        engine.submit(
            replace(job_of(training={"epochs": 1, "batch_size": 50}), trial=number, params=params, seed=number)
        )
        ended = None
        while ended is None:
            for event in engine.events(timeout=1.0):
                if isinstance(event, EpochDone):
                    engine.proceed(event.trial)
                else:
                    ended = event if isinstance(event, Finished) else ended
        memory[number + 1] = psutil.Process(pid).memory_info().rss
    engine.close()
    # Keras never frees 3 to 6 MB of a trial; fifty of them would add a third.
    assert memory[70] < 1.1 * memory[20]
