"""What the page says in a language, and how that language writes numbers and dates."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Language = Literal["en", "ja"]

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_JAPANESE_UNITS: Final = {"business": "営業日", "day": "日", "week": "週間", "month": "か月"}
_UNITS: Final = {"target": "business", "weekdays": "business", "daily": "day", "weekly": "week", "monthly": "month"}


@dataclass(frozen=True)
class Words:
    """All sentences of one language; the names in braces are filled in by whoever uses them."""

    language: Language
    title: str
    skip: str
    comma: str
    stop: str
    no_advice: str
    # At a glance
    glance: str
    made: str
    data_until: str
    newest: str
    model: str
    learnt_until: str
    calibrated: str
    journal: str
    journal_rows: str
    # What to beware of
    beware: str
    stale: str
    lapsed: str
    behind_data: str
    replayed: str
    seen: str
    # Skill
    skill_early: str
    skill_shown: str
    skill_none: str
    skill_worse: str
    point_walk: str
    point_ratio: str
    skill_details: str
    skill_daily: str
    # Verdict and drift
    verdict: str
    verdicts: Mapping[str, str]
    drift: str
    drift_fine: str
    drift_none: str
    drift_many: str
    drift_caption: str
    drift_test: str
    drift_evidence: str
    drift_result: str
    drift_names: Mapping[str, str]
    drift_found: str
    drift_not: str
    drift_short: str
    drift_no: str
    # Overview and fans
    overview: str
    overview_caption: str
    series: str
    last: str
    range80: str
    held80: str
    to_ewma: str
    forecasts: str
    forecasts_note: str
    wider: str
    forecast: str
    history: str
    median: str
    interval: str
    came: str
    fan_title: str
    fan_described: str
    fan_summary: str
    numbers: str
    numbers_caption: str
    history_numbers: str
    date_heading: str
    ahead_heading: str
    value: str
    between: str
    top: str
    # Track record
    record: str
    record_of: str
    record_caption: str
    record_models: str
    newest_of_each_day: str
    all_horizons: str
    all_series: str
    nothing_due: str
    n: str
    pending: str
    mae: str
    mae_ratio: str
    crps: str
    crps_ratio: str
    crps_ewma: str
    p: str
    coverage80: str
    coverage95: str
    coverage_title: str
    coverage_caption: str
    pit_title: str
    pit_caption: str
    pit_described: str
    pit_low: str
    pit_high: str
    older_models: str
    # How to read it
    reading: str
    meanings: tuple[tuple[str, str], ...]

    def number(self, value: float, digits: int) -> str:
        """A value with so many decimals; thousands are separated in long numbers, and minus is a minus."""
        written = f"{value:,.{digits}f}" if abs(value) >= 1e5 else f"{value:.{digits}f}"
        return written.replace("-", "−")

    def percent(self, share: float | None, digits: int = 1) -> str:
        """A share as a percentage."""
        gap = "\u00a0" if self.language == "en" else ""
        return "–" if share is None else f"{100 * share:.{digits}f}{gap}%"

    def ratio(self, value: float | None) -> str:
        """A ratio such as 0.9950."""
        return "–" if value is None else f"{value:.4f}"

    def chance(self, p: float | None) -> str:
        """A p-value."""
        return "–" if p is None else "<\u00a00.001" if p < 0.001 else f"{p:.3f}"

    def p_is(self, p: float | None) -> str:
        """A p-value with its letter: p = 0.230, p < 0.001."""
        said = self.chance(p)
        return f"p\u00a0{said}" if said.startswith("<") else f"p\u00a0=\u00a0{said}"

    def evidence(self, value: float | None) -> str:
        """Evidence of a test by betting: 1 is none."""
        if value is None or not math.isfinite(value):
            return "–"
        return f"{value:.1f}" if value < 1000 else "> 1000"

    def count(self, n: int) -> str:
        """A number of things."""
        return f"{n:,}"

    def date(self, day: str) -> str:
        """A date in full."""
        d = datetime.date.fromisoformat(day)
        if self.language == "ja":
            return f"{d.year}年{d.month}月{d.day}日"
        return f"{d.day}\u00a0{_MONTHS[d.month - 1]}\u00a0{d.year}"

    def day(self, day: str, with_year: bool) -> str:
        """A date for an axis: the day, or the month and year."""
        d = datetime.date.fromisoformat(day)
        if self.language == "ja":
            return f"{d.year}年{d.month}月" if with_year else f"{d.month}月{d.day}日"
        return f"{_MONTHS[d.month - 1]} {d.year}" if with_year else f"{d.day} {_MONTHS[d.month - 1]}"

    def moment(self, stamp: str) -> str:
        """A time in UTC, to the minute."""
        return f"{stamp[:10]} {stamp[11:16]} UTC"

    def steps(self, n: int, calendar: str) -> str:
        """A span: 5 business days, 1 week."""
        unit = _UNITS[calendar]
        if self.language == "ja":
            return f"{n}{_JAPANESE_UNITS[unit]}"
        name = "business day" if unit == "business" else unit
        return f"{n}\u00a0{name}{'' if n == 1 else 's'}"

    def horizon(self, n: int, calendar: str) -> str:
        """The same below a heading that says that it lies ahead."""
        return self.ahead(n, calendar) if self.language == "ja" else self.steps(n, calendar)

    def ahead(self, n: int, calendar: str) -> str:
        """A horizon: 5 business days ahead."""
        return f"{self.steps(n, calendar)}{'後' if self.language == 'ja' else ' ahead'}"
