"""The command that reads published corpora."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from seqcli.cli import options
from seqcli.cli.app import command
from seqcli.cli.output import Output

GROUP = "Text"


@command("corpus", group=GROUP, example="seqcli corpus aozora corpus.txt")
def corpus(
    out: Output,
    kind: Annotated[
        Literal["knbc", "aozora", "folder"],
        typer.Argument(
            metavar="KIND",
            help="knbc: the KNB blog corpus; aozora: Aozora Bunko's texts; folder: a folder for each label.",
            show_default=False,
        ),
    ],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A folder, or a zip or tar archive of it.", show_default=False)
    ],
    unit: Annotated[
        Literal["article", "sentence"] | None,
        typer.Option("--unit", help="What a record of knbc is.", show_default="article"),
    ] = None,
    split: Annotated[
        bool,
        typer.Option("--split", help="Add train, valid or test, in proportion to the labels; articles stay whole."),
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Another one gives another split.")] = 0,
    encoding: options.Encoding = "auto",
) -> None:
    """Read a corpus of Japanese texts as records, without unpacking it."""
    from seqcli.corpora import reading

    out.result(reading.records(kind, path, unit=unit, split=split, seed=seed, encoding=encoding), str(path))
