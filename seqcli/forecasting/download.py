"""Fetch the newest history of the ECB, and let it take the place of the stored one only if it can be trusted.

Nothing is replaced before all of these hold: the answer is complete and is the ECB's zipped table, its dates are
business days in order and none in the future, it is not older than what is in use, no day or currency has gone, the
new rates are plausible, and the old ones are as they were.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from seqcli.core import clock, files, http
from seqcli.errors import InputError, TryLaterError, UsageError
from seqcli.forecasting import calendar, rates
from seqcli.forecasting.data import Dates

URL = "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip"

_MAX_DOWNLOAD = 20_000_000  # bytes; the zip has 0.64 MB in 2026

# Measured on all 41 currencies from 1999-01-04 to 2026-10-30, from one fixing to the next: the largest move of a major
# is a factor of 1.168 (CHF on 2015-01-15, when its peg to the euro fell), of any other 1.68 (TRL on 2001-02-22), then
# 1.49 (ISK on 2008-11-06). A slipped decimal point is a factor of 10.
_MAX_MOVE_MAJOR = 1.25
_MAX_MOVE = 2.0
# Never have more than two currencies ended on one day (CYP and MTL, 2007-12-31), and no major was ever left out.
_MAX_ENDED = 3
# The ECB corrects a rate now and then. What goes beyond a few small corrections is for a person to look at.
_MAX_REVISIONS = 10
_MAX_REVISION = 0.01  # of the rate


@dataclass(frozen=True)
class Revision:
    """A rate that the source now gives another value than it had: units of ``currency`` for one euro; None: no rate."""

    date: str
    currency: str
    old: float | None
    new: float | None

    def __str__(self) -> str:
        """The revision for a person."""
        old, new = ("no rate" if value is None else f"{value:.10g}" for value in (self.old, self.new))
        return f"{self.currency} on {self.date} was {old}, is {new}"


@dataclass(frozen=True)
class Update:
    """What an update did.

    Arguments:
        status: ``updated`` (the history gained days or was revised) or ``unchanged``.
        before: last day of the history that was in use, as an ISO date.
        after: last day of the history that is in use now.
        new_days: days that it gained.
        revisions: old rates that changed, by date.
        url: where the source is, without a password.
        path: the stored file.
        sentences: the summary for a person.
        warnings: what the user should know but did not ask for.
    """

    status: str
    before: str
    after: str
    new_days: int
    revisions: tuple[Revision, ...]
    url: str
    path: Path
    sentences: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def update(
    source_url: str | None = None, *, accept_revisions: bool = False, limits: http.Limits | None = None
) -> Update:
    """Download the ECB's history and store it if there is anything new; what was there stays whenever this raises.

    Arguments:
        source_url: an ``http(s)://`` or ``file://`` address or a path; ``None``: ``SEQCLI_RATES_URL``, else the ECB's.
        accept_revisions: take changed old rates, however many, and implausible moves as the source gives them.
        limits: time-outs; ``None``: the usual ones, with ``SEQCLI_RATES_TIMEOUT`` seconds in all if that is set.

    Raises:
        TryLaterError: no network, no complete answer in time, an answer that is not the file, a file older than what
            is in use, another update at work, or ``SEQCLI_OFFLINE`` is set.
        InputError: the ECB's table, but in contradiction to what is in use or implausible; or a local file that is
            missing or damaged.
        UsageError: an address of another kind, or a time that is no number.
        MachineError: the data folder cannot be written to, or the disk is full.
    """
    source = source_url or os.environ.get("SEQCLI_RATES_URL") or URL
    shown = http.without_password(source) if _is_http(source) else source
    limits = limits or _limits()
    moment = clock.now()
    path = rates.stored_path()
    with files.lock(path, timeout=limits.total):
        held = rates.load()
        before = str(held.dates[-1])
        answer = _fetch(source, shown, held, limits)
        if answer.body is None:
            return Update("unchanged", before, before, 0, (), shown, path, _summary(before, 0, shown))
        new = _parsed(answer.body, shown, held, local=not _is_http(source))
        revisions, added = _compare(held, new, shown, accept_revisions=accept_revisions)
        if new.sha256 != held.sha256 or held.origin != "stored":
            files.write_bytes(path, answer.body)
        # Second, and naming the file that it belongs to: a process killed between the two costs one full download.
        note = {"url": shown, "etag": answer.etag, "last_modified": answer.last_modified}
        stamp = {"sha256": new.sha256, "downloaded_at": moment.isoformat(timespec="seconds")}
        files.write_text(_note_path(path), json.dumps(note | stamp, indent=2) + "\n")
    after = str(new.dates[-1])
    return Update(
        status="updated" if len(added) or revisions else "unchanged",
        before=before,
        after=after,
        new_days=len(added),
        revisions=revisions,
        url=shown,
        path=path,
        sentences=_summary(after, len(added), shown),
        warnings=_warnings(held, new, revisions),
    )


def _limits() -> http.Limits:
    total = os.environ.get("SEQCLI_RATES_TIMEOUT", "").strip()
    try:
        seconds = float(total or http.Limits.total)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError("SEQCLI_RATES_TIMEOUT", f"not a number of seconds: {total!r}", "SEQCLI_RATES_TIMEOUT=60")
    return http.Limits(total=seconds)


def _note_path(path: Path) -> Path:
    """Where the address and the validators (ETag, Last-Modified) of the stored file are kept."""
    return path.with_suffix(".json")


def _is_http(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _keep(held: rates.History) -> str:
    return f"the rates until {held.dates[-1]} stay in use"


# Getting the bytes


def _fetch(source: str, shown: str, held: rates.History, limits: http.Limits) -> http.Answer:
    if not _is_http(source):
        return http.Answer(_read(source))
    if os.environ.get("SEQCLI_OFFLINE", "0") not in ("", "0"):
        raise TryLaterError(shown, "not asked: SEQCLI_OFFLINE is set", f"{_keep(held)}; unset SEQCLI_OFFLINE to update")
    try:
        return http.get(source, _conditions(held, shown), limits, _MAX_DOWNLOAD)
    except TryLaterError as error:
        raise TryLaterError(error.where, error.what, f"{_keep(held)}; {error.hint}") from error


def _read(source: str) -> bytes:
    if source.startswith("file://"):
        from urllib.request import url2pathname

        path = Path(url2pathname(source[len("file://") :].removeprefix("localhost")))
    elif "://" in source:
        raise UsageError(f"--source-url {source}", "neither http(s):// nor file:// nor a path", f"the ECB's is {URL}")
    else:
        path = Path(source)
    try:
        with path.open("rb") as file:
            body = file.read(_MAX_DOWNLOAD + 1)
    except OSError as error:
        hint = "give a path, or an address that begins with https://"
        raise InputError(str(path), f"cannot be read ({error.strerror or error})", hint) from error
    if len(body) > _MAX_DOWNLOAD:
        raise InputError(str(path), f"more than {_MAX_DOWNLOAD:,} bytes", f"the ECB's history is at {URL}")
    return body


def _conditions(held: rates.History, shown: str) -> dict[str, str]:
    """The request's conditions: only if what is in use is the very file that the note is about."""
    try:
        note = json.loads(_note_path(rates.stored_path()).read_bytes())
        if held.origin != "stored" or note["sha256"] != held.sha256 or note["url"] != shown:
            return {}
        found = {"If-None-Match": note["etag"], "If-Modified-Since": note["last_modified"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # none yet, or damaged: it costs one full download
    return {name: v for name, v in found.items() if isinstance(v, str) and v.isascii() and v.isprintable()}


# Judging what came


def _parsed(body: bytes, shown: str, held: rates.History, *, local: bool) -> rates.History:
    """The table. What a broken transfer or a server in trouble sends is to be tried later; a wrong table is not."""
    try:
        if not body:
            raise InputError(shown, "an empty answer", None)
        if not body.startswith(b"PK"):
            begin = body[:40].decode("ascii", "replace")
            raise InputError(shown, f"not a zip but something that begins {begin!r}", None)
        rates.unpack(body, shown)
    except InputError as error:
        if local:
            raise InputError(shown, error.what, f"fetch it again from {URL}") from error
        raise TryLaterError(shown, error.what, f"{_keep(held)}; try again later") from error
    try:
        return rates.parse(body, shown, "stored")
    except InputError as error:
        raise InputError(error.where, error.what, f"{_keep(held)}; the ECB's own file is at {URL}") from error


def _compare(
    held: rates.History, new: rates.History, shown: str, *, accept_revisions: bool
) -> tuple[tuple[Revision, ...], Dates]:
    """The revisions and the new days, if the new history may take the place of the one in use."""

    def refuse(what: str, advice: str = f"compare it with the ECB's own at {URL}") -> NoReturn:
        raise InputError(shown, what, f"{_keep(held)}; {advice}")

    if new.dates[-1] < held.dates[-1]:
        what = f"ends on {new.dates[-1]}: older than the history in use, which ends on {held.dates[-1]}"
        raise TryLaterError(shown, what, f"{_keep(held)}; try again later, or leave --source-url out for the ECB's own")
    if len(gone := np.setdiff1d(held.dates, new.dates)):
        refuse(f"lacks {_counted(len(gone), 'day')} of the history in use, the first {gone[0]}")
    if ended := [currency for currency in held.currencies if currency not in new.currencies]:
        refuse(f"lacks currencies of the history in use: {' '.join(ended)}")
    added = np.setdiff1d(new.dates, held.dates)
    _check_days(added, refuse)
    _check_quotes(new, added, refuse)
    yes = "if it is right, --accept-revisions takes it as it is"
    revisions = _revisions(held, new)
    if not accept_revisions:
        large = [r for r in revisions if r.old is None or r.new is None or abs(r.new / r.old - 1) > _MAX_REVISION]
        if large or len(revisions) > _MAX_REVISIONS:
            one = (large or revisions)[0]
            refuse(f"{_counted(len(revisions), 'old rate')} changed: {one}", f"compare with {URL}; {yes}")
        _check_moves(new, added, lambda what: refuse(what, f"compare with {URL}; {yes}"))
    return revisions, added


def _check_days(added: Dates, refuse: Callable[[str], NoReturn]) -> None:
    if not len(added):
        return
    today = clock.today()
    tomorrow = np.datetime64(today) + np.timedelta64(1, "D")  # somewhere it is already that day
    if added[-1] > tomorrow:
        refuse(f"reaches {added[-1]}, and today is {today} by this machine's clock")
    closed = np.setdiff1d(added, calendar.between("target", added[0], added[-1]))
    if len(closed):
        refuse(f"has rates on {closed[0]}, which is no business day of the ECB")


def _check_quotes(new: rates.History, added: Dates, refuse: Callable[[str], NoReturn]) -> None:
    quoted = ~np.isnan(new.per_euro)
    for row in np.searchsorted(new.dates, added):
        if left_out := [c for c in rates.MAJORS if c not in new.currencies or not quoted[row, new.currencies.index(c)]]:
            refuse(f"has no rate on {new.dates[row]} for {' '.join(left_out)}")
        if row and (ended := int((quoted[row - 1] & ~quoted[row]).sum())) > _MAX_ENDED:
            refuse(f"has no rate on {new.dates[row]} for {ended} currencies that had one the day before")


def _check_moves(new: rates.History, added: Dates, refuse: Callable[[str], NoReturn]) -> None:
    """From a fixing to the next one, on both sides of each new day."""
    fresh = np.isin(new.dates, added)
    rows = np.flatnonzero(fresh[1:] | fresh[:-1])
    moves = np.abs(np.log(new.per_euro[rows + 1]) - np.log(new.per_euro[rows]))
    limits = np.log([_MAX_MOVE_MAJOR if currency in rates.MAJORS else _MAX_MOVE for currency in new.currencies])
    for row, column in np.argwhere(moves > limits)[:1]:
        old, value = new.per_euro[rows[row], column], new.per_euro[rows[row] + 1, column]
        day, before = new.dates[rows[row] + 1], new.dates[rows[row]]
        refuse(f"{new.currencies[column]} on {day} is {value:.10g}, on {before} {old:.10g}: implausible")


def _revisions(held: rates.History, new: rates.History) -> tuple[Revision, ...]:
    """Every rate that both histories could have and that differs, by date; ``new`` has all days and currencies."""
    now = new.per_euro[np.searchsorted(new.dates, held.dates)]
    now = now[:, [new.currencies.index(currency) for currency in held.currencies]]
    changed = (now != held.per_euro) & ~(np.isnan(now) & np.isnan(held.per_euro))

    def value(number: float) -> float | None:
        return None if math.isnan(number) else float(number)

    return tuple(
        Revision(str(held.dates[t]), held.currencies[c], value(held.per_euro[t, c]), value(now[t, c]))
        for t, c in np.argwhere(changed)
    )


# Saying what was done


def _summary(after: str, new_days: int, shown: str) -> tuple[str, ...]:
    what = _counted(new_days, "new day") if new_days else "nothing new"
    return (f"rates: {what} at {shown}; the history ends on {after}",)


def _counted(n: int, thing: str) -> str:
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def _warnings(held: rates.History, new: rates.History, revisions: tuple[Revision, ...]) -> tuple[str, ...]:
    warnings = [f"the source revised an old rate: {revision}" for revision in revisions[:_MAX_REVISIONS]]
    if len(revisions) > _MAX_REVISIONS:
        warnings.append(f"and {len(revisions) - _MAX_REVISIONS} more")
    expected = calendar.between("target", held.dates[-1], new.dates[-1])
    if len(missing := np.setdiff1d(expected, new.dates)):
        days = _counted(len(missing), "business day")
        warnings.append(f"no rates on {days} since {held.dates[-1]}, the first {missing[0]}")
    return tuple(warnings)
