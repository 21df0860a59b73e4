"""What a forecast of every morning needs: fresh data, a journal, and no network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran, Run
from forecasts import NOW
from tables import quick, table

__all__ = ["quick"]  # the fixture


@pytest.fixture
def until(quick: Run, tmp_path: Path) -> Any:
    """Makes a table of EUR/USD that ends on a day, and says what a forecast from it prints."""
    rates = {row["date"]: row["rate"] for row in quick("rates", "EUR/USD", "--since", "2019-01-01").rows}

    def call(fx: Path, last: str, now: str, *words: Any, fails_with: int = 0) -> Ran:
        dates = [day for day in rates if day <= last]
        assert dates[-1] == last
        path = table(tmp_path / "eurusd.csv", dates, **{"EUR/USD": [rates[day] for day in dates]})
        return quick("forecast", fx, path, *words, fails_with=fails_with, SEQCLI_NOW=now)

    return call


@pytest.mark.parametrize(
    ("last", "now", "age"),
    [
        ("2026-07-10", "2026-07-10T18:00:00+00:00", 0),
        ("2026-07-10", "2026-07-12T06:00:00+00:00", 0),  # a Sunday
        ("2026-07-10", "2026-07-13T06:00:00+00:00", 1),
        ("2026-03-27", "2026-03-29T01:30:00+00:00", 0),  # the Sunday on which Europe's clocks go forward
        ("2025-10-24", "2025-10-26T01:30:00+00:00", 0),  # and back
        ("2026-04-02", "2026-04-06T06:00:00+00:00", 0),  # Easter Monday
        ("2026-04-02", "2026-04-07T06:00:00+00:00", 1),
        ("2025-12-31", "2026-01-01T12:00:00+00:00", 0),
        ("2025-12-24", "2026-01-02T06:00:00+00:00", 4),  # 29, 30, 31 December and 2 January
        ("2026-04-30", "2026-05-04T06:00:00+00:00", 1),  # Labour Day, a Friday
        ("2026-07-10", "2026-07-13T23:30:00-04:00", 2),  # already Tuesday in UTC
    ],
)
def test_the_age_of_the_data_is_counted_in_business_days(until: Any, fx: Path, last: str, now: str, age: int) -> None:
    assert len(until(fx, last, now, "--max-age", f"{age}d").rows) == 5
    if age:
        old = until(fx, last, now, "--max-age", f"{age - 1}d", fails_with=75)
        assert old.stdout == ""
        assert f"the newest value of EUR/USD is of {last}, {age} business days old" in old.stderr
        assert "hint:" in old.stderr
        let_through = until(fx, last, now, "--max-age", age - 1, "--allow-stale")
        assert {row["stale"] for row in let_through.rows} == {age}
        assert list(let_through.rows[0])[-1] == "stale"
        assert "warning: the data are" in let_through.stderr


def test_one_old_series_among_new_ones_is_too_old_as_well(quick: Run, fx: Path) -> None:
    ask = ("forecast", fx, "--pair", "USD/JPY", "--pair", "USD/RUB", "--max-age", "4d")
    refused = quick(*ask, fails_with=75, **NOW)
    assert "the newest value of USD/RUB is of 2022-03-01" in refused.stderr
    assert refused.stdout == ""
    let_through = quick(*ask, "--allow-stale", **NOW).rows
    assert {row["series"]: row["stale"] for row in let_through if row["h"] == 1} == {"USD/RUB": 1194, "USD/JPY": 0}


def test_a_journal_keeps_a_forecast_once_and_replaces_it_only_by_force(run: Run, fx: Path) -> None:
    ask = ("forecast", fx, "--as-of", "2026-07-15", "--journal", "j.db")
    first = run(*ask, **NOW)
    assert "10 added" in first.stderr
    again = run(*ask, **{"SEQCLI_NOW": "2026-10-30T19:00:00+00:00"})
    assert "10 there already" in again.stderr
    assert len(run("track", "j.db", "--rows").rows) == 10
    assert "10 replaced" in run(*ask, "--force", **{"SEQCLI_NOW": "2026-10-30T20:00:00+00:00"}).stderr
    assert len(run("track", "j.db", "--rows").rows) == 10


@pytest.fixture
def no_sockets(tmp_path: Path) -> dict[str, str]:
    """An environment in which opening a socket is a crash."""
    folder = tmp_path / "no-sockets"
    folder.mkdir()
    code = "import socket\n\ndef never(*_, **__):\n    raise SystemExit('a socket')\n\nsocket.socket.connect = never\n"
    (folder / "sitecustomize.py").write_text(code + "socket.getaddrinfo = never\n", encoding="utf-8")
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(path), "SEQCLI_OFFLINE": "1"} | NOW


def test_offline_an_update_is_for_later_unless_the_data_at_hand_will_do(
    run: Run, fx: Path, no_sockets: dict[str, str]
) -> None:
    ask = ("forecast", fx, "--update")
    refused = run(*ask, fails_with=75, **no_sockets)
    assert refused.stdout == ""
    assert "SEQCLI_OFFLINE" in refused.stderr
    gone_on = run(*ask, "--max-age", "4d", **no_sockets)
    assert "warning: " in gone_on.stderr and "SEQCLI_OFFLINE" in gone_on.stderr
    assert len(gone_on.rows) == 10
    later = no_sockets | {"SEQCLI_NOW": "2027-10-29T18:00:00+00:00"}
    assert "business days old" in run(*ask, "--max-age", "4d", fails_with=75, **later).stderr
