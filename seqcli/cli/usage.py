"""Typer's own complaints about a command line, in the two lines that every other error takes."""

import re
import shlex
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from seqcli.errors import ExitCode, UsageError


@contextmanager
def in_our_words(ctx: Any) -> Iterator[None]:
    """Turns a usage error of Typer's into ours.

    Its classes are Click's, which nobody outside of Typer may import: they are known by what they carry.

    Arguments:
        ctx: Typer's context of the command that is parsed.

    Raises:
        UsageError: instead of Typer's.
    """
    try:
        yield
    except Exception as error:
        is_help = type(error).__name__ == "NoArgsIsHelpError"
        if getattr(error, "exit_code", None) != ExitCode.USAGE or not hasattr(error, "format_message") or is_help:
            raise
        raise _translated(error, ctx) from None


def no_such_command(name: str, known: Collection[str]) -> UsageError:
    """What is said of a command that there is not."""
    from seqcli.core.lines import nearest

    close = nearest(name, known)
    return UsageError(name, "no such command", _hint("seqcli", [close] if close else []))


def bad_value(param: Any, what: str, ctx: Any, close: str | None = None) -> UsageError:
    """What is said of a value that an option or an argument cannot have.

    Arguments:
        param: Typer's parameter.
        what: what is wrong, with the value.
        ctx: Typer's context.
        close: a value that was perhaps meant.
    """
    return UsageError(_name(param), what, _hint(ctx.command_path, [close] if close else []))


def _translated(error: Any, ctx: Any) -> UsageError:
    command: str = ctx.command_path
    param, option = getattr(error, "param", None), str(getattr(error, "option_name", ""))
    if hasattr(error, "possibilities"):
        return UsageError(option, "no such option", _hint(command, error.possibilities or []))
    if hasattr(error, "param_type"):  # what distinguishes a parameter that is missing
        return UsageError(_name(param), "is missing", _hint(command))
    where = option or (_name(param) if param is not None else command)
    what = error.message.removeprefix(f"Option {option!r} ").rstrip(".")
    return UsageError(where, what[:1].lower() + what[1:], _hint(command, _text_options(what, ctx)))


def _text_options(what: str, ctx: Any) -> list[str]:
    """The options of a command that take one text, with the words that it takes as no arguments."""
    extra = re.search(r"extra argument.* \((.+)\)$", what)
    takes = [one for one in ctx.command.get_params(ctx) if one.metavar == "TEXT" and not one.multiple]
    return [f"{_name(one)} {shlex.quote(extra[1])}" for one in takes] if extra else []


def _name(param: Any) -> str:
    """An option as it is typed, an argument as the help calls it."""
    name: str = max(param.opts, key=len) if param.param_type_name == "option" else param.metavar or param.name
    return name


def _hint(command: str, close: Collection[str] = ()) -> str:
    """The next command; before it, what was perhaps meant."""
    return (f"did you mean {' or '.join(close)}? " if close else "") + f"{command} --help"
