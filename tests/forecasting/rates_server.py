"""A real HTTP server on loopback that behaves as badly as it is told to, and files for it to serve.

``server.script(empty, good(body))`` answers the first request with nothing and all later ones with the file.
"""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from seqcli.forecasting import calendar, rates

# Files


@cache
def embedded_table() -> tuple[str, ...]:
    """The lines of the embedded history: the header, then the days, the newest first."""
    return tuple(rates.unpack(rates.embedded_path().read_bytes(), "embedded").splitlines())


def zipped(lines: tuple[str, ...] | list[str]) -> bytes:
    """A zip as the ECB sends it; the same lines give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("eurofxref-hist.csv"), "\n".join(lines) + "\n", zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def next_days(n: int) -> list[str]:
    """The ``n`` business days after the embedded history."""
    last = np.datetime64(embedded_table()[1].split(",")[0])
    return [str(day) for day in calendar.following("target", last, n)]


def with_new_days(
    n: int, *, table: tuple[str, ...] | None = None, days: list[str] | None = None, **rates_of_last: str
) -> list[str]:
    """A table (``None``: the embedded one) and ``n`` plausible days more, the last one with these rates.

    The days are the business days after the embedded history, unless ``days`` names others.
    """
    header, *lines = table or embedded_table()
    names = header.split(",")
    for step, day in enumerate(days or next_days(n), 1):
        cells = lines[0].split(",")
        for column in range(1, len(cells)):
            if cells[column] not in ("N/A", ""):
                cells[column] = f"{float(cells[column]) * (1 + 0.001 * (-1) ** (step + column)):.6g}"
        lines.insert(0, ",".join([day, *cells[1:]]))
    return [header, changed(lines[0], names, rates_of_last), *lines[1:]]


def short_table(days: int = 300) -> tuple[str, ...]:
    """The last days of the embedded history: read in an instant."""
    return embedded_table()[: days + 1]


def with_rate(lines: list[str], day: str, currency: str, change: Callable[[float], str]) -> list[str]:
    """The table with one rate changed."""
    names = lines[0].split(",")
    row = next(i for i, line in enumerate(lines) if line.startswith(day))
    old = float(lines[row].split(",")[names.index(currency)])
    return [*lines[:row], changed(lines[row], names, {currency: change(old)}), *lines[row + 1 :]]


def changed(line: str, names: list[str], cells: dict[str, str]) -> str:
    """A line of the table with other cells."""
    values = line.split(",")
    for currency, cell in cells.items():
        values[names.index(currency)] = cell
    return ",".join(values)


def honest_bomb() -> bytes:
    """300 MB in 300 kB, as its header says."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("bomb.csv", "w") as file:
        for _ in range(300):
            file.write(bytes(1_000_000))
    return buffer.getvalue()


def lying_bomb() -> bytes:
    """The same with a header that promises 100 bytes, and the checksum of those."""
    bomb = bytearray(honest_bomb())
    lie = struct.pack("<L", zlib.crc32(bytes(100)))
    directory = bomb.rindex(b"PK\x01\x02")
    bomb[directory + 16 : directory + 20] = lie
    bomb[directory + 24 : directory + 28] = struct.pack("<L", 100)
    return bytes(bomb)


# Answers

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Records the request and lets the script answer it."""

    protocol_version = "HTTP/1.1"
    server: RatesServer

    def do_GET(self) -> None:
        self.server.requests.append(dict(self.headers.items()) | {"path": self.path})
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        self.close_connection = True
        with contextlib.suppress(ConnectionError):  # the client gave up: what some of the answers want
            answer(self)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""

    def head(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Connection", "close")
        self.end_headers()


def good(body: bytes, **headers: object) -> Answer:
    """The file; a conditional request that matches its ETag or Last-Modified is answered with 304."""

    def answer(handler: Handler) -> None:
        asked = handler.headers
        for header, condition in (("ETag", "If-None-Match"), ("Last_Modified", "If-Modified-Since")):
            if header in headers and asked.get(condition) == headers[header]:
                handler.head(304)
                return
        handler.head(200, **{"Content_Length": len(body), "Content_Type": "application/zip"} | headers)
        handler.wfile.write(body)

    return answer


def status(code: int, **headers: object) -> Answer:
    """A status without a body."""
    return lambda handler: handler.head(code, **{"Content_Length": 0} | headers)


def redirect_loop(handler: Handler) -> None:
    handler.head(302, Location=f"/again{len(handler.server.requests)}", Content_Length=0)


def drip(body: bytes, pause: float = 0.05) -> Answer:
    """The body, a byte at a time."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(body))
        for byte in body:
            if handler.server.over.wait(pause):
                return
            handler.wfile.write(bytes([byte]))

    return answer


def drip_headers(handler: Handler) -> None:
    """Headers without an end, a byte at a time: no single read ever takes long."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"x")


def slow(body: bytes, seconds: float) -> Answer:
    """The body in twenty parts, over so many seconds."""

    def answer(handler: Handler) -> None:
        handler.head(200, Content_Length=len(body))
        size = len(body) // 20 + 1
        for start in range(0, len(body), size):
            handler.server.over.wait(seconds / 20)
            handler.wfile.write(body[start : start + size])

    return answer


def silence(handler: Handler) -> None:
    """Never answers."""
    handler.server.over.wait(30)


def reset(handler: Handler) -> None:
    """Cuts the connection without a word."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def only_headers(handler: Handler) -> None:
    """Promises a file and closes."""
    handler.head(200, Content_Length=640_000)


class RatesServer(ThreadingHTTPServer):
    """Answers each request by the next answer of its script; the last one stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = [status(404)]
        self.requests: list[dict[str, str]] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/eurofxref-hist.zip"

    def script(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests.clear()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what half of these tests are about."""


@contextlib.contextmanager
def serving() -> Iterator[RatesServer]:
    """A server in a thread, for as long as the block lasts."""
    with RatesServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[RatesServer]:
    """A server that answers 404 until it is given a script."""
    with serving() as running:
        yield running
