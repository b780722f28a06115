"""How much memory this process may use."""

from contextlib import suppress
from pathlib import Path

_OF_CONTAINER = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def usable_memory() -> int:
    """The bytes of the machine's memory, or of its container's share."""
    import psutil

    total = int(psutil.virtual_memory().total)
    for file in _OF_CONTAINER:
        with suppress(OSError, ValueError):
            total = min(total, int(Path(file).read_text(encoding="ascii")))
    return total
