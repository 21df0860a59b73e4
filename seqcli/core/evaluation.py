"""What ``seqcli evaluate`` asks of a room: how the data are read, and what is to be printed of them."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Literal

from seqcli.errors import UsageError
from seqcli.results import Progress, Result

_FLAGS: Final = {"cleaning": "--aozora/--no-aozora"}  # of fields that are not called as they are typed


@dataclass(frozen=True)
class Request:
    """An evaluation; each kind of model has a use for some of it.

    Arguments:
        text_column: the text in a table.
        label_column: the truth in a table.
        input_format: of a table; ``None``: by its suffix.
        encoding: of the data; ``auto`` finds the usual Japanese ones.
        per_class: a record a label.
        per_line: a record a line of text.
        per_token: a file for the natural log probability of each token.
        part: of a generator: ``mixture``, ``network`` or ``kneser-ney``, where one is asked.
        workers: processes.
        cleaning: of a generator: whether Aozora Bunko's ruby, notes and colophon are taken out.
    """

    text_column: str = "text"
    label_column: str = "label"
    input_format: str | None = None
    encoding: str = "auto"
    per_class: bool = False
    per_line: bool = False
    per_token: Path | None = None
    part: Literal["mixture", "network", "kneser-ney"] = "mixture"
    workers: int = 1
    cleaning: Literal["auto", "on", "off"] = "auto"

    def refuse(self, kind: str, *names: str) -> None:
        """Refuses what a kind of model has no use for: it would be ignored without a word.

        Raises:
            UsageError: one of the fields ``names`` has another value than its default.
        """
        for field in fields(self):
            if field.name in names and getattr(self, field.name) != field.default:
                flag = _FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
                raise UsageError(flag, f"a {kind} has nothing of the kind", "leave it out")


Evaluate = Callable[[Path, str, Request], Generator[Progress, None, Result]]
"""``evaluate(model, data, request)`` of a room; ``data`` as it was typed, ``-`` for standard input."""
