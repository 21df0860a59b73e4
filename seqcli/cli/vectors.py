"""The commands of the vectors room."""

import os
import shlex
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output

if TYPE_CHECKING:
    from seqcli.results import Record

GROUP = "Words as vectors"

_SHOWN = 4  # numbers of a vector that fit a terminal

Vectors = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="ginza, a folder of train-vectors, a file (word2vec, fastText, GloVe), or hf:DIR.",
    ),
]
Lookup = Annotated[
    Literal["normalized", "surface"],
    typer.Option(
        "--lookup", help="normalized: 焼肉 finds 焼き肉, and parts stand in for what is missing; surface: as it stands."
    ),
]
RecipeSteps = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        metavar="STEPS",
        help="plain, or some of content,idf,center,abtt,characters.",
        show_default="texts: what is best for the model; words: plain",
    ),
]


@command("embed", group=GROUP, example="seqcli embed 私は焼肉をよく食べる")
def embed(
    out: Output,
    texts: options.Texts = None,
    file: options.TextFile = None,
    unit: Annotated[
        Literal["word", "char", "text"], typer.Option("--unit", help="A row a token, a character, or an input line.")
    ] = "word",
    model: Vectors = "ginza",
    lookup: Lookup = "normalized",
    recipe: RecipeSteps = None,
    how: Annotated[bool, typer.Option("--how", help="Add the keys that answered, and how each was found.")] = False,
    workers: options.Workers = 1,
    output: Annotated[  # not the shared one: the suffix says what is written
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Write .npy, .parquet, .jsonl or .vec; a run that was stopped goes on.",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    text_column: options.TextColumn = "text",
    input_format: options.TextFormat = None,
    encoding: options.Encoding = "auto",
    on_error: options.OnError = "mark",
) -> None:
    """Turn words, characters or texts into vectors: GiNZA's, your own, or a local BERT's."""
    from seqcli.core.texts import files_among, items
    from seqcli.vectors import embed as room

    _prepare(out, model)
    out.tell((), files_among(texts or ()))
    request = room.request(unit, model, lookup == "surface", recipe, how=how, on_error=on_error)
    reading: dict[str, Any] = {
        "input_format": input_format,
        "column": text_column,
        "encoding": encoding,
        "on_error": on_error,
    }
    source, tally = items(texts or [], file, **reading, warn=out.warn), room.Tally()
    if output is not None:
        work = room.to_file(
            request, source, output, room.identity(request, texts or [], file, **reading), tally, workers=workers
        )
        out.say(f"{out.follow(work):,} rows in {output}")
    else:
        even = out.format == "csv" and unit == "text"
        records = room.stream(request, source, tally, workers=workers, even=even)
        out.emit(_short(records) if out.format == "table" else records)
    out.tell(tuple(tally.sentences()), tuple(tally.columns.warnings()))
    tally.check()


@command("similar", group=GROUP, example="seqcli similar テスト")
def similar(
    out: Output,
    queries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY",
            help="Words, characters or texts; - for one a line of standard input.",
            show_default=False,
        ),
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Neighbours of each.")] = 10,
    unit: Annotated[
        Literal["word", "char", "text"] | None,
        typer.Option("--unit", help="What is compared.", show_default="word, with --in text"),
    ] = None,
    model: Vectors = "ginza",
    within: Annotated[
        str | None,
        typer.Option(
            "--in",
            metavar="FILE",
            help="Search the lines of this file, or of all that match 'corpus/*.txt'.",
            show_default=False,
        ),
    ] = None,
    plus: Annotated[
        list[str] | None, typer.Option("--plus", help="A word to add, in an analogy.", show_default=False)
    ] = None,
    minus: Annotated[list[str] | None, typer.Option("--minus", help="A word to take away.", show_default=False)] = None,
    threshold: Annotated[
        float | None, typer.Option("--threshold", help="The least cosine.", show_default=False)
    ] = None,
    recipe: RecipeSteps = None,
    lookup: Lookup = "normalized",
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="A map of the neighbourhood: .png or .svg.", show_default=False),
    ] = None,
    encoding: options.Encoding = "auto",
) -> None:
    """List the nearest words, characters or lines, by the cosine of their vectors; also 王 − 男 + 女."""
    if "-" not in (queries or ()):  # one look at the rows: starting more threads costs longer than it saves
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from seqcli.vectors import similar as room
    from seqcli.vectors.nearest import Answers

    _prepare(out, model)
    answers = Answers()
    request = room.Request(
        tuple(queries or ()),
        unit,
        model,
        within,
        tuple(plus or ()),
        tuple(minus or ()),
        count,
        threshold,
        recipe,
        lookup == "surface",
        encoding,
        plot,
    )
    out.emit(room.answer(request, answers))
    for note in answers.notes:
        out.say(note)
    answers.check()
    for failure in answers.failures:
        out.warn(f"{failure.where}: {failure.what}" + (f" ({failure.hint})" if failure.hint else ""))
    if rest := answers.rest():
        out.say(rest)


