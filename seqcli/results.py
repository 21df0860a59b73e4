"""What the rooms return to the door: frozen values, printed only by ``cli/output.py``. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
"""One row of output: column name to value. The names are an interface."""


@dataclass(frozen=True)
class Progress:
    """A sign of life from long work.

    Arguments:
        stage: what is being done, in a few words ("training", "baselines").
        done: units of work done so far.
        total: units in all, if known.
        text: what a person wants to know now ("loss 0.2514, validation 0.2509").
        line: True if it deserves a line of its own in a log with ``--verbose`` (the end of an epoch).
    """

    stage: str
    done: int
    total: int | None = None
    text: str = ""
    line: bool = False


@dataclass(frozen=True)
class Result:
    """Records for a script, and words for a person.

    Arguments:
        records: what goes to stdout, in order; every one has the same keys.
        table: the records as a person wants to read them on a terminal; ``None``: the records themselves.
        sentences: the summary, for stderr: first what came out, then what it means.
        warnings: what the user should know but did not ask for, for stderr even with ``--quiet``.
        gate: set where a quality gate was not passed; the sentence says why.
    """

    records: tuple[Record, ...]
    table: tuple[Record, ...] | None = None
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    gate: str | None = None
