"""The only place that reads the clock, so that ``SEQCLI_NOW`` can set it for tests, demos and reruns."""

from __future__ import annotations

import datetime
import os

from seqcli.errors import UsageError

VARIABLE = "SEQCLI_NOW"


def now() -> datetime.datetime:
    """The present moment in UTC, or the one in ``SEQCLI_NOW``: an ISO date or datetime, UTC if it names no zone.

    Raises:
        UsageError: ``SEQCLI_NOW`` holds something else.
    """
    chosen = os.environ.get(VARIABLE, "").strip()
    if not chosen:
        return datetime.datetime.now(datetime.UTC)
    try:
        moment = datetime.datetime.fromisoformat(chosen)
        return moment.replace(tzinfo=datetime.UTC) if moment.tzinfo is None else moment.astimezone(datetime.UTC)
    except (ValueError, OverflowError):  # OverflowError: the year 1 or 9999, moved out of the calendar by its zone
        hint = f"{VARIABLE}=2024-06-28 or {VARIABLE}=2024-06-28T14:15:00+00:00, or unset it"
        raise UsageError(VARIABLE, f"not an ISO date or datetime: {chosen!r}", hint) from None


def today() -> datetime.date:
    """The date of ``now()`` in UTC; errors as there."""
    return now().date()
