"""Models by name, such as `mlp`, or by import path: the user's own function, a KerasTuner HyperModel."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.config.declared import NOTHING_DECLARED, Declared
from hpo.config.experiment import TrainingSpec
from hpo.config.section import Section
from hpo.errors import ModelError, nearest
from hpo.models import application, cnn, conv1d, keras_tuner, mlp, rnn, text
from hpo.models.built import Built, InvalidModel, NotApplied
from hpo.models.discovery import discover
from hpo.models.read_params import ReadParams
from hpo.system.digests import sha256_of
from hpo.system.imports import load_object

if TYPE_CHECKING:
    from hpo.data.dataset import DatasetInfo

__all__ = [
    "KNOWN",
    "Built",
    "InvalidModel",
    "NotApplied",
    "build",
    "check",
    "described",
    "digests",
    "discover",
    "file_keys",
    "keys",
    "notes",
    "unknown_keys",
]

_MODULES = {"mlp": mlp, "cnn": cnn, "rnn": rnn, "conv1d": conv1d, "text": text, "application": application}

KNOWN: Mapping[str, str] = {name: (module.__doc__ or "").splitlines()[0] for name, module in _MODULES.items()}
"""The models that hpo knows: name -> a description of one line."""


def keys(model: str) -> tuple[str, ...] | None:
    """The parameters that a known model reads, `width_N` for `width_1`, ...; None for import paths.

    Raises:
        ModelError: neither a known model nor an import path.
    """
    if model in _MODULES:
        own, numbered = described(model)
        return (*own.model_fields, *(f"{key}_N" for key in numbered.model_fields))
    if ":" not in model:
        raise ModelError(f"unknown model {model!r}; {nearest(model, KNOWN)} (one of your own: package.module:function)")
    return None


def described(model: str) -> tuple[type[Section], type[Section]]:
    """The sections that describe the parameters of a known model: all of them, and those of each layer or block."""
    return _MODULES[model].Keys, _MODULES[model].EachKeys


def unknown_keys(model: str, names: Iterable[str]) -> dict[str, str]:
    """The keys set by a search space that neither the model nor its training reads: key -> message.

    Raises:
        ModelError: neither a known model nor an import path.
    """
    known = keys(model)
    if known is None:
        return {}
    return {
        name: f"{model} reads no such parameter; {nearest(name, [*known, *TrainingSpec.model_fields])}"
        for name in names
        if not name.startswith(("training.", "dataset."))
        and name.partition(".")[0] not in TrainingSpec.model_fields
        and (name.endswith("_N") or re.sub(r"_[1-9][0-9]*$", "_N", name) not in known)
    }


def check(model: str, params: Mapping[str, Any], info: "DatasetInfo", import_paths: Sequence[Path | str] = ()) -> None:
    """Checks the arguments of `build` without importing Keras. Models by import path are not checked.

    Raises:
        ModelError: there is no such model, or it does not fit the data.
        InvalidModel: the model cannot be built with these parameters; its `key` names the one at fault.
    """
    if keys(model) is not None:
        _check_data(model, info)
        _MODULES[model].check(params, info, *_folders(model, import_paths))


def notes(model: str, configurations: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a user should know of a model before it is built, for some of what its trials will set."""
    say = getattr(_MODULES.get(model), "in_words", lambda _: None)
    return list(dict.fromkeys(note for params in configurations if (note := say(params)) is not None))


def file_keys(model: str) -> tuple[str, ...]:
    """The keys of a known model whose value may be the name of a file."""
    return getattr(_MODULES.get(model), "NAMES_FILES", ())


def digests(model: str, params: Mapping[str, Any], import_paths: Sequence[Path | str] = ()) -> dict[str, str]:
    """The SHA-256 of the files that a known model reads, by the names that a configuration has for them."""
    if not file_keys(model):
        return {}
    files = _MODULES[model].files(params, import_paths)
    return {name: _digest(path, path.stat().st_mtime_ns, path.stat().st_size) for name, path in files.items()}


@lru_cache(maxsize=16)
def _digest(path: Path, modified: int, size: int) -> str:
    """The SHA-256 of a file, which may have hundreds of megabytes, and which each trial asks for."""
    return sha256_of(path)


def _folders(model: str, import_paths: Sequence[Path | str]) -> tuple[Sequence[Path | str], ...]:
    """What a known model is given beside its parameters and its data."""
    return (import_paths,) if file_keys(model) else ()


def _check_data(model: str, info: "DatasetInfo") -> None:
    """Checks that data are of the kind that the known models take."""
    own = "model: package.module:function names one of your own"
    if info.inputs:
        raise ModelError(f"{model} takes one input, and {info.name} has {', '.join(info.inputs)}; {own}")
    if info.is_text and not hasattr(_MODULES[model], "TAKES_TEXT"):
        raise ModelError(
            f"{model} takes numbers, and the input of {info.name} is text; model: text takes it, or {own}, with a "
            "TextVectorization"
        )
    if info.task not in ("classification", "regression", "multilabel") or info.target_shape:
        kind = f"targets of shape {info.target_shape}" if info.target_shape else f"task {info.task}"
        raise ModelError(f"{model} predicts a class, labels or a row of numbers, and {info.name} has {kind}; {own}")


def build(
    model: str,
    params: Mapping[str, Any],
    info: "DatasetInfo",
    import_paths: Sequence[Path | str] = (),
    declared: Declared = NOTHING_DECLARED,
) -> Built:
    """Builds the model of one trial.

    `params` are the keys that the configuration sets (key -> value), which may include keys of training. `declared`
    holds the hyperparameters that a KerasTuner model is known to declare.

    Raises:
        ModelError: there is no such model, it is not a function that builds one, or it does not fit the data.
        InvalidModel: the model cannot be built with these parameters.
        Exception: whatever the user's own code raises.
    """
    if keys(model) is not None:
        _check_data(model, info)
        return Built(_MODULES[model].build(params, info, *_folders(model, import_paths)))
    found = load_object(model, import_paths)
    hypermodel = keras_tuner.hypermodel_of(model, found, info)
    if hypermodel is not None:
        return keras_tuner.build(model, hypermodel, params, declared)
    given = ReadParams(dict(params))
    network = keras_tuner.checked_model(model, found(given, info))
    return Built(network, reads=frozenset(given.read))
