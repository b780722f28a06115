"""The documentation as a site: it is built without a warning, loads nothing from elsewhere, and is searched."""

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from tiny import ROOT

from hpo.cli.commands import app
from hpo.project.keys import walk

pytest.importorskip("mkdocs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as CI does: a warning, such as a link to nowhere, is an error."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site on a server of this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_every_key_has_its_place_in_the_reference(site: Path) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in site.glob("reference/**/*.html"))
    anchors = set(re.findall(r'id="([^"]+)"', pages))
    options = re.findall(r"<td><code>(\w+)</code></td>", pages)
    lacking = [
        key.path
        for key in walk(options=True)
        if key.path.replace(".", "-").lower() not in anchors
        and not (key.path.count(".") == 3 and key.path.rpartition(".")[2] in options)
        and key.path not in ("study.schedule.name", "study.sampler.name", "study.pruner.name")
    ]
    assert lacking == []
    for text in ("Step size of the optimizer", "whole number of at least 1", "training: {epochs: 50}"):
        assert text in re.sub(r"<[^>]+>", "", pages)


def test_every_command_has_its_place_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "commands" / "index.html").read_text(encoding="utf-8")
    names = [command.name for command in app.registered_commands]
    assert len(names) > 15
    assert [name for name in names if f'id="{name}"' not in page] == []
    assert "--splits" in page


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loads = re.compile(r'<(?:script|img|iframe|source)[^>]*\ssrc="?(?:https?:)?//|<link[^>]*\shref="?(?:https?:)?//')
    found = [(path.name, hit) for path in site.rglob("*.html") for hit in loads.findall(path.read_text("utf-8"))]
    styles = [
        path.name for path in site.rglob("*.css") if re.search(r"url\(['\"]?(https?:)?//|@import", path.read_text())
    ]
    assert found + styles == []


def test_the_site_opens_and_is_searched_without_a_network(address: str, site: Path, browser: Browser) -> None:
    pages = sorted(str(path.parent.relative_to(site)) for path in site.rglob("index.html"))
    assert len(pages) > 15
    for page in pages:
        browser.open(f"{address}{page}/".replace("/./", "/"))
        browser.until("return document.readyState == 'complete' && document.querySelector('h1')")
        # No part of a page is wider than the window, on a screen and on a telephone.
        for width in (1280, 400):
            browser.size(width)
            browser.until(f"return document.documentElement.scrollWidth <= {width}")
        assert [one for one in browser.requests() if not one.startswith(address)] == [], page
        assert browser.complaints() == [], page
    browser.size(1280)
    browser.open(f"{address}tutorials/first_study/")
    drawn = "const figure = document.querySelector('.figure'); figure.scrollIntoView(); "
    browser.until(drawn + "return figure.querySelectorAll('.plot-container .point').length > 10")
    browser.open(address)
    field = browser.driver.find_element("css selector", ".md-search__input")
    field.click()
    field.send_keys("early stopping patience")
    found = "return [...document.querySelectorAll('.md-search-result__link')].map(link => link.href)"
    links = browser.until(f"const links = (() => {{ {found} }})(); return links.length ? links : null")
    assert any("reference/training" in link for link in links)
    assert [one for one in browser.requests() if not one.startswith(address)] == []
    assert browser.complaints() == []
