"""Folders of images, with a folder for each class: found as Keras finds them, checked, and read as one dataset."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpo.config.dataset import IMAGE_ENDINGS, DatasetSpec
from hpo.data.dataset import Array, PartName
from hpo.data.image_cache import read_cached
from hpo.data.image_reader import ImageFiles, keys_of
from hpo.data.source_data import RawDataset, RawPart, Values
from hpo.errors import DataError

_PARTS: Mapping[str, PartName] = {
    "train": "training",
    "training": "training",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
_WITHOUT_CLASSES = ("reconstruction", "custom")
_MOST_NAMED = 5


def holds_images(folder: Path) -> bool:
    """Whether there are images in a folder, at any depth."""
    return any(_is_image(name) for _, _, names in os.walk(folder, onerror=_refuse) for name in names)


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGE_ENDINGS)


def _refuse(error: OSError) -> None:
    """Refuses a folder whose images would else be left out without a word."""
    raise DataError(f"{error.filename}: cannot be read: {error.strerror or error}")


def files_below(folder: Path) -> ImageFiles:
    """All images in a folder, at any depth.

    Raises:
        DataError: there are none.
    """
    return ImageFiles.of(folder, _images(folder)[0])


@dataclass(frozen=True)
class _Found:
    """The images of a part, and what else is there."""

    files: ImageFiles
    labels: Array
    others: int
    """Files in class folders that are no images."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its class folders in alphabetical order; none where images have no classes."""
        return self.files.classes


def read_image_folder(folder: Path, spec: DatasetSpec) -> RawDataset:
    """Reads a folder of images: a folder for each class in it, or in its folders train, validation and test.

    Of a division only train is needed. Images without classes are for the tasks that have no targets. What was read
    before is not read again; see `hpo.data.image_cache`.

    Raises:
        DataError: there are no images, no classes or other ones than in train, a class without an image, images of
            several sizes and no `image_size`, or images that cannot be read.
    """
    if not spec.shuffle:
        rule = "is for samples in the order of time, and images of classes have none; leave it out"
        raise DataError(f"{folder}: {rule}", ("dataset", "shuffle"))
    folders = part_folders(folder)
    without = spec.task in _WITHOUT_CLASSES and (spec.task == "reconstruction" or not _has_classes(folders["training"]))
    found, wrong = {}, []
    for name, place in folders.items():
        try:
            found[name] = _found(place, without)
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        raise DataError("\n".join(wrong))
    classes = found["training"].classes
    _check_classes(found)
    notes = [*_notes(found)]
    parts, keys = {}, keys_of(spec)
    read = read_cached([one.files for one in found.values()], keys)
    for (name, one), images in zip(found.items(), read, strict=True):
        # The classes of all parts are numbered as those of the training part.
        numbers = np.array([classes.index(own) for own in one.classes], np.int32)
        y = None if without else Values(numbers[one.labels], str(one.files.folder))
        parts[name] = RawPart(Values(images, str(one.files.folder)), y)
    sizes = {name: part.x.array.shape[1:3] for name, part in parts.items()}
    if len(set(sizes.values())) > 1:
        got = ", ".join(f"{name} {height}x{width}" for name, (height, width) in sizes.items())
        raise DataError(
            f"{folder}: images must have one size (height x width), got {got}; write dataset.image_size",
            ("dataset", "image_size"),
        )
    return RawDataset(
        str(folder),
        parts["training"],
        parts.get("validation"),
        parts.get("test"),
        classes,
        notes=tuple(notes),
        images=keys | {"image_size": list(sizes["training"])},
    )


def part_folders(folder: Path) -> Mapping[PartName, Path]:
    """The folders of the parts; the folder itself where it is not divided."""
    inside = {place.name: place for place in _folders(folder)}
    training = [name for name in inside if _PARTS.get(name.lower()) == "training"]
    # A class may have the name of a part, but not all of them.
    if not training or not (_has_classes(inside[training[0]]) or all(name.lower() in _PARTS for name in inside)):
        return {"training": folder}
    found: dict[PartName, Path] = {}
    for name, place in inside.items():
        part = _PARTS.get(name.lower())
        if part is None or part in found:
            rule = f"beside the folder {training[0]}, only validation and test are expected"
            raise DataError(f"{folder}: {rule}, got {name}; name the parts train, validation and test, or move it away")
        found[part] = place
    return found


def _has_classes(folder: Path) -> bool:
    return any(holds_images(place) for place in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    return [place for place in sorted(folder.iterdir()) if place.is_dir() and not place.name.startswith(".")]


def _found(folder: Path, without_classes: bool) -> _Found:
    if without_classes:
        names, others = _images(folder)
        return _Found(ImageFiles.of(folder, names), np.zeros(len(names), np.int32), others)
    classes = [place.name for place in _folders(folder)]
    if not classes:
        many = sum(map(_is_image, os.listdir(folder)))
        got = (
            f"has {many} images and no folders" if many else "is empty" if not os.listdir(folder) else "has no folders"
        )
        rule = "a folder of images must have a folder for each class, with its images inside"
        more = "; task: reconstruction takes images without classes" if many else ""
        raise DataError(f"{folder}: {rule}; it {got}{more}")
    files, labels, others = [], [], 0
    for number, name in enumerate(classes):
        images, left_out = _images(folder / name)
        files += [f"{name}/{image}" for image in images]
        labels += [number] * len(images)
        others += left_out
    present = set(labels)
    empty = [name for number, name in enumerate(classes) if number not in present]
    if empty:
        what = f"class folder{'s' if len(empty) > 1 else ''} {_named(empty)} without an image"
        raise DataError(f"{folder}: has the {what} ({', '.join(IMAGE_ENDINGS)}); put some in, or delete the folder")
    return _Found(ImageFiles.of(folder, files, tuple(classes)), np.array(labels, np.int32), others)


def _images(folder: Path) -> tuple[list[str], int]:
    """The images in a folder at any depth, in the order in which Keras lists them, and how many other files."""
    found, others = [], 0
    for root, _, names in sorted(os.walk(folder, onerror=_refuse)):
        within = os.path.relpath(root, folder)
        for name in sorted(names):
            if _is_image(name):
                found.append(name if within == "." else f"{within}/{name}")
            else:
                others += not name.startswith(".")
    return found, others


def _check_classes(found: Mapping[PartName, _Found]) -> None:
    """Checks that there are two classes, and that the other parts have none besides."""
    training = found["training"]
    if len(training.classes) == 1:
        rule = f"needs a folder for each of two classes or more, got only {training.classes[0]}"
        raise DataError(f"{training.files.folder}: {rule}")
    for one in found.values():
        if unknown := [name for name in one.classes if name not in training.classes]:
            known = f"class folders must be those of {training.files.folder} ({_named(training.classes)})"
            raise DataError(f"{one.files.folder}: {known}, got {_named(unknown)} besides")


def _notes(found: Mapping[PartName, _Found]) -> Iterator[str]:
    training = found["training"].classes
    for one in found.values():
        folder = one.files.folder
        if missing := [name for name in training if one.classes and name not in one.classes]:
            yield f"{folder} has no images of {_named(missing)}"
        if one.others:
            yield f"{one.others} files in {folder} that are not {', '.join(IMAGE_ENDINGS)} are left out"
        beside = sum(map(_is_image, os.listdir(folder)))
        if one.classes and beside:
            yield f"{beside} images in {folder} itself, beside the class folders, are left out"


def _named(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
