"""The journal: every forecast that was issued, in an SQLite file that any tool can read.

Table ``forecasts`` holds one row a series, origin, horizon and model; what ``--force`` replaced is kept in table
``superseded``. Each call is one transaction: after ``kill -9`` or a full disk it has happened or it has not.
"""

from __future__ import annotations

import datetime
import errno
import math
import random
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from seqcli.core import clock, files
from seqcli.errors import InputError, MachineError, ModelError, SeqcliError, TryLaterError
from seqcli.forecasting.records import QUANTILES
from seqcli.results import Record

VERSION: Final = 1
"""The schema's version, kept in SQLite's ``user_version``."""

TIMEOUT: Final = 60.0  # seconds to wait for other processes; fifty at once take about two

_APPLICATION: Final = 0x5345514A  # "SEQJ" in SQLite's application_id tells a journal from any other database
_KEY: Final = ("series", "origin_date", "h", "model_id")
_REQUIRED: Final = {
    "series": "TEXT NOT NULL",
    "origin_date": "TEXT NOT NULL",
    "h": "INTEGER NOT NULL",
    "target_date": "TEXT NOT NULL",
    "point": "REAL",
    **dict.fromkeys(QUANTILES, "REAL"),
    "last": "REAL",
    "naive": "REAL",
    "issued_at": "TEXT NOT NULL",
    "model_id": "TEXT NOT NULL",
    "data_until": "TEXT NOT NULL",
}
_OPTIONAL: Final = {
    "stale": "INTEGER",  # the data's age in business days, where --allow-stale let old data through
    "calibration": "TEXT",  # the identity of the calibration in force, if any
}
_TYPES: Final = {**_REQUIRED, **_OPTIONAL}
COLUMNS: Final = tuple(_TYPES)
"""The columns of a journal row, in order: those of a forecast record, then ``stale`` and ``calibration``."""

_MAY_DIFFER: Final = ("issued_at", "stale")  # a rerun says the same at another moment
_SAME: Final = 1e-9  # relative: another machine's last digit is not another forecast


@dataclass(frozen=True)
class Written:
    """What ``append`` did with the records.

    Arguments:
        added: rows that were new.
        unchanged: rows that stood there with the same numbers.
        differing: rows that stood there with other numbers, and were kept.
        superseded: rows that were replaced because of ``force``.
    """

    added: int
    unchanged: int
    differing: int
    superseded: int

    def warnings(self) -> tuple[str, ...]:
        """What the user should know: forecasts that came out differently this time."""
        if not self.differing:
            return ()
        return (
            f"the journal holds {self.differing} of these forecasts with other numbers (were the data or the "
            "calibration changed?): the first ones are kept; --force replaces them",
        )


@dataclass(frozen=True)
class Contents:
    """What a journal holds, at a glance: names, numbers of rows, and ISO dates that are None where it is empty."""

    series: tuple[str, ...]
    models: tuple[str, ...]
    rows: int
    superseded: int
    first_origin: str | None
    last_origin: str | None
    last_issued: str | None


