"""The commands of the forecasting room."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output

GROUP = "Forecast a dated series"


@command("rates", group=GROUP, example="seqcli rates USD/JPY --since 2026-10-01")
def rates(
    out: Output,
    pairs: Annotated[list[str] | None, typer.Argument(metavar="[PAIR]...", help="Pairs such as USD/JPY; all 28 crosses without.", show_default=False)] = None,
    since: options.Since = None,
    until: options.Until = None,
) -> None:
    """Print the history of exchange rates: the ECB's reference rates since 1999, and the cross rates that follow from them."""
    from seqcli.forecasting import rates as room

    out.emit(room.rows(room.load(), pairs or list(room.CROSSES), since, until))


@command("train-forecast", group=GROUP, example="seqcli train-forecast --quick --out fx")
def train_forecast(
    out: Output,
    training: options.Training,
    table: options.Table,
    source: options.Source = None,
    pair: options.Pair = None,
    since: options.Since = None,
    until: options.Until = None,
    horizon: Annotated[int, typer.Option("--horizon", min=1, max=60, help="Business days ahead.")] = 5,
    holdout: Annotated[
        int, typer.Option("--holdout", min=0, help="Last days for the report, never seen by the model that it is on; as many before them validate. 0: no report.")
    ] = 250,
    no_refit: Annotated[bool, typer.Option("--no-refit", help="Keep the model of the report instead of fitting it again through the end.")] = False,
    seeds: Annotated[int | None, typer.Option("--seeds", min=1, help="Networks that are averaged.", show_default="chosen for the task")] = None,
    baselines: Annotated[Literal["none", "fast", "all"], typer.Option("--baselines", help="fast: all but GARCH.")] = "all",
    init_from: Annotated[Path | None, typer.Option("--init-from", metavar="DIR", help="Start from this model's weights.", show_default=False)] = None,
    require_skill: Annotated[bool, typer.Option("--require-skill", help="Exit with 7 unless significantly better than EWMA.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller model for a first look.")] = False,
) -> None:
    """Train one probabilistic model of all the series, and say whether it is better than the baselines."""
    from seqcli.forecasting import sources, train

    panel = sources.panel(source, pair, table, since=since, until=until)
    settings = train.settings(training, horizon=horizon, seeds=seeds, quick=quick)
    plan = train.Plan(holdout=holdout, refit=not no_refit, baselines="fast" if quick and baselines == "all" else baselines, init_from=init_from)
    out.result(out.follow(train.train(panel, training.out, settings, plan)), str(training.out), gate=require_skill)


@command("forecast", group=GROUP, example="seqcli forecast fx --pair USD/JPY")
def forecast(
    out: Output,
    model: options.Model,
    table: options.Table,
    source: options.Source = None,
    pair: options.Pair = None,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Forecast as if it were the evening of this day.", show_default=False)] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="A picture of the history and the fan: .png or .svg.", show_default=False)] = None,
) -> None:
    """Forecast the next business days: 21 quantiles a day, from the model and the newest data."""


@command("backtest", group=GROUP, example="seqcli backtest fx --pair USD/JPY --since 2026-01-01 --baselines fast")
def backtest(
    out: Output,
    model: options.Model,
    table: options.Table,
    source: options.Source = None,
    pair: options.Pair = None,
    since: options.Since = None,
    until: options.Until = None,
    every: Annotated[int, typer.Option("--every", min=1, help="Use every n-th origin.")] = 1,
    baselines: Annotated[Literal["none", "fast", "all"], typer.Option("--baselines", help="fast: all but GARCH.")] = "all",
    forecasts: Annotated[Path | None, typer.Option("--forecasts", metavar="FILE", help="Write the model's forecasts here (.csv, .csv.gz, .jsonl, .parquet).", show_default=False)] = None,
    require_skill: Annotated[bool, typer.Option("--require-skill", help="Exit with 7 unless significantly better than EWMA.")] = False,
) -> None:
    """Replay the past: forecast from every day on with what was known that day, and score it beside the baselines."""
