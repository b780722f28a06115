"""How the results of a trial are stored: written in one form, and read in the forms of earlier versions too."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from hpo.study.failure import Failure
from hpo.study.record import TrialRecord
from hpo.system.safe_paths import is_kept_model
from hpo.text.cleaning import clean


def result_of(record: TrialRecord) -> dict[str, Any]:
    """The attribute RESULT of a trial: its results, except for the state, value and times that Optuna stores."""
    return {
        "value": record.value, "best_epoch": record.best_epoch, "curves": record.curves, "test": record.test,
        "ended_by": record.ended_by, **_kept(record.failure),
        "model_parameters": record.model_parameters, "note": record.note, "model_file": record.model_file,
        **({"fold_lengths": record.fold_lengths} if record.fold_lengths else {}),
        **({"fold_best_epochs": record.fold_best_epochs} if record.fold_best_epochs else {}),
        **({"trained_seconds": record.trained_seconds} if record.trained_seconds is not None else {}),
        **({"legs": record.legs} if len(record.legs) > 1 or record.trained_seconds is not None else {}),
        **({"test_note": record.test_note} if record.test_note else {}),
        **({"model_note": record.model_note} if record.model_note else {}),
        **({"gpu_memory": record.gpu_memory} if record.gpu_memory is not None else {}),
        **({"executions": record.executions} if record.executions is not None else {}),
    }  # fmt: skip


def fields_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a TrialRecord, read from the attribute RESULT."""
    fields = {**result, "failure": _failure(result)}
    for name in ("error", "traceback"):
        fields.pop(name, None)
    if fields.get("model_file") and not is_kept_model(fields["model_file"]):
        fields["model_file"] = None
    fields = _with_folds(fields) | {"legs": tuple(map(tuple, fields.get("legs", ())))}
    return fields | {name: tuple(fields.get(name, ())) for name in ("fold_lengths", "fold_best_epochs")}


def _kept(failure: Failure | None) -> dict[str, str | None]:
    if failure is None:
        return {"failure": None, "error": None}
    return {"failure": failure.reason, "error": failure.message, "traceback": failure.traceback}


def _failure(result: Mapping[str, Any]) -> Failure | None:
    """Reads a failure. Earlier versions stored message and traceback as one text, with an empty line between them."""
    if result.get("failure") is None:
        return None
    # The stored text may be megabytes long, or contain characters that no terminal can print.
    message, traceback = clean(result.get("error") or ""), clean(result.get("traceback") or "")
    if "traceback" not in result:
        message, _, traceback = message.partition("\n\n")
    return Failure(result["failure"], message, traceback)


def _with_folds(fields: dict[str, Any]) -> dict[str, Any]:
    """Reads the folds' lengths. Earlier versions stored the fold of each epoch as one more curve, `fold`."""
    if "fold" not in fields.get("curves", {}):
        return fields
    curves = dict(fields["curves"])
    lengths = [len(list(epochs)) for _, epochs in groupby(curves.pop("fold"))]
    return {**fields, "curves": curves, "fold_lengths": lengths}
