"""JSON and safetensors, written plainly and read with suspicion: a model folder may come from anywhere.

Nothing is believed that can be checked before memory is taken: kind of file, size, header, offsets, shapes. What is
wrong becomes a ModelError of one line. NumPy is imported only where arrays are made.
"""

from __future__ import annotations

import json
import math
import os
import stat
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from seqcli.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

HINT = "train the model again, or copy the folder again from where it came"

_MAX_JSON = 64 * 2**20  # bytes; a vocabulary of a million words fits
_MAX_HEADER = 4 * 2**20  # bytes; ours take some kilobytes
_MAX_TENSORS = 10_000
_MAX_DIMENSIONS = 8
_ITEM_SIZES = {  # bytes; the dtypes that NumPy knows
    **dict.fromkeys(("BOOL", "U8", "I8"), 1),
    **dict.fromkeys(("U16", "I16", "F16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}


def dump_json(value: Any, *, lines: bool = False) -> str:
    """Write JSON with real Japanese; NaN and infinity become null, dates ISO. ``lines`` puts it on one line."""
    return json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, indent=None if lines else 2) + "\n"


def dump_tensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Pack arrays as a standard safetensors file; equal arrays give equal bytes."""
    import numpy as np
    import safetensors.numpy

    # safetensors would write the memory of a transposed view as it lies.
    data: bytes = safetensors.numpy.save({name: np.asarray(array, order="C") for name, array in tensors.items()})
    return data


def read_json(path: Path, kind: type[dict[str, Any]] | type[list[Any]]) -> Any:
    """Read a JSON file whose top is a ``kind`` (dict or list), in strict JSON. Raises ModelError."""
    value = _parse(path, _read(path))
    if not isinstance(value, kind):
        words = {dict: "an object", list: "a list"}
        raise ModelError(str(path), f"is not {words[kind]} (it begins {str(value)[:40]!r})", HINT)
    return value


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a file of one JSON object a line. Raises ModelError."""
    rows = [_parse(path, line) for line in _read(path).splitlines() if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ModelError(str(path), "has a line that is not an object", HINT)
    return rows


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read names and shapes from a safetensors header, checking that it describes the whole file exactly.

    Every dtype, shape and offset is checked against the file's size, without holes or overlaps; no tensor is
    read. Raises ModelError.
    """
    size = _regular_size(path)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > size - 8:
            _refuse(path, f"is cut short ({size} bytes)")
        if length > _MAX_HEADER:
            _refuse(path, f"has a header of {length} bytes")
        header = _parse(path, file.read(length))
    if not isinstance(header, dict):
        _refuse(path, "has no header")
    header.pop("__metadata__", None)
    if len(header) > _MAX_TENSORS:
        _refuse(path, f"claims {len(header)} tensors")
    spans = sorted(_span(path, name, entry) for name, entry in header.items())
    end = 0
    for start, stop, name in spans:
        if start != end:
            _refuse(path, f"tensor {_shown(name)} lies at byte {start}, not at {end}")
        end = stop
    if end != size - 8 - length:
        _refuse(path, f"its tensors take {end} bytes, but the file holds {size - 8 - length}")
    return {name: tuple(entry["shape"]) for name, entry in header.items()}


def read_tensors(path: Path, *, sha256: str | None = None, finite: bool = True) -> dict[str, np.ndarray]:
    """Read a safetensors file as writable arrays, after :func:`tensor_shapes` has checked it.

    ``sha256``, when given, must be the file's; with ``finite``, every number must be. Raises ModelError, also when
    another file takes this one's place meanwhile.
    """
    import hashlib

    import numpy as np
    import safetensors.numpy

    before = path.lstat() if path.exists() else None
    tensor_shapes(path)
    if sha256 is not None:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                _refuse(path, "is not the file that was saved with this model")
    try:
        tensors: dict[str, np.ndarray] = safetensors.numpy.load_file(path)
    except safetensors.SafetensorError as error:
        raise ModelError(str(path), f"is damaged ({_shown(str(error))})", HINT) from error
    except OSError as error:  # it was there a moment ago
        raise ModelError(str(path), f"cannot be read ({error.strerror})", HINT) from error
    after = path.lstat() if path.exists() else None
    if before is None or after is None or _trace(before) != _trace(after):
        _refuse(path, "was replaced while it was read")
    for name, array in tensors.items() if finite else ():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            _refuse(path, f"tensor {_shown(name)} holds NaN or infinity")
    return tensors


def _trace(status: os.stat_result) -> tuple[int, int, int]:
    """What differs between a file and another one under its name."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def _span(path: Path, name: str, entry: Any) -> tuple[int, int, str]:
    """Where a tensor lies, when its header entry is consistent in itself."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        _refuse(path, f"tensor {_shown(name)} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_SIZES:
        _refuse(path, f"tensor {_shown(name)} has the dtype {_shown(dtype)}")
    if not _are_counts(shape) or len(shape) > _MAX_DIMENSIONS:
        _refuse(path, f"tensor {_shown(name)} has the shape {_shown(shape)}")
    if not _are_counts(offsets) or len(offsets) != 2:
        _refuse(path, f"tensor {_shown(name)} has the offsets {_shown(offsets)}")
    if offsets[1] - offsets[0] != math.prod(shape) * _ITEM_SIZES[dtype]:
        _refuse(path, f"tensor {_shown(name)} of shape {_shown(shape)} has the offsets {_shown(offsets)}")
    return offsets[0], offsets[1], name


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _regular_size(path: Path) -> int:
    """Bytes of a regular file that lies in the folder itself: a link could lead anywhere, a pipe never ends."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise ModelError(str(path), "is missing", HINT) from None
    except OSError as error:
        raise ModelError(str(path), f"cannot be read ({error.strerror})", HINT) from error
    if stat.S_ISLNK(status.st_mode):
        raise ModelError(str(path), "is a link", "put the file itself in its place")
    if not stat.S_ISREG(status.st_mode):
        _refuse(path, "is not a regular file")
    return status.st_size


def _read(path: Path) -> bytes:
    size = _regular_size(path)
    if size > _MAX_JSON:
        _refuse(path, f"is too large ({size} bytes; at most {_MAX_JSON})")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(str(path), f"cannot be read ({error.strerror})", HINT) from error


def _parse(path: Path, data: bytes) -> Any:
    try:
        return json.loads(
            data.decode("utf-8"), parse_constant=_number, parse_float=_number, object_pairs_hook=_without_doubles
        )
    except RecursionError:
        raise ModelError(str(path), "is nested too deeply", HINT) from None
    except ValueError as error:  # of the decoder, of JSON, or of the three hooks
        raise ModelError(str(path), f"is not valid JSON ({str(error)[:100]})", HINT) from None


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]}")
    return value


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice")
    return result


def _plain(value: Any) -> Any:
    """What the JSON encoder takes: NumPy's scalars and arrays become Python's, numbers that are none become null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


def _shown(value: Any) -> str:
    """A value from the file as one short line that no terminal obeys."""
    return repr(value)[:60]


def _refuse(path: Path, what: str) -> NoReturn:
    raise ModelError(str(path), what, HINT)