def append(path: Path, records: Iterable[Record], *, force: bool = False, timeout: float = TIMEOUT) -> Written:
    """Write forecast records, all or none; a forecast that is there already is not written twice.

    Arguments:
        path: the journal, made where there is none (its folder too).
        records: forecast records as ``forecast`` gives them, perhaps with ``stale`` and ``calibration``.
        force: replace the rows that are there; the old ones move to table ``superseded`` with the time in UTC.
        timeout: seconds to wait while other processes write.

    Raises:
        InputError: the file is no journal, or damaged.
        ModelError: it was made by a newer seqcli.
        MachineError: the disk is full, or the file cannot be written to.
        TryLaterError: other processes held it for longer than ``timeout``.
    """
    rows = [_row(record) for record in records]
    _refuse_folder(path)
    with files.explained(path):
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + timeout
    while True:
        try:
            with closing(sqlite3.connect(path, timeout=max(0.0, timeout), isolation_level=None)) as database:
                _prepare(database, path)
                return _write(database, rows, force)
        except sqlite3.Error as problem:
            # SQLite waits by itself for most locks, but not while the first process sets up a new file.
            if not _is_busy(problem) or time.monotonic() >= deadline:
                raise _explained(path, problem) from problem
            time.sleep(random.uniform(0.002, 0.03))  # noqa: S311 - so that waiting processes do not march in step


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The current rows, oldest origin first, each with the columns ``COLUMNS``; the file is closed before the first.

    Raises:
        InputError: there is no such file, it is no journal, or it is damaged.
        ModelError: it was made by a newer seqcli.
        TryLaterError: another process holds it.
    """
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    rows = _query(path, f"SELECT {names} FROM forecasts ORDER BY origin_date, series, h, issued_at")  # noqa: S608 - our own names
    return (dict(zip(COLUMNS, row, strict=True)) for row in rows)


def contents(path: Path) -> Contents:
    """What the journal holds, without reading its numbers; errors as in ``read``."""
    ((rows, superseded, first, last, issued),) = _query(
        path,
        "SELECT count(*), (SELECT count(*) FROM superseded), min(origin_date), max(origin_date), max(issued_at) "
        "FROM forecasts",
    )
    series = _query(path, "SELECT series FROM forecasts GROUP BY series ORDER BY min(rowid)")
    models = _query(path, "SELECT model_id FROM forecasts GROUP BY model_id ORDER BY min(rowid)")
    return Contents(tuple(s for (s,) in series), tuple(m for (m,) in models), rows, superseded, first, last, issued)


def _row(record: Record) -> tuple[object, ...]:
    """The record's values in the order of ``COLUMNS``, as SQLite takes them."""
    if strange := [name for name in record if name not in _TYPES]:
        raise ValueError(f"the journal has no column {strange[0]!r}")
    row: list[object] = []
    for name, kind in _TYPES.items():
        value = record[name] if name in _REQUIRED else record.get(name)
        if value is None:
            row.append(None)
        elif kind.startswith("TEXT"):
            row.append(value.isoformat() if isinstance(value, datetime.date) else str(value))
        else:
            row.append(int(value) if kind.startswith("INTEGER") else float(value))
    return tuple(row)


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    """Make the tables in a new file; refuse a file that is not ours before anything in it changes."""
    if _version(database, path) == VERSION:
        return
    try:
        database.execute("PRAGMA journal_mode = WAL")  # readers and writers do not wait for each other
    except sqlite3.OperationalError as problem:
        if _is_busy(problem):
            raise
        # Some network file systems cannot have it; the ordinary rollback journal is as safe.
    columns = ", ".join(f'"{name}" {kind}' for name, kind in _TYPES.items())
    database.execute("BEGIN IMMEDIATE")
    if _version(database, path) == 0:  # nobody was faster
        database.execute(f"CREATE TABLE forecasts ({columns}, UNIQUE ({', '.join(_KEY)}))")
        database.execute(f"CREATE TABLE superseded ({columns}, superseded_at TEXT NOT NULL)")
        database.execute(f"PRAGMA application_id = {_APPLICATION}")
        database.execute(f"PRAGMA user_version = {VERSION}")
    database.execute("COMMIT")


def _version(database: sqlite3.Connection, path: Path) -> int:
    """The schema's version; 0 for a new, empty file."""
    # The three answers must be of one moment: another process may be making the tables.
    own = not database.in_transaction
    if own:
        database.execute("BEGIN")
    ((application,),) = database.execute("PRAGMA application_id").fetchall()
    ((version,),) = database.execute("PRAGMA user_version").fetchall()
    ((tables,),) = database.execute("SELECT count(*) FROM sqlite_master").fetchall()
    if own:
        database.execute("COMMIT")
    if application == _APPLICATION and version > VERSION:
        raise ModelError(
            str(path),
            f"made by a newer seqcli (journal version {version}, this one reads {VERSION})",
            "pip install --upgrade seqcli",
        )
    if application == 0 and tables == 0:
        return 0
    if application != _APPLICATION or version < 1:
        raise InputError(str(path), "an SQLite database, but no journal of seqcli", "name another file for --journal")
    return int(version)


