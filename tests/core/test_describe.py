from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from seqcli.core import checkpoint, describe
from seqcli.core.checkpoint import Manifest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    manifest = Manifest("forecaster", "2026-01-01T00:00:00+00:00", metrics=({}, {"model": None}, {"h": []}))
    checkpoint.save(tmp_path / "fx", manifest, config={"cell": "lstm"}, tensors={}, card="# FX\n- made of tests\n")
    return tmp_path / "fx"


def test_the_card_is_said_in_sentences_and_a_report_without_keys_hurts_nobody(model: Path) -> None:
    result = describe.describe(model)
    assert result.sentences == ("made of tests",)
    assert result.records[0]["metrics"] == ({}, {"model": None}, {"h": []})
    assert result.warnings == ()


def _link(card: Path) -> None:
    card.symlink_to("/dev/zero")


def _pipe(card: Path) -> None:
    os.mkfifo(card)


@pytest.mark.parametrize(
    ("make", "sentences", "warning"),
    [
        (lambda card: card.write_bytes("- 為替\n".encode("cp932")), 1, None),
        (lambda card: card.write_bytes(b"- x\n" * 10_000_000), 4096, "is long"),
        (_link, 0, "not a regular file"),
        (_pipe, 0, "not a regular file"),
        (lambda card: card.mkdir(), 0, "not a regular file"),
        (lambda card: None, 0, None),
    ],
    ids=["not UTF-8", "40 MB", "a link", "a pipe", "a folder", "missing"],
)
def test_a_strange_card_is_no_reason_to_fail(model: Path, make: Any, sentences: int, warning: str | None) -> None:
    (model / "README.md").unlink()
    make(model / "README.md")
    result = describe.describe(model)
    assert len(result.sentences) == sentences
    assert len(result.warnings) == bool(warning)
    assert (warning or "") in "".join(result.warnings)


def test_a_room_adds_what_only_it_can_read_and_only_to_its_kind(model: Path) -> None:
    rooms = {
        "forecaster": lambda path, manifest: {"calibrations": [{"id": "a"}, {"id": "b"}]},
        "other": lambda path, manifest: {"other": 1},
    }
    result = describe.describe(model, rooms)
    assert "other" not in result.records[0]
    assert result.records[0]["calibrations"] == [{"id": "a"}, {"id": "b"}]
    lines = {row["fact"]: row["value"] for row in result.table or ()}
    assert lines["calibrations.1.id"] == "a"
    assert lines["calibrations.2.id"] == "b"
    assert "calibrations" not in describe.describe(model, {}).records[0]
