"""What ``seqcli doctor`` looks at in any room: packages, devices, folders."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from seqcli import __version__
from seqcli.core import files, folders
from seqcli.errors import SeqcliError

OK, WARN, FAIL = "ok", "warn", "fail"
NEEDED = ("numpy", "torch", "pandas", "scipy", "arch", "safetensors", "CurrencyConverter", "matplotlib", "httpx")
OPTIONAL = {"pyarrow": "parquet"}  # package to extra
_LOW_DISK = 200_000_000  # bytes


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
    for package in NEEDED:
        yield _package(package, FAIL, f"pip install {package}")
    for package, extra in OPTIONAL.items():
        yield _package(package, WARN, f"pip install 'seqcli[{extra}]'")
    yield _devices()
    for name, folder in (("data folder", folders.data_folder()), ("cache folder", folders.cache_folder())):
        yield from _folder(name, folder)


def failures(checks: Sequence[Mapping[str, Any]]) -> str | None:
    """What would fail, as the end of a sentence; ``None``: nothing."""
    failed = [str(check["check"]) for check in checks if check["status"] == FAIL]
    return f"{', '.join(failed)} would fail" if failed else None


def of_error(name: str, error: SeqcliError) -> Check:
    """An error that a command would end with, as a finding."""
    return Check(name, FAIL, f"{error.where}: {error.what}", error.hint)


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
