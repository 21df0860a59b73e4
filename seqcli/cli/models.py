"""Commands that take a model of any kind."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output
from seqcli.errors import MachineError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seqcli.core.checkpoint import Manifest
    from seqcli.core.describe import Room
    from seqcli.core.evaluation import Evaluate

GROUP = "Models"


def _of_forecaster(model: Path, manifest: "Manifest") -> "Mapping[str, Any]":
    from seqcli.core.checkpoint import ModelFolder

    path = ModelFolder(model).calibrations
    if not path.exists():  # as a rule: then NumPy need not be read
        return {"calibrations": []}
    from seqcli.forecasting import calibration

    return {"calibrations": calibration.facts(path, manifest.id)}


def _of_classifier(model: Path, _: "Manifest") -> "Mapping[str, Any]":
    from seqcli.core.checkpoint import load_list

    return {"labels": load_list(model, "labels.json")}


ROOMS: "dict[str, Room]" = {"forecaster": _of_forecaster, "classifier": _of_classifier}
"""By the kind of a model: what its room knows beyond what every model folder says."""


def _evaluate_classifier() -> "Evaluate":
    from seqcli.classification.evaluate import evaluate

    return evaluate


def _evaluate_generator() -> "Evaluate":
    from seqcli.generation.evaluate import evaluate

    return evaluate


EVALUATE = {"classifier": _evaluate_classifier, "generator": _evaluate_generator}
"""By the kind of a model: who measures it on new data."""


@command("info", group=GROUP, example="seqcli info fx")
def info(out: Output, model: options.Model) -> None:
    """Say what a model folder holds: what it was trained on, its settings, and how good it is beside the baselines."""
    from seqcli.core import describe

    out.result(describe.describe(model, ROOMS), str(model))


@command(
    "evaluate",
    group=GROUP,
    example="seqcli evaluate topics sample_data/posts.csv",
    more=("seqcli evaluate writer - --per-line < sample_data/letters.txt",),
)
def evaluate(
    out: Output,
    model: options.Model,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", help="Labelled texts, or for a generator text; - for standard input.", show_default=False
        ),
    ],
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Of a classifier: a record a label instead of one in all.")
    ] = False,
    per_line: Annotated[
        bool, typer.Option("--per-line", help="Of a generator: a record a line instead of one in all.")
    ] = False,
    per_token: Annotated[
        Path | None,
        typer.Option(
            "--per-token",
            metavar="FILE",
            help="Of a generator: write each token, a tab, and its natural log probability here.",
            show_default=False,
        ),
    ] = None,
    part: Annotated[
        Literal["mixture", "network", "kneser-ney"],
        typer.Option("--part", help="Of a generator: which part answers by line and by token."),
    ] = "mixture",
    aozora: Annotated[
        bool | None,
        typer.Option(
            "--aozora/--no-aozora",
            help="Of a generator: clean Aozora Bunko's ruby, notes and colophon.",
            show_default="where they are found",
        ),
    ] = None,
    workers: options.Workers = 1,
    text_column: options.TextColumn = "text",
    label_column: options.LabelColumn = "label",
    input_format: options.LabelledFormat = None,
    encoding: options.Encoding = "auto",
) -> None:
    """Measure a model on data that it has not seen: the metrics of its kind, with 95 % bootstrap intervals."""
    from seqcli.core import checkpoint, evaluation

    manifest = checkpoint.peek(model)
    room = EVALUATE.get(manifest.kind)
    if room is None:
        hint = f"seqcli backtest {model}" if manifest.kind == "forecaster" else None
        raise ModelError(str(model), f"is of the kind {manifest.kind}, which evaluate does not measure", hint)
    request = evaluation.Request(
        text_column, label_column, input_format, encoding, per_class, per_line, per_token, part, workers,
        options.cleaning(aozora),
    )  # fmt: skip
    if per_line and manifest.kind == "generator":  # a filter: a record a line, as they come
        from seqcli.generation.evaluate import lines

        columns, records = lines(model, data, request, even=out.format == "csv", warn=out.warn)
        out.emit(records)
        out.tell(tuple(columns.sentences()), tuple(columns.warnings()))
        return
    out.result(out.follow(room()(model, data, request)), str(model))


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
    from seqcli.forecasting import health as room
    from seqcli.forecasting.issue import Freshness

    checks = [*health.machine(), *room.rates_age(Freshness(max_age))]
    checks += [*(room.model(model) if model else ()), *(room.record(journal) if journal else ())]
    out.result(health.result(checks), "doctor")
    if failed := health.failures(checks):
        raise MachineError("doctor", failed, "what was said of them says what to do")
