from __future__ import annotations

import calendar as civil
import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.errors import InputError
from seqcli.forecasting import calendar, rates

DAYS = st.dates(datetime.date(1999, 1, 4), datetime.date(2035, 12, 31)).map(np.datetime64)
CALENDARS = st.sampled_from(calendar.CALENDARS)


def day(text: str) -> np.datetime64:
    return np.datetime64(text, "D")


def texts(days: np.ndarray) -> list[str]:
    return [str(one) for one in days]


@pytest.fixture(scope="module")
def fixings() -> np.ndarray:
    return rates.parse(rates.embedded_path().read_bytes(), "embedded", "embedded").dates


def test_target_days_are_the_days_on_which_the_ecb_really_fixed_its_rates(fixings: np.ndarray) -> None:
    expected = calendar.between("target", fixings[0], fixings[-1])
    assert texts(np.setxor1d(expected, fixings)) == []


def test_each_real_fixing_follows_from_the_one_before(fixings: np.ndarray) -> None:
    for start in range(0, len(fixings) - 6, 97):
        assert calendar.following("target", fixings[start], 5).tolist() == fixings[start + 1 : start + 6].tolist()
        assert calendar.count("target", fixings[start], fixings[start + 5]) == 5


@pytest.mark.parametrize(
    "sunday",
    ["1999-04-04", "2000-04-23", "2008-03-23", "2011-04-24", "2016-03-27", "2019-04-21", "2024-03-31", "2025-04-20",
     "2026-04-05", "2027-03-28", "2038-04-25", "2049-04-18", "2076-04-19", "2100-03-28"],
)  # fmt: skip
def test_easter_is_when_it_is_known_to_be(sunday: str) -> None:
    assert calendar._easter_sunday(int(sunday[:4])) == day(sunday)


@pytest.mark.parametrize(
    ("after", "days"),
    [
        ("2026-04-02", ["2026-04-07", "2026-04-08"]),  # Good Friday to Easter Monday
        ("2026-12-24", ["2026-12-28", "2026-12-29"]),  # Christmas, then a weekend
        ("2025-12-31", ["2026-01-02", "2026-01-05"]),  # New Year on a Thursday
        ("2026-04-30", ["2026-05-04", "2026-05-05"]),  # 1 May on a Friday
        ("2024-02-28", ["2024-02-29", "2024-03-01"]),  # a leap day
        ("2023-02-28", ["2023-03-01", "2023-03-02"]),
        ("2026-03-27", ["2026-03-30", "2026-03-31"]),  # the clocks change on Sunday
        ("2026-10-31", ["2026-11-02", "2026-11-03"]),  # from a Saturday
        ("2026-11-01", ["2026-11-02", "2026-11-03"]),  # from a Sunday
        ("2026-04-03", ["2026-04-07", "2026-04-08"]),  # from a closing day
        ("1999-12-30", ["2000-01-03", "2000-01-04"]),  # closed for the year 2000
        ("2001-12-28", ["2002-01-02", "2002-01-03"]),  # closed for the notes and coins
    ],
)
def test_target_steps_over_weekends_and_closing_days(after: str, days: list[str]) -> None:
    assert texts(calendar.following("target", day(after), 2)) == days


def test_the_other_calendars_step_as_their_names_say() -> None:
    friday = day("2026-12-25")
    assert texts(calendar.following("weekdays", friday, 2)) == ["2026-12-28", "2026-12-29"]
    assert texts(calendar.following("daily", friday, 2)) == ["2026-12-26", "2026-12-27"]
    assert texts(calendar.following("weekly", friday, 2)) == ["2027-01-01", "2027-01-08"]


@pytest.mark.parametrize(
    ("first", "days"),
    [
        ("2024-01-31", ["2024-02-29", "2024-03-31", "2024-04-30"]),  # a month's end stays one
        ("2023-02-28", ["2023-03-31", "2023-04-30", "2023-05-31"]),
        ("2024-02-28", ["2024-03-28", "2024-04-28", "2024-05-28"]),  # not the end in a leap year
        ("2023-01-30", ["2023-02-28", "2023-03-30", "2023-04-30"]),  # too late for February, and back again
        ("2026-11-15", ["2026-12-15", "2027-01-15", "2027-02-15"]),
    ],
)
def test_months_keep_their_day_or_their_end(first: str, days: list[str]) -> None:
    assert texts(calendar.following("monthly", day(first), 3)) == days


