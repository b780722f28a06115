"""Live progress: a line for each finished trial, and on a terminal what runs, the best, and the time left."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.status import Status
from rich.text import Text

from hpo.loop.silent_trials import silent_for
from hpo.study.failure import GIVEN_BACK
from hpo.study.record import TrialRecord, best_trial
from hpo.text.console import is_live, printable, width_of
from hpo.text.notebook_console import NotebookConsole
from hpo.text.tables import style_of
from hpo.text.values import duration, score, setting

if TYPE_CHECKING:
    from hpo.config.experiment import Objective
    from hpo.training.messages import EpochDone

_STARTING = "Starting workers..."


class Opening:
    """Shows at once that a command has begun, until there is more to show; a plain line if the console is not live."""

    def __init__(self, console: Console | None) -> None:
        self._console = console or Console(quiet=True)
        self._status: Status | None = None

    def __enter__(self) -> Self:
        if is_live(self._console):
            self._status = self._console.status(_STARTING, spinner=_spinner(self._console), refresh_per_second=4)
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def start_workers(self) -> None:
        """Shows that workers are being started: the files are valid, and there is something to run."""
        if self._status is None:
            self._console.print(_STARTING)

    def close(self) -> None:
        """Ends the display, since there is more to show now."""
        if self._status is not None:
            self._status.stop()


class Progress:
    """Shows a run. On a terminal: live; elsewhere plain lines without any control sequence."""

    def __init__(
        self, console: Console | None, objective: "Objective", trials: int | None, timeout: float | None
    ) -> None:
        self._console = console = console or Console(quiet=True)
        self._objective = objective
        self._trials = trials
        self._timeout = timeout
        self._began = time.monotonic()
        # When the first trial of this run began to train: the time before it does not predict how long others take.
        self._first: float | None = None
        self._done_before = 0
        self._done: set[int] = set()
        self._running: dict[int, tuple[TrialRecord, int, float | None]] = {}
        self._paused: set[int] = set()
        # The origins of those that this run paused, which will most likely not go on.
        self._tried: set[int] = set()
        self._noted: set[str] = set()
        self._best: TrialRecord | None = None
        self._live = Live(console=console, get_renderable=self._render, transient=True, refresh_per_second=4)

    @contextmanager
    def shown(self, trials: Sequence[TrialRecord]) -> Iterator[None]:
        """The time in which progress is shown; `trials` are those of earlier runs."""
        self._paused = {trial.number for trial in trials if trial.state == "running"}
        done = [trial for trial in trials if trial.state != "running" and trial.reason not in GIVEN_BACK]
        self._done = {trial.origin for trial in done}
        self._done_before = len(self._done)
        self._best = best_trial(trials, self._objective)
        if isinstance(self._console, NotebookConsole):
            with self._console.live(self._render):
                yield
        elif is_live(self._console):
            with self._live:
                yield
        else:
            yield

    def warn(self, message: str) -> None:
        """Shows a warning above the rest."""
        self._console.print(Text(self._fit(f"warning: {message}"), style="yellow"), soft_wrap=True)

    @contextmanager
    def logging(self) -> Iterator[Callable[[int], None]]:
        """Shows the number of runs left while a finished run waits for its logging; a single line in a pipe."""
        status = self._console.status("")
        printed = False

        def left(runs: int) -> None:
            nonlocal printed
            message = f"logging {runs} run{'s' if runs > 1 else ''}"
            if is_live(self._console):
                status.update(message)
                status.start()
            elif not printed:
                self._console.print(message)
            printed = True

        try:
            yield left
        finally:
            status.stop()

    def note(self, message: str) -> None:
        """Shows what somebody should know, and need not mend."""
        self._console.print(Text(f"note: {message}"), soft_wrap=True)

    def trial_started(self, record: TrialRecord) -> None:
        """A trial's training begins, or goes on."""
        self._paused.discard(record.number)
        if record.note is not None and record.note not in self._noted:
            self._noted.add(record.note)
            self._console.print(Text(self._fit(f"note: {record.note}")), soft_wrap=True)
        self._first = self._first or time.monotonic()
        self._running[record.number] = (record, 0, None)

    def epoch_done(self, record: TrialRecord, event: "EpochDone") -> None:
        """A trial finished an epoch."""
        self._running[record.number] = (record, event.epoch, event.metrics[self._objective.metric])

    def trial_paused(self, record: TrialRecord, note: str | None) -> None:
        """Prints how far the trial has come."""
        self._running.pop(record.number, None)
        self._paused.add(record.number)
        self._tried.add(record.origin)
        found = self._objective.score_of(record.curves, record.fold_lengths)
        value = f" {self._objective.metric} {score(found.value)}" if found is not None else ""
        line = Text.assemble(
            f"[{len(self._done)}{self._total}] {record.label:<9} ",
            ("paused  ", style_of("paused")),
            self._fit(f"{value} after epoch {record.epochs}"),
        )
        line.append(self._params(record, line.cell_len))
        self._console.print(line, soft_wrap=True)
        if note is not None:
            self.warn(f"{record.label} begins again if it goes on: {note}")

    @property
    def _total(self) -> str:
        return f"/{self._trials}" if self._trials else ""

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Prints the trial's line."""
        self._running.pop(record.number, None)
        self._paused.discard(record.number)
        self._done.add(record.origin)
        is_best = best is not None and best.number == record.number and record.confirms is None
        self._best = best
        line = Text.assemble(
            f"[{len(self._done)}{self._total}] {record.label:<9} ",
            (f"{record.state:<8}", style_of(record.state)),
            self._fit(f" {self._score(record)}"),
        )
        if is_best:
            mark, room = "  best so far", width_of(self._console)
            line.append(mark if room is None or line.cell_len + len(mark) <= room else "  best", style="bold green")
        line.append(self._params(record, line.cell_len))
        self._console.print(line, soft_wrap=True)
        for remark in record.remarks:
            if remark not in self._noted:
                self._noted.add(remark)
                self._console.print(Text(f"note: {record.label}, {remark}"), soft_wrap=True)

    def _fit(self, text: str) -> str:
        """A text without control sequences and without characters that the console cannot print."""
        return printable(text, self._console.encoding)

    def engine_noted(self, note: str) -> None:
        """Shows it above the rest."""
        self.note(self._fit(note))

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """Warns of a trial that has sent no event for a long time."""
        self.warn(silent_for(record.label, seconds, limit))

    def _score(self, record: TrialRecord) -> str:
        if record.state == "failed":
            return str(record.failure)
        if record.value is None:
            folds = len(record.fold_lengths)
            return f"no score, stopped at fold {folds}" if folds else "no epoch finished"
        seconds = f", {duration(record.seconds)}" if record.seconds is not None else ""
        return f"{self._objective.metric} {score(record.value)} {record.reached(self._objective.metric)}{seconds}"

    def _params(self, record: TrialRecord, taken: int) -> str:
        """The parameters that fit into the rest of a line, so that the window breaks no line and cuts no value."""
        room = width_of(self._console)
        items, text = [self._fit(f"  {name}={setting(value)}") for name, value in record.params.items()], ""
        for place, one in enumerate(items):
            dots = "  ..." if place < len(items) - 1 else ""
            if room is not None and taken + cell_len(text + one + dots) > room:
                return text + "  ..." if taken + cell_len(text) + 5 <= room else text
            text += one
        return text

    def _render(self) -> Group:
        now = time.monotonic()
        rows: list[Any] = [Spinner(_spinner(self._console), self._summary(now))]
        for record, epoch, value in list(self._running.values()):
            reached = f"{self._objective.metric} {score(value)}" if value is not None else "training"
            why = f"  {record.why}" if record.why else ""
            line = self._fit(f"  {record.label:<9}  epoch {epoch:>3}  {reached}{why}")
            rows.append(Text(line + self._params(record, cell_len(line)), no_wrap=True, overflow="crop"))
        return Group(*rows)

    def _summary(self, now: float) -> Text:
        """The state of the run in one line; parts are left out where there is no room for them."""
        if self._first is None:
            return Text(_STARTING)
        done, best = len(self._done), self._best
        parts = [
            f"{done}{self._total} trials",
            *([f"{len(self._paused)} paused"] if self._paused else []),
            *([f"best {score(best.value)} ({best.label})"] if best is not None and best.value is not None else []),
            *self._left(len(self._done | self._tried), now),
            f"{duration(round(now - self._began))} gone",
            f"{len(self._running)} running",
        ]
        room = (width_of(self._console) or len(_STARTING)) - 2
        while len(parts) > 1 and cell_len(", ".join(parts)) > room:
            parts.pop()
        return Text(", ".join(parts), no_wrap=True)

    def _left(self, done: int, now: float) -> list[str]:
        """How long the run will still take; empty until one of its trials has ended."""
        fresh = done - self._done_before
        if not fresh or self._first is None:
            return []
        estimates = [self._timeout - (now - self._began)] if self._timeout else []
        if self._trials:
            estimates.append((self._trials - done) * (now - self._first) / fresh)
        return [f"about {duration(round(max(0.0, min(estimates))))} left"] if estimates else []


def _spinner(console: Console) -> str:
    return "dots" if "utf" in console.encoding else "line"
