"""The data as configurations want them prepared: scaled, divided or limited otherwise than the experiment says."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.config.experiment import DatasetSpec
from hpo.errors import DataError, InvalidSettings

if TYPE_CHECKING:
    from hpo.data.dataset import Dataset
    from hpo.data.prepare import Raw

# Each folder is as large as the data; a study rarely has more scalings or splits than these in turn.
_KEPT = 8
# These do not change what is prepared: the one changes batches, the other adds tests.
_APART = {"augmentation", "extra_tests"}
# Keys by which the test part is drawn, where the data bring none.
_OF_THE_TEST_PART = ("limit", "test", "stratify", "shuffle", "seed")
# Keys by which the data are read, which happens once.
_OF_READING = (
    "name", "path", "function", "target", "drop", "missing", "categories", "max_categories", "categorical", "dates",
    "separator", "decimal", "encoding", "weights",
)  # fmt: skip


class Variants:
    """The dataset of a section, and of sections that say otherwise how it is prepared; their source is read once."""

    def __init__(self, spec: DatasetSpec, folders: Sequence[Path], metrics: Sequence[str] = ()) -> None:
        """`folders`: where relative paths and the user's own code are looked for.

        `metrics`: the metrics and losses of the study, of which the first that tells decides whether whole numbers are
        classes, unless the section says what the task is.

        Raises:
            DataError: the dataset cannot be made.
        """
        from hpo.data import load
        from hpo.data.labels import task_hint

        self.spec = spec
        self._folders = folders
        self._hint = task_hint(metrics)
        self.base: Dataset = load(spec, folders, self._hint)
        """The dataset of the section itself."""

    @property
    def notes(self) -> Sequence[str]:
        """What was decided about the data that the section does not say, and what its user should know."""
        return self.base.info.notes

    @cached_property
    def _raw(self) -> "Raw":
        from hpo.data.prepare import read

        return read(self.spec, self._folders)

    def check(self, spec: DatasetSpec) -> None:
        """Checks what a section says beside how the data are prepared: the augmentation.

        Raises:
            InvalidSettings: the samples cannot be changed that way.
        """
        from hpo.data.image_changes import check_augmentation

        try:
            check_augmentation(spec.augmentation, self.base)
        except DataError as error:
            raise _invalid(error) from None

    def dataset(self, spec: DatasetSpec) -> "Dataset":
        """The dataset prepared as a section says.

        Raises:
            InvalidSettings: it cannot be, or trials on it could not be compared: they share the test part.
        """
        from hpo.data.prepare import prepare

        self.check(spec)
        if _preparation(spec) == _preparation(self.spec):
            return self.base
        changed = [key for key in _OF_READING if getattr(spec, key) != getattr(self.spec, key)]
        if spec.validation.column != self.spec.validation.column:
            changed.append("validation.group" if spec.validation.group else "validation.time")
        if changed:
            names = ", ".join(f"dataset.{key}" for key in changed)
            raise InvalidSettings(f"{names} must be the same for all trials of a study: the data are read once")
        try:
            found = prepare(self._raw, spec, self._hint)
        except DataError as error:
            raise _invalid(error) from None
        self._check_comparable(spec, found)
        return found

    def _check_comparable(self, spec: DatasetSpec, found: "Dataset") -> None:
        before, after = self.base.info, found.info
        if before.digests["test"] != after.digests["test"]:
            keys = [key for key in _OF_THE_TEST_PART if getattr(spec, key) != getattr(self.spec, key)]
            rule = "would change the test part, on which all trials of a study are scored"
            names = ", ".join(f"dataset.{key}" for key in keys)
            raise InvalidSettings(f"{names} {rule}; vary keys of dataset.validation instead")
        for what, one, other in (
            ("the number of folds", before.folds, after.folds),
            ("the shape of samples", before.input_shape, after.input_shape),
            ("the number of outputs", before.outputs, after.outputs),
        ):
            if one != other:
                raise InvalidSettings(f"dataset: {what} must be the same for all trials of a study: {one}, not {other}")


class PreparedVariants:
    """Variants in folders, where workers find them: made when first asked for, and kept for later trials."""

    def __init__(self, variants: Variants, scratch: Path) -> None:
        """Lays the dataset of the section itself into a folder below `scratch`."""
        from hpo.data import save

        self._variants = variants
        self._scratch = scratch
        self.base = scratch / "data"
        """The folder of the dataset of the section itself."""
        save(variants.base, self.base)
        self._made: OrderedDict[str, Path] = OrderedDict()
        self._refused: dict[str, str] = {}
        self._count = 0

    def folder(self, spec: DatasetSpec) -> Path:
        """The folder of the dataset prepared as a section says.

        Raises:
            InvalidSettings: see `Variants.dataset`.
        """
        from hpo.data import save

        self._variants.check(spec)
        key = _preparation(spec)
        if key in self._refused:
            raise InvalidSettings(self._refused[key])
        if key not in self._made:
            try:
                dataset = self._variants.dataset(spec)
            except InvalidSettings as error:
                self._refused[key] = str(error)
                raise
            if dataset is self._variants.base:
                return self.base
            # Never the name of another: a worker may have kept what it made of that one.
            self._count += 1
            folder = self._scratch / f"data_{self._count}"
            save(dataset, folder)
            self._made[key] = folder
        self._made.move_to_end(key)
        return self._made[key]

    def check_redrawn(self, seed: int) -> None:
        """Checks that another seed of the validation part makes another one.

        Raises:
            DataError: it does not: the data bring that part, or its samples are the latest ones.
        """
        base = self._variants.base.info
        if self._variants.dataset(redrawn(self._variants.spec, seed)).info.digest == base.digest:
            raise DataError(
                f"the split of {base.name} into training and validation is fixed: the data bring a validation part, or "
                "it is taken in their order; no other can be drawn"
            )

    @property
    def crowded(self) -> bool:
        """Whether there are more folders than are to be kept."""
        return len(self._made) > _KEPT

    def drop(self, needed: Collection[Path]) -> None:
        """Deletes the folders used longest ago, down to the number that is kept, but none that is needed."""
        import shutil

        for key, folder in list(self._made.items()):
            if self.crowded and folder not in needed:
                del self._made[key]
                shutil.rmtree(folder)


def redrawn(spec: DatasetSpec, seed: int) -> DatasetSpec:
    """The section with its validation part, or its folds, drawn by another seed; the test part stays as it is."""
    return spec.model_copy(update={"validation": spec.validation.model_copy(update={"seed": seed})})


def _invalid(error: DataError) -> InvalidSettings:
    return InvalidSettings(f"{'.'.join(error.key)}: {error}" if error.key else str(error))


def _preparation(spec: DatasetSpec) -> str:
    return spec.model_dump_json(exclude=_APART)
