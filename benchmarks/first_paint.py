"""How long a report takes, how large it is, and when a browser first shows it. `python -m benchmarks.first_paint`.

The browser is Chromium, which must be installed with its driver; without a graphics card and without a network.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from benchmarks import job
from benchmarks.processes import environment, python
from benchmarks.synthetic import synthetic_study

_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND")
_PAINTED = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def written(home: Path, trials: int) -> tuple[float, Path]:
    """Wall seconds of `hpo report` on a synthetic study, Python's start included, and the page."""
    synthetic_study(f"sqlite:///{home}/optuna.db", "synthetic", trials)
    page = home / "report.html"
    began = time.perf_counter()
    arguments = ("-m", "hpo", "report", "synthetic", "--home", str(home), "--no-log", "-o", str(page))
    subprocess.run(python(*arguments), cwd=job.ROOT, env=environment(), check=True, capture_output=True)
    return time.perf_counter() - began, page


def painted(driver: Chrome, page: Path) -> float:
    """Milliseconds from opening a page to its first text or picture."""
    driver.get("about:blank")
    driver.get(page.as_uri())
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        moment: Any = driver.execute_script(_PAINTED)
        if moment is not None:
            return float(moment)
        time.sleep(0.05)
    raise RuntimeError(f"{page} was not painted within 30 s")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_paint", description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1_000, 10_000], help="of the synthetic studies")
    parser.add_argument("--repeats", type=int, default=5, help="how often a page is opened; the median counts")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = ChromeOptions()
        settings.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        for flag in (*_FLAGS, f"--user-data-dir={folder}/profile"):
            settings.add_argument(flag)
        driver = Chrome(settings, ChromeService(shutil.which("chromedriver")))
        try:
            for trials in options.trials:
                home = Path(folder) / str(trials)
                home.mkdir()
                seconds, page = written(home, trials)
                moment = statistics.median(painted(driver, page) for _ in range(options.repeats))
                size = page.stat().st_size / 2**20
                print(f"{trials:,} trials: {seconds:.1f} s, {size:.1f} MiB, first paint {moment:.0f} ms", flush=True)
        finally:
            driver.quit()


if __name__ == "__main__":
    main()
