"""Files and folders that are there whole or not at all, and locks.

Everything is written beside its target under a name of ours, flushed to the disk, and renamed into place. A
process that is killed leaves at worst such a sibling; the next write to the same target takes it away, and
:func:`recover` brings back a folder whose replacement was cut between its two renames.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seqcli.errors import MachineError, ModelError, TryLaterError

if TYPE_CHECKING:
    from collections.abc import Iterator

# .seqcli-<role>-<target's name>-<host>-<process>-<random>. Names are hashed, so that a long one still fits.
_SIBLING = re.compile(r"\.seqcli-(new|old)-(?P<target>[0-9a-f]{8})-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}")
_STALE_AFTER = 24 * 3600.0  # seconds; a process on another host cannot be asked whether it lives
_SWAP_WAIT = 0.5  # seconds; a live writer is between its two renames for microseconds


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file atomically; see :func:`write_bytes`."""
    # A lone surrogate (an undecodable byte of a file name) must not cost the whole file.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, never a part.

    Missing parent folders are made. A pipe or device (``/dev/stdout``) is written straight into. Raises
    MachineError when the disk is full or the folder cannot be written to.
    """
    with explained(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(data)
            return
        target = path.resolve()  # behind a symbolic link, the file is replaced and the link stays
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target)
        new = _sibling(target, "new")
        try:
            with new.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            new.replace(target)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)


@contextmanager
def new_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give an empty folder to fill, which takes the place of ``target`` when the block ends well.

    Missing parent folders are made. An existing folder that holds something is replaced only with ``overwrite``:
    the old one is moved aside, the new one in, and then the old one deleted. If the process dies between the two
    renames, :func:`recover` undoes the first. When the block raises, nothing has changed. Raises ModelError
    when ``target`` holds something, and MachineError when the disk is full or the folder cannot be written to.
    """
    target = target.resolve()
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        recover(target)
        sweep(target)
        new = _sibling(target, "new")
        try:
            new.mkdir()
            yield new
            _sync_tree(new)
            _move_in(new, target, overwrite=overwrite)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise


def recover(target: Path) -> None:
    """Put back a folder whose replacement was cut short; does nothing when ``target`` is there.

    Readers call it too. A writer that is still alive is given a moment to finish its second rename.
    """
    target = target.resolve()
    deadline = time.monotonic() + _SWAP_WAIT
    while not target.exists() and (aside := _siblings(target, "old")):
        newest = max(aside, key=_age_key)
        if _abandoned(newest) or time.monotonic() > deadline:
            with suppress(OSError):  # another process was faster, or the disk is read-only: the reader will say
                newest.rename(target)
            return
        time.sleep(0.01)


def sweep(target: Path) -> None:
    """Take away what killed processes left beside ``target``; every write to it begins with this."""
    target = target.resolve()
    for path in [*_siblings(target, "new"), *(_siblings(target, "old") if target.exists() else ())]:
        if _abandoned(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()


def check_writable(folder: Path) -> None:
    """Raise MachineError unless a file can be made in ``folder`` (or in the nearest parent that exists)."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    probe = _sibling(folder / "probe", "new")
    with explained(folder):
        sweep(folder / "probe")
        try:
            probe.touch(exist_ok=False)
        finally:
            probe.unlink(missing_ok=True)


@contextmanager
def lock(path: Path, timeout: float = 0.0) -> Iterator[None]:
    """Hold ``path`` (a file or a folder) against other seqcli processes, by a file beside it that is there meanwhile.

    Waits at most ``timeout`` seconds, then raises TryLaterError. Missing parent folders are made, and go again where
    they stay empty. A process that dies loses its locks; the file that it leaves goes with the next one.
    """
    import filelock  # 40 ms, and most commands lock nothing

    target = path.resolve()
    name = target.with_name(f".seqcli-lock-{_short_hash(target.name)}")
    with explained(target):
        made = [folder for folder in target.parents if not folder.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        guard = filelock.FileLock(name, timeout=timeout)
        try:
            guard.acquire()
        except filelock.Timeout:
            hint = "wait for the other seqcli command on it to end, then run this one again"
            raise TryLaterError(str(path), f"in use by another process (waited {timeout:g} s)", hint) from None
    try:
        yield
    finally:
        # Only the holder takes the file away, and before letting go of it; who locks one without a name tries again
        # (filelock looks). Windows does not allow it while the file is open: there filelock does it itself.
        with suppress(OSError):
            name.unlink()
        guard.release()
        for folder in made:
            with suppress(OSError):  # it holds something
                folder.rmdir()


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a MachineError that names ``path`` and says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise MachineError(str(path), "disk full", "free some space and run the command again") from error
        hint = "choose a folder that you may write to"
        raise MachineError(str(path), f"cannot be written ({error.strerror or error})", hint) from error


def _move_in(new: Path, target: Path, *, overwrite: bool) -> None:
    old = _sibling(target, "old")
    try:
        new.rename(target)  # a missing target, or an empty folder, needs one step only
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if not overwrite:
            raise ModelError(str(target), "already holds something", "--overwrite replaces it") from None
        try:
            target.rename(old)
            new.rename(target)
        except BaseException:
            if not target.exists():
                old.rename(target)
            raise
    _sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sibling(target: Path, role: str) -> Path:
    identity = f"{_short_hash(target.name)}-{_short_hash(_host())}-{os.getpid()}-{os.urandom(4).hex()}"
    return target.with_name(f".seqcli-{role}-{identity}")


def _siblings(target: Path, role: str) -> list[Path]:
    """The temporary files and folders of ``target``, whoever made them."""
    return [
        path
        for path in target.parent.glob(f".seqcli-{role}-{_short_hash(target.name)}-*")
        if _SIBLING.fullmatch(path.name)
    ]


def _abandoned(path: Path) -> bool:
    """Whether nobody works on a sibling any more: its process is gone, or it is a day old."""
    match = _SIBLING.fullmatch(path.name)
    if match is None:
        return False
    if match["host"] == _short_hash(_host()) and not _alive(int(match["pid"])):
        return True
    return time.time() - _age_key(path) > _STALE_AFTER


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # os.kill would end the process there; the age decides
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _age_key(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:  # just taken away by another process
        return 0.0


def _short_hash(name: str) -> str:
    return f"{zlib.crc32(os.fsencode(name)):08x}"


def _host() -> str:
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")


def _sync_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            with Path(root, name).open("rb") as file:
                os.fsync(file.fileno())
        _sync_folder(Path(root))


def _sync_folder(folder: Path) -> None:
    """Make renames in ``folder`` last; not every system can open one."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
