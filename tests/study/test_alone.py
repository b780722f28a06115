"""A configuration that ran out of memory beside others is tried again alone, whatever decides what trains next."""

import pytest
from scarce_memory import ScarceMemory
from studies import run

SCHEDULES = [{"name": "one_pass"}, {"name": "asha", "reduction_factor": 2}, {"name": "gp_asha"}]


def deep(job):
    return job.params["depth"] == 3


@pytest.mark.parametrize("takes_next", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=["one_pass", "asha", "gp_asha"])
def test_what_ran_out_of_memory_beside_others_trains_alone(tmp_path, schedule, takes_next):
    memory, url = ScarceMemory(deep), f"sqlite:///{tmp_path}/optuna.db"
    ran = run(url, memory.script, trials=12, epochs=5, workers=3, takes_next=takes_next, schedule=schedule)
    failed = [trial for trial in ran.trials if trial.reason == "out_of_memory"]
    again = [trial for trial in ran.trials if trial.attempt]
    assert ran.ending == "done"
    assert 0 < len(failed) == len(again)
    assert {job.trial for job in ran.engine.jobs if job.alone} == {trial.number for trial in again}
    for trial in again:
        assert trial.params["depth"] == 3
        assert trial.value is not None
        assert memory.beside[trial.number] == set()
    # The others did train side by side.
    assert any(memory.beside[trial.number] for trial in ran.trials if not trial.attempt)


def test_it_is_remembered_when_the_study_goes_on(tmp_path):
    memory, url = ScarceMemory(deep), f"sqlite:///{tmp_path}/optuna.db"

    def interrupted(job):
        if job.alone:
            raise KeyboardInterrupt
        yield from memory.script(job)

    with pytest.raises(KeyboardInterrupt):
        run(url, interrupted, trials=12, epochs=5, workers=3)
    memory = ScarceMemory(deep)
    ran = run(url, memory.script, trials=12, epochs=5, workers=3)
    (lost,) = [trial for trial in ran.trials if trial.reason == "lost" and trial.attempt == 1]
    (again,) = [trial for trial in ran.trials if trial.origin == lost.origin and trial.attempt == 2]
    assert again.value is not None
    assert memory.beside[again.number] == set()


def test_nobody_waits_where_retries_are_switched_off(tmp_path):
    memory, url = ScarceMemory(deep), f"sqlite:///{tmp_path}/optuna.db"
    ran = run(url, memory.script, trials=12, epochs=5, workers=3, retries=0)
    assert not any(job.alone for job in ran.engine.jobs)
    assert {trial.reason for trial in ran.trials} == {None, "out_of_memory"}
