"""The page in a real Chromium that has no network."""

from itertools import pairwise
from pathlib import Path

import pytest
from browser import Browser

from hpo.report.page import report

DRAWN = "return [...document.querySelectorAll('.plot')].every(plot => plot.querySelector('.main-svg'))"


@pytest.fixture(scope="module")
def pages(store, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    for name in ("many", "wild", "confirmed"):
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
