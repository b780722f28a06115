"""The folder of a study's checkpoints: found by trial, swept, and kept small."""

import os
from dataclasses import replace

import numpy as np
import pytest

from hpo.config.experiment import Checkpointing, Objective
from hpo.config.resolved import Resolved
from hpo.loop.checkpoints_folder import CheckpointsFolder
from hpo.study.failure import Failure
from hpo.study.record import TrialRecord, failed
from hpo.training import checkpoint_file
from hpo.training.messages import EpochDone

OBJECTIVE = Objective(metric="val_loss", direction="minimize")


def trial(number, **more):
    return TrialRecord(number, "complete", {}, 0, **{"origin": number, **more})


@pytest.fixture
def write(tmp_path):
    def write(number, epochs, loss=1.0, size=10):
        state = {"curves": {"val_loss": [loss] * epochs}, "fold_lengths": []}
        noise = np.random.default_rng(number).bytes(size)
        return checkpoint_file.write(tmp_path, number, epochs, state, {"a/0": np.frombuffer(noise, np.uint8)})

    return write


def folder_of(tmp_path, running=(), trials=(), **spec):
    alive = [replace(trial(number), state="running") for number in running]
    return CheckpointsFolder(tmp_path, Checkpointing(**spec), OBJECTIVE, [*alive, *trials], runs_again)


def runs_again(record):
    return record.reason in ("lost", "interrupted", "killed") and record.attempt < 2


def test_a_trial_goes_on_from_its_latest_checkpoint(tmp_path, write):
    write(3, 2)
    latest = write(3, 5)
    assert folder_of(tmp_path, {3}).of(trial(3)) == latest
    assert folder_of(tmp_path, {3}).of(trial(4)) is None
    assert os.path.getsize(latest.file) == latest.bytes


def test_what_no_running_trial_needs_is_deleted(tmp_path, write):
    kept = write(3, 2)
    write(4, 2)
    (tmp_path / ".trial-0005.17.npz").write_bytes(b"torn")
    (tmp_path / "notes.txt").write_text("mine")
    folder_of(tmp_path, {3})
    assert {file.name for file in tmp_path.iterdir()} == {kept.file.rpartition("/")[2], "notes.txt"}
    CheckpointsFolder(tmp_path, None, OBJECTIVE, [replace(trial(3), state="running")], runs_again)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_the_checkpoints_of_a_trial_end_with_it(tmp_path, write):
    folder = folder_of(tmp_path)
    write(3, 2)
    folder.trial_ended(trial(3), None)
    assert list(tmp_path.iterdir()) == []


