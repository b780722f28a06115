"""A small soak: six kills at random moments, each followed by the same command; `benchmarks.soak` runs hundreds."""

from pathlib import Path

import pytest

from benchmarks.soak.soak import Soak


@pytest.mark.timeout(900)
def test_six_kills_lose_nothing_double_nothing_and_leave_nothing(tmp_path: Path) -> None:
    # Few, since each run after the kill of a coordinator takes seconds to import TensorFlow.
    soak = Soak(tmp_path, trials=8, seed=2499)
    soak.run(6)
    assert soak.complaints == []
    assert sum(soak.kills.values()) >= 6
