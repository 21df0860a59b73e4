"""One way to every kind of corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seqcli.core.lines import codec
from seqcli.corpora import aozora, folder, knbc
from seqcli.errors import UsageError
from seqcli.results import Result

Kind = Literal["knbc", "aozora", "folder"]


def records(
    kind: Kind,
    path: Path,
    *,
    unit: knbc.Unit | None = None,
    split: bool = False,
    seed: int = 0,
    encoding: str = "auto",
) -> Result:
    """The records of a corpus.

    Arguments:
        kind: ``knbc``, ``aozora`` or ``folder``.
        path: a folder, or a zip or tar archive of it.
        unit: of ``knbc``: ``article`` (the default) or ``sentence``.
        split: adds ``split`` and ``duplicate_of``; of ``knbc`` and ``folder``.
        seed: of the split.
        encoding: a Python codec, or ``auto``.

    Raises:
        UsageError: an option that this kind does not have, or an unknown encoding.
        InputError: no such corpus at ``path``.
    """
    encoding = encoding if encoding == "auto" else codec(encoding)
    if unit and kind != "knbc":
        raise UsageError("--unit", f"{kind} has no units", "--unit is for corpus knbc")
    if kind == "aozora":
        if split:
            raise UsageError("--split", "Aozora Bunko's works have no labels to split by", "leave --split out")
        return aozora.records(path, encoding=encoding)
    if kind == "folder":
        return folder.records(path, split=split, seed=seed, encoding=encoding)
    return knbc.records(path, unit=unit or "article", split=split, seed=seed, encoding=encoding)
