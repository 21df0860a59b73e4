"""Much work in order: over several processes, with flat memory, and so that a killed run can go on."""

from __future__ import annotations

import copy
import itertools
import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import stat
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from seqcli.core import files
from seqcli.errors import Interrupted, MachineError, SeqcliError

T = TypeVar("T")
R = TypeVar("R")

_AHEAD = 3  # chunks of each process that are in work or wait for their turn: memory does not grow with the input


def run(
    function: Callable[[T], R], items: Iterable[T], *, workers: int = 1, chunk: int = 64
) -> Generator[R, None, None]:
    """``function(item)`` of every item, in the order of the items, which are taken only as they are needed.

    The results are the same for any number of processes. What fails, fails at its place: the results before it come
    first. Close the iterator (``contextlib.closing``) to end the processes before its end.

    Arguments:
        function: of a module, or a method of an object that is cheap to send to a process.
        items: what to work on; batches, where the function wants many at once.
        workers: processes; with 1 all is done in this one.
        chunk: items that are sent to a process together.

    Raises:
        MachineError: a process was killed, most often for want of memory.
        Exception: what ``function`` or ``items`` raised; a note says on which item, from 1.
    """
    if workers <= 1:
        for number, item in enumerate(items, 1):
            result, failure = _try(function, item, number)
            if failure is not None:
                raise failure
            yield result[0]
        return
    crew: list[_Worker] = []
    try:
        yield from _in_order(crew, function, workers, _chunks(items, chunk))
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """A process that gets one chunk at a time, so that neither side ever waits for the other to make room."""

    def __init__(self, function: Callable[[T], R]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads hold
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(function, theirs), daemon=True)
        self._process.start()
        theirs.close()  # only the process holds it now: when one side is gone, the other reads an end of file

    def send(self, chunk: tuple[int, list[Any]]) -> None:
        with _said():
            self.connection.send(chunk)

    def receive(self) -> Any:
        with _said():
            return self.connection.recv()

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError):
        hint = "it may have been out of memory: try fewer --workers"
        raise MachineError("--workers", "a working process was killed", hint) from None


def _in_order(
    crew: list[_Worker], function: Callable[[T], R], workers: int, chunks: Iterator[tuple[int, list[T]]]
) -> Iterator[R]:
    idle: list[_Worker] = []
    busy: dict[object, tuple[int, _Worker]] = {}  # by connection: which chunk it has
    ready: dict[int, tuple[list[R], Exception | None]] = {}
    given = taken = 0  # chunks handed out, and chunks whose results were given back
    more, broken = True, None  # broken: what the items raised, to be said after the results before it
    while True:
        while more and len(busy) < workers and given < taken + workers * _AHEAD:
            try:
                chunk = next(chunks)
            except StopIteration:
                more = False
            except Exception as problem:
                more, broken = False, problem
            else:
                if not idle:
                    crew.append(_Worker(function))
                worker = idle.pop() if idle else crew[-1]
                worker.send(chunk)
                busy[worker.connection] = (given, worker)
                given += 1
        if taken in ready:
            results, failure = ready.pop(taken)
            yield from results
            if failure is not None:
                raise failure
            taken += 1
        elif busy:
            for connection in multiprocessing.connection.wait([worker.connection for _, worker in busy.values()]):
                number, worker = busy.pop(connection)
                ready[number] = worker.receive()
                idle.append(worker)
        elif broken is not None:
            raise broken
        else:
            return


def _chunks(items: Iterable[T], size: int) -> Iterator[tuple[int, list[T]]]:
    """Items by the chunk, each with the number of its first; also those before an exception of ``items``."""
    numbered = iter(items)
    for first in itertools.count(1, size):
        chunk: list[T] = []
        try:
            for item in itertools.islice(numbered, size):
                chunk.append(item)  # noqa: PERF402  what came before an exception is not lost
        except Exception:
            if chunk:
                yield first, chunk
            raise
        if not chunk:
            return
        yield first, chunk


