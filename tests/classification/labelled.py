"""Labelled texts on the disk, and as a test looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from conftest import SAMPLES

from seqcli.classification.data import Example

POSTS = SAMPLES / "posts.csv"


def saved(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def table(path: Path, rows: Sequence[tuple[str, str]], encoding: str = "utf-8") -> Path:
    return saved(path, "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows), encoding)


def pairs(examples: Sequence[Example]) -> list[tuple[str, str]]:
    return [(example.text, example.label) for example in examples]
