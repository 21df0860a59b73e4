"""Exit codes and the few exceptions that a user can cause. Standard library only."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a script learns from a run; append-only, the numbers are an interface."""

    OK = 0  # fine; a reader that closed the pipe early is fine too
    BUG = 1  # not the user's fault: --debug shows the traceback
    USAGE = 2  # wrong options or arguments (Typer's own code)
    INPUT = 3  # the data is wrong: file, row, column and value are named
    MODEL = 4  # a model folder is missing, damaged, of the wrong kind or too new; or the output exists
    ENVIRONMENT = 5  # an optional package, a device or disk space is missing
    DIVERGED = 6  # training diverged; the last good weights are saved
    QUALITY = 7  # a quality gate such as --require-skill failed
    TRY_LATER = 75  # locked, stale or unreachable: the same command may succeed later (sysexits' EX_TEMPFAIL)
    INTERRUPTED = 130  # Ctrl-C
    TERMINATED = 143  # SIGTERM


class SeqcliError(Exception):
    """Something the user can mend, said in one line: ``error: <where>: <what, with the value seen>``.

    ``where`` names the file, option or model; ``what`` says what is wrong and shows the value that was seen;
    ``hint`` is the next command to type, if there is one.
    """

    code = ExitCode.BUG

    def __init__(self, where: str, what: str, hint: str | None = None) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what
        self.hint = hint


class UsageError(SeqcliError):
    """Options that do not go together, found after Typer's own parsing."""

    code = ExitCode.USAGE


class InputError(SeqcliError):
    """Data that cannot be used; names file, row, column and value."""

    code = ExitCode.INPUT


class ModelError(SeqcliError):
    """A model folder that is missing, damaged, of the wrong kind or too new, or an output that exists."""

    code = ExitCode.MODEL


class MachineError(SeqcliError):
    """The machine lacks something: an optional package, a device, disk space, a writable folder."""

    code = ExitCode.ENVIRONMENT


class DivergedError(SeqcliError):
    """The loss stopped being a number; the last good weights were kept."""

    code = ExitCode.DIVERGED


class QualityError(SeqcliError):
    """A gate the user asked for, such as ``--require-skill``, was not passed."""

    code = ExitCode.QUALITY


class TryLaterError(SeqcliError):
    """Locked, stale or unreachable: the same command may succeed later."""

    code = ExitCode.TRY_LATER


class Interrupted(SeqcliError):  # noqa: N818 - not an error: the user's own wish
    """Ctrl-C or SIGTERM, after the work in hand was saved."""

    code = ExitCode.INTERRUPTED

    def __init__(self, where: str, what: str, hint: str | None = None, *, terminated: bool = False) -> None:
        super().__init__(where, what, hint)
        self.code = ExitCode.TERMINATED if terminated else ExitCode.INTERRUPTED
