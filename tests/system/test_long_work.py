"""Notes about work that takes long."""

import time

from hpo.system.long_work import notes_while_waiting


def test_long_work_is_reported_ever_more_rarely(monkeypatch, capsys):
    monkeypatch.setattr("hpo.system.long_work.FIRST", 0.1)
    count = iter(range(9))
    with notes_while_waiting(lambda: f"still at {next(count)}"):
        time.sleep(0.55)
    time.sleep(0.3)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["note: still at 0 (0 s so far)", "note: still at 1 (0 s so far)"]


def test_short_work_is_not_reported(capsys):
    with notes_while_waiting(lambda: "still at it"):
        pass
    assert capsys.readouterr().err == ""
