"""Tables at every width: no number and no heading is cut, and what is left out is named."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from studies import run

from hpo.cli.compare_output import print_comparison
from hpo.cli.list_output import print_studies
from hpo.cli.study_output import print_study
from hpo.cli.trial_output import trial_columns
from hpo.compare.compare import read_studies, table
from hpo.compare.study_list import StudyLine
from hpo.study.record import TrialRecord, ranked
from hpo.text.cleaning import visible
from hpo.text.console import SafeConsole
from hpo.text.tables import Column, by_variation, print_facts, print_table

SIXTEEN = [
    *("depth", "width", "activation", "normalization", "dropout", "l1", "l2", "batch_size"),
    *("optimizer", "learning_rate", "momentum", "nesterov", "beta_1", "beta_2", "clipnorm", "units"),
]


def screen(width: int = 80, terminal: bool = True) -> SafeConsole:
    return SafeConsole(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def text_of(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;]*m", "", out.file.getvalue())


def rendered(columns: Sequence[Column], width: int, **options: bool) -> tuple[list[str], list[str]]:
    """The lines of a table, and the names that it leaves out."""
    out = screen(width)
    left_out = print_table(out, columns, **options)  # type: ignore[arg-type]
    return text_of(out).splitlines(), left_out


def value(name: str, place: int) -> object:
    """A value of a parameter as searches have them."""
    return {
        "activation": ["leaky_relu", "tanh", "relu"][place % 3],
        "normalization": "batch",
        "nesterov": place % 2 == 0,
        "optimizer": ["adam", "sgd"][place % 2],
        "units": [[512, 256, 128, 64][: place + 1], [64]][place % 2],
        "depth": place + 1,
        "width": 1000 + 37 * place,
        "batch_size": 2 ** (5 + place),
    }.get(name, 1.2345e-05 * 7**place * len(name))


def trials(names: Sequence[str], count: int = 5) -> list[TrialRecord]:
    return [
        TrialRecord(
            number=100 + place, state="complete", params={name: value(name, place) for name in names}, seed=1,
            origin=100 + place, value=0.98765 - 0.01 * place, best_epoch=12, curves={"val_accuracy": [0.5] * 20},
            test={"accuracy": 0.9123 + 0.001 * place, "loss": 123.4567}, model_parameters=1_234_567,
        )
        for place in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("count", [6, 16])
def test_no_number_and_no_heading_is_cut(width: int, count: int) -> None:
    columns = trial_columns(trials(SIXTEEN[-count:]), "val_accuracy")
    lines, left_out = rendered(columns, width)
    assert all(cell_len(line) <= width for line in lines)
    assert not any("…" in line for line in lines)
    heading = lines[0].split()
    assert heading == [column.name for column in columns if column.name not in left_out]
    assert {"trial", "val_accuracy"} <= set(heading)
    body = "\n".join(lines[2 : len(lines) - sum("not shown" in line for line in lines)])
    for column in columns:
        if column.name in heading:
            words = [word for one in column.cells for word in one.split()]
            assert all(re.search(rf"(^|\s){re.escape(word)}($|\s)", body) for word in words), column.name
    said = " ".join(lines)
    assert all(re.search(rf"[ :]{re.escape(name)}[, ]", said) for name in left_out)


def test_at_80_columns_scores_the_test_score_and_what_varies_most_are_there() -> None:
    lines, _ = rendered(trial_columns(trials(SIXTEEN), "val_accuracy"), 80)
    assert {"val_accuracy", "test_accuracy", "width"} <= set(lines[0].split())
    assert "normalization" not in "\n".join(lines), "it never varies"


def test_wide_and_piped_tables_have_all_columns() -> None:
    columns = trial_columns(trials(SIXTEEN), "val_accuracy")
    lines, left_out = rendered(columns, 80, wide=True)
    assert left_out == []
    piped = screen(10_000, terminal=False)
    assert print_table(piped, columns) == []
    assert text_of(piped).splitlines() == lines
    assert len(lines[0]) > 200


cells = st.text(st.characters(codec="utf-8"), max_size=40)


@given(
    st.integers(20, 200), st.lists(st.tuples(st.booleans(), st.integers(0, 5), cells, cells), min_size=1, max_size=9)
)
def test_any_table_keeps_to_its_width(width: int, drawn: list[tuple[bool, int, str, str]]) -> None:
    columns = [
        Column(f"c{place}", [first, second], rank, text=text)
        for place, (text, rank, first, second) in enumerate(drawn)
        if text or max(cell_len(visible(first)), cell_len(visible(second))) < 8
    ] or [Column("c", ["1"])]
    lines, left_out = rendered(columns, width)
    assert all(cell_len(line) <= max(width, 24) or "not shown" in line or "(--wide" in line for line in lines)
    assert len(lines[0].split()) + len(left_out) == len(columns)


def test_a_number_wider_than_the_window_is_whole_all_the_same() -> None:
    lines, _ = rendered([Column("a_long_heading_of_a_number", ["1" * 50])], 20)
    assert lines[0].strip() == "a_long_heading_of_a_number"
    assert "1" * 50 in lines[2]


def test_texts_go_on_in_the_next_line_between_words() -> None:
    lines, _ = rendered([Column("n", ["7"]), Column("units", ["[512, 256, 128, 64, 32, 16, 8]"], text=True)], 28)
    assert [line.strip() for line in lines[2:]] == ["7  [512, 256, 128, 64, 32,", "16, 8]"]


def test_the_one_that_counts_is_bold_and_failures_are_red() -> None:
    out = SafeConsole(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    print_table(out, [Column("trial", ["3", "4"]), Column("state", ["complete", "nonfinite"], states=True)], bold=0)
    assert isinstance(out.file, io.StringIO)
    first, second = out.file.getvalue().splitlines()[-2:]
    assert first.startswith("\x1b[1m")
    assert "\x1b[31mnonfinite" in second


def test_facts_go_on_below_themselves() -> None:
    out = screen(40)
    print_facts(out, [("study", "s"), ("a longer name", "one two three four five six seven"), ("error", "a\nb")])
    assert text_of(out).splitlines() == [
        "study          s", "a longer name  one two three four five",
        "               six seven", "error          a", "               b",
    ]  # fmt: skip


def test_columns_that_vary_most_come_first() -> None:
    assert by_variation({"a": [1, 1, None], "b": [1, 2, 3], "c": ["x", "y", "x"]}) == ["b", "c", "a"]


def test_studies_in_60_columns() -> None:
    out = screen(60)
    print_studies(out, [StudyLine("a-study-of-mine", "val_accuracy", 0.97, 1234, {"complete": 3}, "digits", "mlp")] * 2)
    assert text_of(out).splitlines()[2] == "a-study-of-mine  val_accuracy  0.9700   1234  3 complete"


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_study_shown_and_compared(tmp_path: Path, width: int) -> None:
    url = f"sqlite:///{tmp_path}/optuna.db"
    run(url, lambda job: [0.1 * job.params["depth"], 0.25], trials=4)
    views = read_studies(["s"], storage=url)
    out = screen(width)
    print_study(out, views[0])
    print_comparison(out, views, table(views))
    lines = text_of(out).splitlines()
    assert all(cell_len(line) <= width for line in lines)
    assert "…" not in text_of(out)
    best = ranked(views[0].trials, views[0].objective)[0]
    assert f"Trial {best.number}: depth {best.params['depth']}," in text_of(out) or width == 200
    assert "the same in all: activation relu" in text_of(out)
