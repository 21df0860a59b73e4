"""``python -m seqcli`` and the ``seqcli`` command."""

import gc
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from seqcli.core.folders import SETTINGS
from seqcli.errors import ExitCode

# Modules of the door and their commands, in the help's reading order.
GROUPS = {
    "forecasting": ("rates", "train-forecast", "forecast", "backtest"),
    "keeping": ("track", "recalibrate", "report"),
    "text": ("tokenize",),
    "corpus": ("corpus",),
    "classification": ("train-classifier", "classify"),
    "generation": ("train-generator", "generate"),
    "vectors": ("embed", "similar", "train-vectors"),
    "models": ("info", "evaluate", "doctor"),
}


def load(only: str | None = None) -> Any:
    """The app with every command registered, or with one alone, which takes half the time."""
    from seqcli.cli.app import app

    for group, names in GROUPS.items():
        if only is None or only in names:
            import_module(f"seqcli.cli.{group}")  # registers its commands
    if only is not None:
        app.registered_commands = [command for command in app.registered_commands if command.name == only]
    return app


def commands() -> list[str]:
    """The names of all commands, in reading order."""
    return [command.name for command in load().registered_commands]


def main() -> None:
    """Runs the command line; a pipe always carries UTF-8, whatever the locale (cron's is C)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller has closed it: >&-
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  as long as we live
    for stream, errors in ((sys.stdout, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if not stream.isatty() and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors=errors)
    try:
        load(_named())(prog_name="seqcli")  # also for python -m seqcli
    except KeyboardInterrupt:  # while modules are still being read: nothing was begun
        raise SystemExit(ExitCode.INTERRUPTED) from None
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # what it does not take, Python would try again at its end, and exit with 120
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        gc.freeze()  # all of it goes: to look for garbage first would take 10 ms


def _named() -> str | None:
    """The command that is plainly named, unless others are needed as well: to complete a word, to check a file."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    alone = any(first in names for names in GROUPS.values())
    return first if alone and "_SEQCLI_COMPLETE" not in os.environ and not os.path.lexists(SETTINGS) else None


if __name__ == "__main__":
    main()
