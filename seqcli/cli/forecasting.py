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
    pairs: Annotated[
        list[str] | None,
        typer.Argument(metavar="PAIR", help="Pairs such as USD/JPY; all 28 crosses without.", show_default=False),
    ] = None,
    since: options.Since = None,
    until: options.Until = None,
    update: options.Update = False,
    source_url: options.SourceUrl = None,
    accept_revisions: Annotated[
        bool, typer.Option("--accept-revisions", help="With --update: take changed old rates as the source gives them.")
    ] = False,
) -> None:
    """Print the history of exchange rates: the ECB's reference rates since 1999, and their cross rates."""
    from seqcli.forecasting import download, sources
    from seqcli.forecasting import rates as room

    if update:
        news = download.update(source_url, accept_revisions=accept_revisions)
        out.tell(news.sentences, news.warnings)
        if not (pairs or since or until):
            return
    first, last = sources.day("--since", since), sources.day("--until", until)
    out.emit(room.rows(room.load(), pairs or list(room.CROSSES), first, last))


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
        int,
        typer.Option(
            "--holdout",
            min=0,
            help="Last days, kept for the report; as many before them validate. 0: no report.",
        ),
    ] = 250,
    no_refit: Annotated[
        bool,
        typer.Option("--no-refit", help="Keep the model of the report instead of fitting it again through the end."),
    ] = False,
    members: Annotated[
        int | None,
        typer.Option("--members", min=1, help="Networks that are averaged.", show_default="5, with --quick 2"),
    ] = None,
    free_median: Annotated[
        bool, typer.Option("--free-median", help="Learn the median too; the report says whether it has skill.")
    ] = False,
    baselines: Annotated[
        Literal["none", "fast", "all"] | None,
        typer.Option("--baselines", help="fast: all but GARCH.", show_default="all; with --quick fast"),
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option("--init-from", metavar="DIR", help="Start from this model's weights.", show_default=False),
    ] = None,
    require_skill: options.RequireSkill = False,
    promote_if_better: Annotated[
        bool,
        typer.Option(
            "--promote-if-better",
            help="With --overwrite: replace the model only if the new one is no worse on days that it had not seen.",
        ),
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="A smaller model for a first look.")] = False,
) -> None:
    """Train one probabilistic model of all the series, and say whether it is better than the baselines."""
    from seqcli.forecasting import issue, sources, train
    from seqcli.forecasting import plan as plans

    place = train.Place(training.out, training.overwrite, training.resume, promote_if_better)
    place.check()
    read = table.read()
    panel = sources.panel(source, pair, read, until=until)
    plan = plans.make(
        training.said(), quick=quick, horizon=horizon, members=members, holdout=holdout, refit=not no_refit,
        baselines=baselines or ("fast" if quick else "all"), since=sources.first_day(source, since),
        init_from=init_from, free_median=free_median,
        source=source or issue.RATES, table=read,
    )  # fmt: skip
    out.result(out.follow(train.train(panel, place, plan, require_skill=require_skill)), str(training.out))


@command("forecast", group=GROUP, example="seqcli forecast fx --pair USD/JPY")
def forecast(
    out: Output,
    model: options.Model,
    table: options.Table,
    source: options.Source = None,
    pair: options.Pair = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", metavar="DATE", help="Forecast as if it were the evening of this day.", show_default=False
        ),
    ] = None,
    update: options.Update = False,
    source_url: options.SourceUrl = None,
    max_age: options.MaxAge = None,
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Forecast from older data all the same; the records say so.")
    ] = False,
    journal: Annotated[
        Path | None,
        typer.Option("--journal", metavar="FILE", help="Keep the forecast in this SQLite file.", show_default=False),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what the journal holds of this day and model.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="A picture of the history and the fan: .png or .svg.", show_default=False
        ),
    ] = None,
) -> None:
    """Forecast the next business days: 21 quantiles a day, from the model and the newest data."""
    from seqcli.core import figures
    from seqcli.forecasting import issue, picture

    if plot:
        figures.check(plot)
    issue.as_of_day(as_of)  # a slip is said before anything is downloaded
    loaded, freshness = issue.load(model), issue.Freshness(max_age, allow_stale)
    if update:
        out.tell((), issue.refresh(source_url, freshness))
    # What comes after that day does not count: a later negative value would say how the series is to be modelled.
    panel = loaded.panel(source, pair, table.read(), until=as_of)
    result = issue.forecast(loaded, panel, as_of, freshness)
    if journal:
        result = issue.keep(result, journal, force)
    if plot:
        out.tell((), picture.fan(panel, result.records, plot))
    out.result(result, str(model))


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
    baselines: Annotated[
        Literal["none", "fast", "all"], typer.Option("--baselines", help="fast: all but GARCH.")
    ] = "all",
    by_series: Annotated[bool, typer.Option("--by-series", help="Records of each series as well.")] = False,
    by_horizon: Annotated[bool, typer.Option("--by-horizon", help="Records of each horizon as well.")] = False,
    forecasts: Annotated[
        Path | None,
        typer.Option(
            "--forecasts",
            metavar="FILE",
            help="Write the model's forecasts here (.csv, .csv.gz or .jsonl).",
            show_default=False,
        ),
    ] = None,
    require_skill: options.RequireSkill = False,
) -> None:
    """Replay the past: forecast from every day on with what was known that day, and score it beside the baselines."""
    from seqcli.forecasting import backtest as room
    from seqcli.forecasting import issue

    loaded = issue.load(model)
    panel = loaded.panel(source, pair, table.read())
    window = room.Window(since, until, every)
    detail = room.Detail(baselines, by_series, by_horizon, require_skill)
    work = room.backtest(loaded, panel, window, detail, forecasts)
    out.result(out.follow(work), str(model))
