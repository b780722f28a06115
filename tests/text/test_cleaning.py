"""Texts from elsewhere: capped, without credentials, and without anything that acts."""

import io
import sys
import time

import pytest
from rich.console import Console
from rich.table import Table

from hpo.config.experiment import Objective
from hpo.errors import HpoError
from hpo.loop.progress import Progress
from hpo.study.failure import Failure
from hpo.study.record import TrialRecord
from hpo.system.csv_files import write_csv
from hpo.text.cleaning import clean, code, encodable, markdown, shortened, visible
from hpo.text.console import SafeConsole
from hpo.training.clean_events import cleaned
from hpo.training.messages import EpochDone, Failed, Finished, Lost, Started

HOSTILE = "\x1b[31mred\udc80\0[red]x[/red] [link=http://evil]y[/link] <b> :smile: \u202eabc"


def test_control_characters_are_escaped() -> None:
    assert visible("a\x1b[2J\udc80\0\u202e\x9b\ttab\nline") == r"a\x1b[2J\udc80\x00\u202e\x9b" + "\ttab\nline"
    assert clean("100%\r\n50%\r") == "100%\n50%\n"
    assert encodable({"a\udc80": ["b\0", 1, None, "c"]}) == {r"a\udc80": [r"b\x00", 1, None, "c"]}


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = f"first {'x' * 6_000_000} last"
    kept = clean(text)
    assert len(kept) <= 20_000
    assert kept.startswith("first")
    assert kept.endswith("last")
    assert "characters left out" in kept
    assert shortened("abc", 2) == "ab"


def test_text_from_the_users_code_is_cleaned_on_arrival() -> None:
    failed = cleaned(Failed(0, "error", HOSTILE * 1000, HOSTILE * 100_000))
    assert isinstance(failed, Failed)
    lost = cleaned(Lost(0, "killed", HOSTILE * 1000, HOSTILE * 100_000))
    started = cleaned(Started(0, 1, 2, note=HOSTILE))
    for text in (failed.message, failed.traceback, lost.message, lost.printed, started.note):
        assert len(text) <= 20_000
        text.encode()
        assert "\x1b" not in text
    ended = cleaned(EpochDone(0, 1, {HOSTILE: 0.5, "y" * 400: 1.0, "val_loss": 0.1}))
    assert all(name.isprintable() and len(name) <= 300 for name in ended.metrics)
    assert ended.metrics["val_loss"] == 0.1
    assert all(name.isprintable() for name in cleaned(Finished(0, "epochs", 1, {HOSTILE: 0.5})).test)
    plain = EpochDone(0, 1, {"loss": 0.1})
    assert cleaned(plain) is plain


def test_errors_are_clean_wherever_they_arise() -> None:
    began = time.process_time()
    said = str(HpoError(f"at postgresql://me:hush-hush@h/d: {HOSTILE} {'x' * 10**6}"))
    # No pattern reads on from each of the letters.
    assert time.process_time() - began < 2
    assert "hush-hush" not in said
    assert len(said) <= 20_000
    said.encode()


def test_no_text_is_markup_on_the_console() -> None:
    out = io.StringIO()
    console = SafeConsole(file=out, force_terminal=True, color_system=None, width=200, markup=False, emoji=False)
    table = Table("name", HOSTILE, title=HOSTILE)
    table.add_row(HOSTILE, "postgresql://me:hush-hush@h/d")
    console.print(table)
    console.print(HOSTILE, "http://me:hush-hush@h")
    shown = out.getvalue()
    shown.encode()
    assert shown.count("[red]x[/red] [link=http://evil]y[/link]") >= 2
    assert ":smile:" in shown
    assert not set(shown) & {"\x1b", "\0", "\u202e"}
    assert "hush-hush" not in shown.splitlines()[-1]


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_progress_on_a_console_of_the_callers_own(encoding: str) -> None:
    raw = io.BytesIO()
    console = Console(file=io.TextIOWrapper(raw, encoding=encoding, write_through=True), width=200)
    progress = Progress(console, Objective(metric="val_loss", direction="minimize"), 3, None)
    record = TrialRecord(0, "running", {"näme": HOSTILE}, 0, 0, note=HOSTILE)
    progress.trial_started(record)
    progress.trial_ended(TrialRecord(0, "failed", {"näme": HOSTILE}, 0, 0, failure=Failure("error", HOSTILE)), None)
    progress.warn(HOSTILE)
    shown = raw.getvalue().decode(encoding)
    assert shown.count("[red]x[/red]") >= 3
    assert "\x1b" not in shown


def test_the_best_value_of_zero_is_shown() -> None:
    out = io.StringIO()
    progress = Progress(Console(file=out, width=200), Objective(metric="val_loss", direction="minimize"), 3, None)
    record = TrialRecord(0, "complete", {}, 0, 0, value=0.0, curves={"val_loss": [0.0]}, best_epoch=1)
    progress.trial_started(record)
    progress.trial_ended(record, record)
    progress.trial_started(TrialRecord(1, "running", {}, 0, 1))
    Console(file=out, width=200).print(progress._render())
    assert "best 0.0000 (trial 0)" in out.getvalue()


def test_markdown_and_html_in_texts_are_text() -> None:
    hostile = "a|b <img s=x> [x](javascript:1) https://e.com www.e.com *x* _y_ ~~z~~ # h\n- i `c` &lt;"
    assert markdown(hostile) == (
        r"a\|b \<img s=x\> \[x\](javascript:1) https\://e.com www\.e.com \*x\* \_y\_ \~\~z\~\~ \# h - i \`c\` &amp;lt;"
    )
    assert markdown("val_accuracy 0.93") == "val_accuracy 0.93"
    assert code("a`b|c\nd") == "`a'b¦c d`"


def test_no_cell_of_a_csv_file_is_a_formula(tmp_path, capsys) -> None:
    import pandas as pd

    frame = pd.DataFrame({"=1+1": ["=cmd|' /C calc'!A0", "-1.5", "\x1b[31m", None], "n": [-1, 2, 3, 4]})
    write_csv(frame, tmp_path / "x.csv")
    text = (tmp_path / "x.csv").read_text()
    write_csv(frame, None)
    assert capsys.readouterr().out == text
    assert text.splitlines() == ["'=1+1,n", "'=cmd|' /C calc'!A0,-1", "-1.5,2", "\\x1b[31m,3", ",4"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_terminal_that_lacks_a_character_is_given_its_number(monkeypatch) -> None:
    from hpo.text.console import console, escape_unprintable

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", errors="strict", write_through=True))
    escape_unprintable()
    console().print("naïve \udc80 \x1b")
    assert raw.getvalue() == b"na\\xefve \\udc80 \\x1b\n"
