"""A small soak: ten kills at random moments, each followed by the same command; `benchmarks.soak` runs hundreds."""

from pathlib import Path

import pytest

from benchmarks.soak.soak import Soak


@pytest.mark.timeout(900)
def test_ten_kills_lose_nothing_double_nothing_and_leave_nothing(tmp_path: Path) -> None:
    # With this seed about half of the kills are of workers, after which the run itself goes on, and most of the others
    # come early: each run takes seconds to import TensorFlow.
    soak = Soak(tmp_path, trials=12, seed=2499)
    soak.run(10)
    assert soak.complaints == []
    assert sum(soak.kills.values()) >= 10
