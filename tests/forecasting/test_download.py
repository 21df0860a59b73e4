from __future__ import annotations

import datetime
import email.utils
import hashlib
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
from pathlib import Path

import httpx  # noqa: TID253 - what is tested here is built on it
import numpy as np
import pytest
import rates_server as fake
from rates_server import RatesServer, good, server, status, with_rate, zipped

from seqcli import __version__
from seqcli.core import files, http
from seqcli.core.http import Limits
from seqcli.errors import ExitCode, InputError, MachineError, SeqcliError, TryLaterError, UsageError
from seqcli.forecasting import download, rates

__all__ = ["server"]  # the fixture

QUICK = Limits(total=6.0, connect=1.0, read=0.6, attempts=3, backoff=0.01)
TABLE = fake.short_table()  # in place of the embedded history, whose 7,000 days take 80 times as long to read
LAST = TABLE[1].split(",")[0]
OLD_DAY = TABLE[200].split(",")[0]
NEXT, AFTER, *_, TODAY = fake.next_days(10)


def with_new_days(n: int, days: list[str] | None = None, **rates_of_last: str) -> list[str]:
    return fake.with_new_days(n, table=TABLE, days=days, **rates_of_last)


STORED = zipped(with_new_days(1))
NEWER = zipped(with_new_days(2))


@pytest.fixture(scope="session")
def short_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("embedded") / "eurofxref-hist.zip"
    path.write_bytes(zipped(TABLE))
    return path


