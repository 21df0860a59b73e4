"""Shared option types, so that the same flag means the same in every command."""

import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from seqcli.core.tokens import Tokenizer
    from seqcli.forecasting.sources import TableOptions

Format = Annotated[
    Literal["auto", "table", "csv", "jsonl", "json"],
    typer.Option(
        "--format",
        help="How records are printed; auto: a table on a terminal, JSON lines in a pipe.",
        rich_help_panel="Output",
    ),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print records, warnings and errors only.", rich_help_panel="Output")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more: one line an epoch.", rich_help_panel="Output")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel="Output")]

LogFile = Annotated[
    Path | None,
    typer.Option(
        "--log-file", help="Append a line an event to this file.", show_default=False, rich_help_panel="Output"
    ),
]
LogFormat = Annotated[
    Literal["text", "json"], typer.Option("--log-format", help="How the log is written.", rich_help_panel="Output")
]

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The model folder to write.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what --out holds, once the new model is whole.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run of the same command stopped.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Same seed, data and threads: same weights.")]

Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"],
    typer.Option("--device", help="Where to compute; auto: a GPU only where it pays."),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, max=1024, help="Processor threads for training.", show_default="chosen for the task"
    ),
]

MaxMinutes = Annotated[
    float | None,
    typer.Option(
        "--max-minutes",
        min=0.01,
        help="Plan the training so that it ends within this time; the report on the baselines comes on top.",
        show_default=False,
    ),
]
Cell = Annotated[
    Literal["rnn", "gru", "lstm"] | None, typer.Option("--cell", help="The recurrent cell.", show_default="lstm")
]
Layers = Annotated[
    int | None, typer.Option("--layers", min=1, help="Recurrent layers, one on the other.", show_default="1")
]

# A table
Source = Annotated[
    str | None,
    typer.Argument(
        metavar="SOURCE",
        help="A table (CSV, TSV, JSON lines, Parquet) or - for stdin; without it: the ECB's rates.",
        show_default=False,
    ),
]
DateColumn = Annotated[
    str | None, typer.Option("--date-column", help="The column of dates.", show_default="date", rich_help_panel="Table")
]
ValueColumn = Annotated[
    list[str] | None,
    typer.Option(
        "--value-column",
        help="The column of values; repeatable in a wide table.",
        show_default="every other column",
        rich_help_panel="Table",
    ),
]
SeriesColumn = Annotated[
    str | None,
    typer.Option(
        "--series-column",
        help="The column that names the series, in a long table.",
        show_default=False,
        rich_help_panel="Table",
    ),
]
InputFormat = Annotated[
    Literal["csv", "tsv", "jsonl", "parquet"] | None,
    typer.Option(
        "--input-format", help="The table's format.", show_default="by suffix; csv for -", rich_help_panel="Table"
    ),
]
TextFormat = Annotated[
    Literal["csv", "tsv", "jsonl", "parquet"] | None,
    typer.Option(
        "--input-format",
        help="A table's format.",
        show_default="by suffix; - and others: a text a line",
        rich_help_panel="Table",
    ),
]
Encoding = Annotated[
    str, typer.Option("--encoding", help="auto finds UTF-8, ISO-2022-JP, EUC-JP and cp932.", rich_help_panel="Table")
]
TableEncoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help="auto finds UTF-8, ISO-2022-JP, EUC-JP and cp932.",
        show_default="auto",
        rich_help_panel="Table",
    ),
]
Calendar = Annotated[
    Literal["infer", "target", "weekdays", "daily", "weekly", "monthly"] | None,
    typer.Option("--calendar", help="Which days the series has.", show_default="infer", rich_help_panel="Table"),
]
Transform = Annotated[
    Literal["auto", "log", "difference"] | None,
    typer.Option(
        "--transform",
        help="auto: log-returns of a positive series, differences of any other.",
        show_default="auto",
        rich_help_panel="Table",
    ),
]

