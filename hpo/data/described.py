"""What is known of a dataset: its DatasetInfo, from what its parts are, and the digest of a part."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpo.config.experiment import DatasetSpec
from hpo.data.dataset import NO_SCALING, Array, DatasetInfo, Input, Part, PartName, Scaling
from hpo.data.mapped import Mapped
from hpo.data.scaling import Moments, check_range, default_method, moments_of_images
from hpo.data.several import Arrays, content_of, in_order, is_text, single
from hpo.data.source_data import chunks
from hpo.data.targets import Targets
from hpo.errors import DataError


def part_digest(part: Part) -> str:
    """Content hash (SHA-256) of types, shapes and values of a part, its first 32 hexadecimal digits."""
    content = hashlib.sha256()
    for array in (*part.arrays(), *(() if part.weights is None else in_order(part.weights))):
        content.update(f"{array.dtype.str}{array.shape}".encode())
        for chunk in chunks(array.digests if isinstance(array, Mapped) else array):
            content.update(content_of(chunk))
    return content.hexdigest()[:32]


@dataclass(frozen=True)
class Found:
    """What is known of the training part's samples of one input."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    moments: Moments | None
    """None for text."""
    numbered: bool
    """Whether they are integers that number things, or count them, unless they are images."""

    def scaling(self, spec: DatasetSpec, source: str) -> Scaling:
        """The scaling that the section says, or else the usual one."""
        if self.moments is None:
            return NO_SCALING
        method = spec.scaling or default_method(self.shape, self.numbered)
        if method == "none" and self.dtype.kind in "ui":
            check_range(source, self.moments)
        return self.moments.scaling(method)


@dataclass(frozen=True)
class Inputs:
    """The inputs by name; a single one has an empty name."""

    found: Mapping[str, Found]
    listed: bool

    def fields(self, spec: DatasetSpec, source: str) -> dict[str, Any]:
        """What a DatasetInfo says of them."""
        if "" in self.found:
            only = self.found[""]
            return {"input_shape": only.shape, "scaling": only.scaling(spec, source), "input_type": _name(only.dtype)}
        several = {
            name: Input(one.shape, _name(one.dtype), one.scaling(spec, f"{source}: {name}"))
            for name, one in self.found.items()
        }
        return {"input_shape": (), "scaling": NO_SCALING, "inputs": several, "inputs_listed": self.listed}


def _name(dtype: np.dtype[Any]) -> str:
    return "str" if dtype.kind in "UO" else str(dtype)


def found_in(x: Array, is_table: bool) -> Found:
    """What the training part's samples of one input show."""
    if is_text(x):
        return Found(x.shape[1:], x.dtype, None, numbered=False)
    if isinstance(x, Mapped):
        return Found(x.shape[1:], x.dtype, moments_of_images(x), numbered=True)
    moments = Moments(x.shape[1:])
    for chunk in chunks(x):
        moments.update(chunk)
    # A table's columns of whole numbers are measures, as its others are.
    return Found(x.shape[1:], x.dtype, moments, numbered=x.dtype.kind in "bui" and not is_table)


def described(
    source: str,
    spec: DatasetSpec,
    targets: Targets,
    inputs: Inputs,
    y: Arrays | None,
    sizes: Mapping[PartName, int],
    digests: Mapping[PartName, str],
) -> DatasetInfo:
    """What is known of a dataset; `y`: the targets of the training part."""
    order: tuple[PartName, ...] = ("training", "validation", "test")
    together = "".join(digests[name] for name in order)
    return DatasetInfo(
        name=spec.label,
        source=source,
        sizes={name: sizes[name] for name in order},
        digests={name: digests[name] for name in order},
        digest=hashlib.sha256(together.encode()).hexdigest()[:32],
        target_scaling=_target_scaling(spec, targets, y),
        default_scaling=spec.scaling is None,
        table_format=_table_format(spec),
        **inputs.fields(spec, source),
        **targets.fields(),
    )


def _table_format(spec: DatasetSpec) -> dict[str, str]:
    given = {"separator": spec.separator, "decimal": spec.decimal, "encoding": spec.encoding}
    return {key: value for key, value in given.items() if value is not None}


def _target_scaling(spec: DatasetSpec, targets: Targets, y: Arrays | None) -> Scaling | None:
    """The scaling of the numbers to predict, fitted on those of the training part; None for as they are."""
    labels, wanted = targets.only, spec.target_scaling
    if labels is None or labels.task != "regression" or labels.shape:
        if wanted in ("standard", "minmax"):
            what = (
                "the target has more than one dimension" if labels and labels.shape else f"the task is {targets.task}"
            )
            rule = f"{wanted} scales one number, or a row of numbers, and {what}; leave it out"
            raise DataError(rule, ("dataset", "target_scaling"))
        return None
    method = wanted or ("standard" if spec.steps_per_epoch is None else "none")
    if method == "none":
        return None
    moments = Moments((labels.outputs,))
    moments.update(single(y))  # type: ignore[arg-type]
    return moments.scaling(method)
