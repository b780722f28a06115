"""The table of engines: where trials can train, by the names that experiment files use.

The table is here, in a layer below the engines, so that a file can be checked without importing any of them.
"""

from collections.abc import Collection, Mapping
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
    extra: str | None = None
    """The extra of this package that installs what it needs."""
    counts_cores: bool = True
    """Whether `workers: auto` is the number of this machine's cores. Else the engine counts, knows `auto`, and gets the
    number of trials as `trials`."""


_ALONE = ("threads_per_worker",)
_SEVERAL = ("workers", *_ALONE)
_CARDS = (*_SEVERAL, "gpus_per_trial")
_CLUSTER = (*_CARDS, "address", "cpus_per_trial", "runtime_env", "dashboard")

ENGINES: Mapping[str, KnownEngine] = {
    "local": KnownEngine("hpo.engines.local:LocalEngine", _CARDS, "several at a time, each in a worker process"),
    "serial": KnownEngine(
        "hpo.engines.serial:SerialEngine", _ALONE, "one after the other in this process, for debugging"
    ),
    "ray": KnownEngine(
        "hpo.engines.ray:RayEngine", _CLUSTER, "on the machines of a Ray cluster", extra="ray", counts_cores=False
    ),
}
"""Name -> engine, in the order in which editors show them."""


def engine_meanings() -> str:
    """The names and meanings of the engines, in the form of `Values` in `hpo.config.docstrings`."""
    return "; ".join(f"{name}: {engine.meaning}" for name, engine in ENGINES.items())


def misplaced_keys(name: str, keys: Collection[str]) -> list[str]:
    """The keys of the engine section that an engine does not take, though another does."""
    # `workers` and `threads_per_worker` are about the machine: a file may have them whichever engine runs it.
    return sorted(set(keys) - {"name", *_SEVERAL, *ENGINES[name].options})
