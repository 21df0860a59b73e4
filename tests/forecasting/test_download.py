from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import httpx  # noqa: TID253 - what is tested here is built on it
import pytest
import rates_server as fake
from downloads import AFTER, HALF, LAST, NEWER, NEXT, QUICK, STORED, TODAY, data, fails, holds, stored, with_new_days
from rates_server import RatesServer, good, server, status, zipped

from seqcli import __version__
from seqcli.core import files, http
from seqcli.core.http import Limits
from seqcli.errors import InputError, MachineError, TryLaterError, UsageError
from seqcli.forecasting import download, rates

__all__ = ["data", "server", "stored"]  # the fixtures


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
print(*sorted(p.name for p in path.parent.iterdir()))
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
