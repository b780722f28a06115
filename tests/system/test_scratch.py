"""The temporary folder of a run."""

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import process

from hpo.system.scratch import scratch_folder

HOLD = """
import time
from hpo.system.scratch import scratch_folder
with scratch_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Of a short path: in a longer one sockets could not be named."""
    with tempfile.TemporaryDirectory(prefix="s-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_a_folder_of_a_long_path_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / ("long" * 20)).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / ("long" * 20)))
    with scratch_folder() as folder:
        assert folder.parent.parent == Path("/tmp")


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_the_scratch_folder_is_removed_at_the_end_of_the_process(tmp_path):
    with contextlib.suppress(ValueError), scratch_folder() as folder:
        (folder / "data").mkdir()
        (folder / "data" / "x").write_text("1")
        raise ValueError
    assert folder.parent.parent == tmp_path
    assert not folder.exists()


def test_none_but_the_user_may_read_it():
    with scratch_folder() as folder:
        assert folder.stat().st_mode & 0o077 == 0


def test_the_folder_of_a_killed_run_is_removed_and_that_of_a_living_one_kept():
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


def test_one_whose_removal_was_killed_is_removed(tmp_path):
    code = """
import os, shutil, signal
from hpo.system import scratch
folder = scratch.process_folder()
(folder / "data").mkdir()
(folder / "data" / "x").write_text("1")
shutil.rmtree = lambda *paths, **options: os.kill(os.getpid(), signal.SIGKILL)
scratch._delete(folder)
"""
    other = process(code)
    other.communicate(timeout=30)
    assert other.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with scratch_folder():
        assert not left.exists()


def test_the_folder_of_an_earlier_version_is_removed_after_its_process_has_ended(tmp_path):
    (tmp_path / f"hpo-run-{os.getpid()}-abc").mkdir()
    (tmp_path / "hpo-run-999999999-abc").mkdir()
    with scratch_folder():
        left = {path.name for path in tmp_path.iterdir()}
    assert f"hpo-run-{os.getpid()}-abc" in left
    assert "hpo-run-999999999-abc" not in left


def test_one_that_was_killed_as_it_was_made_is_removed_after_a_while(tmp_path):
    old, new = tmp_path / ".hpo-new-old", tmp_path / ".hpo-new-new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (0, 0))
    with scratch_folder():
        assert (old.exists(), new.exists()) == (False, True)


def test_temporary_files_of_libraries_are_in_it_too_and_are_removed_with_it(tmp_path):
    code = "import tempfile\nfrom hpo.system.scratch import *\nuse_own_temporary_folder()"
    other = process(f"{code}\nwith scratch_folder(): print(tempfile.mkdtemp())")
    output, errors = other.communicate(timeout=30)
    assert other.returncode == 0, errors
    assert Path(output.strip()).is_relative_to(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_foreign_folder_of_a_like_name_stays(tmp_path):
    (tmp_path / "hpo-run-notes").mkdir()
    with scratch_folder():
        assert (tmp_path / "hpo-run-notes").is_dir()


def test_a_command_that_makes_no_folder_sweeps_too(tmp_path):
    other = process("from hpo.system.scratch import process_folder; process_folder(); import os; os._exit(9)")
    other.communicate(timeout=30)
    assert any(tmp_path.glob("hpo-run-*"))
    other = process("from hpo.system.scratch import use_own_temporary_folder; use_own_temporary_folder()")
    assert other.communicate(timeout=30)
    assert list(tmp_path.iterdir()) == []
