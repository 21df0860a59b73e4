"""A folder for each label, a file for each text; livedoor's news corpus is laid out so."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from seqcli.corpora.members import decode, members
from seqcli.corpora.report import divide, told
from seqcli.errors import InputError
from seqcli.results import Result

_ABOUT = re.compile(r"(?:LICEN[SC]E|README|CHANGES|COPYING|NOTICE)(?:\.(?:txt|md|rst))?", re.IGNORECASE)
_URL = re.compile(r"https?://\S+")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\S*")


def records(path: Path, *, split: bool = False, seed: int = 0, encoding: str = "auto") -> Result:
    """The files as rows: ``id, label, title, text``.

    The label is the outermost folder that tells the files apart. A file that begins with a URL, a date and a title,
    as livedoor's do, gives the third line as ``title`` and what follows as ``text``; elsewhere ``title`` is None.

    Arguments:
        path: a folder, or a zip or tar archive of one.
        split: adds ``split``, stratified by label, and ``duplicate_of``.
        seed: of the split.
        encoding: of the files; ``auto`` decides for each of them.

    Raises:
        InputError: nothing there, or no file in a folder can be read.
    """
    rows, deviations = load(path, encoding=encoding)
    counts = Counter(str(row["label"]) for row in rows)
    labels = ", ".join(f"{label} {count:,}" for label, count in sorted(counts.items()))
    texts, kinds = f"{len(rows):,} text{'s'[: len(rows) - 1]}", f"{len(counts):,} label{'s'[: len(counts) - 1]}"
    sentences = [f"{texts} in {kinds}: {labels}"]
    warnings = told(deviations, "files that are left out")
    if split:
        more, doubts = divide(rows, "label", "id", seed)
        sentences += more
        warnings += doubts
    return Result(tuple(rows), sentences=tuple(sentences), warnings=tuple(warnings))


def load(path: Path, *, encoding: str = "auto") -> tuple[list[dict[str, Any]], list[str]]:
    """The same rows, and a sentence about each file that is left out.

    Raises:
        InputError: nothing there, or no file in a folder can be read.
    """
    files = [file for file in members(path, _is_visible) if not _ABOUT.fullmatch(PurePosixPath(file.name).name)]
    depth = _depth([PurePosixPath(file.name).parts for file in files])
    rows: list[dict[str, Any]] = []
    deviations = []
    for file in files:
        parts = PurePosixPath(file.name).parts[depth:]
        if len(parts) < 2:
            deviations.append(f"{file.name}: is in no label's folder")
            continue
        try:
            title, text = _read(decode(file.name, file.data, encoding))
        except InputError as problem:
            deviations.append(str(problem))
            continue
        if not text and not title:
            deviations.append(f"{file.name}: is empty")
            continue
        identifier = PurePosixPath(*parts).with_suffix("").as_posix()
        rows.append({"id": identifier, "label": parts[0], "title": title, "text": text})
    if not rows:
        what = deviations[0] if deviations else "holds no files"
        raise InputError(str(path), f"no text in a label's folder: {what}", "it needs a folder for each label")
    _make_unique(rows)
    return rows, deviations


def _is_visible(name: str) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _depth(paths: Sequence[tuple[str, ...]]) -> int:
    """How many folders all labels have in common; files beside the labels' folders do not count."""
    folders = [parts[:-1] for parts in paths if len(parts) > 1]
    if not folders:
        return 0
    depth = 0
    while len({parts[depth] for parts in folders if len(parts) > depth}) == 1:
        if any(len(parts) == depth + 1 for parts in folders) and not any(len(parts) > depth + 1 for parts in folders):
            break  # one label only
        depth += 1
    return depth


def _read(text: str) -> tuple[str | None, str]:
    head = text.lstrip("\n").split("\n", 3)
    if len(head) >= 3 and _URL.fullmatch(head[0].strip()) and _DATE.fullmatch(head[1].strip()):
        return head[2].strip(), head[3].strip() if len(head) > 3 else ""
    return None, text.strip()


def _make_unique(rows: Sequence[dict[str, Any]]) -> None:
    """``a.txt`` and ``a.md`` of one label are two texts: their ids get a number."""
    seen: Counter[str] = Counter()
    for row in rows:
        seen[row["id"]] += 1
        if seen[row["id"]] > 1:
            row["id"] = f"{row['id']}#{seen[row['id']]}"
