"""The commands of the generation room."""

import os
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output
from seqcli.results import Record

GROUP = "Generate text"

_FILLS = 10  # rows of --fill

Corpus = Annotated[
    list[str],
    typer.Argument(
        metavar="CORPUS",
        help="Files, folders, archives of texts, or tables with a column of them; - for standard input.",
        show_default=False,
    ),
]


@command("train-generator", group=GROUP, example="seqcli train-generator sample_data/letters.txt --out writer")
def train_generator(
    out: Output,
    corpus: Corpus,
    *,
    unit: Annotated[
        Literal["char", "word", "subword"],
        typer.Option("--unit", help="What is predicted one at a time: characters, words, or pieces of words."),
    ] = "char",
    valid: Annotated[
        list[str] | None,
        typer.Option("--valid", metavar="FILE", help="Text to choose by.", show_default="5 % of the corpus"),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option("--test", metavar="FILE", help="Text to judge with, once.", show_default="5 % of the corpus"),
    ] = None,
    training: options.Training,
    bptt: Annotated[
        int | None,
        typer.Option("--bptt", min=1, help="Steps that gradients go back.", show_default="chosen for the task"),
    ] = None,
    tie_weights: Annotated[
        bool, typer.Option("--tie-weights/--no-tie-weights", help="Predict with the vectors that units are read as.")
    ] = True,
    no_mixture: Annotated[
        bool, typer.Option("--no-mixture", help="Save the network alone: no n-grams, no cache.")
    ] = False,
    cache: Annotated[
        int,
        typer.Option(
            "--cache", min=0, max=1 << 20, help="Units of the same text that a cache looks back over; 0: no cache."
        ),
    ] = 2000,
    order: Annotated[int, typer.Option("--order", min=1, max=16, help="Units of the longest n-gram.")] = 5,
    vocabulary_size: Annotated[
        int | None,
        typer.Option(
            "--vocabulary-size",
            "--vocabulary",
            metavar="SIZE",
            min=2,
            help="Words at most, or pieces of words.",
            show_default="every word; 8000 pieces",
        ),
    ] = None,
    min_count: Annotated[
        int, typer.Option("--min-count", min=1, help="Characters and words seen less often are unknown.")
    ] = 1,
    tokenizer: Annotated[
        Literal["auto", "ginza", "whitespace"],
        typer.Option("--tokenizer", help="Of words; auto: ginza for Japanese, or else what stands between spaces."),
    ] = "auto",
    aozora: options.Aozora = None,
    text_column: options.TextColumn = "text",
    input_format: options.TextFormat = None,
    encoding: options.Encoding = "auto",
) -> None:
    """Train a language model on text, and say whether it predicts better than counting does."""
    from seqcli.core.place import Place
    from seqcli.generation import data, train
    from seqcli.generation import plan as plans

    place = Place(training.out, training.overwrite, training.resume)
    place.check()
    recipe = data.Recipe(
        unit, min_count, vocabulary_size or 0, tokenizer, encoding, text_column, input_format,
        options.cleaning(aozora), training.seed,
    )  # fmt: skip
    text = out.follow(data.prepare(corpus, recipe, valid=valid or (), test=test or ()))
    plan = plans.make(
        text,
        training.said(),
        bptt=bptt,
        tied=tie_weights,
        mixture=not no_mixture,
        remembered=cache,
        order=order,
        sources=tuple(corpus),
    )
    out.result(out.follow(train.train(text, place, plan)), str(training.out))


