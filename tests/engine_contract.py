"""The contract that every engine of the table keeps, with a fixture `make` that starts one with one worker."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.config.declared import NOTHING_DECLARED
from hpo.errors import ModelError
from hpo.training.messages import Checkpoints, EpochDone, Failed, Finished, Lost, Paused, Started


@pytest.fixture(scope="module")
def engine(make):
    engine = make()
    yield engine
    engine.close()


def kinds(events):
    return [type(event) for event in events]


def test_events_come_in_order(engine, job_of, drive):
    engine.submit(job_of(1, epochs=3))
    events = drive(engine)
    assert kinds(events) == [Started, EpochDone, EpochDone, EpochDone, Finished]
    assert [event.epoch for event in events[1:-1]] == [1, 2, 3]
    assert {event.trial for event in events} == {1}
    assert events[-1].ended_by == "epochs"
    assert engine.events(timeout=0.1) == []


def test_nothing_comes_after_an_epoch_until_the_trial_may_proceed(engine, job_of, await_event, drive):
    engine.submit(job_of(2))
    await_event(engine, EpochDone)
    assert engine.events(timeout=0.7) == []
    engine.proceed(2)
    assert kinds(drive(engine)) == [EpochDone, Finished]


def test_a_stop_after_an_epoch_ends_the_trial_at_its_best_weights(engine, job_of, await_event):
    engine.submit(job_of(3, epochs=9))
    await_event(engine, EpochDone)
    engine.stop(3, "pruner")
    (finished,) = await_event(engine, Finished)
    assert (finished.ended_by, finished.best_epoch) == ("pruner", 1)
    assert set(finished.test) == {"loss", "accuracy"}


def test_a_stop_within_an_epoch_drops_it(engine, job_of, await_event):
    engine.submit(job_of(4, "slow", epochs=9))
    await_event(engine, EpochDone)
    engine.proceed(4)
    assert engine.events(timeout=0.2) == []
    engine.stop(4, "deadline")
    (finished,) = await_event(engine, Finished)
    assert (finished.ended_by, finished.best_epoch) == ("deadline", 1)


def test_a_stop_before_the_first_epoch_leaves_no_score(engine, job_of, await_event):
    engine.submit(job_of(5))
    engine.stop(5, "interrupt")
    assert await_event(engine, Finished)[-1] == Finished(5, "interrupt", None)


def test_a_killed_trial_sends_no_more_events(engine, job_of, await_event, drive):
    engine.submit(job_of(6, "slow", epochs=9))
    await_event(engine, Started)
    engine.kill(6)
    engine.submit(job_of(7))
    assert {event.trial for event in drive(engine)} == {7}


def test_orders_to_other_trials_change_nothing(engine, job_of, await_event, drive):
    engine.submit(job_of(8))
    await_event(engine, EpochDone)
    for order in (engine.proceed, engine.kill, lambda trial: engine.stop(trial, "pruner")):
        order(7)
    assert engine.events(timeout=0.5) == []
    engine.proceed(8)
    assert kinds(drive(engine)) == [EpochDone, Finished]


def test_a_trial_may_fail_and_the_next_one_trains(engine, job_of, drive):
    engine.submit(job_of(9, "broken"))
    (failed,) = drive(engine)
    assert (type(failed), failed.trial, failed.reason) == (Failed, 9, "error")
    lines = Path(__file__).with_name("engine_models.py").read_text(encoding="utf-8").splitlines()
    raised = lines.index("def broken(params, dataset):") + 2
    assert failed.message == f"engine_models.py:{raised}: ValueError: no such luck"
    assert "engine_models.py" in failed.traceback
    engine.submit(job_of(10))
    assert kinds(drive(engine))[-1] is Finished


def test_the_same_job_gives_the_same_curves_whatever_ran_before(engine, job_of, drive):
    curves = []
    for trial, model in enumerate(("quick", "as_wide_as_threads", "quick"), 11):
        engine.submit(job_of(trial, model, epochs=1))
        epochs = [dict(event.metrics) for event in drive(engine) if isinstance(event, EpochDone)]
        curves.append([{name: value for name, value in epoch.items() if name != "seconds"} for epoch in epochs])
    assert curves[0] == curves[2] != curves[1]


def epochs_of(events):
    return [{**event.metrics, "seconds": 0.0} for event in events if isinstance(event, EpochDone)]


def test_a_trial_pauses_and_goes_on_from_its_checkpoint(engine, job_of, await_event, drive, tmp_path):
    job = job_of(16, "pausable", epochs=4, checkpoints=Checkpoints(str(tmp_path)))
    engine.submit(job)
    whole = drive(engine)
    engine.submit(job)
    begun = await_event(engine, EpochDone)
    engine.pause(16)
    (paused,) = await_event(engine, Paused)
    assert (paused.epochs, paused.note, paused.checkpoint.epochs) == (1, None, 1)
    assert [file.name for file in tmp_path.iterdir()] == [Path(paused.checkpoint.file).name]
    engine.submit(replace(job, resume=paused.checkpoint))
    rest = drive(engine)
    assert rest[0].epochs_done == 1
    assert epochs_of(begun) + epochs_of(rest) == epochs_of(whole)
    assert rest[-1] == whole[-1]


def test_a_paused_trial_may_be_tested_without_training_on(engine, job_of, await_event, tmp_path):
    job = job_of(17, "pausable", epochs=4, checkpoints=Checkpoints(str(tmp_path)))
    engine.submit(job)
    await_event(engine, EpochDone)
    engine.pause(17)
    (paused,) = await_event(engine, Paused)
    engine.submit(replace(job, resume=paused.checkpoint))
    engine.stop(17, "pruner")
    started, finished = await_event(engine, Finished)
    assert (started.epochs_done, finished.best_epoch, finished.ended_by) == (1, 1, "pruner")
    assert set(finished.test) == {"loss", "accuracy"}


def test_a_trial_that_cannot_pause_trains_through(engine, job_of, await_event, drive, tmp_path):
    engine.submit(job_of(18, checkpoints=Checkpoints(str(tmp_path))))
    started, _ = await_event(engine, EpochDone)
    assert started.trains_through == "Keras's fit trains it"
    engine.pause(18)
    assert kinds(drive(engine)) == [EpochDone, Finished]


def test_parameters_that_a_model_declares_are_sent(engine, job_of, iris):
    job = job_of(0)
    found = engine.discover("engine_models:tuned", iris, job.import_paths)
    assert [one["config"]["name"] for one in found.config["space"]] == ["units"]
    assert engine.discover("engine_models:quick", iris, job.import_paths) == NOTHING_DECLARED
    with pytest.raises(ModelError, match=r"broken_tuned: .*engine_models.py:\d+: cannot be built .* no such luck"):
        engine.discover("engine_models:broken_tuned", iris, job.import_paths)


def test_an_engine_may_be_closed_while_a_trial_runs_and_another_started(make, job_of, await_event):
    first = make()
    first.submit(job_of(14, "slow", epochs=9))
    await_event(first, Started)
    first.close()
    second = make()
    # The worker is still starting.
    second.submit(job_of(15, "slow"))
    second.stop(15, "pruner")
    events = await_event(second, (Finished, Failed, Lost))
    assert events[-1] == Finished(15, "pruner", None)
    second.close()
    second.close()
