from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from seqcli.core import files
from seqcli.errors import MachineError, ModelError, TryLaterError

DEAD = 2**22 + 1  # above the largest process number that Linux gives


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sibling_of(
    target: Path, role: str, monkeypatch: pytest.MonkeyPatch, *, pid: int = DEAD, host: str | None = None
) -> Path:
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: pid)
        if host is not None:
            patch.setattr(files, "_host", lambda: host)
        return files._sibling(target, role)


def test_a_file_is_replaced_whole_and_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "為替.csv"
    files.write_text(path, "old")
    files.write_text(path, "新しい\n")
    assert path.read_bytes() == "新しい\n".encode()
    assert listing(path.parent) == ["為替.csv"]


def test_a_new_file_and_folder_get_the_users_usual_rights(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_text(tmp_path / "file", "x")
        with files.new_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(pipe.read_text()))
    reader.start()
    files.write_text(pipe, "through")
    reader.join(5)
    assert seen == ["through"]
    assert pipe.is_fifo()


def test_an_undecodable_file_name_in_a_text_does_not_stop_it(tmp_path: Path) -> None:
    files.write_text(tmp_path / "log", "read \udcff.csv")
    assert (tmp_path / "log").read_text() == "read \\udcff.csv"


def test_a_folder_appears_whole_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with files.new_folder(target) as new:
        (new / "weights").write_text("1")
        assert not target.exists()
    assert (target / "weights").read_text() == "1"
    assert listing(tmp_path) == ["model"]


def test_a_failed_block_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with files.new_folder(target) as new:
        (new / "weights").write_text("1")
    with pytest.raises(KeyboardInterrupt), files.new_folder(target, overwrite=True) as new:
        (new / "weights").write_text("2")
        raise KeyboardInterrupt
    assert (target / "weights").read_text() == "1"
    assert listing(tmp_path) == ["model"]


def test_a_folder_that_holds_something_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    with files.new_folder(target) as new:  # an empty one may be filled
        (new / "one").touch()
    with pytest.raises(ModelError, match="already holds something"), files.new_folder(target):
        pass
    assert listing(target) == ["one"]
    with files.new_folder(target, overwrite=True) as new:
        (new / "two").touch()
    assert listing(target) == ["two"]
    assert listing(tmp_path) == ["model"]


def test_an_interrupt_between_the_two_renames_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    with files.new_folder(target) as new:
        (new / "one").touch()
    rename = Path.rename

    def cut(self: Path, to: Path) -> Path:
        if "-new-" in self.name and not target.exists():
            raise KeyboardInterrupt
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", cut)
    with pytest.raises(KeyboardInterrupt), files.new_folder(target, overwrite=True):
        pass
    assert listing(target) == ["one"]
    assert listing(tmp_path) == ["model"]


def test_a_folder_whose_replacement_was_killed_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "model"
    aside = sibling_of(target, "old", monkeypatch)
    aside.mkdir()
    (aside / "one").touch()
    files.recover(target)
    assert listing(target) == ["one"]
    assert listing(tmp_path) == ["model"]


def test_a_reader_waits_for_a_writer_that_lives(tmp_path: Path) -> None:
    target = tmp_path / "model"
    aside = files._sibling(target, "old")
    aside.mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "two").touch()
    writer = threading.Timer(0.1, (tmp_path / "new").rename, [target])
    writer.start()
    files.recover(target)
    writer.join()
    assert listing(target) == ["two"]


def test_what_a_killed_process_left_is_taken_away_at_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "model"
    dead = sibling_of(target, "new", monkeypatch)
    dead.mkdir()
    (dead / "half").touch()
    sibling_of(target, "new", monkeypatch).touch()
    alive = files._sibling(target, "new")
    elsewhere = sibling_of(target, "new", monkeypatch, host="another-host")
    other = sibling_of(tmp_path / "other", "new", monkeypatch)
    ancient = sibling_of(target, "new", monkeypatch, host="another-host")
    for path in (alive, elsewhere, other, ancient):
        path.touch()
    os.utime(ancient, (time.time() - 2 * 86400,) * 2)
    foreign = tmp_path / ".seqcli-new-of-mine"
    foreign.touch()
    files.write_text(target, "x")
    assert set(listing(tmp_path)) == {p.name for p in (target, alive, elsewhere, other, foreign)}


