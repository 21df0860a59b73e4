"""A panel of dated series: what every forecasting file works on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Dates = NDArray[np.datetime64]  # datetime64[D]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Panel:
    """Aligned series on the days of one calendar.

    Arguments:
        dates: ``(T,)`` datetime64[D], strictly increasing; every business day of ``calendar`` between first and last.
        names: N names, such as ``USD/JPY`` (units of JPY for one USD).
        values: ``(T, N)`` in the units of the input; NaN where a series has no value that day. Nothing is interpolated:
            a line drawn over a weekend would use Monday's rate.
        calendar: a key of ``calendar.CALENDARS``.
        log: ``(N,)``; True: a positive series, modelled in log-returns. False: modelled in differences.
        currencies: C names for ``currency_logs``, empty where the panel has no currencies behind it.
        currency_logs: ``(T, C)`` logarithm of the value of one unit of each currency in a common one (the euro); NaN
            where unknown. The cross-section from which a currency's own move of the day is read.
    """

    dates: Dates
    names: tuple[str, ...]
    values: Floats
    calendar: str
    log: NDArray[np.bool_]
    currencies: tuple[str, ...] = ()
    currency_logs: Floats = field(default_factory=lambda: np.empty((0, 0)))

    def head(self, rows: int) -> Panel:
        """The panel as it was after its first ``rows`` days."""
        return replace(
            self, dates=self.dates[:rows], values=self.values[:rows], currency_logs=self.currency_logs[:rows]
        )

    def levels(self) -> Floats:
        """``(T, N)``: the logarithm of a positive series, the value itself of any other."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.log, np.log(self.values), self.values)

    def prices(self, levels: Floats) -> Floats:
        """Back from levels to the units of the input; ``levels`` has the series on its last axis."""
        return np.where(self.log, np.exp(np.where(self.log, levels, 0.0)), levels)
