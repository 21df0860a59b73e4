"""fastText's own models are read as gensim reads them, and with suspicion."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seqcli.core.fasttext import MAGIC, subwords
from seqcli.core.word_vectors import Lookup, open_vectors
from seqcli.errors import InputError

WORDS = [b"</s>", "猫".encode(), "食べる".encode(), b"x\xff"]
DIM, BUCKETS = 4, 7
MATRIX = np.random.default_rng(3).normal(size=(len(WORDS) + BUCKETS, DIM)).astype("<f4")


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def model(
    *, version: int = 12, kind: int = 2, shortest: int = 2, longest: int = 3, words: int = len(WORDS), dim: int = DIM,
    size: int | None = None, pruned: int = -1, quantized: bool = False, labels: tuple[bytes, ...] = (),
    matrix: np.ndarray = MATRIX, buckets: int = BUCKETS,
) -> bytes:  # fmt: skip
    size = words + len(labels) if size is None else size
    head = struct.pack("<i12id", version, dim, 5, 5, 1, 5, 1, 2, kind, buckets, shortest, longest, 100, 1e-4)
    head += struct.pack("<3i2q", size, words, len(labels), 100, pruned)
    entries = b"".join(word + b"\0" + struct.pack("<qb", 9, 0) for word in WORDS)
    entries += b"".join(label + b"\0" + struct.pack("<qb", 9, 1) for label in labels)
    return MAGIC + head + entries + struct.pack("<?2q", quantized, *matrix.shape) + matrix.tobytes() + b"output"


def saved(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def of(word: str) -> np.ndarray:
    """The mean of a word's subwords."""
    return np.array([MATRIX[len(WORDS) + bucket] for bucket in subwords(word, 2, 3, BUCKETS)]).mean(axis=0)


@pytest.mark.parametrize("name", ["model.bin", "model.bin.gz"])
def test_a_word_is_the_mean_of_its_row_and_its_subwords(tmp_path: Path, name: str) -> None:
    store = open_vectors(saved(tmp_path / name, model(labels=(b"__label__a",))))
    assert [store.owner(row) for row in range(4)] == ["</s>", "猫", "食べる", "x�"]
    assert (store.about.bad_utf8, store.about.dim) == (1, DIM)
    np.testing.assert_allclose(store.vectors[0], MATRIX[0], rtol=1e-6)  # the end of a line has no subwords
    for row, word in ((1, "猫"), (2, "食べる"), (3, "x\udcff")):
        n = len(subwords(word, 2, 3, BUCKETS))
        np.testing.assert_allclose(store.vectors[row], (MATRIX[row] + n * of(word)) / (n + 1), rtol=1e-5)


def test_an_unknown_word_is_made_of_its_subwords(tmp_path: Path) -> None:
    lookup = Lookup(open_vectors(saved(tmp_path / "model.bin", model())))
    found = lookup.query("犬猫")
    assert (found.how, found.keys, found.row) == ("subwords", ("犬猫",), None)
    np.testing.assert_allclose(found.vector, of("犬猫"), rtol=1e-5)
    assert lookup.query("食べる").how == "surface"
    (token,) = Lookup(lookup.store, surface_only=True).tokens.tokens("犬")
    assert Lookup(lookup.store, surface_only=True).token(token).how == "subwords"


@pytest.mark.parametrize(("version", "kind", "longest"), [(12, 3, 0), (11, 3, 3)])
def test_a_model_without_subwords_has_its_rows(tmp_path: Path, version: int, kind: int, longest: int) -> None:
    store = open_vectors(saved(tmp_path / "model.bin", model(version=version, kind=kind, longest=longest)))
    np.testing.assert_array_equal(store.vectors, MATRIX[:4])
    assert store.of_subwords("犬") is None
    assert Lookup(store).query("犬").how == "none"


def test_subwords_are_those_of_gensim(tmp_path: Path) -> None:
    from gensim.models import FastText
    from gensim.models.fasttext import save_facebook_model

    texts = [["猫", "は", "魚", "を", "食べる"], ["犬", "café"]]
    theirs = FastText(texts, vector_size=8, min_count=1, epochs=1, bucket=50, min_n=1, max_n=4, seed=1, workers=1)
    save_facebook_model(theirs, str(tmp_path / "gensim.bin"))
    store = open_vectors(tmp_path / "gensim.bin")
    for row, word in enumerate(theirs.wv.index_to_key):
        assert store.owner(row) == word
        np.testing.assert_allclose(store.vectors[row], theirs.wv[word], rtol=1e-5, atol=1e-7)
    for word in ("猫犬", "食べた", "xyz", "é", "𠮷野家"):
        np.testing.assert_allclose(store.of_subwords(word), theirs.wv[word], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (model(version=13), "of version 13"),
        (model(pruned=5), "is a quantized"),
        (model(quantized=True), "is a quantized"),
        (model(dim=2**30), "its header names 4 words of 1073741824 dimensions"),
        (model(buckets=2**30), "its header promises 17179869"),
        (model(words=2**30), "its header promises"),
        (model(words=-1), "its header names -1 words"),
        (model(longest=2**20), "its header names"),
        (model(size=9), "its header names"),
        (model(words=3, labels=(b"a",)), "its header names 3 words, but there are 4"),
        (model(matrix=MATRIX[:-1]), "its matrix is 10 × 4, not 11 × 4"),
        (model(matrix=MATRIX * np.float32(np.inf)), "NaN or infinity"),
        (model()[:-40], "ends too early"),
        (model()[:60], "ends too early"),
        (MAGIC, "ends too early"),
    ],
)
def test_a_model_that_is_none_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        open_vectors(saved(tmp_path / "model.bin", data))


def test_a_gzipped_model_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.bin.gz", model())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"cannot be read|ends too early"):
        open_vectors(path)
