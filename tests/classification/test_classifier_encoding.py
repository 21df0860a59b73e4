"""What a text becomes before a network reads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from seqcli.classification import vectors
from seqcli.classification.config import ClassifierConfig
from seqcli.classification.encoding import Features, Split, Table, vocabulary
from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest
from seqcli.core.tokens import Tokenizer
from seqcli.core.word_vectors import open_vectors
from seqcli.errors import ModelError

RECIPE = Tokenizer().recipe()


def reader(words: list[str], characters: list[str], most: int = 8) -> Features:
    shape = ClassifierConfig(vectors="none", vector_size=0, max_tokens=most, max_characters=4, tokenizer=RECIPE)
    return Features(shape, ["<unk>", *words], ["", "<unk>", *characters])


def test_words_and_characters_that_training_did_not_see_are_unknown() -> None:
    batch = reader(["肉", "を"], ["肉", "食"]).encode(["肉を食べる"]).batch([0])
    assert batch.words[batch.tokens[0]].tolist() == [1, 2, 0]
    assert batch.characters[batch.tokens[0]].tolist() == [[2, 0, 0], [1, 0, 0], [3, 1, 1]]


def test_a_batch_has_each_distinct_token_once() -> None:
    batch = reader([], []).encode(["肉と肉と肉", "肉"]).batch([0, 1])
    assert len(batch.words) == 2
    assert batch.lengths.tolist() == [5, 1]


def test_texts_are_cut_at_the_same_token_whatever_follows() -> None:
    features = reader([], [], most=3)
    short, megabyte = "肉を食べた。", "肉を食べた。" * 60_000
    assert features.tokens(megabyte) == features.tokens(short)[:3]
    assert features.encode([megabyte]).lengths.tolist() == [3]


def test_many_texts_are_split_as_each_alone() -> None:
    features = reader([], [], most=3)
    texts = ["肉を食べた。", "", " \n" * 500 + "魚を食べた。", "肉\ud83d"]
    many, alone = features.split(texts), Split.of(map(features.tokens, texts))
    assert many.kinds == alone.kinds
    assert [text.tolist() for text in many.texts] == [text.tolist() for text in alone.texts]


def test_one_undecodable_character_is_a_token_like_others() -> None:
    assert reader([], []).encode(["\ud83d", "\0", "﷽" * 40]).lengths.min() > 0


def test_parts_that_were_numbered_apart_are_joined_into_one_numbering() -> None:
    texts = ["肉を食べる", "魚を食べる", "肉"]
    tokens = [Tokenizer().tokens(text) for text in texts]
    together, joined = Split.of(tokens), Split.joined([Split.of(tokens[:1]), Split.of(tokens[1:])])
    assert joined.kinds == together.kinds
    assert [text.tolist() for text in joined.texts] == [text.tolist() for text in together.texts]
    assert joined.normalized() == [[token.normalized for token in text] for text in tokens]


def test_the_vocabulary_is_what_was_seen_often_enough_most_frequent_first() -> None:
    split = Split.of(map(Tokenizer().tokens, ["肉と肉と魚", "肉と酒"]))
    words, characters = vocabulary(split, min_count=2)
    assert words == ["<unk>", "と", "肉"]
    assert characters == ["", "<unk>", "と", "肉"]


def test_an_inflected_word_finds_ginzas_vector_by_its_normalized_form() -> None:
    source, table = vectors.ginza()
    shape = ClassifierConfig(tokenizer=RECIPE)
    encoded = Features(shape, ["<unk>"], ["", "<unk>"], source, table).encode(["美味しかった", "うどん"])
    assert encoded.rows[0] == source.row("美味しい")
    assert (encoded.rows >= 0).sum() >= 2


def test_a_word_without_a_vector_has_zeros() -> None:
    table = Table(np.ones((2, 3), np.float32), np.zeros(3, np.float32), 2.0)
    assert table.vectors(np.array([1, -1])).tolist() == [[2, 2, 2], [0, 0, 0]]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors of three words, as word2vec writes them."""
    path = tmp_path_factory.mktemp("vectors") / "three.vec"
    path.write_text("3 2\n肉 1 0\n食べる 0 1\n魚 1 1\n", encoding="utf-8")
    return path


def test_own_vectors_are_the_same_from_the_model_folder(file: Path, tmp_path: Path) -> None:
    own = vectors.Own.of(open_vectors(file), ["肉"])
    blob = {vectors.MATRIX: own.dump()}
    manifest = checkpoint.save(
        tmp_path / "m", Manifest("classifier", ""), config={}, tensors={}, blobs=blob,
        documents={vectors.WORDS: list(own.words)},
    )  # fmt: skip
    again = vectors.Own.load(tmp_path / "m", manifest.digests, 2)
    assert again.words == own.words
    assert np.array_equal(again.matrix, own.matrix)
    assert {word: again.source().row(word) is not None for word in ("肉", "酒")} == {"肉": True, "酒": False}
    with pytest.raises(ModelError, match="not 3 vectors of 5 numbers"):
        vectors.Own.load(tmp_path / "m", manifest.digests, 5)


def test_own_vectors_that_were_changed_are_refused(file: Path, tmp_path: Path) -> None:
    own = vectors.Own.of(open_vectors(file), [])
    manifest = checkpoint.save(
        tmp_path / "m", Manifest("classifier", ""), config={}, tensors={}, blobs={vectors.MATRIX: own.dump()},
        documents={vectors.WORDS: list(own.words)},
    )  # fmt: skip
    data = bytearray((tmp_path / "m" / vectors.MATRIX).read_bytes())
    data[-1] ^= 1
    (tmp_path / "m" / vectors.MATRIX).write_bytes(bytes(data))
    with pytest.raises(ModelError):
        vectors.Own.load(tmp_path / "m", manifest.digests, 2)
