"""User dictionaries: Sudachi's CSV, compiled with Sudachi's own compiler, kept in the cache by its content."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import re
import tempfile
from functools import cache
from importlib import metadata
from pathlib import Path

from seqcli.core import files
from seqcli.core.folders import cache_folder
from seqcli.core.lines import Lines, open_input
from seqcli.errors import InputError, MachineError

DICTIONARY_PACKAGE = "sudachidict_core"
MISSING_HINT = "pip install 'sudachipy<0.7' sudachidict-core"

_COMPILED = ".dic"  # what Sudachi calls a dictionary that it compiled; anything else is read as CSV
_KEPT = "user_dictionary"  # what its copy in a model folder is called
_COLUMNS = 18
_EXAMPLE = "a noun: 猫カフェ,4786,4786,5000,猫カフェ,名詞,普通名詞,一般,*,*,*,ネコカフェ,猫カフェ,*,*,*,*,*"
_AT_WORD = re.compile(r"(<entry id>)?:(\d+)\t(.*)")  # what the compiler refuses: an entry from 0, or a record from 1


def sha256(path: Path) -> str:
    """The fingerprint of a dictionary as the user wrote it.

    Raises:
        InputError: it is not there, or cannot be read.
    """
    with open_input(path) as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def compiled(path: Path) -> Path:
    """A dictionary in Sudachi's binary form: ``path`` itself if it ends in ``.dic``, else its CSV compiled.

    A CSV is compiled once for each content, SudachiPy and system dictionary; two processes may do it at once.

    Raises:
        InputError: no such file, a row that Sudachi refuses (named), or no word that could ever be found.
        MachineError: SudachiPy or its dictionary is not installed, or the cache cannot be written to.
    """
    if path.suffix.lower() == _COMPILED:
        sha256(path)  # a missing file is said in our words
        return path
    text, rows = _checked(path)
    made_of = "\n".join((metadata.version("sudachipy"), metadata.version(DICTIONARY_PACKAGE), text))
    target = cache_folder() / "dictionaries" / f"{hashlib.sha256(made_of.encode()).hexdigest()}{_COMPILED}"
    if not target.exists():
        files.write_bytes(target, _compile(path, text, rows))
    return target


def kept(path: Path) -> dict[str, bytes]:
    """A dictionary as the file that a model folder has of it, so that the model needs nothing else: name to content.

    Raises:
        InputError: it is not there, or cannot be read.
    """
    with open_input(path) as stream:
        return {_KEPT + (_COMPILED if path.suffix.lower() == _COMPILED else ".csv"): stream.read()}


def of_folder(folder: Path) -> Path | None:
    """The dictionary that a model folder has, if there is one."""
    return next((path for end in (".csv", _COMPILED) if (path := folder / f"{_KEPT}{end}").exists()), None)


@cache
def system_dictionary() -> Path:
    """Where the system dictionary lies, found without importing its package.

    Raises:
        MachineError: it is not installed.
    """
    spec = importlib.util.find_spec(DICTIONARY_PACKAGE)
    path = Path(spec.origin).parent / "resources" / "system.dic" if spec and spec.origin else None
    if path is None or not path.exists():
        raise MachineError("tokenizer", "the Japanese dictionary sudachidict-core is not there", MISSING_HINT)
    return path


def _checked(path: Path) -> tuple[str, list[int]]:
    """The CSV as UTF-8, whatever its encoding, and the line of each word; refuses what Sudachi's compiler would not."""
    lines = list(Lines(path))
    rows = csv.reader(lines)
    words = [(row, rows.line_num) for row in rows if row]
    for row, line in words:
        if len(row) < _COLUMNS:
            raise InputError(f"{path}: row {line}", f"{len(row)} columns, but a word has {_COLUMNS}", _EXAMPLE)
    if all(row[1].strip() == "-1" for row, _ in words):  # the compiler panics
        raise InputError(str(path), "no word in it could be found in a text", _EXAMPLE)
    return "".join(lines), [line for _, line in words]


def _compile(path: Path, text: str, rows: list[int]) -> bytes:
    try:
        from sudachipy import errors, sudachipy
    except ImportError:
        raise MachineError("tokenizer", "the package sudachipy is not there", MISSING_HINT) from None
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "words.csv"), Path(folder, "words.dic")
        source.write_text(text, encoding="utf-8", newline="")
        try:
            sudachipy.build_user_dic(system=system_dictionary(), lex=[source], output=target, description="")
        except errors.SudachiError as problem:
            at = _AT_WORD.search(str(problem))
            where, what = str(path), str(problem)
            if at:
                where, what = f"{path}: row {rows[int(at[2]) - (at[1] is None)]}", at[3]
            raise InputError(where, f"not a word for Sudachi: {what}", _EXAMPLE) from None
        return target.read_bytes()
