"""What a model folder says about itself, for ``seqcli info``. JSON only: neither NumPy nor PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seqcli.core import checkpoint
from seqcli.core.checkpoint import ModelFolder
from seqcli.results import Result

_LONG = 60  # characters of a value that a table shows


def describe(path: Path) -> Result:
    """One record with everything; as a table a line a fact, and the model card as sentences.

    Raises:
        ModelError: the folder is missing, damaged or too new.
    """
    manifest = checkpoint.peek(path)
    facts = {"path": str(path), **asdict(manifest), "config": checkpoint.load_config(path), "bytes": _size(path)}
    shown = [{"fact": name, "value": _short(value)} for name, value in _flat(facts) if value not in (None, "", [], {})]
    card = ModelFolder(path).card
    lines = card.read_text(encoding="utf-8").splitlines() if card.exists() else []
    sentences = tuple(line.removeprefix("- ") for line in lines if line and not line.startswith("#"))
    return Result(records=(facts,), table=tuple(shown), sentences=sentences)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested facts with dotted names; the report stays out of a table, since the card says it in words."""
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif name not in ("metrics", "digests"):
            yield prefix + name, value


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"
