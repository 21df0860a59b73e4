"""What was typed as the values that commands take, without loading pydantic for it.

Typer 0.29 hands every parameter, given or not, to pydantic, whose import costs each command 80 ms of processor time: a
third of ``seqcli similar``. Text, paths, words from a list and plain numbers are turned into values here; whatever is
not plainly right goes to Typer's own way, which also says what is wrong with it.
"""

import math
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from typer.core import TyperCommand

from seqcli.cli.panels import lay_out
from seqcli.cli.usage import bad_value, in_our_words

_UNSURE = object()

# How parameters are called in the help whose text names a file or a folder; those of the type Path do, too.
_PLACES = {"CORPUS", "DATA", "FILE", "MODEL", "PATH", "SOURCE", "TRAIN", "WHICH"}


class Command(TyperCommand):
    """A Typer command whose parameters are read by ``Plain``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """What Typer calls with the words of the command line."""
        with in_our_words(ctx):
            read_plainly(self, ctx)
            return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """What Typer calls for ``--help``."""
        lay_out()
        super().format_help(ctx, formatter)


def read_plainly(command: Any, ctx: Any) -> None:
    """Has all parameters of a command or group read by ``Plain``."""
    for parameter in command.get_params(ctx):
        parameter._runtime_param = Plain(parameter)


class Plain:
    """Stands in for Typer's coercion of one parameter."""

    def __init__(self, parameter: Any) -> None:
        self._kind = parameter.type_descriptor.annotation
        self._low, self._high = (
            parameter.type_descriptor.parameter_info.min,
            parameter.type_descriptor.parameter_info.max,
        )

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value that the command gets; Typer's ``BadParameter`` if there is none."""
        many = param.multiple or param.nargs == -1
        if value is None:
            return () if many else None
        if self._names_a_place(param) and "" in (value if many else [value]):
            raise bad_value(param, "'' names no file or folder; perhaps a variable of the shell that is not set", ctx)
        found = _UNSURE
        if many and isinstance(value, list | tuple):
            each = [self._one(item, *_inner(self._kind)) for item in value]
            found = _UNSURE if any(item is _UNSURE for item in each) else each
        elif not many:
            found = self._one(value, self._kind)
        if found is _UNSURE:
            return self._typers(value, param, ctx)
        return found

    def _names_a_place(self, param: Any) -> bool:
        return param.metavar in _PLACES or _alone(self._kind) is Path

    def _typers(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value as Typer reads it; where it cannot, or is no number to count with, the reason in our words."""
        from typer._coercion import build_runtime_param

        try:
            found = build_runtime_param(param.type_descriptor).coerce(value, param=param, ctx=ctx)
        except Exception as error:
            reason = self._reason(value)
            if reason is None or not hasattr(error, "exit_code"):
                raise
            raise bad_value(param, f"{value!r} {reason}", ctx, close=self._close(value)) from None
        if isinstance(found, float) and not math.isfinite(found):
            raise bad_value(param, f"{value!r} {self._reason(value)}", ctx)
        return found

    def _reason(self, value: Any) -> str | None:
        """Why a word or a number is refused; None where Typer knows better."""
        kind = _alone(self._kind)
        if get_origin(kind) is Literal:
            return f"is not one of {', '.join(map(str, get_args(kind)))}"
        if kind not in (int, float):
            return None
        try:
            number = kind(value)
        except ValueError:
            return "is not a whole number" if kind is int else "is not a number"
        if not math.isfinite(number):
            return "is not a finite number"
        if self._low is not None and number < self._low:
            return f"is less than {self._low}"
        return f"is more than {self._high}" if self._high is not None and number > self._high else None

    def _close(self, value: Any) -> str | None:
        """The one of the words to choose from that was perhaps meant."""
        kind = _alone(self._kind)
        if get_origin(kind) is not Literal:
            return None
        from seqcli.core.lines import nearest

        return nearest(str(value), get_args(kind))

    def _one(self, value: Any, kind: Any) -> Any:
        kind = _alone(kind)
        if get_origin(kind) is Literal:
            return value if value in get_args(kind) else _UNSURE
        if kind is str and isinstance(value, str):
            return value
        if kind is Path and isinstance(value, str | Path):
            return Path(value)
        return self._number(value, kind)

    def _number(self, value: Any, kind: Any) -> Any:
        """Only as it is written without doubt: digits, a sign, one point."""
        if kind not in (int, float) or isinstance(value, bool):
            return _UNSURE
        if isinstance(value, str):
            digits = value.removeprefix("-")
            if not (digits.isascii() and (digits if kind is int else digits.replace(".", "", 1)).isdigit()):
                return _UNSURE
        number = kind(value)
        fits = math.isfinite(number)
        fits = fits and (self._low is None or number >= self._low) and (self._high is None or number <= self._high)
        return number if fits else _UNSURE


def _alone(kind: Any) -> Any:
    """The type beside None; None itself where there are several."""
    if get_origin(kind) not in (Union, UnionType):
        return kind
    kinds = [one for one in get_args(kind) if one is not type(None)]
    return kinds[0] if len(kinds) == 1 else None


def _inner(kind: Any) -> tuple[Any, ...]:
    """The one type of a list's items."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(one for one in get_args(kind) if one is not type(None))
    return get_args(kind)[:1] if get_origin(kind) is list else (kind,)
