"""The report: a journal as one page that can be opened anywhere, printed, mailed or put on a web server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from seqcli.core import clock, files
from seqcli.errors import InputError
from seqcli.forecasting import journal, track
from seqcli.forecasting.data import Panel
from seqcli.forecasting.page import assembly, fans
from seqcli.forecasting.page.assembly import Page
from seqcli.forecasting.page.english import ENGLISH
from seqcli.forecasting.page.japanese import JAPANESE
from seqcli.forecasting.page.words import Language, Words
from seqcli.results import Result

LANGUAGES: Final[Mapping[Language, Words]] = {"en": ENGLISH, "ja": JAPANESE}

HISTORY: Final = 60  # days before the newest forecast that are drawn


def report(path: Path, panel: Panel, output: Path, *, language: Language = "en") -> Result:
    """Writes a journal's newest forecasts and its track record as one HTML file, whole or not at all.

    The same journal, values and moment give the same bytes.

    Arguments:
        path: the journal.
        panel: the values known today of its series, with the history that ``track`` uses.
        output: the page, replaced if it is there.
        language: of the page.

    Raises:
        InputError: no journal, an empty or damaged one, or none of its series in the panel.
        ModelError: a journal of a newer seqcli.
        MachineError: the page cannot be written.
    """
    rows = list(journal.read(path))
    newest = fans.newest(rows, panel, HISTORY)
    if not newest:
        raise InputError(str(path), "no forecasts in it", f"seqcli forecast MODEL --journal {path}")
    order = {name: place for place, name in enumerate(journal.contents(path).series)}
    newest.sort(key=lambda one: order[one.series])
    scored = track.track(path, panel)
    made = clock.now()
    drawn = Page(
        name=path.name,
        made=made.isoformat(timespec="seconds"),
        today=str(made.date()),
        data_until=str(panel.dates[-1]),
        calendar=panel.calendar,
        plain=frozenset(name for name, log in zip(panel.names, panel.log, strict=True) if not log) & order.keys(),
        fans=tuple(newest),
        record=scored.records,
        rows=len(rows),
        first=min(row["issued_at"] for row in rows)[:10],
        last=max(row["issued_at"] for row in rows)[:10],
        replayed=sum(row["issued_at"][:10] > row["target_date"] for row in rows),
    )
    content = assembly.assemble(drawn, LANGUAGES[language])
    files.write_text(output, content)
    origin = max(one.origin for one in newest)
    size = len(content.encode()) / 1000.0
    return Result(
        records=({"path": str(output), "series": len(newest), "origin_date": origin, "made": drawn.made},),
        sentences=(f"Page {output}: {len(newest)} series, newest forecast from {origin}, {size:.0f} kB.",),
        warnings=scored.warnings,
    )
