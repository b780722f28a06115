"""A real Chromium without a network: what a page requested, its errors, how it looks."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # Only this machine can be reached.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)


@dataclass(frozen=True)
class Browser:
    """Chromium and what it noted; `driver` is selenium's, for all that is not here."""

    driver: "Chrome"

    def open(self, address: str | Path) -> None:
        """Opens a file or an address, whole, and forgets what was noted before."""
        self.requests()
        self.complaints()
        url = address.absolute().as_uri() if isinstance(address, Path) else address
        self.run("window.left = true")
        self.driver.get(url)
        # On a busy machine `get` may return while the page before is still there, or this one is read.
        arrived = f"(!window.left || location.href === {json.dumps(url)})"
        self.until(f"return document.readyState === 'complete' && {arrived}")

    def requests(self) -> list[str]:
        """The addresses that pages asked for since the last call; data and blob addresses are no requests.

        Nor are those of Chromium's own first page, which a slow machine still loads when a test opens another.
        """
        messages = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
        own = ("chrome://", "chrome-untrusted://")
        asked = [one["request"]["url"] for one in sent if not one["documentURL"].startswith(own)]
        return [url for url in asked if not url.startswith(("data:", "blob:"))]

    def complaints(self) -> list[str]:
        """The errors in the console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def size(self, width: int, height: int = 900) -> None:
        """The page's width and height in CSS pixels; below 500 a telephone's."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def dark(self, on: bool) -> None:
        """Whether the system prefers dark pages."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if on else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's `return`."""
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, seconds: float = 120) -> Any:
        """Waits until a script returns something true, and returns that; fails with the script where it does not."""
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(
            lambda driver: driver.execute_script(script), f"never true within {seconds} s: {script}"
        )

    def screenshot(self, path: Path, whole: bool = True) -> Path:
        """Saves a picture of the page, whole or of what the window shows."""
        import base64

        picture = {"captureBeyondViewport": whole, "format": "png"}
        if whole:
            height = self.run("return document.documentElement.scrollHeight")
            width = self.run("return document.documentElement.clientWidth")
            picture["clip"] = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        path.write_bytes(base64.b64decode(self.driver.execute_cdp_cmd("Page.captureScreenshot", picture)["data"]))
        return path


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Starts Chromium with a profile folder of its own; 1280 by 900 pixels, light."""
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = str(_chromium())
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = Chrome(options, ChromeService(shutil.which("chromedriver")))
    try:
        browser = Browser(driver)
        browser.size(1280)
        browser.dark(False)
        yield browser
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium for the tests of a module; skips them where there is none."""
    pytest.importorskip("selenium")
    if _chromium() is None or shutil.which("chromedriver") is None:
        pytest.skip("no Chromium: apt-get install chromium chromium-driver")
    with open_browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")
