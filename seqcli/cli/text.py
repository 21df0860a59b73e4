"""The commands of the text room."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from seqcli.cli.app import command
from seqcli.cli.output import Output

GROUP = "Text"


@command("tokenize", group=GROUP, example="seqcli tokenize 猫が好きです")
def tokenize(
    out: Output,
    texts: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts, or - for the lines of standard input.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="PATH", help="A file of one text a line.", show_default=False)
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
    tokenizer: Annotated[
        Literal["ginza", "char", "whitespace"],
        typer.Option("--tokenizer", help="ginza: Japanese words; char: characters; whitespace: what stands between."),
    ] = "ginza",
    split_mode: Annotated[
        Literal["A", "B", "C"], typer.Option("--split-mode", help="A: short units, B: middle, C: long, as GiNZA.")
    ] = "C",
    form: Annotated[
        Literal["surface", "dictionary", "normalized"],
        typer.Option("--form", help="Of a token: as it stands, 食べる for 食べ, 焼き肉 for 焼肉."),
    ] = "surface",
    normalize: Annotated[
        Literal["none", "nfkc"], typer.Option("--normalize", help="nfkc: ｶﾞ and Ａ become ガ and A before the split.")
    ] = "none",
    user_dictionary: Annotated[
        Path | None,
        typer.Option(
            "--user-dictionary", metavar="FILE", help="More words: Sudachi's CSV, or .dic.", show_default=False
        ),
    ] = None,
    encoding: Annotated[
        str, typer.Option("--encoding", help="auto finds UTF-8, ISO-2022-JP, EUC-JP and cp932.")
    ] = "auto",
    on_error: Annotated[
        Literal["mark", "skip", "fail"],
        typer.Option("--on-error", help="What a line does that cannot be decoded: stay with �, go, or stop."),
    ] = "mark",
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes; the order stays.")] = 1,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", metavar="FILE", help="Write here; a run that was stopped goes on.", show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Split Japanese into words, as GiNZA does but faster: a record a token, or a line of words a text."""
    from seqcli.core.texts import Texts
    from seqcli.core.tokens import Tokenizer
    from seqcli.text import tokenizing as room

    given = Texts(texts, file, encoding, on_error)
    splitter = Tokenizer(split_mode, form, user_dictionary, tokenizer, normalize)
    splitting = room.Splitting(splitter, analyze, wakati)
    if output is not None:
        count = out.follow(room.to_file(splitting, given, output, file, workers))
        out.say(f"{count:,} texts in {output}")
    elif wakati:
        for block in room.blocks(splitting, given, workers, live=file is None):
            out.line(block.removesuffix("\n"))
    else:
        out.emit(room.records(splitting, given, workers))
    if given.bad:
        out.warn(given.complaint)
