"""Datasets: found by name, path or import path, checked, split, scaled, and shared with the workers.

`load` makes a Dataset, `save` lays it into a folder, `open_prepared` opens that folder in a worker.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hpo.data.known import KNOWN

if TYPE_CHECKING:
    from hpo.data.dataset import Array, Dataset, DatasetInfo, Part, PartName, Scaling, Task
    from hpo.data.prepare import load
    from hpo.data.shared_folder import open_prepared, save

__all__ = [
    "KNOWN",
    "Array",
    "Dataset",
    "DatasetInfo",
    "Part",
    "PartName",
    "Scaling",
    "Task",
    "load",
    "open_prepared",
    "save",
]

_MODULES = {"load": "hpo.data.prepare", "open_prepared": "hpo.data.shared_folder", "save": "hpo.data.shared_folder"}


def __getattr__(name: str) -> Any:
    # `hpo list` wants the names alone, and should not wait for NumPy.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "hpo.data.dataset")), name)