def test_the_next_attempt_goes_on_where_a_worker_died(tmp_path, write):
    folder = folder_of(tmp_path)
    left = write(3, 2)
    first = failed(trial(3), Failure("killed"))
    folder.trial_ended(first, None)
    retry = trial(4, origin=3, attempt=1)
    assert folder.of(retry) == left
    assert os.stat(left.file).st_mode & 0o777 == 0o600
    # An attempt that dies before it leaves one of its own costs nothing, in the next run neither.
    died = failed(retry, Failure("killed"))
    folder.trial_ended(died, None)
    last = trial(5, origin=3, attempt=2)
    assert folder.of(last) == left
    folder = folder_of(tmp_path, trials=[first, died])
    assert folder.of(last) == left
    own = write(5, 3)
    assert folder.of(last) == own
    # Nobody goes on from the checkpoints of a configuration that is given up.
    folder.trial_ended(failed(last, Failure("killed")), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("reason", ["lost", "interrupted", "killed"])
def test_what_a_run_left_is_found_by_the_next_one(tmp_path, write, reason):
    left = write(3, 2)
    write(5, 2)
    mine = failed(trial(3), Failure(reason))
    folder = folder_of(tmp_path, trials=[mine, trial(5)])
    assert folder.of(trial(6, origin=3, attempt=1)) == left
    assert folder.of(trial(7, origin=5, attempt=1)) is None
    # The next attempt has begun: its own checkpoint counts.
    folder_of(tmp_path, trials=[mine, trial(6, origin=3, attempt=1)])
    assert list(tmp_path.iterdir()) == []


def test_the_worst_trials_make_room(tmp_path, write, monkeypatch):
    monkeypatch.setattr("hpo.loop.checkpoints_folder._BETWEEN_LOOKS", 0.0)
    folder = folder_of(tmp_path, megabytes=1)
    for number, loss in enumerate((0.2, 0.9, 0.5)):
        write(number, 1, loss, size=400_000)
    folder.epoch_done(trial(0), EpochDone(0, 1, {}))
    assert checkpoint_file.trials_in(tmp_path) == {0, 2}


def test_a_damaged_checkpoint_is_recognized(tmp_path, write):
    one = write(3, 2)
    assert checkpoint_file.read(one)[1].keys() == {"a/0"}
    with open(one.file, "r+b") as file:
        file.seek(100)
        file.write(b"\xff\x00")
    with pytest.raises(checkpoint_file.Unusable, match="damaged"):
        checkpoint_file.read(one)
    with pytest.raises(checkpoint_file.Unusable, match="gone"):
        checkpoint_file.read(replace(one, file=one.file + "x"))


def whole(number, score):
    """A trial that came to the last of two epochs."""
    resolved = Resolved({"epochs": 2}, {}, {})
    curves = {"val_loss": [9.0, score]}
    return trial(number, value=score, best_epoch=2, ended_by="epochs", curves=curves, resolved=resolved)


def lengthening(tmp_path, trials=(), **spec):
    return CheckpointsFolder(tmp_path, Checkpointing(**spec), OBJECTIVE, trials, runs_again, lengthens=True)


def test_of_trials_at_their_last_epoch_the_best_keep_their_checkpoints(tmp_path, write):
    folder, ended = lengthening(tmp_path), [whole(number, score) for number, score in enumerate([3, 7, 1, 5, 2, 8, 4])]
    for one in ended:
        write(one.number, 2)
        folder.trial_ended(one, None)
    assert checkpoint_file.trials_in(tmp_path) == {0, 2, 3, 4, 6}
    # In the next run too, and where one has gone on, the other attempt takes its place.
    again = replace(whole(7, 0.5), origin=3, attempt=1)
    folder = lengthening(tmp_path, ended)
    assert folder.of(again) == checkpoint_file.found_in(tmp_path)[3][0]
    write(7, 2)
    folder.trial_ended(again, None)
    assert checkpoint_file.trials_in(tmp_path) == {0, 2, 4, 6, 7}
    # An attempt that came to no better epoch takes the place all the same, and one that stopped early leaves it.
    write(8, 2)
    folder.trial_ended(replace(whole(8, 1.0), origin=2, attempt=1), None)
    assert checkpoint_file.trials_in(tmp_path) == {0, 4, 6, 7, 8}
    folder.trial_ended(replace(whole(9, 2.0), origin=4, attempt=1, ended_by="early_stopping"), None)
    assert checkpoint_file.trials_in(tmp_path) == {0, 6, 7, 8}
    # A study whose trials depend on their number of epochs keeps none.
    folder_of(tmp_path, trials=ended)
    assert checkpoint_file.trials_in(tmp_path) == set()


def test_trials_at_their_end_make_room_before_those_that_may_go_on(tmp_path, write):
    rests = replace(trial(1), state="pruned", ended_by="paused")
    write(1, 2, loss=5.0, size=800_000)
    best = whole(2, 0.1)
    state = {"curves": {"val_loss": [0.1]}, "fold_lengths": [], "keepers": [{"ended": "epochs"}]}
    noise = np.random.default_rng(0).bytes(800_000)
    checkpoint_file.write(tmp_path, 2, 2, state, {"a/0": np.frombuffer(noise, np.uint8)})
    lengthening(tmp_path, [rests, best], megabytes=1).close()
    assert checkpoint_file.trials_in(tmp_path) == {1}
