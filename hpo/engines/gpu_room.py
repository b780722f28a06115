"""How many trials a GPU has room for, by what they took of it. It is told to the user, who decides."""

import math
from collections.abc import Sequence

from hpo.engines.gpus import OVERHEAD, Share, part_of

_SPARE = 1.1
"""How much more a trial is counted with than it had in use: there are gaps between its tensors."""


class GpuRoom:
    """Hears what trials took of their GPU, and says which part of one suits them, if it is another."""

    def __init__(self, gpus: int, cores: int) -> None:
        """`cores`: how many workers have a core of their own."""
        self._most = cores // max(1, gpus)
        self._heard = False
        self._fewest: int | None = None
        self._notes: list[str] = []

    def hear(self, trial: int, taken: int, share: Share, alone: bool) -> None:
        """A trial had `taken` bytes in use at once.

        `share`: that of its worker. `alone`: that did not hold meanwhile, since the trial shared its GPU with none.
        """
        if share.card is None:
            return
        need = math.ceil(taken / 2**20 * _SPARE)
        room = max(1, share.card // (need + OVERHEAD))
        took = f"{_gib(taken / 2**20)} of its GPU's {_gib(share.card)}"
        if alone:
            if share.limit is not None and need > share.limit and (self._fewest is None or room < self._fewest):
                self._fewest = room
                self._notes.append(
                    f"trial {trial} took {took} as it trained alone, and a worker that shares the GPU has "
                    f"{_gib(share.limit)}: with engine.gpus_per_trial: {part_of(room):g} it had not run out of memory"
                )
        elif not self._heard:
            self._heard = True
            if (room := min(room, self._most)) >= 2 * share.holds:
                self._notes.append(
                    f"trial {trial} took {took}: with engine.gpus_per_trial: {part_of(room):g} a GPU has room for "
                    f"{room} such trials at a time"
                )

    def notes(self) -> Sequence[str]:
        """What there is to say since the last call."""
        found, self._notes = self._notes, []
        return found


def _gib(size: float) -> str:
    """MiB as people read them."""
    return f"{size / 1024:.1f} GiB"
