"""Jobs that a worker is given together, over an engine that only records what it is asked."""

from dataclasses import replace
from typing import cast

from hpo.engines import Engine
from hpo.engines.groups import Groups
from hpo.training.messages import EpochDone, Failed, Finished, Lost, Seed, Several


class Recording:
    """Stands for an engine: hands out the events that a test gives it."""

    workers, takes_next = 2, True

    def __init__(self):
        self.asked, self.sent = [], []

    def __getattr__(self, name):
        return lambda *given: self.asked.append((name, *given))

    def events(self, timeout):
        sent, self.sent = self.sent, []
        return sent


def begun(job_of):
    inner = Recording()
    groups = Groups(cast(Engine, inner))
    groups.submit(replace(job_of(4), beside=(Seed(5, 2), Seed(6, 3))))
    groups.submit(job_of(7))
    inner.asked.clear()
    return inner, groups


def epoch(trial, last=False):
    return EpochDone(trial, 1, {"val_loss": 1.0}, last)


def test_a_group_goes_on_once_all_of_it_may(job_of):
    inner, groups = begun(job_of)
    inner.sent = [Several(4, (epoch(4), epoch(5, last=True), epoch(6))), epoch(7)]
    assert [event.trial for event in groups.events(0)] == [4, 5, 6, 7]
    groups.proceed(6)
    assert inner.asked == []
    groups.proceed(7)
    groups.proceed(4)
    assert inner.asked == [("proceed", 7), ("proceed", 4)]


def test_the_last_end_is_heard_once_the_worker_is_free(job_of):
    inner, groups = begun(job_of)
    ends = tuple(Finished(trial, "epochs", 1) for trial in (5, 4, 6))
    inner.sent = [Several(4, ends)]
    assert groups.events(0) == [*ends[:2]]
    inner.sent = [Finished(4, "epochs", None)]
    assert groups.events(0) == [ends[2]]


def test_those_that_are_left_share_the_fate_of_their_worker(job_of):
    inner, groups = begun(job_of)
    inner.sent = [
        Several(4, (Failed(5, "nonfinite", "loss is nan"),)),
        Lost(4, "killed", "by SIGKILL", "Its last output"),
    ]
    first, *left = groups.events(0)
    assert first.reason == "nonfinite"
    # It may have died of any of them, or of all: each is to be trained alone.
    why = "killed, beside other seeds: by SIGKILL"
    assert left == [Lost(trial, "lost", why, "Its last output") for trial in (4, 6)]


def test_killing_one_ends_its_worker_and_loses_the_others(job_of):
    inner, groups = begun(job_of)
    groups.stop(5, "deadline")
    groups.kill(5)
    assert inner.asked == [("stop", 4, "deadline"), ("kill", 4)]
    assert [(event.trial, event.reason) for event in groups.events(0)] == [(4, "lost"), (6, "lost")]
