"""What a model folder says about itself, for ``seqcli info``. JSON only: neither NumPy nor PyTorch."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest, ModelFolder
from seqcli.results import Result

_LONG = 60  # characters of a value that a table shows
_CARD = 16_384  # bytes of a model card that are read: ours have a tenth of that

Room = Callable[[Path, Manifest], Mapping[str, Any]]
"""Gives what only a model's own room can read of its folder, as further facts."""


def describe(path: Path, rooms: Mapping[str, Room] | None = None) -> Result:
    """One record with everything; as a table a line a fact, and the model card as sentences.

    Arguments:
        path: the model folder.
        rooms: for a kind of model, who knows more of it.

    Raises:
        ModelError: the folder is missing, damaged or too new.
    """
    manifest = checkpoint.peek(path)
    facts = {"path": str(path), **asdict(manifest), "config": checkpoint.load_config(path), "bytes": _size(path)}
    if room := (rooms or {}).get(manifest.kind):
        facts |= room(path, manifest)
    shown = [{"fact": name, "value": _short(value)} for name, value in _flat(facts) if value not in (None, "", [], {})]
    lines, warnings = _card(ModelFolder(path).card)
    sentences = tuple(line.removeprefix("- ") for line in lines if line and not line.startswith("#"))
    return Result(records=(facts,), table=tuple(shown), sentences=sentences, warnings=warnings)


def _card(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """The lines of the model card, and a warning where it cannot be shown: it may come from anywhere."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return [], (f"{path.name} is not a regular file: not shown",)
        with path.open("rb") as file:
            content = file.read(_CARD + 1)
    except FileNotFoundError:
        return [], ()
    except OSError as error:
        return [], (f"{path.name} cannot be read ({error.strerror}): not shown",)
    text = content[:_CARD].decode("utf-8", errors="replace")
    return text.splitlines(), (f"{path.name} is long: the rest is not shown",) if len(content) > _CARD else ()


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested facts with dotted names; the report stays out of a table, since the card says it in words."""
    for name, value in facts.items():
        if name in ("metrics", "digests"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(each, Mapping) for each in value):
            yield from _flat({str(place): each for place, each in enumerate(value, 1)}, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"
