"""Records as JSON, which is what every command writes: so this file loads nothing that only some of them need."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping


def dumps(record: object) -> str:
    """One line of JSON: real characters, ISO dates, full float precision; NaN and infinity become null.

    NumPy scalars and arrays are written as the numbers they hold.
    """
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False, default=plain)
    except ValueError:  # somewhere there is a NaN: only then is it worth walking through
        return json.dumps(plain(record), ensure_ascii=False, allow_nan=False)


def plain(value: object) -> object:
    """The same value in JSON's types, as ``dumps`` writes it; for CSV and tables, None is an empty field.

    Raises:
        TypeError: there is no way to write it.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    # Dates and times, then NumPy's arrays and scalars, without importing NumPy.
    convert = getattr(value, "isoformat", None) or getattr(value, "tolist", None)
    if convert is None:
        raise TypeError(f"cannot be written as JSON: {value!r}")
    return plain(convert())
