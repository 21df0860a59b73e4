"""``python -m seqcli`` and the ``seqcli`` command."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

# Modules of the door, in the help's reading order.
GROUPS = ("forecasting", "keeping", "text", "corpus", "vectors", "models")


def load() -> Any:
    """The app with every command registered."""
    from seqcli.cli.app import app

    for group in GROUPS:
        import_module(f"seqcli.cli.{group}")  # registers its commands
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
    load()(prog_name="seqcli")  # also for python -m seqcli


if __name__ == "__main__":
    main()
