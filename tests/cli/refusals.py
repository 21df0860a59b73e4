"""What a command that refuses says and leaves behind, and a table that is good."""

from __future__ import annotations

from pathlib import Path

from conftest import Ran
from tables import days, walk

DATES, VALUES = days(), [str(value) for value in walk()]


def lines(ran: Ran) -> list[str]:
    """What a failing command said: a line of error, at most one of a hint, and no records."""
    said = ran.stderr.splitlines()
    assert said[0].startswith("error: "), ran.stderr
    assert len(said) == 1 or (len(said) == 2 and said[1].startswith("hint: ")), ran.stderr
    assert ran.stdout == ""
    assert "bug" not in said[0]
    return said


def names(folder: Path) -> list[str]:
    """What stands in a folder."""
    return sorted(path.name for path in folder.iterdir())
