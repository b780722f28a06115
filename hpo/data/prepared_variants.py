"""The data as configurations want them: otherwise scaled, divided or limited, or made from other arguments."""

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hpo.config.dataset import OF_IMAGE_FOLDERS, DatasetSpec
from hpo.errors import DataError, InvalidSettings

if TYPE_CHECKING:
    from hpo.data.dataset import Dataset
    from hpo.data.read_source import Raw

# Each folder is as large as the data. So many are kept, and more while they are small.
_KEPT, _SMALL = 8, 2**30
# These do not change what is prepared: the one changes batches, the other adds tests.
_APART = {"augmentation", "extra_tests"}
# Keys by which the test part is drawn, where the data bring none.
_OF_THE_TEST_PART = ("limit", "test", "stratify", "shuffle", "seed")
# Keys by which the data are read, which happens once.
_OF_READING = (
    "name", "path", "function", "cache", "target", "drop", "missing", "categories", "max_categories", "categorical",
    "dates", "separator", "decimal", "encoding", "weights",
    "series", "text", *OF_IMAGE_FOLDERS,
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
        from hpo.data.read_source import read

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
        from hpo.data.read_source import read

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
            if spec.arguments == self.spec.arguments:
                found = prepare(self._raw, spec, self._hint)
            else:
                found = prepare(read(spec, self._folders), self._same_rows(spec), self._hint)
        except DataError as error:
            raise _invalid(error) from None
        return self._checked(spec, found)

    def _same_rows(self, spec: DatasetSpec) -> DatasetSpec:
        """The section by which data of other arguments are divided: of samples in order the parts have the same ends.

        Windows, lags and the like leave out the first samples.
        """
        if spec.shuffle or spec.validation.folds or spec.test != self.spec.test:
            return spec
        sizes, validation = self.base.info.sizes, spec.validation
        if validation.size == self.spec.validation.size:
            validation = validation.model_copy(update={"size": float(sizes["validation"])})
        return spec.model_copy(update={"test": float(sizes["test"]), "validation": validation})

    def _checked(self, spec: DatasetSpec, found: "Dataset") -> "Dataset":
        """The dataset, with a note if its parts have other rows than those of the section itself.

        Raises:
            InvalidSettings: it cannot be compared with that.
        """
        from hpo.data.other_rows import note_on_rows

        before, after = self.base.info, found.info
        other = spec.arguments != self.spec.arguments
        keys = [key for key in _OF_THE_TEST_PART if getattr(spec, key) != getattr(self.spec, key)]
        # Other arguments may make another test part, which is noted.
        if before.digests["test"] != after.digests["test"] and (keys or not other):
            rule = "would change the test part, on which all trials of a study are scored"
            names = ", ".join(f"dataset.{key}" for key in keys)
            how = "; vary keys of dataset.validation instead" if keys else ""
            raise InvalidSettings(f"{names or 'what varies of the dataset section'} {rule}{how}")
        alike: dict[str, tuple[object, object]] = {
            "the number of folds": (before.folds, after.folds),
            "the number of outputs": (before.outputs, after.outputs),
        }
        if not other:
            alike["the shape of samples"] = (before.input_shape, after.input_shape)
        for what, (one, theirs) in alike.items():
            if one != theirs:
                rule = "must be the same for all trials of a study"
                raise InvalidSettings(f"dataset: {what} {rule}: {one}, not {theirs}")
        note = note_on_rows(self.base, found, spec.arguments) if other else None
        return found if note is None else replace(found, info=replace(after, notes=(*after.notes, note)))


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
        self._by_content = {_content(variants.base): self.base}
        self._sizes: dict[Path, int] = {}
        """The bytes of each folder but that of the section itself."""
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
            content = _content(dataset)
            if content not in self._by_content:
                # Never the name of another: a worker may have kept what it made of that one.
                self._count += 1
                folder = self._scratch / f"data_{self._count}"
                save(dataset, folder)
                self._by_content[content], self._sizes[folder] = folder, _bytes(folder)
            self._made[key] = self._by_content[content]
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
        return len(self._sizes) > _KEPT and sum(self._sizes.values()) > _SMALL

    def drop(self, needed: Collection[Path]) -> None:
        """Deletes the folders used longest ago, down to the number that is kept, but none that is needed."""
        import shutil

        for key, folder in list(self._made.items()):
            if not self.crowded:
                return
            if folder in needed or folder == self.base:
                continue
            del self._made[key]
            if folder not in self._made.values():
                del self._sizes[folder]
                self._by_content = {of: place for of, place in self._by_content.items() if place != folder}
                shutil.rmtree(folder)


def redrawn(spec: DatasetSpec, seed: int) -> DatasetSpec:
    """The section with its validation part, or its folds, drawn by another seed; the test part stays as it is."""
    return spec.model_copy(update={"validation": spec.validation.model_copy(update={"seed": seed})})


def _invalid(error: DataError) -> InvalidSettings:
    return InvalidSettings(f"{'.'.join(error.key)}: {error}" if error.key else str(error))


def _content(dataset: "Dataset") -> str:
    """A text that two datasets share if all that is prepared of them is the same: it has the digests of all parts."""
    import json

    from hpo.data.info_json import info_as_json
    from hpo.data.other_rows import rows_note

    made = getattr(dataset.stream, "arguments", None)
    # Other notes say where the data came from, such as from the cache.
    info = {**info_as_json(dataset.info), "notes": rows_note(dataset.info)}
    return json.dumps([info, made], sort_keys=True, default=str)


def _bytes(folder: Path) -> int:
    # A link to the images that all runs share takes no room.
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file())


def _preparation(spec: DatasetSpec) -> str:
    return spec.model_dump_json(exclude=_APART)
