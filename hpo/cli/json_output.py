"""The output of commands for programs: JSON on stdout."""

import json
import math
import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def print_json(value: object, indent: int | None = None) -> None:
    """Prints one JSON object on stdout."""
    sys.stdout.write(json.dumps(value, default=_plain, allow_nan=False, indent=indent) + "\n")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def finite(value: Any) -> Any:
    """A value of a table for JSON: None instead of a float that is NaN or infinite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