def _write(database: sqlite3.Connection, rows: list[tuple[object, ...]], force: bool) -> Written:
    where = " AND ".join(f"{name} = ?" for name in _KEY)
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    marks = ", ".join("?" * len(COLUMNS))
    key_of = [COLUMNS.index(name) for name in _KEY]
    compared = [i for i, name in enumerate(COLUMNS) if name not in _MAY_DIFFER]
    stamp = clock.now().isoformat(timespec="seconds")
    added = unchanged = differing = superseded = 0
    database.execute("PRAGMA synchronous = FULL")  # what was answered with success survives a power cut
    database.execute("BEGIN IMMEDIATE")
    try:
        for row in rows:
            key = [row[i] for i in key_of]
            old = database.execute(f"SELECT {names} FROM forecasts WHERE {where}", key).fetchone()  # noqa: S608 - our own names
            if old is None:
                added += 1
            elif force:
                superseded += 1
                database.execute(f"INSERT INTO superseded VALUES ({marks}, ?)", (*old, stamp))  # noqa: S608
                database.execute(f"DELETE FROM forecasts WHERE {where}", key)  # noqa: S608
            else:
                same = all(_same(old[i], row[i]) for i in compared)
                unchanged, differing = unchanged + same, differing + (not same)
                continue
            database.execute(f"INSERT INTO forecasts VALUES ({marks})", row)  # noqa: S608
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    return Written(added, unchanged, differing, superseded)


def _same(old: object, new: object) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return math.isclose(old, new, rel_tol=_SAME)
    if isinstance(new, float) and math.isnan(new):
        new = None  # as SQLite stores it
    return old == new


def _query(path: Path, statement: str) -> list[Any]:
    _refuse_folder(path)
    if not path.exists():
        raise InputError(str(path), "no such journal", f"seqcli forecast MODEL --journal {path}")
    try:
        with closing(_open_to_read(path)) as database:
            if _version(database, path) == 0:
                raise InputError(str(path), "an empty file, no journal yet", f"seqcli forecast MODEL --journal {path}")
            return database.execute(statement).fetchall()
    except sqlite3.Error as problem:
        raise _explained(path, problem) from problem


def _open_to_read(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing, from a folder that may not be written to as well."""
    # SQLite needs a shared file beside a journal in WAL mode. Where it cannot be made, nobody writes: the file can be
    # read as it is. Opened for writing first, because then the last reader tidies that file away.
    place = quote(str(path.absolute()))
    for options in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
        database = None
        try:
            database = sqlite3.connect(f"file:{place}?{options}", uri=True, timeout=TIMEOUT, isolation_level=None)
            database.execute("PRAGMA query_only = ON")
            database.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except sqlite3.OperationalError as problem:
            if database is not None:
                database.close()
            waiting = path.with_name(f"{path.name}-wal")  # rows that only a reader who may write can see
            if problem.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or (
                options == "mode=ro" and waiting.exists() and waiting.stat().st_size
            ):
                raise
        except BaseException:
            if database is not None:
                database.close()
            raise
        else:
            return database
    raise InputError(str(path), "cannot be opened", f"check who may read it: ls -l {path}")


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise InputError(str(path), "a folder, not a journal", "name a file, for example fx.sqlite")


def _is_busy(problem: sqlite3.Error) -> bool:
    return getattr(problem, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _explained(path: Path, problem: sqlite3.Error) -> SeqcliError:
    """SQLite's error as ours, by its code (``sqlite_errorcode``; the low byte is the kind of fault)."""
    where, code = str(path), getattr(problem, "sqlite_errorcode", 0)
    if _is_busy(problem):
        return TryLaterError(where, "other processes are writing to it", "run the same command again in a minute")
    kind = code & 0xFF
    if kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and _is_disk_full(path)):
        return MachineError(where, "disk full", "free some space and run the command again")
    if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return MachineError(where, f"cannot be opened or written ({problem})", "choose a file that you may write to")
    if kind == sqlite3.SQLITE_NOTADB:
        hint = "give the file of forecast --journal, which makes one that is not there"
        return InputError(where, "not an SQLite file", hint)
    hint = f"move it away, and a new one is begun; sqlite3 {path} .dump shows what can still be read"
    return InputError(where, f"a damaged journal ({problem})", hint)


def _is_disk_full(path: Path) -> bool:
    """Whether the folder takes no more bytes: SQLite calls that an I/O error where its shared file cannot grow."""
    try:
        probe = path.absolute().with_name(f".seqcli-probe-{time.monotonic_ns()}")
        try:
            probe.write_bytes(bytes(65536))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as problem:
        return problem.errno in (errno.ENOSPC, errno.EDQUOT)
    return False
