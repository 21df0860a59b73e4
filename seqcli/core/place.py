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
from seqcli.errors import ModelError

ELSEWHERE: Final = "choose another --out"
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
        """Refuses a place that holds something else, before hours are spent on a model that could not be saved there.

        With neither ``overwrite`` nor ``resume`` the folder must be missing or empty; ``resume`` wants an unfinished
        training in it. Not even ``overwrite`` allows one that holds folders, or files like a model's and no model: no
        home and no data were ever meant to be replaced.

        Raises:
            ModelError: it holds something, or there is nothing to resume.
            MachineError: it cannot be written to.
        """
        folder, where = ModelFolder(self.out), str(self.out)
        with files.explained(self.out):
            files.recover(self.out)
            if self.out.exists() and not self.out.is_dir():
                raise ModelError(where, "is a file, not a folder", ELSEWHERE)
            files.sweep(folder.resume)
            holds = sorted(self.out.iterdir()) if self.out.exists() else []
            real = self.out.resolve()
            if self.out.exists() and (real.is_mount() or Path.cwd().is_relative_to(real)):
                what = "is a mounted disk" if real.is_mount() else "is the folder you stand in"
                raise ModelError(where, f"{what}, which cannot be replaced", "choose a folder inside it")
            foreign = next((child.name for child in holds if child.is_dir() and child != folder.resume), None)
            if foreign is not None:
                raise ModelError(where, f"holds a folder {foreign!r}, so it is more than a model", ELSEWHERE)
            unfinished = folder.resume.is_dir()
            if self.resume and not unfinished:
                what = "holds a finished model: nothing to resume" if folder.manifest.exists() else "nothing to resume"
                what = what if self.out.exists() else f"no such folder: {what}"
                raise ModelError(where, what, "start it without --resume")
            lost = next((one.name for one in holds if one.suffix in checkpoint.SUFFIXES or one == folder.card), None)
            if lost and not (unfinished or folder.manifest.exists() or folder.weights.exists()):
                raise ModelError(where, f"already holds {lost!r} and no model, so it is not replaced", ELSEWHERE)
            if holds and not (self.overwrite or self.resume):
                if unfinished:
                    hint = "--resume goes on with it, --overwrite begins anew"
                    raise ModelError(where, "holds an interrupted training", hint)
                what = "already holds " + ("a model" if lost else repr(holds[0].name))
                raise ModelError(where, what, "--overwrite replaces it")
            files.check_writable(self.out)
            files.check_writable(real.parent)

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
