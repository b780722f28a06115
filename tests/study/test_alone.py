"""A configuration that ran out of memory beside others is tried again alone, whatever decides what trains next."""

from collections import defaultdict

import pytest
from studies import run

from hpo.training.messages import Failed


class Memory:
    """Scripts of five epochs, of which those of depth 3 run out of memory where any other trains meanwhile."""

    def __init__(self):
        self.training = set()
        self.beside = defaultdict(set)

    def script(self, job):
        self.training.add(job.trial)
        try:
            # The engine asks anew for the epochs that a trial had before it paused.
            done = job.resume.epochs if job.resume else 0
            for epoch in range(1, 6):
                for one in self.training:
                    self.beside[one] |= self.training - {one}
                if job.params["depth"] == 3 and len(self.training) > 1 and epoch > done:
                    yield Failed(job.trial, "out_of_memory", "no memory", "")
                yield 0.1 * job.params["depth"] + 0.01 * epoch
        finally:
            self.training.discard(job.trial)


SCHEDULES = [{"name": "one_pass"}, {"name": "asha", "reduction_factor": 2}, {"name": "gp_asha"}]


@pytest.mark.parametrize("takes_next", [False, True])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=["one_pass", "asha", "gp_asha"])
def test_what_ran_out_of_memory_beside_others_trains_alone(tmp_path, schedule, takes_next):
    memory, url = Memory(), f"sqlite:///{tmp_path}/optuna.db"
    ran = run(url, memory.script, trials=12, epochs=5, workers=3, takes_next=takes_next, schedule=schedule)
    failed = [trial for trial in ran.trials if trial.reason == "out_of_memory"]
    again = [trial for trial in ran.trials if trial.attempt]
    assert ran.ending == "done"
    assert 0 < len(failed) == len(again)
    alone = {trial.number for trial in again}
    assert {job.trial for job in ran.engine.jobs if job.alone} == alone
    for trial in again:
        assert trial.params["depth"] == 3
        assert trial.value is not None
        assert memory.beside[trial.number] == set()
    # The others did train side by side.
    assert any(memory.beside[trial.number] for trial in ran.trials if not trial.attempt)


def test_it_is_remembered_when_the_study_goes_on(tmp_path):
    memory, url = Memory(), f"sqlite:///{tmp_path}/optuna.db"

    def interrupted(job):
        if job.alone:
            raise KeyboardInterrupt
        yield from memory.script(job)

    with pytest.raises(KeyboardInterrupt):
        run(url, interrupted, trials=12, epochs=5, workers=3)
    memory = Memory()
    ran = run(url, memory.script, trials=12, epochs=5, workers=3)
    (lost,) = [trial for trial in ran.trials if trial.reason == "lost" and trial.attempt == 1]
    (again,) = [trial for trial in ran.trials if trial.origin == lost.origin and trial.attempt == 2]
    assert again.value is not None
    assert memory.beside[again.number] == set()


def test_nobody_waits_where_retries_are_switched_off(tmp_path):
    memory, url = Memory(), f"sqlite:///{tmp_path}/optuna.db"
    ran = run(url, memory.script, trials=12, epochs=5, workers=3, retries=0)
    assert not any(job.alone for job in ran.engine.jobs)
    assert {trial.reason for trial in ran.trials} == {None, "out_of_memory"}
