"""One file from an HTTP server, within bounds that the server cannot stretch: time, size, redirects, attempts."""

from __future__ import annotations

import email.utils
import math
import queue
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from seqcli import __version__
from seqcli.core import clock
from seqcli.errors import MachineError, TryLaterError, UsageError

if TYPE_CHECKING:
    import httpx

_MAX_REDIRECTS = 5
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_PAUSE = 366 * 24 * 3600.0  # seconds; a server that asks for more is not taken at its word


@dataclass(frozen=True)
class Limits:
    """How long a download may take, in seconds.

    Arguments:
        total: for everything, waiting and trying again included; whatever the server does, it is over then.
        connect: until a connection stands.
        read: until the next bytes arrive.
        attempts: how often the server is asked before giving up.
        backoff: the first pause between two attempts; it doubles each time.
    """

    total: float = 60.0
    connect: float = 10.0
    read: float = 20.0
    attempts: int = 4
    backoff: float = 1.0


@dataclass(frozen=True)
class Answer:
    """What the server gave.

    Arguments:
        body: the file; ``None``: it is as it was when the validators that the request carried were given.
        etag: to be sent as ``If-None-Match`` the next time, if the server gave one.
        last_modified: to be sent as ``If-Modified-Since``.
    """

    body: bytes | None
    etag: str | None = None
    last_modified: str | None = None


class _TransientError(Exception):
    """A failure that another attempt may mend; ``pause`` is how many seconds the server asks to be left alone."""

    def __init__(self, what: str, pause: float | None = None) -> None:
        super().__init__(what)
        self.pause = pause


class _RefusedError(Exception):
    """An answer that another attempt would not mend."""


def get(url: str, conditions: Mapping[str, str], limits: Limits, max_bytes: int) -> Answer:
    """Fetch ``url``, trying again after network errors and the answers of a server in trouble.

    Arguments:
        url: ``http://…`` or ``https://…``; a password in it is sent, and never shown.
        conditions: ``If-None-Match`` and ``If-Modified-Since``, or nothing.
        limits: of time.
        max_bytes: that the file may have.

    Raises:
        TryLaterError: no complete file came; says what the server did, and what to do.
        UsageError: not an address.
        MachineError: the environment names a proxy that cannot be used.
    """
    deadline = time.monotonic() + limits.total

    def fail(what: str, hint: str) -> NoReturn:
        raise TryLaterError(without_password(url), what, hint)

    attempt = 0
    while True:
        attempt += 1
        try:
            return _within(deadline, url, conditions, limits, max_bytes)
        except TimeoutError:
            fail(f"no complete answer within {limits.total:g} s", "try again later, or allow more time")
        except _RefusedError as refusal:
            fail(str(refusal), "check the address")
        except _TransientError as trouble:
            times = f" ({attempt} attempts)" if attempt > 1 else ""
            if trouble.pause and time.monotonic() + trouble.pause > deadline:
                fail(f"{trouble}{times}", f"try again in {math.ceil(trouble.pause)} s, as the server asks")
            jitter = random.uniform(0.5, 1.0)  # noqa: S311 - so that many machines do not come back together
            pause = trouble.pause or limits.backoff * 2 ** (attempt - 1) * jitter
            if attempt == limits.attempts or time.monotonic() + pause > deadline:
                fail(f"{trouble}{times}", "try again later")
        time.sleep(pause)


def without_password(url: str) -> str:
    """The address without a user's name and password, for messages and records."""
    return re.sub(r"^(\w+://)[^/?#]*@", r"\1", url)


def _within(deadline: float, url: str, conditions: Mapping[str, str], limits: Limits, max_bytes: int) -> Answer:
    """One attempt, or TimeoutError at the deadline.

    httpx bounds each read, not their sum: a server that sends its headers a byte at a time could hold it for hours.
    So the request runs in a thread of its own that is left behind when the time is up. It ends with the process, and
    nobody looks at its result.
    """
    results: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            with _client(url, conditions, limits) as client:
                results.put(_ask(client, url, bool(conditions), deadline, max_bytes))
        except BaseException as error:
            results.put(error)  # raised below, by the thread that waits

    threading.Thread(target=run, name="seqcli-http", daemon=True).start()
    try:
        result = results.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(result, BaseException):
        raise result
    return result


def _client(url: str, conditions: Mapping[str, str], limits: Limits) -> httpx.Client:
    import httpx  # 0.3 s

    try:
        httpx.URL(url)
        return httpx.Client(
            headers={
                "User-Agent": f"seqcli/{__version__}",
                "Accept-Encoding": "identity",  # the bytes as they are: nothing to inflate on the way
                **conditions,
            },
            timeout=httpx.Timeout(limits.read, connect=limits.connect),
            follow_redirects=True,
            max_redirects=_MAX_REDIRECTS,
        )
    except httpx.InvalidURL as error:
        raise UsageError(without_password(url), f"not an address ({error})", "write it as https://…") from error
    except (ImportError, ValueError) as error:  # what httpx says of a proxy that it cannot use
        hint = "check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY"
        raise MachineError("proxy", f"cannot be used ({error})", hint) from error


def _ask(client: httpx.Client, url: str, conditional: bool, deadline: float, max_bytes: int) -> Answer:
    import httpx

    try:
        with client.stream("GET", url) as response:
            if url.lower().startswith("https:") and response.url.scheme != "https":
                raise _RefusedError(f"leads to the unprotected {without_password(str(response.url))}")
            status = f"answered {response.status_code} {response.reason_phrase}".rstrip()
            if response.status_code == httpx.codes.NOT_MODIFIED and conditional:
                return Answer(None)
            if response.status_code in _RETRIED:
                raise _TransientError(status, _retry_after(response.headers))
            if response.status_code != httpx.codes.OK:
                raise _RefusedError(status)
            if int(response.headers.get("Content-Length", "0")) > max_bytes:
                raise _RefusedError(f"would send {response.headers['Content-Length']} bytes, over {max_bytes:,}")
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > max_bytes:
                    raise _RefusedError(f"sends more than {max_bytes:,} bytes")
                if time.monotonic() > deadline:
                    raise TimeoutError
            return Answer(bytes(body), response.headers.get("ETag"), response.headers.get("Last-Modified"))
    except httpx.TooManyRedirects as error:
        raise _RefusedError(f"redirects more than {_MAX_REDIRECTS} times") from error
    except httpx.UnsupportedProtocol as error:
        raise _RefusedError(f"not an address that can be asked, or redirects to one ({error})") from error
    except httpx.TimeoutException as error:
        what = "no connection" if isinstance(error, httpx.ConnectTimeout) else "no answer"
        raise _TransientError(f"{what} in time") from error
    except (httpx.TransportError, httpx.StreamError) as error:
        raise _TransientError(f"the connection failed ({str(error) or type(error).__name__})") from error


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: a number, or a date (RFC 9110, 10.2.3), read by the server's own clock."""
    asked = headers.get("Retry-After", "").strip()
    try:
        if asked.isascii() and asked.isdigit():
            return min(float(asked), _LONGEST_PAUSE)
        until = email.utils.parsedate_to_datetime(asked)
        sent = headers.get("Date")
        now = email.utils.parsedate_to_datetime(sent) if sent else clock.now()
        return min(max(0.0, (until - now).total_seconds()), _LONGEST_PAUSE)
    except (ValueError, TypeError):  # TypeError: one of the two dates names no zone
        return None
