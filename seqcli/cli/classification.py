"""The commands of the classification room."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output
from seqcli.errors import InputError
from seqcli.results import Record

if TYPE_CHECKING:
    from seqcli.classification.stream import Tally

GROUP = "Classify texts"


@command("train-classifier", group=GROUP, example="seqcli train-classifier sample_data/posts.csv --out topics")
def train_classifier(
    out: Output,
    texts: Annotated[
        str,
        typer.Argument(
            metavar="TRAIN",
            help="Labelled texts: a table, fastText's __label__ lines (.txt), a folder for each label; - for stdin.",
            show_default=False,
        ),
    ],
    *,
    valid: Annotated[
        str | None,
        typer.Option("--valid", metavar="FILE", help="Texts to choose by.", show_default="a tenth of TRAIN"),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="FILE", help="Texts to judge with, once.", show_default="a tenth of TRAIN"),
    ] = None,
    vectors: Annotated[
        str | None,
        typer.Option(
            "--vectors",
            metavar="WHICH",
            help="Frozen word vectors: ginza, none, a folder of train-vectors, a file.",
            show_default="ginza",
        ),
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(
            "--init-from",
            metavar="GENERATOR",
            help="Start from a model of train-generator: read its units, with its encoder.",
            show_default=False,
        ),
    ] = None,
    training: options.Training,
    splitting: options.Splitting,
    members: Annotated[
        int | None,
        typer.Option("--members", min=1, help="Networks that are averaged.", show_default="chosen for the task"),
    ] = None,
    no_fusion: Annotated[
        bool, typer.Option("--no-fusion", help="The networks alone, without a linear model beside them.")
    ] = False,
    no_refit: Annotated[
        bool, typer.Option("--no-refit", help="Learn from the training part alone, not from what chose as well.")
    ] = False,
    class_weights: Annotated[
        Literal["none", "balanced"],
        typer.Option("--class-weights", help="balanced: rare labels count as much as frequent ones."),
    ] = "none",
    require_skill: Annotated[
        bool, typer.Option("--require-skill", help="Exit with 7 unless significantly better than the best baseline.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="The learning curve: .png or .svg.", show_default=False),
    ] = None,
    text_column: options.TextColumn = "text",
    label_column: options.LabelColumn = "label",
    group_column: Annotated[
        str | None,
        typer.Option(
            "--group-column",
            help="What a text belongs to, such as its article: never divided between parts.",
            show_default=False,
            rich_help_panel="Table",
        ),
    ] = None,
    input_format: options.LabelledFormat = None,
    encoding: options.Encoding = "auto",
) -> None:
    """Train a classifier of Japanese texts, and say whether it is better than counting characters."""
    from seqcli.classification import data, report, train
    from seqcli.classification import plan as plans
    from seqcli.core import checkpoint, figures
    from seqcli.core.place import Place

    if plot:
        figures.check(plot)
    place = Place(training.out, training.overwrite, training.resume)
    place.check()
    plan = plans.make(
        training.said(), vectors=vectors, members=members, fusion=not no_fusion, refit=not no_refit,
        balance=float(class_weights == "balanced"), init_from=init_from, tokenizer=splitting.read(),
    )  # fmt: skip
    partition = data.prepare(
        texts, valid, test, text_column=text_column, label_column=label_column, group_column=group_column,
        input_format=input_format, encoding=encoding, seed=training.seed,
    )  # fmt: skip
    result = out.follow(train.train(partition, place, plan, require_skill=require_skill))
    if plot:
        report.learning_curve(checkpoint.load_history(training.out), plot)
    out.result(result, str(training.out))


@command("classify", group=GROUP, example="seqcli classify topics 昨日の焼肉は最高だった")
def classify(
    out: Output,
    model: options.Model,
    texts: options.Texts = None,
    file: options.TextFile = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=1, help="Add the most probable labels.", show_default=False)
    ] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Add a column for every label.")] = False,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="P", help="Below this probability: unsure.", show_default=False),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add what each token does to the label; in colour on a terminal.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw what --explain says of the first text: .png or .svg.",
            show_default=False,
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Rows answered together; 1 answers a live pipe line by line.")
    ] = 2048,
    workers: options.Workers = 1,
    output: options.OutputFile = None,
    text_column: options.TextColumn = "text",
    input_format: options.TextFormat = None,
    encoding: options.Encoding = "auto",
    on_error: options.OnError = "mark",
) -> None:
    """Say of each text which label it has, and how surely; the rows and columns of a table stay as they are."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # more start slower, and --workers divides the work better
    from seqcli.classification import predict, stream
    from seqcli.core.texts import files_among, items

    request = stream.Request(
        top_k, probabilities, threshold, explain or plot is not None, on_error, batch_size, plot, out.format == "csv",
        text_column,
    )  # fmt: skip
    handle, tally = predict.Handle.of(model), stream.Tally()
    reading: dict[str, Any] = {
        "input_format": input_format, "column": text_column, "encoding": encoding, "on_error": on_error
    }  # fmt: skip
    source = items(texts or [], file, **reading, warn=out.warn)
    out.tell((), (*files_among(texts or ()), *handle.open().warnings()))
    if output is not None:
        job = stream.job(texts or [], file, reading)
        count = out.follow(stream.to_file(handle, request, source, output, job, tally=tally, workers=workers))
        out.say(f"{count:,} rows in {output}")
        used = count > tally.failed
    else:
        records = stream.stream(handle, request, source, tally, workers=workers)
        if request.explain and out.format == "table":
            _paint(out, records, tally, text_column)
        else:
            out.emit(records)
        used = bool(tally.labels or tally.empty)
    out.tell(tuple(tally.sentences()), tuple(tally.columns.warnings()))
    if plot:
        out.say(f"{plot} shows the first text" if tally.drawn else f"no text has a word to draw: there is no {plot}")
    if tally.failed and not used:
        what = f"not one row could be used; the first: {tally.first}"
        raise InputError("classify", what, "check --input-format, --text-column and --encoding")


def _paint(out: Output, records: Iterable[Record], tally: "Tally", text_column: str) -> None:
    """Each answer, and below it the text with its tokens in the colours of their effects."""
    from seqcli.classification import explain, stream

    legend = "blue speaks for the label, red against it" if out.colour else "[+ ] speaks for the label, [- ] against it"
    for record in records:
        explained = record.get(tally.columns["explanation"])
        if explained is None:
            out.line(str(record.get(tally.columns["error"])))
            continue
        if legend:
            out.say(legend)
            legend = ""
        out.line(f"{record[tally.columns['predicted']]}  {record[tally.columns['probability']]:.4f}")
        out.shaded(explain.shades(stream.shown(record, text_column), explained))