def test_a_name_as_long_as_the_disk_allows_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("長" * 85)  # 255 bytes
    files.write_text(path, "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize("write", [lambda path: files.write_text(path, "x"), files.check_writable])
def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match=r"cannot be written") as caught:
        write(tmp_path / "file" / "below")
    assert str(tmp_path / "file") in caught.value.where


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(MachineError, match="Permission denied"):
        files.check_writable(tmp_path / "model")


FILL = """
import resource, sys
from pathlib import Path
from seqcli.core import files
from seqcli.errors import MachineError
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
folder = Path(sys.argv[1])
def fill_folder():
    with files.new_folder(folder / "model", overwrite=True) as new:
        (new / "small").write_bytes(b"x")
        (new / "large").write_bytes(bytes(1 << 20))
for write in (lambda: files.write_bytes(folder / "file", bytes(1 << 20)), fill_folder):
    try:
        write()
    except MachineError as error:
        print(error.what, error.where)
"""


def fill(folder: Path, how: str) -> list[str]:
    (folder / "file").write_text("old")
    (folder / "model").mkdir()
    (folder / "model" / "small").write_text("old")
    run = subprocess.run([sys.executable, "-c", FILL, str(folder), how], capture_output=True, text=True, check=True)
    assert (folder / "file").read_text() == "old"
    assert listing(folder / "model") == ["small"]
    assert listing(folder) == ["file", "model"]
    return run.stdout.splitlines()


def test_a_file_over_the_limit_counts_as_a_full_disk_and_leaves_nothing(tmp_path: Path) -> None:
    assert fill(tmp_path, "limit") == [f"disk full {tmp_path / 'file'}", f"disk full {tmp_path / 'model'}"]


def test_a_full_disk_leaves_the_old_content_and_nothing_else(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=256k tmpfs '{disk}' 2>/dev/null") != 0:
        pytest.skip("no right to mount a small disk")
    try:
        assert fill(disk, "disk") == [f"disk full {disk / 'file'}", f"disk full {disk / 'model'}"]
    finally:
        os.system(f"umount '{disk}'")


def test_a_lock_that_another_process_holds_means_try_later(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from seqcli.core import files\n"
        "with files.lock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    target = tmp_path / "model"
    command = [sys.executable, "-c", holder, str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(TryLaterError, match="in use by another process"), files.lock(target, 0.05):
            pass
        process.kill()
    assert len(listing(tmp_path)) == 1
    with files.lock(target):  # the dead lose their locks
        pass
    assert listing(tmp_path) == []


def test_a_lock_leaves_nothing_and_two_never_have_it_at_once(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from seqcli.core import files\n"
        "target, inside, told = (Path(word) for word in sys.argv[1:])\n"
        "for _ in range(200):\n"
        "    with files.lock(target, 60):\n"
        "        inside.mkdir()\n"  # fails where somebody is inside already
        "        with told.open('a') as file:\n            file.write('.')\n"
        "        inside.rmdir()\n"
    )
    place, told = tmp_path / "place", tmp_path / "told"
    place.mkdir()
    command = [sys.executable, "-c", program, str(place / "target"), str(place / "inside"), str(told)]
    crowd = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(3)]
    assert [process.communicate()[1] for process in crowd] == [b""] * 3
    assert told.read_text() == "." * 600
    assert listing(place) == []


def test_folders_that_are_made_for_a_lock_go_with_it_unless_they_are_filled(tmp_path: Path) -> None:
    with files.lock(tmp_path / "a" / "b" / "model"):
        pass
    assert listing(tmp_path) == []
    with files.lock(tmp_path / "a" / "b" / "model"):
        (tmp_path / "a" / "mine").touch()
    assert listing(tmp_path / "a") == ["mine"]


def test_a_lock_is_held_whose_file_was_taken_away_at_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    flock, target, taken = fcntl.flock, tmp_path / "model", []

    def late(descriptor: int, how: int) -> None:
        if not taken:  # as its holder does on letting go
            (name,) = listing(tmp_path)
            (tmp_path / name).unlink()
            taken.append(name)
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with files.lock(target, 60):
        assert listing(tmp_path) == taken
        monkeypatch.setattr(fcntl, "flock", flock)
        with pytest.raises(TryLaterError), files.lock(target):
            pass
        assert listing(tmp_path) == taken
    assert listing(tmp_path) == []
