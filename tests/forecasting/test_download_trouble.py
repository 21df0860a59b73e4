"""Servers that misbehave and files that contradict what is in use: nothing changes, and it is said."""

from __future__ import annotations

import datetime
import email.utils
import socket
import threading
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rates_server as fake
from downloads import (
    AFTER,
    HALF,
    NEWER,
    NEXT,
    OLD_DAY,
    QUICK,
    STORED,
    TABLE,
    TODAY,
    data,
    fails,
    holds,
    stored,
    with_new_days,
)
from rates_server import RatesServer, good, server, status, with_rate, zipped

from seqcli.core.http import Limits
from seqcli.errors import ExitCode, InputError, TryLaterError
from seqcli.forecasting import download, rates

__all__ = ["data", "server", "stored"]  # the fixtures


# Misbehaving servers: nothing changes, and the message names the address, what came, and what to do

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


def test_a_server_that_never_answers_is_asked_again_and_given_up(server: RatesServer, stored: Path) -> None:
    before = holds(stored.parent)
    server.script(fake.silence)
    error = fails(server.url, replace(QUICK, read=0.2))
    assert isinstance(error, TryLaterError) and "no answer in time (3 attempts)" in error.what
    assert holds(stored.parent) == before


@pytest.mark.parametrize("answer", [fake.drip(STORED), fake.drip_headers], ids=["the body", "the headers"])
def test_a_slow_drip_meets_the_deadline_for_the_whole(answer: fake.Answer, server: RatesServer, stored: Path) -> None:
    before = holds(stored.parent)
    server.script(answer)
    others = set(threading.enumerate())
    began = time.monotonic()
    error = fails(server.url, Limits(total=0.6, read=0.3))
    assert time.monotonic() - began < 30.0  # the drip would take minutes
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
    assert 1.0 <= time.monotonic() - began < 60.0  # by our clock it would be hours


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
