"""Commands that take a model of any kind."""

from pathlib import Path
from typing import Annotated

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output

GROUP = "Models"


@command("info", group=GROUP, example="seqcli info fx")
def info(out: Output, model: options.Model) -> None:
    """Say what a model folder holds: what it was trained on, its settings, and how good it is beside the baselines."""
    from seqcli.core import describe

    out.result(describe.describe(model), str(model))


@command("doctor", group=GROUP, example="seqcli doctor")
def doctor(
    out: Output,
    model: Annotated[Path | None, typer.Argument(metavar="MODEL", help="A forecaster.", show_default=False)] = None,
    journal: Annotated[
        Path | None, typer.Option("--journal", metavar="FILE", help="Its journal.", show_default=False)
    ] = None,
    max_age: options.MaxAge = None,
) -> None:
    """Look for what would fail at seven tomorrow: versions, devices, folders, the data's age, a model, a journal."""
    from seqcli.core import health
    from seqcli.errors import MachineError
    from seqcli.forecasting import health as room
    from seqcli.forecasting.issue import Freshness

    checks = [*health.machine(), *room.rates_age(Freshness(max_age))]
    checks += [*(room.model(model) if model else ()), *(room.record(journal) if journal else ())]
    records = [check.record() for check in checks]
    out.emit(records)
    if failed := health.failures(records):
        raise MachineError("doctor", failed, "the rows with status fail say what to do")
    out.say("Nothing would fail.")