@command(
    "generate",
    group=GROUP,
    example="seqcli generate writer --prompt 兄さん --length 100 --seed 1",
    more=(
        "echo 兄さんへ | seqcli generate writer --prompt -",
        "seqcli generate writer --fill 私は＿をよく食べる",
        "seqcli generate writer -n 20 > texts.jsonl",
    ),
)
def generate(
    out: Output,
    model: options.Model,
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", metavar="TEXT", help="How the text begins; - completes each line of stdin.")
    ] = "",
    length: Annotated[int, typer.Option("--length", min=1, help="Characters at most, without the prompt.")] = 200,
    temperature: Annotated[
        float, typer.Option("--temperature", help="Below 1 more careful, above bolder; 0: the likeliest.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option("--top-k", min=1, help="Draw from so many of the likeliest.", show_default="all")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", metavar="P", help="Draw from the likeliest that hold this share.", show_default="all"),
    ] = None,
    repetition_penalty: Annotated[
        float, typer.Option("--repetition-penalty", help="Above 1: what was just written becomes rarer.")
    ] = 1.0,
    stop: Annotated[
        list[str] | None,
        typer.Option("--stop", metavar="TEXT", help="End before this; repeatable.", show_default=False),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option("-n", "--count", min=1, help="Texts for each prompt.", show_default="1; 10 rows of --fill"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Same seed, same text.", show_default="another one each time")
    ] = None,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Plain text as it comes, instead of records.",
            show_default="on a terminal",
        ),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(
            "--fill",
            metavar="SENTENCE",
            help="Rank what fits a blank, ＿ or _, as in 私は＿をよく食べる, by the whole sentence. Nothing is drawn: "
            "length, temperature and the like play no part.",
            show_default=False,
        ),
    ] = None,
    show_probabilities: Annotated[
        bool, typer.Option("--show-probabilities", help="A record a step: what was drawn, and what could have been.")
    ] = False,
    no_mixture: Annotated[
        bool, typer.Option("--no-mixture", help="Ask the network alone: no n-grams, no cache.")
    ] = False,
    allow_unknown: Annotated[bool, typer.Option("--allow-unknown", help="Let <unk> be written.")] = False,
    encoding: options.Encoding = "auto",
) -> None:
    """Write text with a model: on from a prompt, many at once, or what fits a blank."""
    if prompt != "-" and (count or 1) == 1:  # one unit after the other: more threads only wait for each other
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from seqcli.core.texts import Texts
    from seqcli.errors import UsageError
    from seqcli.generation import drawing, sample
    from seqcli.generation import fill as blanks
    from seqcli.generation.loading import load

    drawn = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    request = drawing.Request(
        length, temperature, top_k, top_p, repetition_penalty, tuple(stop or ()), count or 1, drawn,
        allow_unknown, "network" if no_mixture else "mixture",
    )  # fmt: skip
    if fill is not None and (prompt or stream or show_probabilities):
        alone = "is ranked as a whole, so it goes without --prompt, --stream and --show-probabilities"
        raise UsageError("--fill", alone, "leave them out")
    if stream and show_probabilities:
        raise UsageError("--stream", "is plain text, and --show-probabilities records", "give one of the two")
    if stream and out.explicit and out.format != "table":
        raise UsageError("--stream", f"is plain text, and --format {out.format} records", "give one of the two")
    writer, tally, given = load(model), sample.Tally(), Texts([prompt], encoding=encoding, warn=out.warn)
    out.tell((), writer.warnings())
    if not temperature and request.count > 1 and fill is None:
        out.warn(f"--temperature 0 always takes the likeliest: the {request.count} texts of a prompt are equal")
    prompts = (text for _, text in given)
    if fill is not None:
        out.emit(blanks.fill(writer, fill, tally, count or _FILLS, request.part))
    elif show_probabilities:
        records = sample.steps(writer, prompts, request, tally)
        out.emit(_short(records) if out.format == "table" else records)
    elif stream if stream is not None else out.format == "table" and out.out.isatty():
        out.flow(sample.pieces(writer, prompts, request, tally))
    else:
        out.emit(sample.texts(writer, prompts, request, tally))
    if given.bad:
        out.warn(given.complaint)
    out.tell((), tally.warnings())
    if seed is None and fill is None and temperature:
        out.say(f"the same again: --seed {drawn}")


def _short(records: Iterable[Record]) -> Iterator[Record]:
    """Records for a terminal, with each list of candidates in one cell."""
    for record in records:
        yield {**record, "candidates": "  ".join(f"{c['piece']} {c['probability']:.3f}" for c in record["candidates"])}
