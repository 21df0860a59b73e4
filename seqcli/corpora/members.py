"""The files of a corpus, from a folder, a tar or a zip archive; an archive is read in memory and never unpacked."""

from __future__ import annotations

import codecs
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from seqcli.core.lines import detect, misfit, open_input
from seqcli.errors import InputError

_LARGEST = 1 << 26  # bytes in one file; a whole novel is a fiftieth of it
_TOTAL = 1 << 32  # bytes in all; a small archive can claim to hold any amount
_UTF8_NAME = 0x800  # the flag of a zip member whose name is UTF-8


class Member(NamedTuple):
    """One file of a corpus.

    Arguments:
        name: its path inside the folder or archive, with ``/``.
        data: its bytes.
    """

    name: str
    data: bytes


def members(path: Path, wanted: Callable[[str], bool], *, single: bool = False) -> list[Member]:
    """The files that are wanted, sorted by name.

    Links and devices inside of an archive are passed over. Nothing is written to the disk.

    Arguments:
        path: a folder, a zip archive, or a tar archive with any compression.
        wanted: says by its name whether a file is read.
        single: a file that is no archive is the corpus itself.

    Raises:
        InputError: no such file, a damaged or encrypted archive, a path that leads out of it, a file above 64 MiB.
    """
    if path.is_dir():
        found = _in_folder(path, wanted)
    else:
        with open_input(path):  # says what is wrong if it is not there
            pass
        if zipfile.is_zipfile(path):
            found = _in_zip(path, wanted)
        elif _is_tar(path):
            found = _in_tar(path, wanted)
        elif single:
            _check_size(path, path.name, path.stat().st_size)
            found = iter([Member(path.name, path.read_bytes())])
        else:
            what = "is neither a folder nor a zip or tar archive"
            raise InputError(str(path), what, "give the archive as it was downloaded, or the folder it unpacks to")
    return sorted(_bounded(path, found))


def decode(place: str, data: bytes, encoding: str = "auto") -> str:
    """The text of a file, with ``\\n`` at the end of each line.

    Arguments:
        place: what an error calls the file.
        data: its bytes.
        encoding: a Python codec; ``auto`` finds UTF-8, UTF-16 with a byte-order mark, ISO-2022-JP, EUC-JP and cp932.

    Raises:
        InputError: it is not text, or not in this encoding; names the line and the byte.
    """
    found = encoding == "auto"
    if found:
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        else:
            detected = detect(data)
            encoding = "utf-8" if detected == "auto" else detected
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeError as problem:  # a few codecs do not say where
        start = getattr(problem, "start", 0)
        line = data.count(b"\n", 0, start) + 1
        named, hint = misfit(data, encoding, found=found)
        raise InputError(f"{place}: line {line}", f"byte 0x{data[start]:02X} is not {named}", hint) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{place}: line {line}", "there is a NUL character: this is not text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bounded(path: Path, found: Iterator[Member]) -> Iterator[Member]:
    total = 0
    for member in found:
        total += len(member.data)
        if total > _TOTAL:
            raise InputError(str(path), f"holds more than {_TOTAL >> 30} GiB of files: this is not a corpus of text")
        yield member


def _check_size(path: Path, name: str, size: int) -> None:
    if size > _LARGEST:
        raise InputError(f"{path}: {name}", f"is {size:,} bytes long; the longest text is {_LARGEST:,}")


def _check_name(path: Path, name: str) -> None:
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts:
        what = f"a file in it is called {name!r}, which leads out of the archive"
        raise InputError(str(path), what, "download it again from its publisher")


def _in_folder(path: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    for root, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(root, name)
            inside = file.relative_to(path).as_posix()
            if wanted(inside) and file.is_file():
                try:
                    _check_size(path, inside, file.stat().st_size)
                    yield Member(_readable(os.fsencode(inside)), file.read_bytes())
                except OSError as problem:
                    raise InputError(str(file), f"cannot be read: {problem.strerror or problem}") from None


def _in_zip(path: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                kind = (info.external_attr >> 16) & 0o170000  # the mode that Unix stores there
                if info.is_dir() or kind not in (0, 0o100000):
                    continue
                name = info.filename
                if not info.flag_bits & _UTF8_NAME:
                    with suppress(UnicodeEncodeError):  # the archive may give the name a second time, in UTF-8
                        name = _readable(name.encode("cp437"))  # what zipfile took the bytes for
                _check_name(path, name)
                if wanted(name):
                    _check_size(path, name, info.file_size)
                    yield Member(name, archive.read(info))
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError) as problem:
        raise InputError(str(path), f"is a damaged zip archive: {problem}", "download it again") from None
    except (RuntimeError, NotImplementedError) as problem:  # encrypted, or packed in a way that Python does not know
        raise InputError(str(path), f"cannot be unpacked: {problem}", "unpack it and give the folder") from None


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return False


def _in_tar(path: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    try:
        with tarfile.open(path, "r|*") as archive:
            for info in archive:
                if not info.isreg():
                    continue
                name = _readable(info.name.encode("utf-8", "surrogateescape"))
                _check_name(path, name)
                _check_size(path, name, info.size)  # of those that are not wanted, too: passing over them takes time
                if wanted(name) and (file := archive.extractfile(info)):
                    yield Member(name, file.read())
    except (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError) as problem:
        raise InputError(str(path), f"is a damaged tar archive: {problem}", "download it again") from None


def _readable(name: bytes) -> str:
    """A file name of any Japanese encoding."""
    found = detect(name)
    return name.decode("utf-8" if found == "auto" else found, "replace").removeprefix("./")
