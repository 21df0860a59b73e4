"""What ``seqcli doctor`` looks at in any room: packages, devices, folders."""

from __future__ import annotations

import os
import platform
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from seqcli import __version__
from seqcli.core import files, folders
from seqcli.errors import SeqcliError
from seqcli.results import Result

OK, WARN, FAIL = "ok", "warn", "fail"
_LOW_DISK = 200_000_000  # bytes
_WORD = "国家公務員"  # one word to Sudachi's core dictionary
_SHOWN = 50  # characters of a detail: with the longest name of a package it makes a line of 80
_PACKAGE = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
_NOT_FOR_USERS = ("dev", "all")


@dataclass(frozen=True)
class Check:
    """One finding.

    Arguments:
        name: what was looked at.
        status: ``ok``, ``warn``, or ``fail``: a command would end with an error.
        detail: what was seen.
        hint: the next command, if there is one.
    """

    name: str
    status: str
    detail: str
    hint: str | None = None

    def record(self) -> dict[str, Any]:
        """As a row of output."""
        return {"check": self.name, "status": self.status, "detail": self.detail, "hint": self.hint}


def machine() -> Iterator[Check]:
    """Versions, packages, devices, and the two folders that seqcli writes to by itself."""
    yield Check("seqcli", OK, f"{__version__}, Python {platform.python_version()}, {platform.system()}")
    yield from _packages()
    yield _dictionary()
    yield _devices()
    for name, folder in (("data folder", folders.data_folder()), ("cache folder", folders.cache_folder())):
        yield from _folder(name, folder)


def result(checks: Iterable[Check]) -> Result:
    """Findings as records; as a table without the hints, which are said in sentences."""
    found = tuple(checks)
    said = [f"{one.name}: {one.detail}" + (f" ({one.hint})" if one.hint else "") for one in found if one.status != OK]
    if failures(found) is None:
        warned = len(said)
        said.append(f"Nothing would fail{f'; {warned} warning' if warned else ''}{'s' if warned > 1 else ''}.")
    table = [{"check": one.name, "status": one.status, "detail": _short(one.detail)} for one in found]
    return Result(records=tuple(one.record() for one in found), table=tuple(table), sentences=tuple(said))


def failures(checks: Iterable[Check]) -> str | None:
    """What would fail, as the end of a sentence; ``None``: nothing."""
    failed = [one.name for one in checks if one.status == FAIL]
    return f"{', '.join(failed)} would fail" if failed else None


def of_error(name: str, error: SeqcliError) -> Check:
    """An error that a command would end with, as a finding."""
    return Check(name, FAIL, f"{error.where}: {error.what}", error.hint)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _packages() -> Iterator[Check]:
    """Every package that seqcli asks for when it is installed, and those of its extras."""
    try:
        asked = metadata.requires("seqcli") or []
    except metadata.PackageNotFoundError:
        yield Check("packages", WARN, "seqcli runs from its source and is not installed", "pip install .")
        return
    named = [(match[0], _EXTRA.search(line)) for line in asked if (match := _PACKAGE.match(line))]
    for package in sorted({name for name, extra in named if not extra}):
        yield _package(package, FAIL, f"pip install {package}")
    extras = {name: extra[1] for name, extra in named if extra and extra[1] not in _NOT_FOR_USERS}
    for package, extra in sorted(extras.items()):
        yield _package(package, WARN, f"pip install 'seqcli[{extra}]'")


def _dictionary() -> Check:
    """Whether Japanese text can be split: one word, as every text command would."""
    from seqcli.core.tokens import Tokenizer

    try:
        words = Tokenizer().words(_WORD)
    except SeqcliError as error:
        return of_error("dictionary", error)
    if words != [_WORD]:
        hint = "pip install --force-reinstall sudachidict-core"
        return Check("dictionary", FAIL, f"{_WORD} is split into {' '.join(words)}", hint)
    return Check("dictionary", OK, f"Sudachi's, {_WORD} is one word")


def _package(package: str, otherwise: str, hint: str) -> Check:
    try:
        return Check(package, OK, metadata.version(package))
    except metadata.PackageNotFoundError:
        return Check(package, otherwise, "is not installed", hint)


def _devices() -> Check:
    cores = f"{os.cpu_count()} processor cores"
    try:
        import torch
    except (ImportError, OSError) as error:
        return Check("devices", FAIL, f"PyTorch cannot be loaded ({error})", "pip install --force-reinstall torch")
    found = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    found += ["mps"] if torch.backends.mps.is_available() else []
    return Check("devices", OK, ", ".join([cores, *found]) if found else f"{cores}, no GPU (none is needed)")


def _folder(name: str, folder: Path) -> Iterator[Check]:
    try:
        files.check_writable(folder)
    except SeqcliError as error:
        yield of_error(name, error)
        return
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    status = WARN if free < _LOW_DISK else OK
    yield Check(name, status, f"{folder}, {free / 1e9:.1f} GB free", "make room" if status == WARN else None)
