"""The table of metrics of a whole part. Nothing is imported for it, since `hpo list` needs their names too."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A metric of a whole part."""

    name: str
    of_classes: bool
    """Whether it is of classes; else it is of numbers."""
    options: tuple[str, ...] = ()
    of_ranks: bool = False
    """Whether it is computed from probabilities, class by class against the rest; else from the predicted classes."""

    @property
    def of_labels(self) -> bool:
        """Whether labels of which several may hold have it, too: the mean over the labels."""
        return self.of_classes and self.name != "balanced_accuracy"


_KINDS = (
    Kind("balanced_accuracy", True, ("threshold",)),
    Kind("f1_score", True, ("average", "threshold")),
    Kind("macro_f1", True, ("threshold",)),
    Kind("precision", True, ("average", "threshold")),
    Kind("recall", True, ("average", "threshold")),
    Kind("auc", True, ("curve", "average"), of_ranks=True),
    Kind("pr_auc", True, ("average",), of_ranks=True),
    Kind("r2", False),
    Kind("rmse", False),
)
WHOLE_METRICS = tuple(kind.name for kind in _KINDS)
"""Their names; f1 and r2_score are further ones."""
_BY_NAME: Mapping[str, Kind] = {
    **{kind.name.replace("_", ""): kind for kind in _KINDS},
    "f1": _KINDS[1],
    "r2score": _KINDS[7],
}


def whole_metric(name: str) -> Kind | None:
    """The metric of a whole part of that name, which may be spelled as a class, F1Score; None if there is none."""
    return _BY_NAME.get(name.lower().replace("_", ""))
