"""Records as JSON lines: real characters, every digit, and null for what is no number."""

from __future__ import annotations

import datetime
import json
import math

import numpy as np
import pytest

from seqcli.core.json_lines import dumps


def test_json_has_real_characters_iso_dates_and_full_precision() -> None:
    record = {"通貨": "円", "day": datetime.date(2024, 6, 8), "value": 0.1 + 0.2, "path": "a/b"}
    assert dumps(record) == '{"通貨": "円", "day": "2024-06-08", "value": 0.30000000000000004, "path": "a/b"}'


def test_nan_and_infinity_become_null_wherever_they_stand() -> None:
    record = {"a": math.nan, "b": [math.inf, {"c": -math.inf}], "d": np.array([1.0, np.nan]), "e": np.float64("nan")}
    assert json.loads(dumps(record)) == {"a": None, "b": [None, {"c": None}], "d": [1.0, None], "e": None}


def test_numpy_values_are_written_as_the_numbers_they_hold() -> None:
    record = {
        "i": np.int64(3),
        "f": np.float32(0.5),
        "b": np.bool_(True),
        "t": np.datetime64("2024-06-08"),
        "a": np.eye(2),
    }
    expected = {"i": 3, "f": 0.5, "b": True, "t": "2024-06-08", "a": [[1.0, 0.0], [0.0, 1.0]]}
    assert json.loads(dumps(record)) == expected
    assert json.loads(dumps({**record, "x": math.nan})) == {**expected, "x": None}


def test_a_value_that_json_cannot_hold_is_a_bug_not_a_string() -> None:
    with pytest.raises(TypeError, match="cannot be written as JSON"):
        dumps({"a": object()})
