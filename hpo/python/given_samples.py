"""Samples to predict that were given in Python: arrays by name, or a file that `hpo predict` reads, too."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.errors import DataError

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo


def given_samples(inputs: Any, info: "DatasetInfo | None", folder: Path) -> Path | Mapping[str, Any]:
    """What `hpo.export.predict` takes for samples.

    Args:
        inputs: an array; a DataFrame, or a dict of its columns; of a model with several inputs a dict of arrays, or a
            list of them where the model was trained on a list; or the path of a file.
        info: of the data that the model was trained on, if that is known.
        folder: where a file may be written.

    Raises:
        DataError: they are something else, or no inputs of this model.
    """
    import numpy as np

    if isinstance(inputs, str | Path):
        return Path(inputs)
    if info is not None and info.columns and isinstance(inputs, Mapping):
        inputs = _table(inputs)
    if hasattr(inputs, "to_parquet") and hasattr(inputs, "columns"):
        inputs.reset_index(drop=True).to_parquet(folder / "inputs.parquet", index=False)
        return folder / "inputs.parquet"
    if (named := _by_name(inputs, info)) is not None:
        return {name: _plain(one, f"inputs: {name}") for name, one in named.items()}
    np.save(folder / "inputs.npy", _plain(inputs, "inputs"))
    return folder / "inputs.npy"


def _table(columns: Mapping[str, Any]) -> Any:
    import pandas as pd

    try:
        return pd.DataFrame(dict(columns))
    except ValueError as error:
        raise DataError(f"inputs: must be columns of equal lengths: {error}") from None


def _by_name(inputs: Any, info: "DatasetInfo | None") -> Mapping[str, Any] | None:
    """Several inputs by name; None for a single array."""
    wanted = () if info is None else tuple(info.inputs)
    got = f"{type(inputs).__name__}{f' of {len(inputs)}' if isinstance(inputs, list | tuple) else ''}"
    if isinstance(inputs, Mapping):
        if info is not None and not wanted and not info.is_text:
            raise DataError(f"inputs: the model takes a single array, got a dict: {', '.join(map(str, inputs))}")
        return {str(name): one for name, one in inputs.items()}
    if info is None or not wanted:
        return None
    if not info.inputs_listed:
        raise DataError(f"inputs: must be a dict of the arrays {', '.join(wanted)}, got {got}")
    if not isinstance(inputs, list | tuple) or len(inputs) != len(wanted):
        raise DataError(f"inputs: must be a list of {len(wanted)} arrays, as the model was trained on, got {got}")
    return dict(zip(wanted, inputs, strict=True))


def _plain(values: Any, place: str) -> Any:
    from hpo.data.python_objects import plain_array

    if not hasattr(values, "__len__"):
        rule = "must be an array, a DataFrame, a dict or list of the model's inputs, or a file"
        raise DataError(f"{place}: {rule}, got {type(values).__name__}")
    array = plain_array(values, place)
    if not array.ndim:
        raise DataError(f"{place}: must have a value for each sample, got a single one")
    return array
