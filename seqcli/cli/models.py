"""Commands that take a model of any kind."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seqcli.core.checkpoint import Manifest
    from seqcli.core.describe import Room

GROUP = "Models"


def _of_forecaster(model: Path, manifest: "Manifest") -> "Mapping[str, Any]":
    from seqcli.core.checkpoint import ModelFolder

    path = ModelFolder(model).calibrations
    if not path.exists():  # as a rule: then NumPy need not be read
        return {"calibrations": []}
    from seqcli.forecasting import calibration

    return {"calibrations": calibration.facts(path, manifest.id)}


ROOMS: "dict[str, Room]" = {"forecaster": _of_forecaster}
"""By the kind of a model: what its room knows beyond what every model folder says."""


@command("info", group=GROUP, example="seqcli info fx")
def info(out: Output, model: options.Model) -> None:
    """Say what a model folder holds: what it was trained on, its settings, and how good it is beside the baselines."""
    from seqcli.core import describe

    out.result(describe.describe(model, ROOMS), str(model))


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
    out.result(health.result(checks), "doctor")
    if failed := health.failures(checks):
        raise MachineError("doctor", failed, "what was said of them says what to do")