@command("train-vectors", group=GROUP, example="seqcli train-vectors corpus.txt --method ppmi-svd --out vectors")
def train_vectors(
    printer: Output,
    corpus: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS",
            help="Text files, a text a line, or patterns in quotes: 'corpus/*.txt'; - for standard input.",
            show_default=False,
        ),
    ],
    out: options.Out,
    method: Annotated[
        Literal["tfidf", "cooccurrence", "ppmi-svd", "word2vec", "fasttext", "glove"],
        typer.Option("--method", help="The first three count, the others learn."),
    ] = "word2vec",
    unit: Annotated[Literal["word", "char"], typer.Option("--unit", help="What gets a vector.")] = "word",
    form: Annotated[
        Literal["surface", "dictionary", "normalized"],
        typer.Option("--form", help="The form of a word that is counted."),
    ] = "normalized",
    dim: Annotated[int, typer.Option("--dim", min=1, max=4096, help="Numbers in a vector.")] = 100,
    window: Annotated[
        int, typer.Option("--window", min=1, max=100, help="Tokens to each side that are a word's context.")
    ] = 5,
    min_count: Annotated[int, typer.Option("--min-count", min=1, help="Words seen less often get no vector.")] = 5,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the corpus.", show_default="5; glove 25")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", min=1e-6, help="At the beginning.", show_default="0.025; glove 0.05"),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            "--max-minutes",
            min=0.01,
            help="As many epochs as end in this time; splitting the corpus comes on top.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            max=2**32 - 1,
            help="Same seed and data: same vectors; of word2vec and fasttext with --threads 1 alone.",
        ),
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, max=1024, help="Of word2vec and fasttext.", show_default="every core"),
    ] = None,
    encoding: options.Encoding = "auto",
    overwrite: options.Overwrite = False,
    resume: options.Resume = False,
    write: Annotated[
        Path | None,
        typer.Option(
            "--write",
            metavar="FILE",
            help="The vectors as a file besides: .vec or .txt, .glove, or .bin (word2vec binary).",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train word vectors on your own text, by counting or by learning, and see what is near what.

    The processor does all of it: gensim and NumPy know no GPU, so there is no --device.
    """
    from seqcli.vectors import train as room

    plan = room.Plan(
        method,
        unit,
        form,
        dim,
        window,
        min_count,
        epochs,
        learning_rate,
        seed,
        threads,
        encoding,
        shlex.join(["seqcli", *sys.argv[1:]]),
        max_minutes,
    )
    work = room.train(corpus, out, plan, overwrite=overwrite, resume=resume, write=write)
    printer.result(printer.follow(work), str(out))


def _prepare(out: Output, model: str) -> None:
    """Tells whoever is watching that the first use of a table takes its time."""
    from seqcli.core.word_vectors import is_ready

    if out.err.isatty() and not model.startswith("hf:") and not is_ready(model):
        out.say(f"making the vectors of {model} ready; only this first time takes longer")


def _short(records: "Iterable[Record]") -> "Iterator[Record]":
    """Records for a terminal, with the first numbers of each vector."""
    for record in records:
        yield {name: _first(value) if isinstance(value, list) else value for name, value in record.items()}


def _first(vector: list[float]) -> str:
    return "  ".join(f"{value: .8f}" for value in vector[:_SHOWN]) + ("  …" if len(vector) > _SHOWN else "")
