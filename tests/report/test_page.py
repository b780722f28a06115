"""The page of every kind of study, without a browser."""

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

from hpo.errors import NotFound, UserError
from hpo.report.page import report
from hpo.report.report import chosen_format

STUDIES = ("few", "many", "losses", "none", "one", "three", "failed", "single", "wild", "confirmed")


class Page(HTMLParser):
    """A page's text, and its figures' JSON."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.figures: list[dict] = []
        self.hovers: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._within: tuple[str, dict[str, str | None]] = ("", {})
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self._within = (tag, dict(attributes))
        self.tags.append(self._within)

    def handle_endtag(self, tag):
        self._within = ("", {})

    def handle_data(self, data):
        tag, attributes = self._within
        if tag == "script" and attributes.get("type") == "application/json":
            content = json.loads(data, parse_constant=pytest.fail)
            self.hovers.update(content) if "id" in attributes else self.figures.append(content)
        elif tag not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@cache
def html(store: str, *names: str) -> str:
    """A page without the five megabytes of plotly."""
    return report(names, None, log=False, storage=store).text.replace(get_plotlyjs(), "")


@cache
def page(store: str, *names: str) -> Page:
    return Page(html(store, *names))


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_makes_a_page_whose_figures_are_sound(store, name):
    made = page(store, name)
    assert name in made.text
    plots = [attributes for tag, attributes in made.tags if attributes.get("class") == "plot"]
    assert len(plots) == len(made.figures)
    assert all(len(plot["aria-label"]) > 20 for plot in plots)
    for figure in made.figures:
        assert figure["data"]
        assert "template" not in figure["layout"]
        for trace in figure["data"]:
            assert {str(number) for number in trace.get("customdata", ()) if number is not None} <= set(made.hovers)


def test_the_answer_comes_first_and_says_what_one_run_is_worth(store):
    text = page(store, "few").text
    answer = text.index("Use trial ")
    assert answer < text.index("The search") < text.index("Learning curves") < text.index("Where the time went")
    assert re.search(r"It is the highest of \d+ single runs, and such a score overstates", text)
    assert "hpo confirm few --top 5 --seeds 5" in text
    assert "lowest of" in page(store, "losses").text


def test_a_confirmed_study_names_the_winner_its_interval_the_ties_and_the_noise(store):
    text = page(store, "confirmed").text
    assert "Use trial 3." in text
    assert "0.9552 on average, 95% interval 0.9502 to 0.9602" in text
    assert "Trial 5 has the best mean, 0.9561; trial 3 cannot be told apart from it (p = 0.4) and is cheaper" in text
    assert "varies by 0.0042" in text
    assert "On the test part, looked at after the choice: accuracy 0.9510 (0.9460 to 0.9560 at 95%)" in text
    assert "overstates" not in text
    assert "hpo confirm" not in text


def test_studies_without_scores_say_so(store):
    assert "Nothing to use yet: no trial has started." in page(store, "none").text
    failed = page(store, "failed").text
    assert "Nothing to use: both trials failed: <img src=x onerror='window.hacked = true'> & <b>more</b>." in failed
    assert re.search(r"hpo show failed 1 --storage sqlite:\S+optuna.db shows all details of trial 1", failed)
    assert "Learning curves" not in failed
    assert "The test part" not in failed
    one = page(store, "one").text
    assert "Use trial 0." in one
    assert "The best model was not saved, or its file is gone." in one


def test_hostile_names_and_messages_stay_text(store):
    made = page(store, "wild")
    assert "<script>window.hacked" not in html(store, "wild")
    assert "<img src=x" not in html(store, "wild")
    assert "<img src=x onerror=" in made.text
    assert "&lt;script&gt;window" in json.dumps(made.figures)
    assert "<" not in json.dumps(made.figures)
    assert "<" not in re.sub(r"<br>|</?b>", "", json.dumps(made.hovers))
    assert any('word: "&lt;script&gt;window.hacked' in text for text in made.hovers.values())


def test_failures_are_counted_by_reason_with_a_message(store):
    text = page(store, "failed").text
    assert "error 2" in text
    assert "trial 1:" in text


def test_thinned_figures_say_what_they_leave_out(store):
    text = page(store, "many").text
    assert re.search(r"400 of \d{3} curves: the best 100 and 300 drawn at random", text)


def test_several_studies_are_compared_before_each_has_its_section(store):
    text = page(store, "few", "losses", "none").text
    assert text.index("3 studies compared") < text.index("What differs") < text.index("Use trial")
    assert "objective.metric" in text


def test_nothing_on_the_page_comes_from_elsewhere(store):
    made = page(store, "few")
    for tag, attributes in made.tags:
        for name in ("src", "href", "srcset", "action"):
            assert (attributes.get(name) or "#")[:1] in "#d", (tag, attributes)
    policy = next(a["content"] for tag, a in made.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")


def test_a_study_that_is_not_there_writes_nothing(store, tmp_path):
    with pytest.raises(NotFound, match=r"no study 'few2'.*did you mean few"):
        report(["few", "few2"], tmp_path / "r.html", storage=store)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_refused_before_the_work(store, tmp_path):
    told: list[str] = []
    with pytest.raises(UserError, match=r"there is no folder .*nowhere; create it first"):
        report(["few"], tmp_path / "nowhere" / "r.html", storage=store, tell=told.append)
    with pytest.raises(UserError, match=r"is a folder; name a file in it"):
        report(["few"], tmp_path, storage=store, tell=told.append)
    assert told == []


def test_the_format_follows_the_suffix():
    assert chosen_format(None, None) == "html"
    assert chosen_format(Path("a.md"), None) == "md"
    assert chosen_format(Path("-"), "md") == "md"
    with pytest.raises(UserError, match=r"a\.txt: a report must end in \.html or \.md"):
        chosen_format(Path("a.txt"), None)
    with pytest.raises(UserError, match=r"a\.html: a report must end in \.md"):
        chosen_format(Path("a.html"), "md")


def test_where_mlflow_has_no_such_run_the_page_is_written_and_a_note_says_so(store, tmp_path):
    done = report(["one"], tmp_path / "r.html", storage=store, home=tmp_path)
    assert done.logged.startswith("not logged to MLflow: there is no ")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    both = report(["none", "one"], None, storage=store, home=tmp_path)
    assert both.logged == "not logged to MLflow: a page of several studies belongs to none of their runs"
