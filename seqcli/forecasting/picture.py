"""The history and the fan as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqcli.core import figures
from seqcli.forecasting.data import Panel
from seqcli.results import Record

SHOWN_DAYS = 60
MOST_SERIES = 12
_BANDS = (("q0.025", "q0.975", 0.15, "95 %"), ("q0.1", "q0.9", 0.25, "80 %"), ("q0.25", "q0.75", 0.35, "50 %"))


def fan(panel: Panel, records: Sequence[Record], path: Path) -> tuple[str, ...]:
    """Draws the last days of each series and its forecast, one drawing a series (the first dozen), and writes it.

    Returns:
        A warning where there are more series than were drawn.

    Raises:
        MachineError: the disk is full or the folder cannot be written to.
    """
    found = list(dict.fromkeys(record["series"] for record in records))
    names = found[:MOST_SERIES]
    figure, axes = figures.new(len(names))
    for axis, name in zip(axes, names, strict=True):
        rows = [record for record in records if record["series"] == name]
        values = panel.values[:, panel.names.index(name)]
        kept = np.flatnonzero(~np.isnan(values) & (panel.dates <= np.datetime64(rows[0]["origin_date"])))[-SHOWN_DAYS:]
        axis.plot(panel.dates[kept], values[kept], color=figures.GREY, linewidth=1.2)
        dates = np.array([rows[0]["origin_date"], *(row["target_date"] for row in rows)], "datetime64[D]")
        for low, high, alpha, label in _BANDS:
            lower, upper = ([rows[0]["last"], *(row[q] for row in rows)] for q in (low, high))
            axis.fill_between(dates, lower, upper, color=figures.BLUE, alpha=alpha, linewidth=0, label=label)
        middle = [rows[0]["last"], *(row["point"] for row in rows)]
        axis.plot(dates, middle, color=figures.BLUE, linewidth=1.4, label="median")
        axis.set_title(f"{name}, from {rows[0]['origin_date']}", loc="left")
        axis.margins(x=0.01)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False, ncols=4)
    figures.save(figure, path)
    if len(found) == len(names):
        return ()
    return (f"{path} shows the first {len(names)} of {len(found)} series: choose others with --pair",)
