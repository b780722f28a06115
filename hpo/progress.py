"""Live progress: a line for each finished trial, and on a terminal what runs, the best, and the time left."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpo.experiment import Objective
from hpo.record import FOLD, TrialRecord, ranked
from hpo.safe_console import printable

_COLOURS = {"complete": "green", "pruned": "yellow", "failed": "red"}


class Progress:
    """Shows a run. On a terminal: live; elsewhere plain lines without any control sequence."""

    def __init__(
        self, console: Console | None, objective: Objective, trials: int | None, timeout: float | None
    ) -> None:
        self._console = console = console or Console(quiet=True)
        self._objective = objective
        self._trials = trials
        self._timeout = timeout
        self._began = time.monotonic()
        self._done_before = 0
        self._done: set[int] = set()
        self._running: dict[int, tuple[TrialRecord, int, float | None]] = {}
        self._noted: set[str] = set()
        self._best: TrialRecord | None = None
        self._live = Live(console=console, get_renderable=self._render, transient=True, refresh_per_second=4)

    @contextmanager
    def shown(self, trials: Sequence[TrialRecord]) -> Iterator[None]:
        """The time in which progress is shown; `trials` are those of earlier runs."""
        self._done = {trial.origin for trial in trials if trial.failure not in ("lost", "interrupted")}
        self._done_before = len(self._done)
        self._best = next(iter(ranked(trials, self._objective)), None)
        if not self._console.is_terminal:
            yield
            return
        with self._live:
            yield

    def warn(self, message: str) -> None:
        """Shows a warning above the rest."""
        self._console.print(Text(self._fit(f"warning: {message}"), style="yellow"), soft_wrap=True)

    @contextmanager
    def logging(self) -> Iterator[Callable[[int], None]]:
        """The time in which a run that is done waits for its logging: how many runs are left; in a pipe one line."""
        status = self._console.status("")
        said = False

        def left(runs: int) -> None:
            nonlocal said
            message = f"logging {runs} run{'s' if runs > 1 else ''}"
            if self._console.is_terminal:
                status.update(message)
                status.start()
            elif not said:
                self._console.print(message)
            said = True

        try:
            yield left
        finally:
            status.stop()

    def note(self, message: str) -> None:
        """Shows what somebody should know, and need not mend."""
        self._console.print(Text(f"note: {message}"), soft_wrap=True)

    def trial_started(self, record: TrialRecord) -> None:
        """A trial's training begins."""
        if record.note is not None and record.note not in self._noted:
            self._noted.add(record.note)
            self._console.print(Text(self._fit(f"note: {record.note}")), soft_wrap=True)
        self._running[record.number] = (record, 0, None)

    def epoch_done(self, record: TrialRecord, epoch: int, metrics: Mapping[str, float]) -> None:
        """A trial finished an epoch."""
        self._running[record.number] = (record, epoch, metrics[self._objective.metric])

    def trial_ended(self, record: TrialRecord, best: TrialRecord | None) -> None:
        """Prints the trial's line."""
        self._running.pop(record.number, None)
        self._done.add(record.origin)
        is_best = best is not None and best.number == record.number and record.confirms is None
        self._best = best
        total = f"/{self._trials}" if self._trials else ""
        line = Text.assemble(
            f"[{len(self._done)}{total}] {record.label:<9} ",
            (f"{record.state:<8}", _COLOURS.get(record.state, "")),
            self._fit(f" {self._score(record)}  {_short(record.params)}"),
            ("  best so far", "bold green") if is_best else "",
        )
        self._console.print(line, soft_wrap=True)
        for remark in record.remarks:
            if remark not in self._noted:
                self._noted.add(remark)
                self._console.print(Text(f"note: {record.label}, {remark}"), soft_wrap=True)

    def _fit(self, text: str) -> str:
        """A text as text: with nothing in it that the console would obey, or cannot print."""
        return printable(text, self._console.encoding)

    def trial_silent(self, record: TrialRecord, seconds: float, limit: float | None) -> None:
        """Names a trial that has said nothing for long."""
        ends = f"trial_timeout ends it after {limit:g} s" if limit is not None else "study.trial_timeout would end it"
        self.warn(f"{record.label} silent for {seconds / 60:.0f} min; should it hang, {ends}")

    def _score(self, record: TrialRecord) -> str:
        if record.state == "failed":
            first = (record.error or "").splitlines()[0] if record.error else ""
            return f"{record.failure}: {first}"
        if record.value is None:
            fold = record.curves.get(FOLD)
            return f"no score, stopped at fold {fold[-1]:.0f}" if fold else "no epoch finished"
        seconds = f", {record.seconds:.1f} s" if record.seconds is not None else ""
        return f"{self._objective.metric} {record.value:.4f} {record.reached(self._objective.metric)}{seconds}"

    def _render(self) -> Group:
        elapsed = time.monotonic() - self._began
        done = len(self._done)
        bar = Table.grid(padding=(0, 1))
        share = self._share(done, elapsed)
        best = (
            f"best {self._best.value:.4f} ({self._best.label})" if self._best and self._best.value is not None else "-"
        )
        bar.add_row(
            ProgressBar(total=1.0, completed=share or 0.0, pulse=share is None, width=24),
            f"{done}{f'/{self._trials}' if self._trials else ''} trials, {len(self._running)} running, {best},",
            f"{_clock(elapsed)} gone, {self._left(done, elapsed)}",
        )
        rows: list[Any] = [bar]
        for record, epoch, value in list(self._running.values()):
            score = f"{self._objective.metric} {value:.4f}" if value is not None else "training"
            line = f"  {record.label:<9}  epoch {epoch:>3}  {score}  {_short(record.params)}"
            rows.append(Text(self._fit(line[:200])))
        return Group(*rows)

    def _share(self, done: int, elapsed: float) -> float | None:
        shares = [elapsed / self._timeout] if self._timeout else []
        shares += [done / self._trials] if self._trials else []
        return min(1.0, max(shares)) if shares else None

    def _left(self, done: int, elapsed: float) -> str:
        estimates = [self._timeout - elapsed] if self._timeout else []
        fresh = done - self._done_before
        if self._trials and fresh:
            estimates.append((self._trials - done) * elapsed / fresh)
        return f"about {_clock(max(0.0, min(estimates)))} left" if estimates else "time left unknown"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _short(params: Mapping[str, Any]) -> str:
    values = (f"{value:.3g}" if isinstance(value, float) else str(value) for value in params.values())
    return " ".join(f"{name}={value}" for name, value in zip(params, values, strict=True))
