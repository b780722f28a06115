"""What is said of the memory that trials took of a GPU, by figures alone."""

import pytest

from hpo.engines.gpu_room import GpuRoom
from hpo.engines.gpus import Gpu, Share, shares

CARD = Gpu("GPU-a", 24 * 1024)
GIB = 2**30


def share_of(per_trial):
    return shares([CARD], None, per_trial)[0]


@pytest.mark.parametrize(
    ("taken", "per_trial", "expected"),
    [
        (
            1.1,
            None,
            "took 1.1 GiB of its GPU's 24.0 GiB: with engine.gpus_per_trial: 0.0714 a GPU has room for 14 such",
        ),
        (
            0.01,
            None,
            "took 0.0 GiB of its GPU's 24.0 GiB: with engine.gpus_per_trial: 0.0625 a GPU has room for 16 such",
        ),
        (2.0, 0.25, "took 2.0 GiB of its GPU's 24.0 GiB: with engine.gpus_per_trial: 0.125 a GPU has room for 8 such"),
        (4.0, 0.25, None),
        (13.0, None, None),
    ],
)
def test_room_for_twice_as_many_is_told_once(taken, per_trial, expected):
    room = GpuRoom(gpus=1, cores=16)
    for trial in (0, 1):
        room.hear(trial, int(taken * GIB), share_of(per_trial), alone=False)
    assert room.notes() == ([f"trial 0 {expected} trials at a time"] if expected else [])
    assert room.notes() == []


def test_no_more_are_proposed_than_have_a_core():
    room = GpuRoom(gpus=2, cores=4)
    room.hear(0, GIB, share_of(None), alone=False)
    assert "gpus_per_trial: 0.5 a GPU has room for 2" in room.notes()[0]
    room = GpuRoom(gpus=2, cores=3)
    room.hear(0, GIB, share_of(None), alone=False)
    assert room.notes() == []


def test_a_trial_that_needed_more_than_its_share_says_which_it_needs():
    room = GpuRoom(gpus=1, cores=16)
    room.hear(3, int(9.1 * GIB), share_of(0.25), alone=True)
    room.hear(4, int(9.2 * GIB), share_of(0.25), alone=True)
    assert room.notes() == [
        "trial 3 took 9.1 GiB of its GPU's 24.0 GiB as it trained alone, and a worker that shares the GPU has 5.5 GiB: "
        "with engine.gpus_per_trial: 0.5 it had not run out of memory"
    ]
    room.hear(5, int(23 * GIB), share_of(0.25), alone=True)
    assert "engine.gpus_per_trial: 1 it had" in room.notes()[0]


@pytest.mark.parametrize(
    ("taken", "share"), [(5.0, share_of(0.25)), (23.0, share_of(None)), (23.0, Share("")), (23.0, Share())]
)
def test_a_trial_that_ran_out_of_other_memory_says_nothing(taken, share):
    room = GpuRoom(gpus=1, cores=16)
    room.hear(3, int((taken - 0.1) * GIB), share, alone=True)
    assert room.notes() == []
