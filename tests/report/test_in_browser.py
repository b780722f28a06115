"""The page in a real Chromium that has no network."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from browser import Browser

from hpo.report.page import report

DRAWN = "return [...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))"


@pytest.fixture(scope="module")
def pages(store, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name in ("many", "wild", "confirmed", "three", "failed"):
        report([name], folder / f"{name}.html", log=False, storage=store)
    report(["few", "losses"], folder / "two.html", log=False, storage=store)
    return {path.stem: path for path in folder.iterdir()}


def open_drawn(browser: Browser, page: Path) -> None:
    """Opens a page and has it draw all figures, as before printing."""
    browser.open(page)
    browser.run("dispatchEvent(new Event('beforeprint'))")
    browser.until(DRAWN)


@pytest.fixture(autouse=True)
def _desk(browser: Browser) -> None:
    browser.size(1280)
    browser.dark(False)


@pytest.mark.parametrize("name", ["many", "wild", "two"])
def test_the_page_asks_for_nothing_complains_of_nothing_and_fits_a_telephone(browser, pages, name):
    open_drawn(browser, pages[name])
    assert browser.run("return document.querySelectorAll('.plot').length") >= 6
    browser.size(390, 844)
    browser.until("return document.querySelector('.plot .main-svg').clientWidth < 390")
    assert browser.run("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]
    # What is wider scrolls within itself.
    wide = "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length"
    assert browser.run(wide) > 0
    assert browser.requests() == [pages[name].as_uri()]
    assert browser.complaints() == []
    assert browser.run("return window.hacked === undefined")


def test_figures_are_drawn_as_the_reader_comes_to_them(browser, pages):
    browser.open(pages["many"])
    browser.until("return document.querySelector('.plot .main-svg')")
    last = "[...document.querySelectorAll('.plot')].at(-1)"
    assert not browser.run(f"return {last}.querySelector('.main-svg')")
    browser.run(f"{last}.scrollIntoView()")
    browser.until(f"return {last}.querySelector('.main-svg')")


def test_figures_follow_the_page_from_light_to_dark(browser, pages):
    open_drawn(browser, pages["confirmed"])
    ink = "return getComputedStyle(document.querySelector('.plot .xtick text')).fill"
    paper = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(ink), browser.run(paper)
    browser.dark(True)
    browser.until(f"return (() => {{ {ink} }})() !== '{light[0]}'")
    dark = browser.run(ink), browser.run(paper)
    assert brightness(light[0]) < 80
    assert brightness(dark[0]) > 200
    assert brightness(light[1]) > 200
    assert brightness(dark[1]) < 40
    assert browser.complaints() == []


def test_axes_end_where_values_end_and_one_point_is_seen(browser, pages):
    open_drawn(browser, pages["three"])
    history, time, curves, *_ = browser.run(
        "return [...document.querySelectorAll('.plot')].map(plot => ({"
        "  range: plot._fullLayout.yaxis.range,"
        "  ticks: [...plot.querySelectorAll('.xtick text')].map(text => text.textContent),"
        "  names: plot._fullData.map(trace => trace.name),"
        "  points: [...plot.querySelectorAll('.point')].map(point => point.getBoundingClientRect().width)}))"
    )
    assert history["ticks"] == ["0", "1", "2"]
    assert curves["ticks"] == ["1", "2"]
    for plot in (history, time, curves):
        assert "best single run: trial 0" in plot["names"]
        assert 0 <= plot["range"][0] < plot["range"][1] <= 1
    # The curve of one epoch, which is the choice's, and the four points of the others.
    assert len(curves["points"]) == 5
    assert max(curves["points"]) > 8
    # Nor does a double click, which draws an axis around its values, go past 1.
    browser.run("Plotly.relayout(document.querySelector('.plot'), {'yaxis.autorange': true})")
    assert browser.run("return document.querySelector('.plot')._fullLayout.yaxis.range")[1] <= 1


def test_figures_say_the_whole_configuration_of_the_trial_under_the_pointer(browser, pages):
    open_drawn(browser, pages["three"])
    said = "return [...document.querySelectorAll('.plot')].map(plot => plot.data.at(-1).hovertext)"
    for number, lines in enumerate(browser.run(said)[:4]):
        kind = "curves" if number == 2 else ""
        words = r"<b>trial 0</b> complete, best single run<br>val_accuracy 1\.0000 at epoch 1 of 1<br>depth: \d<br>"
        words += r"learning_rate: [\d.e-]+<br>widths: \[8(, 4)?\]<br>optimizer: (adam|sgd)"
        assert re.match(words, lines[0]), lines[0]
        assert lines[0].endswith("epoch 1: 1.0000") == bool(kind)


def test_a_table_sorts_by_mouse_and_keyboard_numbers_as_numbers(browser, pages):
    from selenium.webdriver import Keys

    browser.open(pages["confirmed"])
    cells = (
        "const table = [...document.querySelectorAll('table.sorts')].at(-1);"
        "const at = [...table.tHead.rows[0].cells].findIndex(cell => cell.textContent === arguments[0]);"
        "return [...table.tBodies[0].rows].map(row => row.cells[at].textContent)"
    )
    button = "//table[contains(@class, 'sorts')]//th/button[text()='{}']"

    def press(column: str, key: str | None = None) -> list[str]:
        found = browser.driver.find_elements("xpath", button.format(column))[-1]
        found.send_keys(key) if key else browser.run("arguments[0].click()", found)
        return browser.run(cells, column)

    sizes = press("model parameters")
    assert sizes == sorted(sizes, key=lambda text: int(text.replace(",", ""))) != sorted(sizes)
    assert press("model parameters", Keys.ENTER) == sizes[::-1]
    # Those that have no such parameter come last either way.
    for key in (Keys.SPACE, Keys.SPACE):
        column = press("momentum", key)
        missing = [text == "-" for text in column]
        assert missing == sorted(missing)
        assert 0 < sum(missing) < len(missing)
    words = press("activation")
    assert words == sorted(words)
    heading = (
        "return [...document.querySelectorAll('[aria-sort]')].map(h => [h.textContent, h.getAttribute('aria-sort')])"
    )
    assert browser.run(heading) == [["activation", "ascending"]]


def test_commands_are_copied(browser, pages):
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    browser.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)
    browser.open(pages["three"])
    button = browser.driver.find_element("css selector", "code.command + button")
    assert button.text == "Copy"
    button.click()
    browser.until("return document.querySelector('code.command + button').textContent === 'Copied'")
    copied = browser.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == browser.run("return document.querySelector('code.command').textContent")
    assert copied.startswith("hpo confirm three --top 3 --seeds 5 --storage sqlite:///")


def test_a_study_whose_trials_all_failed_says_so_first(browser, pages):
    open_drawn(browser, pages["failed"])
    headline = browser.run("return document.querySelector('.headline').textContent")
    assert headline.startswith("Nothing to use: both trials failed: <img src=x onerror=")
    assert browser.run("return document.querySelector('code.command').textContent").startswith("hpo show failed 1")
    assert browser.complaints() == []
    assert browser.run("return window.hacked === undefined")


def brightness(color: str) -> float:
    """From 0 to 255, of a CSS color rgb(...)."""
    return sum(float(part) for part in color.partition("(")[2].rstrip(")").split(",")[:3]) / 3


def test_text_stands_out_and_headings_are_in_order(browser, pages):
    for dark in (False, True):
        browser.dark(dark)
        browser.open(pages["confirmed"])
        assert browser.run(LEAST_CONTRAST) >= 4.5
    levels = browser.run("return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


LEAST_CONTRAST = """
const parse = color => color.match(/[\\d.]+/g).map(Number);
const light = rgb => rgb.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const ground = e => {
  const color = parse(getComputedStyle(e).backgroundColor);
  return color[3] === 0 ? ground(e.parentElement) : color;
};
return Math.min(...[...document.querySelectorAll('p, dt, dd, td, th, li, code, summary, small, h1, h2, h3')].map(e => {
  const [a, b] = [light(parse(getComputedStyle(e).color)), light(ground(e))].sort((x, y) => y - x);
  return (a + .05) / (b + .05);
}));
"""
"""The least contrast of any text, by WCAG 2's formula."""
