"""Pictures are the same bytes each time, and a name that is none is refused before any work is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqcli.core import figures
from seqcli.errors import MachineError, UsageError


def draw(path: Path) -> bytes:
    figure, (above, below) = figures.new(2)
    above.plot([1, 2, 3], [1, 3, 2], "o", label="猫")
    above.legend()
    below.fill_between([1, 2, 3], [0, 1, 0], [1, 2, 1], alpha=0.3)
    figures.save(figure, path)
    return path.read_bytes()


@pytest.mark.parametrize("suffix", figures.FORMATS)
def test_the_same_picture_is_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    first, second = draw(tmp_path / f"a.{suffix}"), draw(tmp_path / f"b.{suffix}")
    assert first == second
    assert b"<dc:date>" not in first


def test_what_is_no_picture_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the suffix '\.pdf' is no picture"):
        figures.check(tmp_path / "a.pdf")
    with pytest.raises(MachineError, match="no such folder"):
        figures.check(tmp_path / "none" / "a.png")
    figures.check(tmp_path / "a.SVG")
