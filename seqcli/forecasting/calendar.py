"""Business days: which days a series has, and which come next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from seqcli.errors import InputError
from seqcli.forecasting.data import Dates

CALENDARS = ("target", "weekdays", "daily", "weekly", "monthly")
"""``target``: the days on which the euro area's payment system, and so the ECB's fixing, is open. ``weekdays``: Monday
to Friday. ``daily``: every day. ``weekly`` and ``monthly``: steps of a week or a month from the last date."""

_FIRST_YEAR, _LAST_YEAR = 1990, 2100
_ONE_OFF = ("1999-12-31", "2001-12-31")  # closed for the year 2000 and for the euro's coins and notes


def _easter_sunday(year: int) -> np.datetime64:
    """Easter by the anonymous Gregorian algorithm (Meeus, Astronomical Algorithms, 1991, chapter 8)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * weekday) // 433
    month = (h + weekday - 7 * m + 90) // 25
    day = (h + weekday - 7 * m + 33 * month + 19) % 32
    return np.datetime64(f"{year:04d}-{month:02d}-{day:02d}")


@lru_cache
def target_closing_days() -> Dates:
    """TARGET's closing days (ECB): New Year, Christmas; from 2000 Good Friday, Easter Monday, 1 May, 26 December."""
    days: list[np.datetime64] = [np.datetime64(day) for day in _ONE_OFF]
    for year in range(_FIRST_YEAR, _LAST_YEAR + 1):
        days += [np.datetime64(f"{year}-01-01"), np.datetime64(f"{year}-12-25")]
        if year >= 2000:
            easter = _easter_sunday(year)
            days += [easter - np.timedelta64(2, "D"), easter + np.timedelta64(1, "D")]
            days += [np.datetime64(f"{year}-05-01"), np.datetime64(f"{year}-12-26")]
    return np.sort(np.array(days, "datetime64[D]"))


@lru_cache
def _busdays(calendar: str) -> np.busdaycalendar:
    holidays = target_closing_days() if calendar == "target" else np.array([], "datetime64[D]")
    week = [1, 1, 1, 1, 1, 1, 1] if calendar == "daily" else [1, 1, 1, 1, 1, 0, 0]
    return np.busdaycalendar(weekmask=week, holidays=holidays)


def _add_months(day: np.datetime64, months: np.ndarray) -> Dates:
    """The same day of the month, or the month's last day where it is shorter or the start is a last day."""
    one_day, one_month = np.timedelta64(1, "D"), np.timedelta64(1, "M")
    month = day.astype("datetime64[M]")
    moved = month + months.astype("timedelta64[M]")
    last: Dates = (moved + one_month).astype("datetime64[D]") - one_day
    if (day + one_day).astype("datetime64[M]") != month:
        return last
    same: Dates = moved.astype("datetime64[D]") + (day - month.astype("datetime64[D]"))
    return np.minimum(same, last)


def following(calendar: str, day: np.datetime64, n: int) -> Dates:
    """``(n,)``: the next ``n`` business days of ``calendar`` after ``day``, which need not be one itself."""
    steps = np.arange(1, n + 1)
    if calendar == "weekly":
        return day + 7 * steps.astype("timedelta64[D]")
    if calendar == "monthly":
        return _add_months(day, steps)
    # "preceding" first: from a Saturday the first day that follows is Monday, as from Friday.
    return np.busday_offset(day, steps, roll="preceding", busdaycal=_busdays(calendar))


def between(calendar: str, first: np.datetime64, last: np.datetime64) -> Dates:
    """Every business day from ``first`` (which begins the steps of a week or month) to ``last``, both included."""
    if calendar == "weekly":
        return np.arange(first, last + np.timedelta64(1, "D"), 7)
    if calendar == "monthly":
        months = int((last.astype("datetime64[M]") - first.astype("datetime64[M]")).astype(int))
        days = _add_months(first, np.arange(months + 1))
        return days[days <= last]
    days = np.arange(first, last + np.timedelta64(1, "D"))
    return days[np.is_busday(days, busdaycal=_busdays(calendar))]


def count(calendar: str, first: np.datetime64, last: np.datetime64) -> int:
    """Business days after ``first`` up to and including ``last``: the age of ``first`` as seen on ``last``."""
    if calendar == "weekly":
        return int((last - first).astype(int) // 7)
    if calendar == "monthly":
        months = (last.astype("datetime64[M]") - first.astype("datetime64[M]")).astype(int)
        return int(months) - int(_add_months(first, np.array([months]))[0] > last)  # not before its day has come
    one = np.timedelta64(1, "D")
    return int(np.busday_count(first + one, last + one, busdaycal=_busdays(calendar)))


def infer(dates: Sequence[np.datetime64] | Dates) -> str:
    """The calendar that a series of dates (increasing) keeps.

    A median step of a month or a week decides first. Then weekend dates mean ``daily``; no date on any of the TARGET
    closing days that the span contains means ``target``; anything else is ``weekdays``.
    """
    days = np.asarray(dates, "datetime64[D]")
    if len(days) < 2:
        return "weekdays"
    step = float(np.median(np.diff(days).astype(int)))
    if step >= 28:
        return "monthly"
    if step >= 7:
        return "weekly"
    if not np.is_busday(days).all():
        return "daily"
    closings = target_closing_days()
    closings = closings[(closings > days[0]) & (closings < days[-1]) & np.is_busday(closings)]
    return "target" if len(closings) and not np.isin(closings, days).any() else "weekdays"


def check(calendar: str, days: Dates, where: str) -> None:
    """Refuses a date that the calendar does not have.

    Raises:
        InputError: naming the first such date and the calendars that there are.
    """
    if not len(days):
        return
    known = between(calendar, days[0], days[-1])
    strange = days[~np.isin(days, known)]
    if len(strange):
        raise InputError(
            where,
            f"{strange[0]} is no day of the calendar {calendar!r}",
            f"choose another --calendar: {', '.join(CALENDARS)}, or infer",
        )
