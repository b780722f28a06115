"""The GPUs of this machine, and the share of them that each worker gets."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import pynvml

from hpo.errors import UserError

OVERHEAD = 512
"""MiB that a process takes of a card beside what TensorFlow hands out: CUDA's context, cuDNN, cuBLAS."""


@dataclass(frozen=True)
class Gpu:
    """A card."""

    name: str
    """As CUDA_VISIBLE_DEVICES takes it: its UUID, or what the user put into that variable."""
    memory: int
    """MiB."""


@dataclass(frozen=True)
class Share:
    """What one worker may use."""

    visible: str | None = None
    """CUDA_VISIBLE_DEVICES of the worker: its cards, separated by commas; empty: none. None: as it is."""
    limit: int | None = None
    """MiB that TensorFlow may take of its card. None: the worker has it to itself, and takes what it comes to need."""
    card: int | None = None
    """MiB of its smallest card."""

    @property
    def holds(self) -> int:
        """How many workers with such a share a card has room for."""
        return 1 if self.limit is None or self.card is None else self.card // (self.limit + OVERHEAD)


def gpus_of_machine() -> list[Gpu]:
    """The cards that this process may use, in the order of their numbers or that of CUDA_VISIBLE_DEVICES."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []  # no driver, so no card
    try:
        wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
        if wanted is None:
            handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
            return [Gpu(pynvml.nvmlDeviceGetUUID(handle), _memory(handle)) for handle in handles]
        return [Gpu(name, _memory(_handle_of(name))) for name in _valid(wanted)]
    except pynvml.NVMLError as error:
        raise UserError(f"the machine's GPUs cannot be listed: {error}") from None
    finally:
        pynvml.nvmlShutdown()


def shares(gpus: Sequence[Gpu], workers: int | None, per_trial: float | None) -> list[Share]:
    """The shares of workers, one for each: neighbours are on different cards.

    Args:
        gpus: the cards.
        workers: how many are wanted; None: as many as the cards have room for.
        per_trial: cards of a worker, or the part of one. None: one, or as large a part as all workers can have.

    Raises:
        UserError: the cards do not have room for so many workers.
    """
    if not gpus and per_trial:
        raise UserError(f"engine.gpus_per_trial: {per_trial:g}: no GPU is found on this machine")
    if not gpus or per_trial == 0:
        return [Share("" if per_trial == 0 else None)] * (workers or 0)
    if per_trial is None:
        per_trial = 1 / math.ceil((workers or 1) / len(gpus))
    if per_trial > len(gpus):
        there = f"this machine has {len(gpus)} GPU{'s' if len(gpus) > 1 else ''} for trials"
        raise UserError(f"engine.gpus_per_trial: {per_trial:g}: {there}; write {len(gpus)} at most")
    if per_trial >= 1:
        each = math.ceil(per_trial)
        groups = [gpus[first : first + each] for first in range(0, len(gpus) - each + 1, each)]
        names = [",".join(gpu.name for gpu in group) for group in groups]
        room = [Share(name, card=min(gpu.memory for gpu in group)) for name, group in zip(names, groups, strict=True)]
    else:
        each = int(1 / per_trial + 1e-9)
        room = [
            Share(gpu.name, int(gpu.memory * per_trial) - OVERHEAD, gpu.memory) for _ in range(each) for gpu in gpus
        ]
        if (least := min(int(share.limit or 0) for share in room)) < OVERHEAD:
            raise UserError(
                f"engine.gpus_per_trial: {per_trial:g}: leaves {max(0, least)} MiB of a GPU for a worker's data, and "
                f"{OVERHEAD} are the least"
            )
    if workers is not None and workers > len(room):
        raise UserError(
            f"engine.workers: {workers}: {len(gpus)} GPU{'s' if len(gpus) > 1 else ''} with gpus_per_trial "
            f"{per_trial:g} have room for {len(room)}; write fewer, or gpus_per_trial: "
            f"{part_of(math.ceil(workers / len(gpus))):g}"
        )
    return room[:workers]


def part_of(count: int) -> float:
    """The part of a card with which it has room for so many workers, in three digits."""
    digits: int = 10 ** (2 + math.ceil(math.log10(count)))
    return digits // count / digits


def _valid(visible: str) -> list[str]:
    """The entries of CUDA_VISIBLE_DEVICES up to the first that is invalid, as CUDA reads it."""
    names = []
    for name in filter(None, map(str.strip, visible.split(","))):
        try:
            _handle_of(name)
        except (pynvml.NVMLError, ValueError):
            break
        names.append(name)
    return names


def _handle_of(name: str) -> object:
    if name.startswith(("GPU-", "MIG-")):
        return pynvml.nvmlDeviceGetHandleByUUID(name)
    return pynvml.nvmlDeviceGetHandleByIndex(int(name))


def _memory(handle: object) -> int:
    return int(pynvml.nvmlDeviceGetMemoryInfo(handle).total) // 2**20
