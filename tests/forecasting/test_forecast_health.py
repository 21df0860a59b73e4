from __future__ import annotations

from pathlib import Path

import pytest

from seqcli.core.health import FAIL, OK, WARN
from seqcli.forecasting import health
from seqcli.forecasting.issue import Freshness


@pytest.fixture(autouse=True)
def embedded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The rates that the package ships end on Friday 30 October 2026."""
    monkeypatch.setenv("SEQCLI_DATA_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("now", "max_age", "status"),
    [
        ("2026-10-30T18:00:00+00:00", "0d", OK),  # tomorrow is Saturday
        ("2026-11-01", "0d", FAIL),  # tomorrow is Monday
        ("2026-11-01", "1d", OK),
        ("2026-11-04", "4d", OK),
        ("2026-11-05", "4d", FAIL),  # four days old today, five at seven tomorrow
        ("2026-11-05", None, WARN),
    ],
)
def test_the_rates_are_as_old_as_they_will_be_tomorrow(
    monkeypatch: pytest.MonkeyPatch, now: str, max_age: str | None, status: str
) -> None:
    monkeypatch.setenv("SEQCLI_NOW", now)
    (found,) = health.rates_age(Freshness(max_age))
    assert found.status == status
    assert "until 2026-10-30" in found.detail
