"""The temporary folder of a run."""

import contextlib
import os
import signal
import tempfile
from pathlib import Path

import pytest
from studies import process

from hpo.scratch import scratch_folder

HOLD = """
import time
from hpo.scratch import scratch_folder
with scratch_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_it_is_gone_at_the_end_whatever_happened(tmp_path):
    with contextlib.suppress(ValueError), scratch_folder() as folder:
        (folder / "data").mkdir()
        (folder / "data" / "x").write_text("1")
        raise ValueError
    assert folder.parent == tmp_path
    assert not folder.exists()


def test_none_but_the_user_may_read_it():
    with scratch_folder() as folder:
        assert folder.stat().st_mode & 0o077 == 0


def test_that_of_a_killed_run_is_removed_and_that_of_a_living_one_stays():
    killed, living = process(HOLD), process(HOLD)
    try:
        assert killed.stdout is not None
        assert living.stdout is not None
        left, held = (Path(other.stdout.readline().strip()) for other in (killed, living))
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        assert left.is_dir()
        with scratch_folder():
            assert not left.exists()
            assert held.is_dir()
    finally:
        for other in (killed, living):
            other.kill()
            other.communicate()


def test_a_foreign_folder_of_a_like_name_stays(tmp_path):
    (tmp_path / "hpo-run-notes").mkdir()
    with scratch_folder():
        assert (tmp_path / "hpo-run-notes").is_dir()
