"""Texts, and a corpus that is prepared from them in a cache of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from signs import finished

from seqcli.generation.data import Corpus, Recipe, prepare
from seqcli.generation.sources import Sources

NOVEL = "".join(
    f"{number}番目の日、猫は{'庭台門縁'[number % 4]}に出て、{number * 7}歩あるいた。\n" for number in range(300)
)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_CACHE_DIR", str(tmp_path / "cache"))


def prepared(*given: Path | str, valid: Sequence[Path] = (), test: Sequence[Path] = (), **recipe: Any) -> Corpus:
    corpus = finished(
        prepare([str(one) for one in given], Recipe(**recipe), valid=[*map(str, valid)], test=[*map(str, test)])
    )
    assert isinstance(corpus, Corpus)
    return corpus


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def text(corpus: Corpus, part: str) -> str:
    return "".join(corpus.text(part))


def read(path: Path | str, **settings: Any) -> list[str]:
    return ["".join(document.blocks) for document in Sources([str(path)], **settings)]
