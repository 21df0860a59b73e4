"""The clock: the present, or what SEQCLI_NOW says."""

from __future__ import annotations

import datetime

import pytest

from seqcli.core import clock
from seqcli.errors import UsageError

UTC = datetime.UTC


def test_without_the_variable_it_is_now_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQCLI_NOW", raising=False)
    before = datetime.datetime.now(UTC)
    moment = clock.now()
    assert before <= moment <= datetime.datetime.now(UTC)
    assert moment.utcoffset() == datetime.timedelta(0)


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_NOW", " ")
    assert clock.now() >= datetime.datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("2024-06-28", datetime.datetime(2024, 6, 28, tzinfo=UTC)),
        ("2024-06-28T14:15", datetime.datetime(2024, 6, 28, 14, 15, tzinfo=UTC)),
        ("2024-06-28T14:15:00Z", datetime.datetime(2024, 6, 28, 14, 15, tzinfo=UTC)),
        ("2024-06-28T08:00+09:00", datetime.datetime(2024, 6, 27, 23, 0, tzinfo=UTC)),
    ],
)
def test_the_variable_sets_the_clock(monkeypatch: pytest.MonkeyPatch, chosen: str, expected: datetime.datetime) -> None:
    monkeypatch.setenv("SEQCLI_NOW", chosen)
    assert clock.now() == expected
    assert clock.now().utcoffset() == datetime.timedelta(0)
    assert clock.today() == expected.date()


@pytest.mark.parametrize("chosen", ["yesterday", "28/06/2024", "2024-02-30", "0001-01-01T00:00+14:00"])
def test_a_value_that_is_no_date_is_named(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    monkeypatch.setenv("SEQCLI_NOW", chosen)
    with pytest.raises(UsageError, match="SEQCLI_NOW: not an ISO date or datetime") as caught:
        clock.now()
    assert repr(chosen) in caught.value.what
    assert caught.value.hint
