"""Where a training puts its model, and how nothing is left lying there if it fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seqcli.core import checkpoint, files
from seqcli.core.checkpoint import ModelFolder

LOCK_SECONDS: Final = 5.0  # whoever only changes a file of the model is done by then


@dataclass(frozen=True)
class Place:
    """Where the model goes.

    Arguments:
        out: its folder.
        overwrite: replace the model that is there, once the new one is whole.
        resume: go on with an interrupted run.
    """

    out: Path
    overwrite: bool = False
    resume: bool = False

    def check(self) -> None:
        """Refuses a place that holds something else, before anything is read or loaded.

        Raises:
            ModelError: it holds something, or there is nothing to resume.
            MachineError: it cannot be written to.
        """
        checkpoint.check_out(self.out, overwrite=self.overwrite, resume=self.resume)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps the place for one training; no empty folder, such as that of a full disk, is left behind.

        Raises:
            ModelError, MachineError: as ``check``.
            TryLaterError: another training has it.
        """
        self.check()  # before a lock is laid beside it
        folder = ModelFolder(self.out)
        with files.lock(self.out, LOCK_SECONDS):
            made = [folder.resume, *([] if self.out.exists() else [self.out])]
            try:
                self.check()
                yield
            finally:
                for one in made:
                    with suppress(OSError):  # it holds something, or is not there
                        one.rmdir()

    def begin(self) -> None:
        """Clears away an interrupted run, unless it is to be gone on with: ``--overwrite`` begins afresh."""
        if not self.resume and ModelFolder(self.out).resume.exists():
            shutil.rmtree(ModelFolder(self.out).resume)
