"""The commands that keep a record of forecasts and learn from it."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output

GROUP = "Keep a track record"

Journal = Annotated[Path, typer.Argument(metavar="JOURNAL", help="The file of forecast --journal.", show_default=False)]


@command("track", group=GROUP, example="seqcli track fx.db")
def track(
    out: Output,
    journal: Journal,
    table: options.Table,
    source: options.Source = None,
    rows: Annotated[bool, typer.Option("--rows", help="Print the journal's rows and what happened instead.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="The PIT histogram and the coverage: .png or .svg.", show_default=False
        ),
    ] = None,
) -> None:
    """Score the forecasts in a journal against what then happened, and say whether to keep the model."""
    from seqcli.core import figures
    from seqcli.forecasting import sources
    from seqcli.forecasting import track as room

    if plot:
        figures.check(plot)
    panel = sources.of_journal(journal, source, table.read())
    if rows:
        out.emit(room.rows(journal, panel))
        return
    result = room.track(journal, panel)
    if plot:
        room.plot(result.records, plot)
    out.result(result, str(journal))


@command("recalibrate", group=GROUP, example="seqcli recalibrate fx fx.db")
def recalibrate(
    out: Output,
    model: options.Model,
    journal: Journal,
    table: options.Table,
    source: options.Source = None,
    force: Annotated[
        bool, typer.Option("--force", help="Apply it even if it would have made the forecasts worse.")
    ] = False,
) -> None:
    """Widen or narrow a model's intervals by what its journal got wrong; kept beside the weights."""
    from seqcli.forecasting import recalibrate as room
    from seqcli.forecasting import sources

    panel = sources.of_journal(journal, source, table.read())
    out.result(room.learn(model, journal, panel, force=force), str(model))


@command("report", group=GROUP, example="seqcli report fx.db --output fx.html")
def report(
    out: Output,
    journal: Journal,
    table: options.Table,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The page to write.", show_default=False)],
    source: options.Source = None,
    language: Annotated[Literal["en", "ja"], typer.Option("--language", help="Of the page.")] = "en",
) -> None:
    """Write a journal as one page that anybody can open: today's fans, and how good they were."""
    from seqcli.forecasting import report as room
    from seqcli.forecasting import sources

    panel = sources.of_journal(journal, source, table.read())
    out.result(room.report(journal, panel, output, language=language), str(journal))
