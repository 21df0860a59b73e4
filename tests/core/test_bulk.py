"""Bulk work: in order, with flat memory, over processes, and a killed run goes on."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from seqcli.core import bulk
from seqcli.errors import InputError, Interrupted, MachineError, TryLaterError


def double(number: int) -> int:
    return 2 * number


def slow_at_first(number: int) -> int:
    time.sleep(0.2 if number == 0 else 0)
    return number


def refuse_seven(number: int) -> int:
    if number == 7:
        raise InputError("table: row 7", "the value seen", "the next command")
    return number


def fail_at_seven(number: int) -> int:
    return 1 // (7 - number)


class UnreadableError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


def unreadable(number: int) -> int:
    raise UnreadableError("a", "b")


def die(number: int) -> int:
    os._exit(9)


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    assert list(bulk.run(slow_at_first, range(50), workers=workers, chunk=3)) == list(range(50))
    assert list(bulk.run(double, [], workers=workers)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_items_are_taken_only_as_they_are_needed(workers: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(1_000_000):
            taken = number
            yield number

    with closing(bulk.run(double, items(), workers=workers, chunk=5)) as results:
        for _ in range(20):
            next(results)
            assert taken < 20 + 2 * 3 * 5 + 5


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_refused_is_raised_at_its_place_as_it_was(workers: int) -> None:
    results = bulk.run(refuse_seven, range(100), workers=workers, chunk=5)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(InputError) as raised:
        next(results)
    assert (raised.value.where, raised.value.what, raised.value.hint) == (
        "table: row 7",
        "the value seen",
        "the next command",
    )
    assert str(raised.value) == "table: row 7: the value seen"
    assert "while working on item 8" in raised.value.__notes__


def test_a_bug_in_a_process_comes_with_its_row_and_traceback() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        list(bulk.run(fail_at_seven, range(100), workers=2, chunk=5))
    assert "while working on item 8" in raised.value.__notes__
    assert "fail_at_seven" in raised.value.__notes__[-1]
    with pytest.raises(RuntimeError, match="UnreadableError: ab"):
        list(bulk.run(unreadable, [1], workers=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_items_that_fail_come_after_the_results_before_them(workers: int) -> None:
    def items() -> Iterator[int]:
        yield from range(7)
        raise InputError("stdin: row 8", "not text")

    results = bulk.run(double, items(), workers=workers, chunk=3)
    assert list(itertools.islice(results, 7)) == [0, 2, 4, 6, 8, 10, 12]
    with pytest.raises(InputError, match="row 8"):
        next(results)


def test_a_killed_process_is_said_with_what_to_do() -> None:
    with pytest.raises(MachineError, match="killed") as raised:
        list(bulk.run(die, range(4), workers=2))
    assert "--workers" in str(raised.value.hint)


def test_closing_ends_the_processes() -> None:
    import multiprocessing

    before = set(multiprocessing.active_children())
    results = bulk.run(slow_at_first, iter(range(10**9)), workers=2)
    next(results)
    results.close()
    assert set(multiprocessing.active_children()) <= before


PROGRAM = """
import sys, time
from pathlib import Path
from seqcli.core import bulk

def slowly(number):
    time.sleep(0.01)
    while number == 350 and not Path(sys.argv[4]).exists():  # the first run never ends by itself
        time.sleep(0.01)
    return f"{number}\\n".encode()

if __name__ == "__main__":
    with bulk.restartable(Path(sys.argv[1]), {"job": sys.argv[2]}) as sink:
        print("begins at", sink.done, flush=True)
        for data in bulk.run(slowly, range(sink.done, 400), workers=int(sys.argv[3]), chunk=4):
            sink.append(data)
"""


@pytest.mark.parametrize(("how", "workers"), [(signal.SIGKILL, 2), (signal.SIGINT, 1)])
def test_a_stopped_run_goes_on_and_ends_with_the_same_file(tmp_path: Path, how: signal.Signals, workers: int) -> None:
    program, path = tmp_path / "program.py", tmp_path / "out.txt"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), str(path), "same", str(workers), str(tmp_path / "end")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
    journal = path.with_name("out.txt.partial.json")
    deadline = time.monotonic() + 60
    while not journal.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    if how == signal.SIGINT:
        os.killpg(running.pid, how)  # as a terminal does: to all of them
    else:
        os.kill(running.pid, how)
    running.communicate(timeout=60)
    assert not path.exists()
    done = json.loads(journal.read_text())["items"]
    assert 0 < done < 400
    with path.with_name("out.txt.partial").open("ab") as partial:
        partial.write(b"half a li")  # what came after the last time that it was made to last
    (tmp_path / "end").touch()
    again = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    assert again.stdout == f"begins at {done}\n"
    assert path.read_text().split() == [str(number) for number in range(400)]
    assert not journal.exists() and not path.with_name("out.txt.partial").exists()


def test_another_job_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    for job in ({"a": 1}, {"a": 2}):
        with pytest.raises(Interrupted, match="stopped after 1") as raised, bulk.restartable(path, job) as sink:
            assert sink.done == 0
            sink.append(b"one\n")
            raise KeyboardInterrupt
        assert raised.value.code == 130 and "again" in str(raised.value.hint)
    with bulk.restartable(path, {"a": 2}) as sink:
        assert sink.done == 1
        sink.append(b"two\n")
    assert path.read_text() == "one\ntwo\n"


@pytest.mark.parametrize("other", [{"a": 2}, None])
def test_a_job_does_not_go_on_with_what_another_one_wrote_before_it_was_killed(
    tmp_path: Path, other: dict[str, int] | None
) -> None:
    path = tmp_path / "out.txt"
    with pytest.raises(Interrupted), bulk.restartable(path, {"a": 1}) as sink:
        sink.append(b"one\n")
        raise KeyboardInterrupt
    with bulk.restartable(path, other) as sink:
        sink.append(b"another's\n")
        sink._stream.flush()
        killed = {file.name: file.read_bytes() for file in tmp_path.iterdir()}  # as a SIGKILL leaves it here
    path.unlink()
    for name, content in killed.items():
        (tmp_path / name).write_bytes(content)
    with bulk.restartable(path, {"a": 1}) as sink:
        assert sink.done == 0
        sink.append(b"one\n")
    assert path.read_text() == "one\n"


def test_what_cannot_be_read_twice_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with pytest.raises(KeyboardInterrupt), bulk.restartable(path, None) as sink:
        sink.append(b"one\n")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_journal_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.with_name("out.txt.partial").write_bytes(b"junk")
    for content in ("", "{", "[]", '{"job": {}, "items": "x", "bytes": 2}', '{"job": {}, "items": 3, "bytes": 99}'):
        path.with_name("out.txt.partial.json").write_text(content)
        with bulk.restartable(path, {}) as sink:
            assert sink.done == 0


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    with bulk.restartable(path, {}), pytest.raises(TryLaterError), bulk.restartable(path, {}):
        pass


def test_a_folder_that_is_read_only_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="file"), bulk.restartable(tmp_path / "file" / "out.txt", {}):
        pass


def test_a_device_is_written_straight_into_and_a_folder_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        with bulk.restartable(pipe, {}) as sink:
            sink.append(b"one\n")
            sink.save()
        assert reader.communicate()[0] == b"one\n"
    assert pipe.is_fifo()
    with pytest.raises(MachineError, match="directory"), bulk.restartable(tmp_path, {}):
        pass
