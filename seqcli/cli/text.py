"""The commands of the text room."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output

GROUP = "Text"


@command("tokenize", group=GROUP, example="seqcli tokenize 猫が好きです")
def tokenize(
    out: Output,
    texts: options.Texts = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", metavar="PATH", help="A text a line; 'corpus/*.txt' in quotes: all that match.",
            show_default=False,
        ),
    ] = None,
    wakati: Annotated[
        bool, typer.Option("--wakati", help="A line of tokens with spaces between them for each text.")
    ] = False,
    analyze: Annotated[
        bool,
        typer.Option(
            "--analyze", help="GiNZA's full analysis: upos, reading, head and deprel, entity, bunsetsu, sentence."
        ),
    ] = False,
    tokenizer: options.TokenizerKind = "ginza",
    split_mode: options.SplitMode = "C",
    form: options.Form = "surface",
    normalize: options.Normalize = "none",
    user_dictionary: options.UserDictionary = None,
    encoding: options.Encoding = "auto",
    on_error: Annotated[
        Literal["mark", "skip", "fail"],
        typer.Option("--on-error", help="What a line does that cannot be decoded: stay with �, go, or stop."),
    ] = "mark",
    workers: options.Workers = 1,
    output: options.OutputFile = None,
) -> None:  # fmt: skip
    """Split Japanese into words, as GiNZA does but faster: a record a token, or a line of words a text."""
    from seqcli.core.texts import Texts, files_among
    from seqcli.core.tokens import Tokenizer
    from seqcli.text import tokenizing as room

    out.tell((), files_among(texts or ()))
    given = Texts(texts, file, encoding, on_error, out.warn)
    splitter = Tokenizer(split_mode, form, user_dictionary, tokenizer, normalize)
    splitting = room.Splitting(splitter, analyze, wakati)
    if output is not None:
        count = out.follow(room.to_file(splitting, given, output, workers))
        out.say(f"{count:,} texts in {output}")
    elif wakati:
        for block in room.blocks(splitting, given, workers, live=file is None):
            out.line(block.removesuffix("\n"))
    else:
        out.emit(room.records(splitting, given, workers))
    if given.bad:
        out.warn(given.complaint)