# Texts
Texts = Annotated[
    list[str] | None,
    typer.Argument(metavar="TEXT", help="Texts, or - for standard input.", show_default=False),
]
TextFile = Annotated[
    str | None,
    typer.Option(
        "--file",
        metavar="PATH",
        help="A text a line, or a table; 'corpus/*.txt' in quotes: all that match.",
        show_default=False,
    ),
]
TextColumn = Annotated[str, typer.Option("--text-column", help="The text in a table.", rich_help_panel="Table")]
LabelledFormat = Annotated[
    Literal["csv", "tsv", "jsonl", "parquet", "fasttext"] | None,
    typer.Option(
        "--input-format", help="The data's format.", show_default="by suffix; .txt: fasttext", rich_help_panel="Table"
    ),
]
LabelColumn = Annotated[str, typer.Option("--label-column", help="The label in a table.", rich_help_panel="Table")]
Aozora = Annotated[
    bool | None,
    typer.Option(
        "--aozora/--no-aozora",
        help="Clean Aozora Bunko's ruby, notes and colophon.",
        show_default="where they are found",
    ),
]
OnError = Annotated[
    Literal["mark", "skip", "fail"],
    typer.Option("--on-error", help="What a bad row does: stay and gain error, go, or stop."),
]
OutputFile = Annotated[  # of filters; a page, or a file whose suffix says what is written, is another matter
    Path | None,
    typer.Option(
        "--output",
        metavar="FILE",
        help="Write here; a run that was stopped goes on.",
        show_default=False,
        rich_help_panel="Output",
    ),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes; the order stays.")]

# How texts are split
TokenizerKind = Annotated[
    Literal["ginza", "char", "whitespace"],
    typer.Option("--tokenizer", help="ginza: Japanese words; char: characters; whitespace: what stands between."),
]
SplitMode = Annotated[
    Literal["A", "B", "C"], typer.Option("--split-mode", help="A: short units, B: middle, C: long, as GiNZA.")
]
Form = Annotated[
    Literal["surface", "dictionary", "normalized"],
    typer.Option("--form", help="Of a token: as it stands, 食べる for 食べ, 焼き肉 for 焼肉."),
]
Normalize = Annotated[
    Literal["none", "nfkc"], typer.Option("--normalize", help="nfkc: ｱ and Ａ become ア and A before the split.")
]
UserDictionary = Annotated[
    Path | None,
    typer.Option("--user-dictionary", metavar="FILE", help="More words: Sudachi's CSV, or .dic.", show_default=False),
]

RequireSkill = Annotated[
    bool, typer.Option("--require-skill", help="Exit with 7 unless significantly better than EWMA.")
]

# Rates
MaxAge = Annotated[
    str | None,
    typer.Option("--max-age", metavar="4d", help="Refuse data older than this many business days.", show_default=False),
]
Update = Annotated[bool, typer.Option("--update", help="Download the newest rates first.")]
SourceUrl = Annotated[
    str | None,
    typer.Option("--source-url", envvar="SEQCLI_RATES_URL", help="Where from.", show_default="the ECB"),
]
Pair = Annotated[
    list[str] | None,
    typer.Option(
        "--pair", "-p", metavar="BASE/QUOTE", help="A currency pair, such as USD/JPY; repeatable.", show_default=False
    ),
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="The first date, included.", show_default=False)
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="DATE", help="The last date, included.", show_default=False)
]


def cleaning(aozora: bool | None) -> Literal["auto", "on", "off"]:
    """What ``--aozora`` and ``--no-aozora`` say to the room."""
    return "auto" if aozora is None else "on" if aozora else "off"


@dataclass(frozen=True)
class Table:
    """How a table is read: the same options wherever a command takes one."""

    date_column: DateColumn = None
    value_column: ValueColumn = None
    series_column: SeriesColumn = None
    input_format: InputFormat = None
    encoding: TableEncoding = None
    calendar: Calendar = None
    transform: Transform = None

    def read(self) -> "TableOptions":
        """The same as the room takes it."""
        from seqcli.forecasting.sources import TableOptions

        flags = asdict(self)
        return TableOptions(value_columns=tuple(flags.pop("value_column") or ()), **flags)


@dataclass(frozen=True)
class Splitting:
    """How a model's texts are split into tokens; the model keeps it."""

    tokenizer: TokenizerKind = "ginza"
    split_mode: SplitMode = "C"
    normalize: Normalize = "none"
    user_dictionary: UserDictionary = None

    def read(self) -> "Tokenizer":
        """The tokenizer."""
        from seqcli.core.tokens import Tokenizer

        return Tokenizer(self.split_mode, "surface", self.user_dictionary, self.tokenizer, self.normalize)


@dataclass(frozen=True)
class Training:
    """What every ``train-*`` command takes; ``None`` leaves the choice to the room."""

    out: Out
    overwrite: Overwrite = False
    resume: Resume = False
    seed: Seed = 1
    device: Device = "auto"
    threads: Threads = None
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Passes over the data.", show_default="chosen for the task")
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=1,
            help="Optimizer steps in all; repeats a run planned by --max-minutes that its time did not cut short.",
            show_default=False,
        ),
    ] = None
    max_minutes: MaxMinutes = None
    cell: Cell = None
    layers: Layers = None
    hidden: Annotated[
        int | None, typer.Option("--hidden", min=1, help="Units in a layer.", show_default="chosen for the task")
    ] = None
    dropout: Annotated[
        float | None,
        typer.Option(
            "--dropout",
            min=0,
            max=0.95,
            help="Share of units left out while training.",
            show_default="chosen for the task",
        ),
    ] = None
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate", min=0, help="The highest rate of the schedule.", show_default="chosen for the task"
        ),
    ] = None
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=1, help="Examples a step.", show_default="chosen for the task")
    ] = None
    clip_norm: Annotated[
        float | None,
        typer.Option(
            "--clip-norm", min=0, help="Longest gradient; 0: no clipping.", show_default="chosen for the task"
        ),
    ] = None

    def said(self) -> dict[str, Any]:
        """What the user said of the training; a flag that was left to the task is not there."""
        flags = {name: value for name, value in asdict(self).items() if value is not None}
        return flags | {"command": shlex.join(["seqcli", *sys.argv[1:]])}
