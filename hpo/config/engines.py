"""The table of engines: where trials can train, by the names that experiment files use.

The table is here, in a layer below the engines, so that a file can be checked without importing any of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class KnownEngine:
    """An engine that hpo knows by name."""

    import_path: str
    """Import path of its class, a subclass of `hpo.engines.Engine`."""
    options: tuple[str, ...]
    """The keys of the engine section that it takes. They are arguments of its class, beside `log`. An engine without
    `workers` trains one trial at a time."""
    meaning: str
    """How it runs trials, for editors and `hpo explain`."""


_ALONE = ("threads_per_worker",)
_SEVERAL = ("workers", *_ALONE)

ENGINES: Mapping[str, KnownEngine] = {
    "local": KnownEngine("hpo.engines.local:LocalEngine", _SEVERAL, "several at a time, each in a worker process"),
    "serial": KnownEngine(
        "hpo.engines.serial:SerialEngine", _ALONE, "one after the other in this process, for debugging"
    ),
}
"""Name -> engine, in the order in which editors show them."""


def engine_meanings() -> str:
    """The names and meanings of the engines, in the form of `Values` in `hpo.config.docstrings`."""
    return "; ".join(f"{name}: {engine.meaning}" for name, engine in ENGINES.items())
