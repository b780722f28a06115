"""The report as Markdown."""

import re

import pytest

from hpo.report.page import report


def text(store: str, *names: str) -> str:
    return report(names, None, form="md", storage=store).text


def test_the_answer_and_a_table_of_the_top_trials(store):
    made = text(store, "few")
    assert made.startswith("## few\n\n**Use trial ")
    assert "hpo confirm few" in made
    table = [line for line in made.splitlines() if line.startswith("|")]
    assert len(table) == 7
    assert len({line.count("|") for line in table}) == 1
    assert "](" not in made
    assert len(made) < 3000


def test_hostile_values_are_no_markup(store):
    prose = re.sub("`[^`]*`", "", text(store, "wild"))
    assert "\\<script\\>" in prose
    assert not re.search(r"(?<!\\)[<`]", prose)


@pytest.mark.parametrize(
    ("name", "words"), [("none", " yet: no trial has started"), ("failed", ": both trials failed")]
)
def test_a_study_without_scores_says_so(store, name, words):
    assert f"**Nothing to use{words}" in text(store, name)


def test_several_studies_follow_each_other(store):
    made = text(store, "few", "confirmed")
    assert made.index("## few") < made.index("## confirmed")
    assert "Trained again over 5 seeds" in made