@pytest.fixture(autouse=True)
def data(tmp_path: Path, short_history: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setattr(rates, "embedded_path", lambda: short_history)
    for name in ("SEQCLI_OFFLINE", "SEQCLI_RATES_URL", "SEQCLI_RATES_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SEQCLI_DATA_DIR", str(folder))
    monkeypatch.setenv("SEQCLI_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SEQCLI_NOW", f"{TODAY}T18:00:00+00:00")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


@pytest.fixture
def stored(data: Path) -> Path:
    """A file that an earlier update stored: the embedded history and one day."""
    files.write_bytes(data / "eurofxref-hist.zip", STORED)
    return rates.stored_path()


def fails(url: str, limits: Limits = QUICK, **options: bool) -> SeqcliError:
    with pytest.raises(SeqcliError) as caught:
        download.update(url, limits=limits, **options)
    return caught.value


def holds(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.startswith(".seqcli-lock-")}


# Misbehaving servers: nothing changes, and the message names the address, what came, and what to do

HALF = STORED[: len(STORED) // 2]
HTML = b"<!DOCTYPE html><html><body>Service under maintenance</body></html>"
TROUBLE = {
    "200 with nothing": ([good(b"")], "an empty answer", "try again later", 1),
    "200 with a web page": ([good(HTML, Content_Type="text/html")], "'<!DOCTYPE html>", "try again later", 1),
    "half a zip": ([good(HALF)], "not a zip with the ECB's rates", "try again later", 1),
    "a zip with damaged contents": (
        [good(NEWER[:5000] + bytes(100) + NEWER[5100:])],
        "not a zip with the ECB's rates",
        "try again later",
        1,
    ),
    "a zip bomb": ([good(fake.honest_bomb())], "unpacks to 300,000,000 bytes", "try again later", 1),
    "404": ([status(404)], "answered 404 Not Found", "check the address", 1),
    "403": ([status(403)], "answered 403 Forbidden", "check the address", 1),
    "304 that nobody asked for": ([status(304)], "answered 304", "check the address", 1),
    "always 500": ([status(500)], "answered 500 Internal Server Error (3 attempts)", "try again later", 3),
    "429 for an hour": ([status(429, Retry_After=3600)], "answered 429", "try again in 3600 s", 1),
    "429 for ever": ([status(429, Retry_After="9" * 400)], "answered 429", "try again in", 1),
    "503 with nonsense to wait for": ([status(503, Retry_After="soon")], "(3 attempts)", "try again later", 3),
    "a redirect loop": ([fake.redirect_loop], "redirects more than 5 times", "check the address", 6),
    "a redirect to a file": ([status(302, Location="file:///etc/passwd")], "not an address", "check the address", 1),
    "a Content-Length too long": ([good(STORED, Content_Length=len(STORED) + 9)], "(3 attempts)", "try again later", 3),
    "a Content-Length too short": ([good(STORED, Content_Length=len(HALF))], "not a zip", "try again later", 1),
    "a Content-Length of 3 GB": ([good(b"", Content_Length=3 * 10**9)], "would send 3000000000 bytes", "check", 1),
    "a reset": ([fake.reset], "the connection failed", "try again later", 3),
    "nothing after the headers": ([fake.only_headers], "the connection failed", "try again later", 3),
    "no answer": ([fake.silence], "no answer in time (3 attempts)", "try again later", 3),
    "something that is not HTTP": (
        [lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")],
        "the connection failed",
        "try again later",
        3,
    ),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_a_server_in_trouble_changes_nothing(case: str, server: RatesServer, stored: Path) -> None:
    answers, what, hint, requests = TROUBLE[case]
    before = holds(stored.parent)
    server.script(*answers)
    error = fails(server.url)
    assert isinstance(error, TryLaterError) and error.code == ExitCode.TRY_LATER
    assert error.where == server.url
    assert what in error.what
    assert f"the rates until {NEXT} stay in use" in (error.hint or "") and hint in (error.hint or "")
    assert len(server.requests) == requests
    assert holds(stored.parent) == before


@pytest.mark.parametrize("answer", [fake.drip(STORED), fake.drip_headers], ids=["the body", "the headers"])
def test_a_slow_drip_meets_the_deadline_for_the_whole(answer: fake.Answer, server: RatesServer, stored: Path) -> None:
    before = holds(stored.parent)
    server.script(answer)
    others = set(threading.enumerate())
    began = time.monotonic()
    error = fails(server.url, Limits(total=0.6, read=0.3))
    assert time.monotonic() - began < 3.0  # the drip would take minutes
    assert isinstance(error, TryLaterError) and "no complete answer within 0.6 s" in error.what
    assert holds(stored.parent) == before
    if answer is not fake.drip_headers:  # those hold their thread until the server or the process ends
        for thread in set(threading.enumerate()) - others:
            if thread.name == "seqcli-http":
                thread.join(2)
                assert not thread.is_alive()


def test_a_bomb_whose_header_lies_takes_no_memory(server: RatesServer, stored: Path) -> None:
    before = holds(stored.parent)
    server.script(good(fake.lying_bomb()))
    tracemalloc.start()
    try:
        error = fails(server.url)
        assert tracemalloc.get_traced_memory()[1] < 30_000_000  # bytes; the bomb has 300 MB
    finally:
        tracemalloc.stop()
    assert isinstance(error, InputError | TryLaterError)
    assert holds(stored.parent) == before


def test_more_than_the_limit_is_not_read_to_its_end(server: RatesServer) -> None:
    def endless(handler: fake.Handler) -> None:
        handler.head(200)  # no length: until the connection closes
        for _ in range(100):
            handler.wfile.write(bytes(1_000_000))
        server.requests.append({"path": "sent it all"})

    server.script(endless)
    error = fails(server.url)
    assert isinstance(error, TryLaterError) and "sends more than 20,000,000 bytes" in error.what
    assert len(server.requests) == 1


def test_nobody_listening_is_trouble_that_passes(stored: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/x.zip"
        error = fails(url)
    assert isinstance(error, TryLaterError) and "the connection failed" in error.what and "(3 attempts)" in error.what


@pytest.mark.parametrize("trouble", [status(500), status(429), fake.reset, fake.only_headers])
def test_a_server_that_recovers_is_asked_again(trouble: fake.Answer, server: RatesServer, stored: Path) -> None:
    server.script(trouble, good(NEWER))
    assert download.update(server.url, limits=QUICK).status == "updated"
    assert stored.read_bytes() == NEWER
    assert len(server.requests) == 2


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured_in_seconds_and_as_a_date(as_date: bool, server: RatesServer) -> None:
    # The dates of the server are by its own clock, whatever SEQCLI_NOW says.
    now = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=5)

    def busy(handler: fake.Handler) -> None:
        after = email.utils.format_datetime(now + datetime.timedelta(seconds=1), usegmt=True) if as_date else "1"
        handler.send_response_only(429)
        handler.send_header("Date", email.utils.format_datetime(now, usegmt=True))
        handler.send_header("Retry-After", after)
        handler.send_header("Content-Length", "0")
        handler.send_header("Connection", "close")
        handler.end_headers()

    server.script(busy, good(STORED))
    began = time.monotonic()
    assert download.update(server.url, limits=QUICK).status == "updated"
    assert 1.0 <= time.monotonic() - began < 4.0


# Files that contradict what is in use


def test_last_years_file_is_stale_and_to_be_tried_later(server: RatesServer, stored: Path) -> None:
    before = holds(stored.parent)
    header, *lines = TABLE
    server.script(good(zipped([header, *lines[250:]])))
    error = fails(server.url)
    assert isinstance(error, TryLaterError)
    assert "older than the history in use" in error.what and f"which ends on {NEXT}" in error.what
    assert holds(stored.parent) == before


LINES = with_new_days(2)
SATURDAY = str(next(day for day in np.arange(NEXT, TODAY, dtype="datetime64[D]") if not np.is_busday(day)))
CONTRADICTIONS = {
    "one old rate altered": (
        with_rate(LINES, OLD_DAY, "USD", lambda old: f"{old * 1.03:.4f}"),
        f"1 old rate changed: USD on {OLD_DAY} was",
        True,
    ),
    "an old rate gone": (with_rate(LINES, OLD_DAY, "USD", lambda old: "N/A"), "is no rate", True),
    "a yen with a slipped point": (with_new_days(2, JPY="17.5"), f"JPY on {AFTER} is 17.5", True),
    "a lira too far away": (with_new_days(2, TRY="120"), f"TRY on {AFTER} is 120", True),
    "a day of the history gone": (
        [line for line in LINES if not line.startswith(OLD_DAY)],
        f"lacks 1 day of the history in use, the first {OLD_DAY}",
        False,
    ),
    "a currency of the history gone": (
        [",".join(line.split(",")[:-2]) + "," for line in LINES],
        "lacks currencies of the history in use: ZAR",
        False,
    ),
    "a day in the future": (with_new_days(2, days=[NEXT, "2063-04-05"]), "reaches 2063-04-05, and today is", False),
    "a rate on a Saturday": (with_new_days(2, days=[NEXT, SATURDAY]), f"{SATURDAY}, which is no business day", False),
    "no dollar on a new day": (with_new_days(2, USD="N/A"), f"has no rate on {AFTER} for USD", False),
    "few currencies on a new day": (
        with_new_days(2, CZK="N/A", DKK="N/A", HUF="N/A", PLN="N/A"),
        "for 4 currencies that had one the day before",
        False,
    ),
    "a negative rate": (with_new_days(2, USD="-1.1"), "row 2: USD: a rate must be positive, not -1.1", False),
    "a word for a rate": (with_new_days(2, CHF="n.a."), "row 2: CHF: not a number: 'n.a.'", False),
    "a day twice": ([LINES[0], LINES[1], *LINES[1:]], f"{AFTER} stands there twice", False),
    "days out of order": ([LINES[0], *LINES[5:], *LINES[1:5]], "are out of order", False),
    "another table": (["date,open,close", "2026-10-30,1,2"], "its header begins 'date,open,close'", False),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_a_file_that_contradicts_the_history_is_refused(case: str, server: RatesServer, stored: Path) -> None:
    lines, what, acceptable = CONTRADICTIONS[case]
    before = holds(stored.parent)
    server.script(good(zipped(lines)))
    error = fails(server.url, accept_revisions=not acceptable)  # some are refused whatever the user says
    assert isinstance(error, InputError) and error.code == ExitCode.INPUT
    assert what in str(error) and server.url in error.where
    assert f"the rates until {NEXT} stay in use" in (error.hint or "")
    assert ("--accept-revisions" in (error.hint or "")) == acceptable
    assert holds(stored.parent) == before
    if acceptable:
        assert download.update(server.url, accept_revisions=True, limits=QUICK).status == "updated"
        assert rates.load().dates[-1] == np.datetime64(AFTER)


def test_a_small_correction_of_an_old_rate_is_taken_and_reported(server: RatesServer, stored: Path) -> None:
    server.script(good(zipped(with_rate(with_new_days(1), OLD_DAY, "USD", lambda old: f"{old + 0.0001:.4f}"))))
    done = download.update(server.url, limits=QUICK)
    (revision,) = done.revisions
    assert (done.status, done.new_days) == ("updated", 0)
    assert (revision.date, revision.currency) == (OLD_DAY, "USD")
    assert revision.new == pytest.approx((revision.old or 0) + 0.0001)
    assert f"USD on {OLD_DAY} was {revision.old:.10g}, is {revision.new:.10g}" in done.warnings[0]


def test_many_small_corrections_are_refused_until_the_user_takes_them(server: RatesServer, stored: Path) -> None:
    lines = with_new_days(1)
    for line in TABLE[100:111]:
        lines = with_rate(lines, line.split(",")[0], "JPY", lambda old: f"{old + 0.01:.2f}")
    server.script(good(zipped(lines)))
    assert "11 old rates changed" in fails(server.url).what
    assert stored.read_bytes() == STORED
    done = download.update(server.url, accept_revisions=True, limits=QUICK)
    assert len(done.revisions) == 11 and "and 1 more" in done.warnings


def test_the_real_history_breaks_no_rule_from_its_first_day_on(monkeypatch: pytest.MonkeyPatch) -> None:
    # As if ten days were known and the other 27 years were new: what real data has done must not be refused.
    monkeypatch.undo()
    whole = rates.parse(rates.embedded_path().read_bytes(), "embedded", "embedded")
    known = rates.History(whole.dates[:10], whole.currencies, whole.per_euro[:10], "embedded", "")
    revisions, added = download._compare(known, whole, "here", accept_revisions=False)
    assert not revisions and len(added) == len(whole.dates) - 10


# Files that are right


def test_a_newer_file_is_stored_and_used(server: RatesServer, data: Path) -> None:
    server.script(good(NEWER))
    done = download.update(server.url, limits=QUICK)
    assert (done.status, done.before, done.after, done.new_days, done.revisions) == ("updated", LAST, AFTER, 2, ())
    assert done.path == data / "eurofxref-hist.zip" and done.path.read_bytes() == NEWER
    assert done.sentences == (f"rates: 2 new days at {server.url}; the history ends on {AFTER}",)
    assert done.warnings == ()
    history = rates.load()
    assert (history.origin, str(history.dates[-1])) == ("stored", AFTER)
    assert server.requests[0]["User-Agent"] == f"seqcli/{__version__}"
    assert server.requests[0]["Accept-Encoding"] == "identity"
    assert set(holds(data)) == {"eurofxref-hist.zip", "eurofxref-hist.json"}


def test_a_wrong_content_type_does_not_matter(server: RatesServer, data: Path) -> None:
    server.script(good(NEWER, Content_Type="text/html; charset=utf-8"))
    assert download.update(server.url, limits=QUICK).new_days == 2


def test_a_redirect_is_followed(server: RatesServer, data: Path) -> None:
    server.script(status(301, Location="/moved.zip"), good(NEWER))
    assert download.update(server.url, limits=QUICK).new_days == 2
    assert server.requests[1]["path"] == "/moved.zip"


def test_a_protected_address_may_not_lead_to_an_unprotected_one() -> None:
    # No server here: a certificate for loopback would be needed.
    moved = httpx.Response(302, headers={"Location": "http://example.org/x.zip"})
    transport = httpx.MockTransport(lambda asked: moved if asked.url.scheme == "https" else httpx.Response(200))
    refused = pytest.raises(http._RefusedError, match=r"leads to the unprotected http://example\.org/x\.zip")
    with httpx.Client(transport=transport, follow_redirects=True) as client, refused:
        http._ask(client, "https://example.org/x.zip", False, time.monotonic() + 5, 1000)


def test_a_business_day_without_rates_is_mentioned(server: RatesServer, data: Path) -> None:
    server.script(good(zipped(with_new_days(1, days=[AFTER]))))
    assert download.update(server.url, limits=QUICK).warnings == (
        f"no rates on 1 business day since {LAST}, the first {NEXT}",
    )


def test_a_currency_that_ends_is_no_contradiction(server: RatesServer, data: Path) -> None:
    server.script(good(zipped(with_new_days(1, HUF="N/A"))))
    assert download.update(server.url, limits=QUICK).new_days == 1


@pytest.mark.parametrize("header", ["ETag", "Last_Modified"])
def test_an_unchanged_file_is_not_sent_twice(header: str, server: RatesServer, data: Path) -> None:
    server.script(good(NEWER, **{header: "Fri, 30 Oct 2026 15:00:00 GMT"}))
    download.update(server.url, limits=QUICK)
    before = holds(data)
    done = download.update(server.url, limits=QUICK)
    assert (done.status, done.before, done.after) == ("unchanged", AFTER, AFTER)
    assert "nothing new" in done.sentences[0]
    assert {"ETag": "If-None-Match", "Last_Modified": "If-Modified-Since"}[header] in server.requests[1]
    assert holds(data) == before


def test_conditions_are_sent_only_for_the_very_file_that_is_stored(server: RatesServer, data: Path) -> None:
    server.script(good(NEWER, ETag='"v2"'))
    path = download.update(server.url, limits=QUICK).path
    note = json.loads((data / "eurofxref-hist.json").read_text())
    assert note["etag"] == '"v2"' and note["sha256"] == hashlib.sha256(NEWER).hexdigest()
    assert note["downloaded_at"] == f"{TODAY}T18:00:00+00:00"
    damaged = bytearray(NEWER)
    damaged[5000] ^= 255
    path.write_bytes(damaged)
    assert download.update(server.url, limits=QUICK).status == "updated"
    assert path.read_bytes() == NEWER
    for spoilt in (b"", b"[]", b'{"sha256": 1}', json.dumps(note | {"etag": "a\r\nX-Evil: 1"}).encode()):
        (data / "eurofxref-hist.json").write_bytes(spoilt)
        server.requests.clear()
        assert download.update(server.url, limits=QUICK).status == "unchanged"
        assert "If-None-Match" not in server.requests[0]
    assert json.loads((data / "eurofxref-hist.json").read_text()) == note  # mended
    other = server.url.replace("eurofxref-hist", "mirror")
    server.requests.clear()
    download.update(other, limits=QUICK)
    assert "If-None-Match" not in server.requests[0]


def test_a_damaged_stored_file_is_mended(server: RatesServer, stored: Path) -> None:
    stored.write_bytes(b"not a zip")
    assert str(rates.load().dates[-1]) == LAST
    server.script(good(STORED))
    assert download.update(server.url, limits=QUICK).status == "updated"
    assert stored.read_bytes() == STORED


# Where the source comes from


@pytest.mark.parametrize("form", ["path", "file://", "SEQCLI_RATES_URL"])
def test_a_file_can_be_the_source(form: str, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_OFFLINE", "1")  # a file needs no network
    source = tmp_path / "為替 rates.zip"
    source.write_bytes(NEWER)
    if form == "SEQCLI_RATES_URL":
        monkeypatch.setenv("SEQCLI_RATES_URL", str(source))
        done = download.update()
    else:
        done = download.update(source.as_uri() if form == "file://" else str(source))
    assert done.new_days == 2 and done.path.read_bytes() == NEWER


@pytest.mark.parametrize(("content", "what"), [(None, "No such file"), (HALF, "not a zip with"), (b"", "an empty")])
def test_a_local_file_that_cannot_be_used_is_bad_input(content: bytes | None, what: str, tmp_path: Path) -> None:
    source = tmp_path / "rates.zip"
    if content is not None:
        source.write_bytes(content)
    error = fails(str(source))
    assert isinstance(error, InputError) and what in error.what and str(source) in error.where


@pytest.mark.parametrize("url", ["ftp://example.org/x.zip", "http://[::1", "http://a:b:c/"])
def test_what_is_no_address_is_wrong_usage(url: str) -> None:
    assert isinstance(fails(url), UsageError)


def test_a_password_is_sent_but_never_shown(server: RatesServer, data: Path) -> None:
    url = server.url.replace("http://", "http://user:geheim@")
    server.script(status(404))
    error = fails(url)
    assert error.where == server.url and "geheim" not in f"{error} {error.hint}"
    assert server.requests[0]["Authorization"].startswith("Basic ")
    server.script(good(NEWER))
    assert "geheim" not in repr(download.update(url, limits=QUICK))
    assert all(b"geheim" not in content for content in holds(data).values())


def test_offline_opens_no_socket(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *args: opened.append(args))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: opened.append(args))
    monkeypatch.setenv("SEQCLI_OFFLINE", "1")
    with pytest.raises(TryLaterError) as caught:
        download.update()
    assert "SEQCLI_OFFLINE is set" in caught.value.what
    assert caught.value.where == download.URL
    assert not opened
    assert stored.read_bytes() == STORED


def test_the_time_in_all_can_be_set_from_outside(server: RatesServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.script(fake.silence)
    monkeypatch.setenv("SEQCLI_RATES_TIMEOUT", "0.2")
    with pytest.raises(TryLaterError, match=r"no complete answer within 0\.2 s"):
        download.update(server.url)
    monkeypatch.setenv("SEQCLI_RATES_TIMEOUT", "soon")
    with pytest.raises(UsageError, match="not a number of seconds: 'soon'"):
        download.update(server.url)


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:1")
    error = fails("http://example.org/x.zip")
    assert isinstance(error, MachineError) and "HTTPS_PROXY" in (error.hint or "")


# Other processes, and the machine's own trouble


def test_two_updates_at_once_do_not_race(server: RatesServer, data: Path) -> None:
    server.script(fake.slow(NEWER, 0.2), good(NEWER))
    done: list[download.Update] = []
    threads = [threading.Thread(target=lambda: done.append(download.update(server.url, limits=QUICK))) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.status for one in done) == ["unchanged", "updated"]
    assert rates.stored_path().read_bytes() == NEWER


def test_an_update_that_another_one_holds_up_says_so(server: RatesServer, stored: Path) -> None:
    with files.lock(stored):
        error = fails(server.url, Limits(total=0.1))
    assert isinstance(error, TryLaterError) and "in use by another process" in error.what
    assert not server.requests


def test_a_disk_that_fills_up_leaves_the_old_file(
    server: RatesServer, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = holds(stored.parent)
    server.script(good(NEWER))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    error = fails(server.url)
    assert isinstance(error, MachineError) and "disk full" in error.what
    assert holds(stored.parent) == before


KILLS = """
import os, random, signal, sys, time
from pathlib import Path
from seqcli.core.http import Limits
from seqcli.forecasting import download, rates
import httpx  # noqa: TID253 - what is tested here is built on it

url, old, new = sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]).read_bytes()
path = rates.stored_path()
fsync = os.fsync
os.fsync = lambda descriptor: (time.sleep(0.03), fsync(descriptor))  # a slow disk: more moments in the middle

def update():
    child = os.fork()
    if not child:
        done = download.update(url, limits=Limits(total=20))
        os._exit(0 if done.after == sys.argv[4] else 1)
    return child

rates.embedded_path = lambda: Path(sys.argv[5])
rates.load()
path.write_bytes(old)
began = time.monotonic()
assert os.waitpid(update(), 0)[1] == 0
span = time.monotonic() - began
assert path.read_bytes() == new
dice = random.Random(1)
for _ in range(20):
    path.write_bytes(old)
    child = update()
    time.sleep(dice.uniform(0, span))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    found = path.read_bytes()
    print("new" if found == new else "old" if found == old else "torn")
assert os.waitpid(update(), 0)[1] == 0
assert path.read_bytes() == new
print(*sorted(p.name for p in path.parent.iterdir() if ".seqcli-lock-" not in p.name))
"""


def test_an_update_killed_at_any_moment_leaves_a_whole_file_and_the_next_one_completes(
    server: RatesServer, data: Path, tmp_path: Path
) -> None:
    data.mkdir()
    (tmp_path / "old").write_bytes(STORED)
    (tmp_path / "new").write_bytes(NEWER)
    server.script(fake.slow(NEWER, 0.1))
    command = [sys.executable, "-c", textwrap.dedent(KILLS), server.url, tmp_path / "old", tmp_path / "new", AFTER]
    ended = subprocess.run([*command, rates.embedded_path()], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    *killed, left = ended.stdout.splitlines()
    assert len(killed) == 20 and set(killed) <= {"old", "new"}
    assert left == "eurofxref-hist.json eurofxref-hist.zip"


def test_a_folder_that_cannot_be_written_to_is_said_before_anything_is_fetched(
    server: RatesServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("SEQCLI_DATA_DIR", str(tmp_path / "a file" / "data"))
    assert isinstance(fails(server.url), MachineError)
    assert not server.requests
