"""A panel is what the table says: nothing filled in, nothing of what was cut away, and every fault named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from seqcli.errors import InputError, UsageError
from seqcli.forecasting import rates, sources
from seqcli.forecasting.calendar import between
from seqcli.forecasting.config import SINCE
from seqcli.forecasting.data import Panel
from seqcli.forecasting.sources import TableOptions

D = np.datetime64


def read(text: str, since: str | None = None, until: str | None = None, **options: object) -> Panel:
    """The panel of a table in CSV."""
    first, last = (None if day is None else np.datetime64(day) for day in (since, until))
    stdin = io.BytesIO(text.encode())
    return sources.from_table("-", TableOptions(**options), first, last, stdin)  # type: ignore[arg-type]  # by keyword


def refused(text: str, **options: object) -> InputError:
    with pytest.raises(InputError) as caught:
        read(text, **options)  # type: ignore[arg-type]  # by keyword
    return caught.value


def test_a_day_without_a_row_and_an_empty_cell_are_days_without_a_value() -> None:
    panel = read("date,a,b\n2024-03-25,1,10\n2024-03-27,,30\n2024-03-28,4,40\n", calendar="target")
    assert panel.dates.astype(str).tolist() == ["2024-03-25", "2024-03-26", "2024-03-27", "2024-03-28"]
    assert panel.names == ("a", "b")
    np.testing.assert_array_equal(panel.values, [[1, 10], [np.nan, np.nan], [np.nan, 30], [4, 40]])


@pytest.mark.parametrize("word", ["", "NA", "N/A", "nan", "null", "-", "."])
def test_the_ways_to_write_that_there_is_no_value(word: str) -> None:
    panel = read(f"date,a\n2024-03-25,1\n2024-03-26,{word}\n2024-03-27,3\n")
    np.testing.assert_array_equal(panel.values[:, 0], [1, np.nan, 3])


@pytest.mark.parametrize(
    ("header", "name"), [("date,a", "a"), ("a,Date", "a"), ("a,日付", "a"), ("when,a", "a"), ("a,ds", "a")]
)
def test_the_column_of_dates_is_found_by_its_name_or_its_place(header: str, name: str) -> None:
    date_first = header.split(",")[1] == "a"
    rows = [("2024-03-25", "1"), ("2024-03-26", "2")]
    lines = [",".join(row if date_first else row[::-1]) for row in rows]
    panel = read("\n".join([header, *lines]) + "\n")
    assert panel.names == (name,)
    assert panel.dates[0] == np.datetime64("2024-03-25")


def test_a_column_that_is_not_asked_for_is_not_read() -> None:
    text = "date,a,note,b\n2024-03-25,1,fine,3\n2024-03-26,2,a strike,4\n"
    assert read(text, value_columns=("b", "a")).names == ("b", "a")
    assert "column note: not a number: 'fine'" in str(refused(text))


def test_a_series_without_any_value_is_left_out() -> None:
    assert read("date,a,empty\n2024-03-25,1,\n2024-03-26,2,\n").names == ("a",)


def test_a_long_table_is_the_wide_one_and_its_series_may_begin_and_end_on_their_own() -> None:
    long = "date,name,value\n2024-03-25,b,10\n2024-03-26,a,2\n2024-03-26,b,20\n2024-03-27,a,3\n"
    panel = read(long, series_column="name")
    assert panel.names == ("b", "a")
    np.testing.assert_array_equal(panel.values, [[10, np.nan], [20, 2], [np.nan, 3]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("date,name,a,b\n2024-03-25,x,1,2\n", "which of a, b holds the value?"),
        ("date,name\n2024-03-25,x\n", "which of no column holds the value?"),
        ("date,name,a\n2024-03-25,x,1\n2024-03-26,,2\n", "row 3: column name: no name of a series"),
        ("date,name,a\n2024-03-25,x,1\n2024-03-25,y,1\n2024-03-25,x,1\n", "row 4: 2024-03-25 stands there twice"),
    ],
)
def test_a_long_table_that_cannot_be_read_says_why(text: str, said: str) -> None:
    assert said in str(refused(text, series_column="name"))


@pytest.mark.parametrize("since", [None, "2024-03-26"])
@pytest.mark.parametrize("until", [None, "2024-03-27"])
def test_both_bounds_are_included(since: str | None, until: str | None) -> None:
    panel = read("date,a\n" + "".join(f"2024-03-{d},{d}\n" for d in (25, 26, 27, 28)), since, until)
    assert panel.values[0, 0] == (26 if since else 25)
    assert panel.values[-1, 0] == (27 if until else 28)


@pytest.mark.parametrize("after", ["0", "-1", ""])
def test_what_was_cut_away_says_nothing_of_transform_or_calendar(after: str) -> None:
    days = between("target", D("2024-03-25"), D("2024-04-12"))
    head = "date,a\n" + "".join(f"{day},{i + 1}\n" for i, day in enumerate(days))
    panel = read(f"{head}2024-05-01,{after}\n2024-05-04,{after}\n", until="2024-04-12")
    assert panel.log.tolist() == [True]
    assert panel.calendar == "target"  # not daily, for all that 4 May was a Saturday
    assert panel.dates[-1] == np.datetime64("2024-04-12")


@pytest.mark.parametrize(
    ("values", "transform", "log"),
    [
        ("1 2", "auto", True), ("-1 2", "auto", False), ("-1 0", "auto", False), ("1 2", "difference", False),
        ("0 2", "difference", False), ("1 2", "log", True),
    ],
)  # fmt: skip
def test_a_positive_series_is_modelled_in_logarithms_and_any_other_in_differences(
    values: str, transform: str, log: bool
) -> None:
    first, second = values.split()
    panel = read(f"date,a\n2024-03-25,{first}\n2024-03-26,{second}\n", transform=transform)
    assert panel.log.tolist() == [log]


@pytest.mark.parametrize(("values", "transform"), [("0 2", "auto"), ("0 2", "log"), ("-1 2", "log")])
def test_a_value_without_a_logarithm_is_named(values: str, transform: str) -> None:
    first, second = values.split()
    error = refused(f"date,a\n2024-03-25,{second}\n\n2024-03-26,{first}\n", transform=transform)
    assert str(error).startswith(f"stdin: row 4: a: {first} has no logarithm")
    assert error.hint is not None and "--transform difference" in error.hint


def test_pairs_of_a_table_tell_what_their_currencies_did() -> None:
    text = "date,USD/JPY,EUR/USD,WTI\n2024-03-25,150,1.08,80\n2024-03-26,151,1.09,81\n"
    panel = read(text)
    assert set(panel.currencies) == {"USD", "JPY", "EUR"}
    logs = dict(zip(panel.currencies, panel.currency_logs.T, strict=True))
    np.testing.assert_allclose(logs["USD"] - logs["JPY"], np.log([150, 151]))
    np.testing.assert_allclose(logs["EUR"] - logs["USD"], np.log([1.08, 1.09]))


@pytest.mark.parametrize("header", ["USD/JPY,JPY/USD", "USD/JPY,EUR/GBP", "US/JP,EU/US", "a,b"])
def test_fewer_than_three_connected_currencies_are_no_market(header: str) -> None:
    panel = read(f"date,{header}\n2024-03-25,150,2\n2024-03-26,151,3\n")
    assert panel.currencies == ()
    assert panel.currency_logs.shape == (2, 0)


def test_the_rates_stand_on_every_business_day_of_target() -> None:
    panel = sources.panel(None, ["usdjpy", "EUR-USD"], TableOptions(), "2024-03-20", "2024-04-10")
    assert panel.names == ("USD/JPY", "EUR/USD")
    assert panel.dates.tolist() == between("target", D("2024-03-20"), D("2024-04-10")).tolist()
    assert D("2024-03-29") not in panel.dates  # Good Friday
    assert panel.log.all() and panel.calendar == "target"
    logs = dict(zip(panel.currencies, panel.currency_logs.T, strict=True))
    np.testing.assert_allclose(logs["USD"] - logs["JPY"], np.log(panel.values[:, 0]))


def test_a_pair_reads_the_same_market_whatever_its_company() -> None:
    alone, among = (sources.panel(None, pairs, TableOptions()) for pairs in (["AUD/NZD"], list(rates.CROSSES)))
    assert alone.currencies == among.currencies
    np.testing.assert_array_equal(alone.currency_logs, among.currency_logs)
    np.testing.assert_array_equal(alone.values[:, 0], among.values[:, among.names.index("AUD/NZD")])


def test_a_pair_that_ended_is_cut_at_its_end() -> None:
    assert str(sources.panel(None, ["USD/RUB"], TableOptions()).dates[-1]) == "2022-03-01"


def test_only_the_rates_have_a_first_day_that_was_chosen_for_them() -> None:
    assert sources.first_day("x.csv", None) is None
    assert sources.first_day(None, None) == D(SINCE)
    assert sources.first_day(None, "2015-06-01") == sources.first_day("x.csv", "2015-06-01") == D("2015-06-01")


def test_a_date_that_cannot_be_read_names_its_option() -> None:
    with pytest.raises(UsageError, match=r"--until 31\.12\.2024: day first or month first"):
        sources.panel(None, None, TableOptions(), until="31.12.2024")


def test_pairs_name_columns_where_there_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("date,USD/JPY,EUR/USD\n2024-03-25,150,1.08\n2024-03-26,151,1.09\n", encoding="utf-8")
    assert sources.panel(str(path), ["EUR/USD"], TableOptions()).names == ("EUR/USD",)
