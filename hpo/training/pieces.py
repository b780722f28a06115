"""Many steps of a graph, run in pieces, so that Python can look between them whether to stop."""

import time
from collections.abc import Callable
from typing import final

import tensorflow as tf

PIECE_SECONDS = 0.2
"""How long the graph runs between two looks at whether to stop, about."""


@final
class Pieces:
    """Knows how long steps of each kind take."""

    def __init__(self) -> None:
        self._pace: dict[str, float] = {}

    def forget(self) -> None:
        """The steps to come take another time."""
        self._pace.clear()

    def run(
        self, kind: str, steps: int, run: Callable[[tf.Tensor, tf.Tensor], None], between: Callable[[], None]
    ) -> None:
        """Calls `run` with the first step and the one after the last, int64, of pieces of about PIECE_SECONDS.

        The first call traces the graph and tells little of the time.
        """
        done = 0
        while done < steps:
            seconds = self._pace.get(kind)
            count = max(1, int(PIECE_SECONDS / seconds)) if seconds else 1
            end = min(steps, done + count)
            began = time.perf_counter()
            run(tf.constant(done, tf.int64), tf.constant(end, tf.int64))
            took = (time.perf_counter() - began) / (end - done)
            # The first step of all traces; the one after it is timed alone.
            self._pace[kind] = 0.0 if seconds is None else took
            done = end
            if done < steps:
                between()
