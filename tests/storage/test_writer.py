"""The thread that writes: order, trials again, what it says, what ends it; databases' errors, no database."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from sqlalchemy.exc import InterfaceError

from hpo.errors import StoreAway, StudyBusy
from hpo.storage import database, writer
from hpo.storage.abstract_lock import Lock
from hpo.storage.writer import NotNow, Writer, _Trouble

AWAY = InterfaceError("INSERT", {}, Exception("connection refused"))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PROMPT_SECONDS", 0.1)
    monkeypatch.setattr(writer, "WATCH_SECONDS", 0.05)
    monkeypatch.setattr(writer, "_WARN_AFTER", 0.0)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def write(said: list[str]) -> Iterator[Writer]:
    made = Writer("postgresql://ada:s3cret@db/x", warn=said.append)
    yield made
    made.close()


def failing(times: int, then: Callable[[], Any] = lambda: 7, error: Exception = AWAY) -> Callable[[], Any]:
    left = iter(range(times))

    def do() -> Any:
        for _ in left:
            raise error
        return then()

    return do


def test_posted_tasks_are_done_in_order_and_calls_after_them(write: Writer) -> None:
    done: list[int] = []
    for number in range(5):
        write.post(partial(done.append, number))
    assert write.call(lambda: list(done)) == [0, 1, 2, 3, 4]
    assert write.drain(1.0)
    assert not write.busy
    assert write.answers


def test_failed_writes_are_repeated_and_each_outage_and_return_is_reported_once(write: Writer, said: list[str]) -> None:
    done: list[str] = []
    write.post(failing(2, lambda: done.append("first")))
    write.post(lambda: done.append("second"))
    assert write.call(lambda: list(done)) == ["first", "second"]
    assert said == [
        "storage postgresql://ada:***@db/x is away: connection refused\nWhat is to be written waits, and the storage "
        "is tried again for 10 minutes.",
        "storage postgresql://ada:***@db/x is back",
    ]


def test_a_short_outage_is_not_reported(write: Writer, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_WARN_AFTER", 60.0)
    assert write.call(failing(1)) == 7
    assert said == []


def test_a_call_that_is_tried_once_is_not_repeated(write: Writer) -> None:
    with pytest.raises(NotNow):
        write.try_call(failing(1))
    # It is known to be away now, and asked again a little later.
    with pytest.raises(NotNow):
        write.try_call(lambda: pytest.fail("asked too soon"))
    assert not write.answers
    time.sleep(0.25)
    assert write.answers
    assert write.try_call(lambda: 8) == 8
    assert write.try_call(lambda: 9) == 9


def test_a_slow_store_counts_as_away_until_it_answers(write: Writer, said: list[str]) -> None:
    go = threading.Event()
    with pytest.raises(NotNow):
        write.try_call(lambda: go.wait(5))
    assert write.busy
    assert not write.answers
    assert not write.settle()
    go.set()
    assert write.drain(5.0)
    assert "it does not answer" in said[0]
    assert said[1].endswith("is back")


@pytest.mark.parametrize("error", [StudyBusy("taken"), StoreAway("gone")])
def test_another_that_took_the_study_ends_the_writer_for_all(write: Writer, error: Exception) -> None:
    def fail() -> None:
        raise error

    write.post(fail)
    with pytest.raises(type(error), match=str(error)):
        write.drain(5.0)
    for use in (write.post, write.call, write.try_call):
        with pytest.raises(type(error)):
            use(lambda: None)


def test_an_error_of_the_code_goes_to_who_called_and_ends_the_writer_where_nobody_did(write: Writer) -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        write.call(fail)
    assert write.call(lambda: 3) == 3
    write.post(fail)
    with pytest.raises(KeyError):
        write.drain(5.0)


def test_a_store_is_waited_for_so_long_and_not_longer(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "AWAY_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(StoreAway, match=r"db/x has been away for 0\.3 s: connection refused\nwhat was written before"):
        write.call(failing(1000))
    # A thousand tries would take more than an hour.
    assert 0.3 <= time.monotonic() - began < 60
    assert not write.settle(0.0)


def test_the_lock_is_looked_at_before_each_write_and_while_nothing_is_written() -> None:
    looked: list[int] = []

    class Looked(Lock):
        def __init__(self) -> None:
            pass

        def release(self) -> None:
            pass

        def ensure(self) -> None:
            looked.append(len(looked))
            if len(looked) > 3:
                raise StudyBusy("taken")

    made = Writer("sqlite://", Looked())
    made.call(lambda: None)
    made.call(lambda: None)
    assert len(looked) >= 2
    until = time.monotonic() + 5
    while len(looked) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    with pytest.raises(StudyBusy):
        made.check()


def test_a_writer_that_is_closed_gives_up_what_waits(write: Writer) -> None:
    write.post(failing(1000))
    time.sleep(0.05)
    write.close()
    with pytest.raises(StoreAway, match="was given up"):
        write.drain(5.0)


def test_the_pauses_between_two_tries_double_up_to_five_seconds() -> None:
    pauses = [_Trouble(0.0, "", failures, last=100.0).again_at - 100.0 for failures in (0, 1, 2, 5, 6, 10, 99)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 3.2, 5.0, 5.0, 5.0])
