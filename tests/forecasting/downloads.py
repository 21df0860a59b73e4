"""A short history of rates, newer ones, and an update from a server that the tests start."""

from __future__ import annotations

from pathlib import Path

import pytest
import rates_server as fake
from rates_server import zipped

from seqcli.core import files
from seqcli.core.http import Limits
from seqcli.errors import SeqcliError
from seqcli.forecasting import download, rates

QUICK = Limits(attempts=3, backoff=0.01)  # in trouble; a slow machine has all the time that it wants
TABLE = fake.short_table()  # in place of the embedded history, whose 7,000 days take 80 times as long to read
LAST = TABLE[1].split(",")[0]
OLD_DAY = TABLE[200].split(",")[0]
NEXT, AFTER, *_, TODAY = fake.next_days(10)


def with_new_days(n: int, days: list[str] | None = None, **rates_of_last: str) -> list[str]:
    return fake.with_new_days(n, table=TABLE, days=days, **rates_of_last)


EMBEDDED = zipped(TABLE)
STORED = zipped(with_new_days(1))
NEWER = zipped(with_new_days(2))
HALF = STORED[: len(STORED) // 2]


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder, embedded = tmp_path / "data", tmp_path / "embedded.zip"
    embedded.write_bytes(EMBEDDED)
    monkeypatch.setattr(rates, "embedded_path", lambda: embedded)
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
    return {p.name: p.read_bytes() for p in folder.iterdir()}
