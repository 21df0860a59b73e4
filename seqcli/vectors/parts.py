"""A large output file that a killed run does not lose: written in parts beside its target, joined at the end.

A part holds what one batch of input became. The same command on the same input counts the parts that are there and
goes on behind them. Nothing of the target changes before all of it is ready.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.core import files, vector_files, vector_writer
from seqcli.core.json_lines import dumps
from seqcli.core.safe_formats import dump_json, read_json
from seqcli.errors import MachineError, ModelError, UsageError
from seqcli.results import Record

FORMATS = ("npy", "parquet", "jsonl", "vec")


def check(path: Path) -> None:
    """Refuses a name before the work that it would be the end of.

    Raises:
        UsageError: a suffix that is no format.
        MachineError: Parquet without pyarrow; a folder that may not be written to.
    """
    if path.suffix.removeprefix(".") not in FORMATS:
        what = f"the suffix {path.suffix!r} is no format of vectors"
        raise UsageError(f"--output {path}", what, f"end it in one of {', '.join('.' + name for name in FORMATS)}")
    if path.suffix == ".parquet":
        _arrow(path)
    files.check_writable(path.absolute().parent)


class Parts:
    """The parts of one output file.

    Arguments:
        path: the target.
        identity: names the work: input and settings. Parts of other work are thrown away. None: never goes on.
        dim: numbers in a vector.
        vector: the column of the vectors.
    """

    def __init__(self, path: Path, identity: str | None, dim: int, vector: str = "vector") -> None:
        self.path, self._dim, self._vector = path, dim, vector
        self._kind = path.suffix.removeprefix(".")
        self._folder = path.with_name(f"{path.name}.parts")
        digest = hashlib.sha256((identity or "").encode()).hexdigest()
        if identity is None or self._identity() != digest:
            shutil.rmtree(self._folder, ignore_errors=True)
        files.write_text(self._folder / "parts.json", dump_json({"work": digest}))
        self.done = sum(1 for _ in itertools.takewhile(Path.exists, (self._part(n) for n in itertools.count())))

    def add(self, records: Sequence[Record]) -> None:
        """Writes the next part; the records hold vectors and what names them, in the first column."""
        files.write_bytes(self._part(self.done), self._packed(records))
        self.done += 1

    def finish(self) -> int:
        """Joins the parts into the target and takes them away; gives the number of rows."""
        joined = self._folder / "joined"
        with files.explained(self.path):
            with joined.open("wb") as file:
                rows = self._join_parquet(file) if self._kind == "parquet" else self._join(file)
            joined.replace(self.path)
            shutil.rmtree(self._folder, ignore_errors=True)
        return rows

    def _identity(self) -> Any:
        try:
            return read_json(self._folder / "parts.json", dict).get("work")
        except ModelError:
            return None

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:06d}"

    def _packed(self, records: Sequence[Record]) -> bytes:
        if self._kind == "npy":
            zeros = np.zeros(self._dim, dtype=np.float32)
            vectors = [zeros if record[self._vector] is None else record[self._vector] for record in records]
            return np.array(vectors, dtype="<f4").tobytes()
        if self._kind == "jsonl":
            return "".join(dumps(record) + "\n" for record in records).encode()
        if self._kind == "vec":
            lines = (
                vector_files.text_line(str(next(iter(record.values()))), record[self._vector])
                for record in records
                if record[self._vector] is not None
            )
            return "".join(lines).encode()
        return self._packed_parquet(records)

    def _packed_parquet(self, records: Sequence[Record]) -> bytes:
        arrow, parquet = _arrow(self.path)
        names = list(dict.fromkeys(name for record in records for name in record))
        vector = arrow.list_(arrow.float32(), self._dim)
        columns = {
            name: arrow.array(
                [_plain(record.get(name)) for record in records], vector if name == self._vector else None
            )
            for name in names
        }
        buffer = io.BytesIO()
        parquet.write_table(arrow.table(columns), buffer)
        return buffer.getvalue()

    def _join(self, file: io.BufferedWriter) -> int:
        """Bytes behind bytes, after a header whose length does not depend on what it says."""
        header = {"npy": lambda rows: vector_writer.npy_header((rows, self._dim)),
                  "vec": lambda rows: vector_files.text_header(rows, self._dim).encode()}.get(self._kind)  # fmt: skip
        file.write(header(0) if header else b"")
        begin, rows = file.tell(), 0
        seen: set[bytes] = set()
        for part in self._all():
            if self._kind == "npy":
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file)
            else:
                rows += self._copy_lines(part, file, seen)
        if self._kind == "npy":
            rows = (file.tell() - begin) // (4 * self._dim)
        if header:
            file.seek(0)
            file.write(header(rows))
        return rows

    def _copy_lines(self, part: Path, file: io.BufferedWriter, seen: set[bytes]) -> int:
        """Appends the lines of a part; of a ``.vec`` without those that name a word that was ``seen``."""
        rows = 0
        with part.open("rb") as source:
            for line in source:
                # A table of vectors lists a word once, however often the text uses it.
                if self._kind == "vec":
                    word = line.split(b" ", 1)[0]
                    if word in seen:
                        continue
                    seen.add(word)
                file.write(line)
                rows += 1
        return rows

    def _join_parquet(self, file: io.BufferedWriter) -> int:
        arrow, parquet = _arrow(self.path)
        schemas = [parquet.read_schema(part) for part in self._all()]
        schema = arrow.unify_schemas(schemas, promote_options="permissive") if schemas else arrow.schema({})
        rows = 0
        with parquet.ParquetWriter(file, schema) as writer:
            for part in self._all():
                table = parquet.read_table(part)
                for name in schema.names:
                    if name not in table.column_names:
                        table = table.append_column(name, arrow.nulls(len(table), schema.field(name).type))
                writer.write_table(table.select(schema.names).cast(schema))
                rows += len(table)
        return rows

    def _all(self) -> Iterator[Path]:
        return (self._part(number) for number in range(self.done))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _arrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        what = "to write Parquet, the package pyarrow is needed"
        raise MachineError(f"--output {path}", what, "pip install 'seqcli[parquet]'") from None
    return pyarrow, parquet
