"""What kind of day a business day is, from its date alone.

The ECB fixes its rates at about 14:15 Central European Time. What happens in New York after that moves the *next*
fixing: so a fixing is described by its own date and by the business day before it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from seqcli.forecasting.calendar import following
from seqcli.forecasting.data import Dates

DAY_FEATURES: Final = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "long_gap", "us_jobs", "us_closed_before", "us_closed",
    "month_first", "month_last", "holidays", "second_week", "third_week", "fourth_week",
)  # fmt: skip
"""One column each of ``day_features``; all between 0 and about 1."""

_DAY = np.timedelta64(1, "D")


def position(calendar: str, dates: Dates) -> NDArray[np.int64]:
    """A number that counts business days (weeks, months) from 1970: the same for a date in whatever table it stands."""
    if calendar == "monthly":
        return dates.astype("datetime64[M]").astype(np.int64)
    if calendar == "weekly":
        return dates.astype(np.int64) // 7
    if calendar == "daily":
        return dates.astype(np.int64)
    return np.busday_count(np.datetime64("1970-01-01"), dates)


def _nth_weekday(months: NDArray[np.datetime64], weekday: int, n: int) -> Dates:
    """The n-th (from 1) given weekday (Monday = 0) of each month; n = -1 is the last."""
    if n < 0:
        last = _plus((months + 1).astype("datetime64[D]"), -1)
        return _plus(last, -((_weekday(last) - weekday) % 7))
    first = months.astype("datetime64[D]")
    return _plus(first, (weekday - _weekday(first)) % 7 + 7 * (n - 1))


def _plus(dates: Dates, days: NDArray[np.int64] | int) -> Dates:
    moved: Dates = dates + np.asarray(days).astype("timedelta64[D]")
    return moved


def _weekday(dates: Dates) -> NDArray[np.int64]:
    return (dates.astype("datetime64[D]").astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday


def us_jobs_days(first: np.datetime64, last: np.datetime64) -> Dates:
    """When the US employment report comes out, by its rule: the third Friday after the week of the 12th.

    A week later where that is New Year's week; the Thursday before where it is the 4th of July. (Shutdowns of the
    government moved a few reports; no rule knows them.)
    """
    months = np.arange(first.astype("datetime64[M]") - 1, last.astype("datetime64[M]") + 1)
    twelfth = _plus(months.astype("datetime64[D]"), 11)
    days = _plus(twelfth, (5 - _weekday(twelfth)) % 7 + 20)  # that week's Saturday, and twenty days
    month = days.astype("datetime64[M]").astype(np.int64) % 12 + 1
    of_month = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    return _plus(days, np.where((month == 1) & (of_month <= 3), 7, np.where((month == 7) & (of_month == 4), -1, 0)))


def us_holidays(first: np.datetime64, last: np.datetime64) -> Dates:
    """Days on which New York does not trade, as observed: the federal holidays that matter to currencies."""
    years = np.arange(first.astype("datetime64[Y]"), last.astype("datetime64[Y]") + 1).astype("datetime64[M]")
    fixed = [years.astype("datetime64[D]"), (years + 6).astype("datetime64[D]") + np.timedelta64(3, "D"),
             (years + 11).astype("datetime64[D]") + np.timedelta64(24, "D")]  # fmt: skip
    observed = [d + np.where(_weekday(d) == 5, -1, np.where(_weekday(d) == 6, 1, 0)) for d in fixed]
    floating = [_nth_weekday(years, 0, 3), _nth_weekday(years + 1, 0, 3), _nth_weekday(years + 4, 0, -1),
                _nth_weekday(years + 8, 0, 1), _nth_weekday(years + 10, 3, 4)]  # fmt: skip
    return np.sort(np.concatenate([*observed, *floating]))


def day_features(calendar: str, dates: Dates) -> NDArray[np.float32]:
    """``(T, K)``: each date described by ``DAY_FEATURES``; ``dates`` are consecutive business days of ``calendar``.

    The first date's own predecessor is not needed to be known: a step of one ordinary day is assumed. Weekly and
    monthly steps have no such days: all zero.
    """
    out = np.zeros((len(dates), len(DAY_FEATURES)), np.float32)
    if calendar in ("weekly", "monthly") or not len(dates):
        return out
    weekday = _weekday(dates)
    out[:, :5] = weekday[:, None] == np.arange(5)
    before = np.concatenate([dates[:1] - _DAY, dates[:-1]])
    gap = (dates - before).astype(np.int64)
    out[:, 5] = np.clip(gap - np.where(weekday == 0, 3, 1), 0, 3) / 3.0
    if calendar == "daily":
        return out
    first, last = dates[0] - np.timedelta64(40, "D"), dates[-1]
    jobs, closed = us_jobs_days(first, last), us_holidays(first, last)
    # In the week or two in which only one of the two continents has changed its clocks the report precedes the fixing.
    month = dates.astype("datetime64[M]")
    year = dates.astype("datetime64[Y]").astype("datetime64[M]")

    def one_clock(days: Dates) -> NDArray[np.bool_]:
        years = days.astype("datetime64[Y]").astype("datetime64[M]")
        spring = (days >= _nth_weekday(years + 2, 6, 2)) & (days < _nth_weekday(years + 2, 6, -1))
        autumn = (days >= _nth_weekday(years + 9, 6, -1)) & (days < _nth_weekday(years + 10, 6, 1))
        return spring | autumn

    early = one_clock(jobs)
    out[:, 6] = np.isin(before, jobs[~early]) | np.isin(dates, jobs[early])
    out[:, 7] = np.isin(before, closed)
    out[:, 8] = np.isin(dates, closed)
    after = np.concatenate([dates[1:], following(calendar, dates[-1], 1)])
    out[:, 9] = before.astype("datetime64[M]") != month
    out[:, 10] = after.astype("datetime64[M]") != month
    of_year = (dates - year.astype("datetime64[D]")).astype(np.int64)  # 0 = 1 January
    out[:, 11] = (of_year >= 355) | (of_year <= 2)
    week = (dates - month.astype("datetime64[D]")).astype(np.int64) // 7
    out[:, 12:15] = week[:, None] == np.arange(1, 4)
    return out
