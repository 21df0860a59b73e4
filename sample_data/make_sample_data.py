"""Makes every table in this folder: python sample_data/make_sample_data.py [FOLDER]. The same bytes, run after run."""

from __future__ import annotations

import datetime
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

FIRST, LAST = datetime.date(2022, 1, 3), datetime.date(2024, 11, 29)

# Closed like the TARGET system: New Year, Good Friday, Easter Monday, 1 May, Christmas and the day after.
EASTER_SUNDAYS = (datetime.date(2022, 4, 17), datetime.date(2023, 4, 9), datetime.date(2024, 3, 31))
CLOSED = {(1, 1), (5, 1), (12, 25), (12, 26)}

# A holiday of these countries alone: markets elsewhere are open, but no row is published.
FOUNDERS_DAYS = {datetime.date(2022, 9, 21), datetime.date(2023, 9, 21), datetime.date(2024, 9, 20)}

# Days on which one pair alone has no value: a single one, a whole week, the last day but one of the table.
GAPS = {
    "ARO/BEK": {datetime.date(2022, 6, 15)},
    "ARO/CIL": {datetime.date(2023, 3, day) for day in (13, 14, 15, 16, 17)},
    "CIL/BEK": {datetime.date(2022, 6, 15), datetime.date(2024, 11, 28)},
}

JAPANESE = {"ARO/BEK": "アロ/ベク", "ARO/CIL": "アロ/シル", "CIL/BEK": "シル/ベク"}


def main(folder: Path) -> None:
    """Write the four tables into ``folder``."""
    days = list(business_days())
    rates = exchange_rates(len(days))
    spreads = spread(len(days))
    wide, long, japanese = ["date,ARO/BEK,ARO/CIL,CIL/BEK"], ["date,series,value"], ["日付,通貨,値"]
    for index, day in enumerate(days):
        if day in FOUNDERS_DAYS:
            continue
        row = {pair: "" if day in GAPS[pair] else f"{values[index]:.6g}" for pair, values in rates.items()}
        wide.append(",".join([day.isoformat(), *row.values()]))
        # In the long form a missing value may be a row without one, or no row at all: here are both.
        long += [f"{day},{pair},{value}" for pair, value in row.items() if value or pair == "ARO/BEK"]
        japanese += [f"{day:%Y/%m/%d},{JAPANESE[pair]},{value}" for pair, value in row.items() if value]
    spread_rows = [f"{day},{value:.3f}" for day, value in zip(days, spreads, strict=True)]
    write(folder / "rates-wide.csv", wide)
    write(folder / "rates-long.csv", long)
    write(folder / "spread.csv", ["date,spread", *spread_rows])
    # As a spreadsheet in Japan saves it.
    write(folder / "為替.csv", japanese, encoding="cp932", newline="\r\n")


def write(path: Path, lines: list[str], *, encoding: str = "utf-8", newline: str = "\n") -> None:
    """Write the lines as bytes, so that every system writes the same."""
    path.write_bytes("".join(line + newline for line in lines).encode(encoding))


def business_days() -> Iterator[datetime.date]:
    """The weekdays from ``FIRST`` to ``LAST`` on which TARGET is open."""
    day = FIRST
    while day <= LAST:
        near_easter = any(day - sunday in (datetime.timedelta(-2), datetime.timedelta(1)) for sunday in EASTER_SUNDAYS)
        if day.weekday() < 5 and (day.month, day.day) not in CLOSED and not near_easter:
            yield day
        day += datetime.timedelta(1)


def exchange_rates(count: int) -> dict[str, list[float]]:
    """Three pairs of three invented currencies; the third follows from the other two, as a cross rate does."""
    shocks = normal(seed=1)
    bek = garch_walk(count, shocks, start=148.0, yearly_volatility=0.10)
    cil = garch_walk(count, shocks, start=1.09, yearly_volatility=0.07)
    return {"ARO/BEK": bek, "ARO/CIL": cil, "CIL/BEK": [b / c for b, c in zip(bek, cil, strict=True)]}


def garch_walk(count: int, shocks: Iterator[float], *, start: float, yearly_volatility: float) -> list[float]:
    """A random walk in logarithms whose volatility clusters: GARCH(1,1), alpha 0.08, beta 0.90."""
    usual = yearly_volatility**2 / 250
    variance, level, values = usual, math.log(start), []
    for _ in range(count):
        move = math.sqrt(variance) * next(shocks)
        level += move
        values.append(math.exp(level))
        variance = 0.02 * usual + 0.08 * move**2 + 0.90 * variance
    return values


def spread(count: int) -> list[float]:
    """The difference of two yields in percentage points: it is drawn back to 0.1 and crosses zero again and again."""
    shocks = normal(seed=2)
    value, values = 0.4, []
    for _ in range(count):
        value += 0.02 * (0.1 - value) + 0.05 * next(shocks)
        values.append(value)
    return values


def normal(seed: int) -> Iterator[float]:
    """Standard normal numbers; by the inverse of the distribution, because only ``random()`` itself never changes."""
    uniform, standard = random.Random(seed), NormalDist()
    while True:
        yield standard.inv_cdf(max(uniform.random(), 1e-12))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
