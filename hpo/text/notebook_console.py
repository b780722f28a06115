"""A console that keeps one area of a notebook, which it writes anew: what runs now, and the last lines."""

import html
import io
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, final

from rich.console import Console, RenderableType

from hpo.text.console import SafeConsole

_LINES = 12
"""How many lines stay; those before them can be read in the study."""
# Rich would display each line of a notebook by itself.
_PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "force_jupyter": False}
_SECONDS = 0.5
"""The time between two refreshes of the area."""

_STYLE = "font-size: 0.85em; line-height: 1.3; margin: 0; white-space: pre"


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None


@final
class NotebookConsole(SafeConsole):
    """A console whose output is one area below the cell that is being run, however much is printed."""

    def __init__(self, width: int = 110) -> None:
        super().__init__(file=io.StringIO(), width=width, no_color=True, **_PLAIN)
        self._kept: deque[str] = deque(maxlen=_LINES)
        self._hidden = 0
        self._handle: Any = None
        self._live: Callable[[], RenderableType] | None = None
        self._lock_of_area = threading.Lock()
        self._refreshed = 0.0

    def print(self, *objects: Any, **options: Any) -> None:
        """Adds to the lines of the area."""
        text = self._text(*objects, **options)
        with self._lock_of_area:
            for line in text.splitlines():
                self._hidden += len(self._kept) == _LINES
                self._kept.append(line)
        if time.monotonic() - self._refreshed > _SECONDS:
            self.refresh()

    def _text(self, *objects: Any, **options: Any) -> str:
        with self._lock_of_area:
            plain = SafeConsole(file=io.StringIO(), width=self.width, color_system=None, **_PLAIN)
            with plain.capture() as captured:
                plain.print(*objects, **options)
        return captured.get()

    @contextmanager
    def live(self, render: Callable[[], RenderableType]) -> Iterator[None]:
        """Shows below the lines what `render` returns, several times a second, until the block ends."""
        self._live, ended = render, threading.Event()

        def keep_fresh() -> None:
            while not ended.wait(_SECONDS):
                self.refresh()

        thread = threading.Thread(target=keep_fresh, name="hpo-notebook", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._live = None
            ended.set()
            thread.join(timeout=2)
            self.refresh()

    def refresh(self) -> None:
        """Writes the area anew."""
        from IPython import display

        self._refreshed = time.monotonic()
        live = self._live
        now = self._text(live()).rstrip() if live is not None else ""
        with self._lock_of_area:
            earlier = [f"({self._hidden} earlier lines)"] if self._hidden else []
            text = "\n".join([*earlier, *self._kept, *([now] if now else [])])
            page = f'<pre style="{_STYLE}">{html.escape(text)}</pre>'
            content = {"text/plain": text, "text/html": page}
            if self._handle is None:
                self._handle = display.display(content, raw=True, display_id=True)
            else:
                self._handle.update(content, raw=True)


def console_here() -> Console:
    """The console for progress in Python: an area in a notebook, elsewhere that of the commands."""
    from hpo.text.console import console

    if not in_notebook():
        return console()
    # Of a library that MLflow imports, about progress bars that are not shown.
    warnings.filterwarnings("ignore", message="IProgress not found")
    return NotebookConsole()
