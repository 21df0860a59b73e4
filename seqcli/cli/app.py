"""The command line's frame: the groups of commands, shared options, and errors as a sentence and an exit code."""

import dataclasses
import errno
import functools
import inspect
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperGroup
from typer.models import OptionInfo

import seqcli
from seqcli.cli import options
from seqcli.cli.coercion import Command, read_plainly
from seqcli.cli.log import Log
from seqcli.cli.output import Output
from seqcli.cli.panels import lay_out
from seqcli.cli.usage import in_our_words, no_such_command
from seqcli.core.folders import SETTINGS
from seqcli.errors import ExitCode, MachineError, SeqcliError


class _Terminated(KeyboardInterrupt):
    """SIGTERM, outside of training (which finishes its batch and saves)."""


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise _Terminated


class Group(TyperGroup):
    """Runs a command and turns whatever goes wrong into one line and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What Typer calls first; ``--help`` and ``--version`` are printed here."""
        _talking[:] = [Output()]
        with _explained(), in_our_words(ctx):
            read_plainly(self, ctx)
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """What Typer calls for ``--help``."""
        lay_out()
        super().format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """What Typer calls to find the command that the first word names."""
        if args and self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:  # as it is in completion
            raise no_such_command(args[0], self.commands)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """What Typer calls with the command line as it was parsed."""
        signal.signal(signal.SIGTERM, _terminate)
        with _explained():
            result = super().invoke(ctx)
            _talking[0].record("ended", "exit 0")
        return result


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
        return
    except SeqcliError as error:
        code = _report(error)
    except BrokenPipeError:
        code = _closed_pipe()
    except SystemExit as end:  # what Rich makes of a closed pipe
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        code = ExitCode.OK
    except _Terminated as stop:
        code = _say_stopped("terminated", stop, ExitCode.TERMINATED)
    except KeyboardInterrupt as stop:
        code = _say_stopped("interrupted", stop, ExitCode.INTERRUPTED)
    except OSError as error:
        code = _report(_from_os(error))
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        # What Typer says itself, such as its help where nothing was typed, carries its exit code.
        if hasattr(error, "exit_code") or _debug():
            raise
        code = _report(_bug(error))
    _talking[0].record("ended", f"exit {int(code)}")
    raise typer.Exit(code)


_talking: list[Output] = [Output()]  # how the command under way talks; its errors are said in the same way


def _report(error: SeqcliError) -> ExitCode:
    if _debug():
        import traceback

        traceback.print_exc()
    with suppress(BrokenPipeError):  # nobody reads on; the exit code still tells
        _talking[0].error(error)
    return error.code


def _say_stopped(word: str, stop: KeyboardInterrupt, code: ExitCode) -> ExitCode:
    notes = getattr(stop, "__notes__", ())  # what the room adds: what of the work is kept
    with suppress(BrokenPipeError):
        _talking[0].warn("; ".join([word, *notes]))
    return code


def _closed_pipe() -> ExitCode:
    """``seqcli … | head`` is fine and quiet; stdout must not be flushed again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.OK


def _from_os(error: OSError) -> SeqcliError:
    where = str(error.filename) if error.filename else "system"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        if _of_stdout(error):
            return MachineError(
                "stdout", "the disk is full; what stands there is cut off", "make room, then run it again"
            )
        return MachineError(
            where, "the disk is full; nothing was left half-written", "make room, then run the same command"
        )
    return MachineError(where, (error.strerror or str(error)).lower(), None)


def _of_stdout(error: OSError) -> bool:
    """Whether it was raised by a write to stdout, which has no name: by our module that prints, or by the help's."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    module = str(frame.tb_frame.f_globals.get("__name__")) if frame is not None else ""
    return not error.filename and (module == Output.__module__ or module.partition(".")[0] in ("rich", "typer"))


def _out_of_memory(error: Exception) -> bool:
    """Python's and NumPy's own error, or PyTorch's, which on a processor is a RuntimeError like any other."""
    return isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error)


def _bug(error: Exception) -> SeqcliError:
    if _out_of_memory(error):
        what = f"there is not enough of it: {error}" if str(error) else "there is not enough of it"
        hint = "a smaller --hidden, --batch-size or --layers for a training; fewer --workers for a filter"
        return MachineError("memory", what[:300], hint)
    what = f"{type(error).__name__}: {error}"
    return SeqcliError("bug", what[:300], "this is our fault: run it again with --debug and report the traceback")