def test_a_month_has_not_passed_before_its_day_has_come() -> None:
    assert calendar.count("monthly", day("2024-01-31"), day("2024-02-28")) == 0
    assert calendar.count("monthly", day("2024-01-31"), day("2024-02-29")) == 1
    assert calendar.count("monthly", day("2024-01-15"), day("2025-01-14")) == 11


def test_over_a_weekend_data_do_not_age() -> None:
    friday = day("2026-10-30")
    ages = [calendar.count("target", friday, friday + n) for n in range(6)]
    assert ages == [0, 0, 0, 1, 2, 3]


@settings(deadline=None)  # a busy machine is no failure
@given(name=CALENDARS, start=DAYS, n=st.integers(1, 60))
def test_what_follows_is_what_lies_between_and_what_is_counted(name: str, start: np.datetime64, n: int) -> None:
    days = calendar.following(name, start, n)
    assert len(days) == n and days[0] > start and (np.diff(days).astype(int) > 0).all()
    lying = calendar.between(name, start, days[-1])
    assert lying[lying > start].tolist() == days.tolist()
    assert [calendar.count(name, start, one) for one in days] == list(range(1, n + 1))
    assert calendar.count(name, start, days[0] - 1) == 0


@settings(deadline=None)
@given(start=DAYS, span=st.integers(0, 400))
def test_target_days_are_weekdays_and_no_closing_day(start: np.datetime64, span: int) -> None:
    days = calendar.between("target", start, start + span)
    weekdays = calendar.between("weekdays", start, start + span)
    closed = np.setdiff1d(weekdays, days)
    assert np.is_busday(days).all()
    assert np.isin(closed, calendar.target_closing_days()).all()
    assert not np.isin(days, calendar.target_closing_days()).any()


@settings(deadline=None)
@given(start=DAYS, n=st.integers(1, 500))
def test_a_monthly_step_never_leaves_its_month(start: np.datetime64, n: int) -> None:
    first: datetime.date = start.item()
    for step, one in enumerate(calendar.following("monthly", start, n).tolist(), 1):
        year, month = divmod(first.year * 12 + first.month - 1 + step, 12)
        assert (one.year, one.month) == (year, month + 1)
        last = civil.monthrange(year, month + 1)[1]
        ends = first.day == civil.monthrange(first.year, first.month)[1]
        assert one.day == (last if ends else min(first.day, last))


@settings(deadline=None)
@given(name=CALENDARS, start=DAYS)
def test_a_calendar_is_inferred_from_two_years_of_its_days(name: str, start: np.datetime64) -> None:
    days = calendar.between(name, start, start + 800)
    assert calendar.infer(days) == name
    calendar.check(name, days, "here")


@pytest.mark.parametrize(
    ("days", "name"),
    [
        ([], "weekdays"),
        (["2026-10-30"], "weekdays"),
        (["2026-10-28", "2026-10-29", "2026-10-30"], "weekdays"),  # no closing day tells the two apart
        (["2026-04-01", "2026-04-02", "2026-04-07"], "target"),
        (["2026-04-02", "2026-04-03", "2026-04-06", "2026-04-07"], "weekdays"),
        (["2026-10-30", "2026-10-31", "2026-11-01"], "daily"),
        (["2026-10-29", "2026-10-30", "2026-11-03"], "weekdays"),  # with a gap
        (["2026-10-02", "2026-10-09", "2026-10-16"], "weekly"),
        (["2026-01-30", "2026-02-27", "2026-03-31"], "monthly"),
    ],
)
def test_a_few_days_are_enough_to_infer_what_they_show(days: list[str], name: str) -> None:
    assert calendar.infer(np.array(days, "datetime64[D]")) == name


def test_a_day_that_the_calendar_does_not_have_is_named() -> None:
    days = np.array(["2026-04-01", "2026-04-02", "2026-04-03"], "datetime64[D]")
    calendar.check("weekdays", days, "rates.csv")
    calendar.check("target", days[:0], "rates.csv")
    with pytest.raises(InputError, match=r"rates\.csv: 2026-04-03 is no day of the calendar 'target'") as caught:
        calendar.check("target", days, "rates.csv")
    assert "weekdays" in (caught.value.hint or "")
