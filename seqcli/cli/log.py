"""The log of a command that runs unattended: one line an event, with a UTC stamp."""

import os
import sys
from pathlib import Path

from seqcli.errors import MachineError

STYLES = ("text", "json")


class Log:
    """A file to which each event is appended in one piece, so that commands that run at once do not mix their lines.

    Arguments:
        path: is made if it is not there; its folder must be.
        style: ``text`` or ``json``.
        command: the command's name, which each line carries.

    Raises:
        MachineError: the file cannot be written to.
    """

    def __init__(self, path: Path, style: str, command: str) -> None:
        self._path, self._style, self._command = path, style, command
        self._lost = False
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            hint = "choose a file in a folder that is there and that you may write to"
            raise MachineError(f"--log-file {path}", (error.strerror or str(error)).lower(), hint) from error

    def write(self, level: str, text: str) -> None:
        """One event; ``level`` is started, info, warning, error, hint or ended."""
        from seqcli.core import clock

        stamp = clock.now().isoformat(timespec="seconds")
        if self._style == "json":
            from seqcli.core.json_lines import dumps

            line = dumps({"time": stamp, "level": level, "command": self._command, "pid": os.getpid(), "text": text})
        else:
            line = f"{stamp} {level} {self._command}[{os.getpid()}]: {' '.join(text.split())}"
        try:
            os.write(self._file, (line + "\n").encode("utf-8", "backslashreplace"))
        except OSError as error:  # a full disk must not cost the forecast that the log is about
            if not self._lost:
                self._lost = True
                sys.stderr.write(f"warning: --log-file {self._path}: {(error.strerror or str(error)).lower()}\n")