def _debug() -> bool:
    """Whether a traceback is wanted; also of what went wrong before the options were understood."""
    return _talking[0].debug or "--debug" in sys.argv or os.environ.get("SEQCLI_DEBUG", "0") not in ("", "0")


_FIRST = (
    "seqcli train-forecast --quick --out fx",
    "seqcli train-classifier sample_data/posts.csv --out topics",
    "seqcli train-generator sample_data/letters.txt --out writer",
    "seqcli similar 猫",
)

app = typer.Typer(
    cls=Group,
    epilog="\n\n".join(f"Start with: {one}" for one in _FIRST),
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        Output("jsonl").line(f"seqcli {seqcli.__version__}")
        raise typer.Exit


@app.callback()
def frame(
    ctx: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Forecast with intervals, classify Japanese text, generate text, make word vectors: recurrent models as a command.

    Every model stands beside the baselines that could shame it. Records go to stdout, talk to stderr.
    """
    if not os.path.lexists(SETTINGS):
        return
    from pathlib import Path

    from seqcli.core import settings

    ctx.default_map = settings.load(Path()).defaults({name: _settable(flags) for name, flags in _parameters.items()})


_parameters: dict[str, list[inspect.Parameter]] = {}


def _settable(parameters: list[inspect.Parameter]) -> list[Any]:
    """What ``seqcli.toml`` may set of a command: its options, with their types."""
    from seqcli.core.settings import Option

    found = []
    for parameter in parameters:
        kind, info = get_args(parameter.annotation)
        if isinstance(info, OptionInfo):
            kinds = [
                k for k in (get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)) if k is not NoneType
            ]
            many = get_origin(kinds[0]) is list
            kind = get_args(kinds[0])[0] if many else kinds[0]
            choices = get_args(kind) if get_origin(kind) is Literal else ()
            found.append(
                Option(
                    parameter.name.replace("_", "-"),
                    parameter.name,
                    kind if kind in (bool, int, float) else str,
                    many,
                    choices,
                )
            )
    return found


def command(
    name: str, *, group: str, example: str, more: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers ``function(out: Output, …)`` as a command and gives it the options that every command has.

    A parameter whose type is a dataclass of ``options`` (``Table``, ``Training``) stands for all of its fields.

    Arguments:
        name: of the command.
        group: of commands, under which the help lists it.
        example: the command line that the help shows.
        more: what else it shows.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        _, *declared = inspect.signature(function, eval_str=True).parameters.values()
        bundles = {p.name: p.annotation for p in declared if dataclasses.is_dataclass(p.annotation)}
        parameters = [flag for p in declared for flag in (_flags(p.annotation) if p.name in bundles else [p])]
        parameters += _flags(_Shared)
        _parameters[name] = parameters
        for parameter in parameters:
            info = get_args(parameter.annotation)[1]
            if isinstance(info, OptionInfo):  # a flag is called as its parameter is
                info.envvar = info.envvar or f"SEQCLI_{parameter.name.upper()}"
                info.show_envvar = False

        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            shared = _take(arguments, _Shared)
            for bundle, kind in bundles.items():
                arguments[bundle] = _take(arguments, kind)
            log = Log(shared.log_file, shared.log_format, name) if shared.log_file else None
            verbosity = -1 if shared.quiet else int(shared.verbose)
            _talking[:] = [Output(shared.format, verbosity, log, debug=shared.debug)]
            _talking[0].record("started", shlex.join(sys.argv[1:]))
            function(_talking[0], **arguments)

        keyword_only = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]  # what Typer reads
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        shown = "\n\n".join(f"Example: {one}" for one in (example, *more))
        app.command(name, cls=Command, rich_help_panel=group, epilog=shown)(run)
        return function

    return register


@dataclasses.dataclass(frozen=True)
class _Shared:
    format: options.Format = "auto"
    quiet: options.Quiet = False
    verbose: options.Verbose = False
    debug: options.Debug = False
    log_file: options.LogFile = None
    log_format: options.LogFormat = "text"


def _flags(kind: Any) -> list[inspect.Parameter]:
    """A dataclass's fields as parameters of a command."""
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(kind)
    ]


def _take(arguments: dict[str, Any], kind: Any) -> Any:
    return kind(**{field.name: arguments.pop(field.name) for field in dataclasses.fields(kind)})