def _serve(function: Callable[[T], R], connection: Connection) -> None:
    """The life of a working process: it ends with its parent, and Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError):
        while True:
            first, chunk = connection.recv()
            connection.send(_work(function, chunk, first))


def _work(function: Callable[[T], R], chunk: list[T], first: int) -> tuple[list[R], Exception | None]:
    results: list[R] = []
    for number, item in enumerate(chunk, first):
        result, failure = _try(function, item, number)
        if failure is not None:
            return results, _portable(failure)
        results += result
    return results, None


def _try(function: Callable[[T], R], item: T, number: int) -> tuple[list[R], Exception | None]:
    try:
        return [function(item)], None
    except Exception as failure:
        failure.add_note(f"while working on item {number}")
        return [], failure


def _portable(failure: Exception) -> Exception:
    """An exception that another process can read, with its traceback as a note."""
    failure.add_note("".join(traceback.format_exception(failure)).rstrip())
    if isinstance(failure, SeqcliError):
        failure.args = (failure.where, failure.what, failure.hint)  # what it is made again from
    try:
        copy.copy(failure)  # is made again in the same way as in the other process
    except Exception:
        unreadable, failure = failure, RuntimeError(f"{type(failure).__name__}: {failure}")
        failure.__notes__ = unreadable.__notes__
    return failure


class Sink:
    """A file in the making, and how much of the input it holds.

    Arguments:
        done: items whose results an earlier run has written already; leave them out.
    """

    def __init__(self, path: Path, stream: BinaryIO, job: Mapping[str, object] | None, done: int) -> None:
        self.done = done
        self._path, self._stream, self._job = path, stream, job
        self._saved = time.monotonic()

    def append(self, data: bytes, items: int = 1) -> None:
        """The results of the next ``items`` items; about every second they are made to last."""
        with files.explained(self._path):
            self._stream.write(data)
        self.done += items
        if time.monotonic() - self._saved > 1:
            self.save()

    def save(self) -> None:
        """Makes all that was appended survive the process."""
        with files.explained(self._path):
            self._stream.flush()
            if stat.S_ISREG(os.fstat(self._stream.fileno()).st_mode):
                os.fsync(self._stream.fileno())
        if self._job is not None:
            record = {"job": self._job, "items": self.done, "bytes": self._stream.tell()}
            files.write_text(_journal(self._path), json.dumps(record, ensure_ascii=False))
        self._saved = time.monotonic()


@contextmanager
def restartable(path: Path, job: Mapping[str, object] | None) -> Iterator[Sink]:
    """A file that takes its place when the block ends well; a run that was stopped or killed goes on where it was.

    Until then the results lie in ``path.partial`` beside it, and what is done in ``path.partial.json``.

    Arguments:
        path: the file; an old one is replaced at the end.
        job: all that the results depend on, as JSON (``identity`` of the inputs among them): a run goes on only with
            what the same job left. ``None``: the input cannot be read twice, so every run begins anew.

    Raises:
        TryLaterError: another process writes the same file.
        MachineError: the disk is full or the folder cannot be written to; what was done is kept.
        Interrupted: in place of a KeyboardInterrupt, where there is something to go on with.
    """
    if path.exists() and not path.is_file():  # a pipe or a device is written straight into; a folder is refused
        with files.explained(path):
            device = path.open("wb")
        with device:
            yield Sink(path, device, None, 0)
        return
    partial = path.with_name(path.name + ".partial")
    with files.lock(path):
        done, size = _left_over(path, partial, job)
        with files.explained(path):
            if not done:  # or what is written now would pass for what another job had made to last
                _journal(path).unlink(missing_ok=True)
            stream = partial.open("r+b" if done else "wb")
        with stream:
            stream.truncate(size)
            stream.seek(size)
            sink = Sink(path, stream, job, done)
            try:
                yield sink
            except BaseException as problem:
                if job is None or not sink.done:  # nothing to go on with
                    partial.unlink(missing_ok=True)
                    raise
                sink.save()
                if not isinstance(problem, KeyboardInterrupt):
                    raise
                what, hint = f"stopped after {sink.done:,}", "run the same command again: it goes on from there"
                raise Interrupted(str(path), what, hint, terminated=type(problem) is not KeyboardInterrupt) from None
            sink.save()
        with files.explained(path):
            partial.replace(path)
        _journal(path).unlink(missing_ok=True)


def _journal(path: Path) -> Path:
    return path.with_name(path.name + ".partial.json")


def _left_over(path: Path, partial: Path, job: Mapping[str, object] | None) -> tuple[int, int]:
    """How many items an earlier run of the same job has done, and the bytes of their results."""
    try:
        record = json.loads(_journal(path).read_text(encoding="utf-8"))
        if job is not None and record["job"] == job and partial.stat().st_size >= record["bytes"]:
            return int(record["items"]), int(record["bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none, or one that was not written by us
    return 0, 0


def identity(path: Path) -> dict[str, object]:
    """What tells an input file from another, or from itself after a change."""
    facts = path.stat()
    return {"path": str(path.absolute()), "size": facts.st_size, "modified": facts.st_mtime_ns}
