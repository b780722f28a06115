"""The engine in this process: trials that cannot be ended from outside."""

from hpo.engines.serial import SerialEngine
from hpo.training.messages import Finished


def test_a_trial_that_hangs_is_left_alone_and_the_next_one_trains(job_of, drive, monkeypatch, tmp_path):
    monkeypatch.setattr("hpo.engines.serial._PATIENCE", 0.2)
    engine = SerialEngine(threads_per_worker=1, log=tmp_path / "workers.log")
    engine.submit(job_of(1, "hangs"))
    assert engine.events(timeout=0.5) == []
    engine.kill(1)
    engine.submit(job_of(2))
    events = drive(engine)
    assert {event.trial for event in events} == {2}
    assert isinstance(events[-1], Finished)
    engine.close()
