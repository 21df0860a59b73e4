"""The store of vectors, its files, and how a word finds its vector."""

import gzip
import multiprocessing
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from seqcli.core import checkpoint, vector_store, word_vectors
from seqcli.core.checkpoint import Manifest
from seqcli.core.vector_files import VectorFile, text_header, text_line
from seqcli.core.vector_store import VectorStore
from seqcli.core.vector_writer import Origin, write_store
from seqcli.core.word_vectors import Lookup, is_chinese, open_vectors, postprocess, spellings
from seqcli.errors import InputError, MachineError, ModelError

WORDS = ["猫", "犬", "東京 都", "x"]
MATRIX = np.array([[1, 2, 3], [4, 5, 6.5], [-0.1, 0, 1e-9], [7, 8, 9]], dtype=np.float32)


@pytest.fixture(scope="module")
def ginza(folders: dict[str, str]) -> Iterator[VectorStore]:
    """GiNZA's table, built once into the cache of the test run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE_DIR", folders["SEQCLI_CACHE_DIR"])
        yield open_vectors()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEQCLI_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def text_of(words: list[str], matrix: np.ndarray, header: bool = True) -> bytes:
    lines = [f"{w} {' '.join(map(repr, row.tolist()))}\n" for w, row in zip(words, matrix, strict=True)]
    return ((f"{len(words)} {matrix.shape[1]}\n" if header else "") + "".join(lines)).encode()


def binary_of(words: list[str], matrix: np.ndarray, newline: bytes = b"\n") -> bytes:
    records = (w.encode() + b" " + row.tobytes() + newline for w, row in zip(words, matrix, strict=True))
    return f"{len(words)} {matrix.shape[1]}\n".encode() + b"".join(records)


def read(path: Path) -> tuple[list[str], np.ndarray, VectorFile]:
    file = VectorFile(path)
    blocks = list(file.blocks())
    return list(file.words), np.concatenate(blocks), file


@pytest.mark.parametrize(
    "data",
    [text_of(WORDS, MATRIX), text_of(WORDS, MATRIX, header=False), binary_of([*WORDS[:2], "都", "x"], MATRIX),
     binary_of([*WORDS[:2], "都", "x"], MATRIX, newline=b""), gzip.compress(text_of(WORDS, MATRIX)),
     text_of(WORDS, MATRIX).replace(b"\n", b" \r\n")],
    ids=["word2vec text", "glove", "word2vec binary", "binary as gensim writes it", "gzip", "fastText, CRLF"],
)  # fmt: skip
def test_every_format_gives_the_words_and_the_same_numbers(tmp_path: Path, data: bytes) -> None:
    words, matrix, _ = read(write(tmp_path / ("v.vec.gz" if data[:2] == b"\x1f\x8b" else "v.vec"), data))
    assert words[:2] == WORDS[:2] and words[3] == "x"
    np.testing.assert_array_equal(matrix, MATRIX)


def test_a_binary_file_is_told_from_text_whatever_its_numbers_are(tmp_path: Path) -> None:
    matrix = np.frombuffer(b"1.5 " * 6, dtype=np.float32).reshape(2, 3)  # floats whose bytes are digits
    matrix = np.hstack([matrix, np.array([[0.5], [1e-5]], np.float32)])
    words, found, _ = read(write(tmp_path / "v.bin", binary_of(["a", "b"], matrix)))
    assert words == ["a", "b"]
    np.testing.assert_array_equal(found, matrix)


def test_words_that_are_not_utf8_are_kept_and_counted(tmp_path: Path) -> None:
    words, _, file = read(write(tmp_path / "v.vec", b"2 2\n\xff\xfe 1 2\n\xe7\x8c\xab 3 4\n"))
    assert words == ["\ufffd\ufffd", "猫"]
    assert file.bad_utf8 == 1


def test_a_word_that_comes_twice_counts_once_and_blank_lines_not_at_all(tmp_path: Path) -> None:
    words, matrix, file = read(write(tmp_path / "v.vec", b"3 2\na 1 2\n\na 3 4\nb 5 6\n"))
    assert words == ["a", "b"]
    assert file.doubled == 1
    np.testing.assert_array_equal(matrix, [[1, 2], [5, 6]])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (b"99999999999 300\na 1 2\n", "its header names 99999999999 vectors of 300 dimensions, but it holds"),
        (b"2 99999999999\na 1 2\n", "99999999999 dimensions"),
        (b"0 3\n", "its header names 0 vectors"),
        (b"2 2\na 1 2\nb 3\n", "row 3 has 1 numbers, not 2"),
        (b"2 2\na 1 2\nb 3 4 5\n", "row 3 has 3 numbers, not 2"),
        (b"2 2\na 1 2\nb 3 x\n", "row 3 holds what is no finite number: '3 x'"),
        (b"a 1 2\nb 3 nan\n", "row 2 holds what is no finite number"),
        (b"2 2\na 1 2\nb 3 1e99\n", "no finite number"),
        (b"3 2\na 1 2\nb 3 4\n", "its header names 3 vectors, but there are 2"),
        (b"just some prose\n", "row 1 is no word with its numbers"),
        (binary_of(["longer", "b"], MATRIX[:2])[:-2], "ends after 1 of 2 vectors"),
        (struct.pack("<i", 793712314) + b"\0" * 50, "is a fastText model"),
        (binary_of(["a"], np.array([[np.inf, 0, 0]], np.float32)), "NaN or infinity"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_words(tmp_path: Path, data: bytes, what: str) -> None:
    with pytest.raises(InputError) as caught:
        read(write(tmp_path / "v.vec", data))
    assert what in str(caught.value)


def test_a_hostile_header_costs_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path / "v.bin", b"1000000 60000\n" + b"a \0\0\0\0" * 100)
    tracemalloc.start()
    with pytest.raises(InputError):
        read(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_what_is_written_as_text_is_read_back_exactly(tmp_path: Path) -> None:
    lines = "".join(text_line(word, row) for word, row in zip(WORDS, MATRIX, strict=True))
    words, matrix, _ = read(write(tmp_path / "v.vec", (text_header(4, 3) + lines).encode()))
    assert words == ["猫", "犬", "東京_都", "x"]
    np.testing.assert_array_equal(matrix, MATRIX)


def store_of(path: Path, keys: list[tuple[str, int]], matrix: np.ndarray = MATRIX, **origin: str) -> VectorStore:
    write_store(path, matrix, keys, Origin("test", **origin))
    store = VectorStore.open(path)
    assert store is not None
    return store


def test_the_first_key_of_a_row_is_its_owner_and_every_key_finds_it(tmp_path: Path) -> None:
    store = store_of(tmp_path, [("b", 1), ("a", 0), ("aa", 0), ("z", 3), ("c", 2), ("b2", 1), ("a", 3)])
    assert store.owners() == ["a", "b", "c", "z"]
    assert [store.row(key) for key in ("a", "aa", "b2", "z")] == [0, 0, 1, 3]
    assert [store.rank(key) for key in ("b", "a", "b2")] == [1, 2, 6]
    assert store.row("nothing") is None and store.row("") is None and "aa" in store
    assert store.by_frequency()[:3] == ["b", "a", "aa"]


def test_a_row_without_a_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 of 4 rows have no word"):
        store_of(tmp_path, [("a", 0), ("b", 1), ("c", 2)])


@pytest.mark.parametrize("harm", ["truncate", "remove", "json", "format"])
def test_a_store_that_is_not_whole_is_never_used(tmp_path: Path, harm: str) -> None:
    store_of(tmp_path, [(word, row) for row, word in enumerate(WORDS)])
    if harm == "truncate":
        (tmp_path / "vectors.npy").write_bytes((tmp_path / "vectors.npy").read_bytes()[:-4])
    elif harm == "remove":
        (tmp_path / "owners.npy").unlink()
    elif harm == "json":
        (tmp_path / "store.json").write_text('{"format": 1')
    else:
        about = (tmp_path / "store.json").read_text()
        (tmp_path / "store.json").write_text(about.replace('"format": 1', '"format": 2'))
    assert VectorStore.open(tmp_path) is None


def test_a_table_is_read_in_blocks_and_one_that_shrinks_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vector_store, "_READ", 3 * 4 * MATRIX.shape[1])  # three rows at once
    store = store_of(tmp_path, [(word, row) for row, word in enumerate(WORDS)])
    assert [len(block) for block in store.blocks()] == [3, 1]
    np.testing.assert_array_equal(np.concatenate([block.copy() for block in store.blocks()]), MATRIX)
    path = tmp_path / "vectors.npy"
    whole = path.read_bytes()
    path.unlink()  # not cut in place: the map of the table would be cut as well
    path.write_bytes(whole[:-4])
    with pytest.raises(ModelError, match="ended while it was read"):
        list(store.blocks())


def test_a_half_built_store_is_built_again(tmp_path: Path) -> None:
    target = tmp_path / "store"
    target.mkdir()
    (target / "vectors.npy").write_bytes(b"half")
    store = vector_store.opened(target, lambda folder: write_store(
        folder, MATRIX, [(word, row) for row, word in enumerate(WORDS)], Origin("test")))  # fmt: skip
    np.testing.assert_array_equal(store.vectors, MATRIX)


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "vectors.npy").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(MachineError, match="disk full"):
        vector_store.opened(tmp_path / "store", build)
    assert list(tmp_path.iterdir()) == []


def _build_slowly(target: str, log: str) -> None:
    def build(folder: Path) -> None:
        with Path(log).open("a") as file:
            file.write("built\n")
        import time

        time.sleep(0.3)
        write_store(folder, MATRIX, [(word, row) for row, word in enumerate(WORDS)], Origin("test"))

    assert vector_store.opened(Path(target), build).row("犬") == 1


def test_of_two_builders_at_once_one_builds_and_both_read(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (str(tmp_path / "store"), str(tmp_path / "log"))
    both = [context.Process(target=_build_slowly, args=arguments) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert [one.exitcode for one in both] == [0, 0]
    assert (tmp_path / "log").read_text() == "built\n"


def test_the_top_directions_are_those_of_the_covariance(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    matrix = (random.normal(size=(200, 8)) * [9, 5, 3, 1, 1, 1, 1, 1] + 4).astype(np.float32)
    store = store_of(tmp_path, [(f"w{row}", row) for row in range(200)], matrix)
    np.testing.assert_allclose(store.mean, matrix.mean(axis=0), rtol=1e-4)
    cleaned = postprocess(store, "abtt")(matrix)
    np.testing.assert_allclose(cleaned.mean(axis=0), 0, atol=1e-4)
    # Three of eight directions are gone, the others are as they were.
    values = np.linalg.svd(cleaned, compute_uv=False)
    np.testing.assert_allclose(values[5:], 0, atol=1e-3)
    np.testing.assert_allclose(values[:5], np.linalg.svd(matrix - matrix.mean(0), compute_uv=False)[3:], rtol=1e-3)


def test_a_file_is_converted_once_and_again_when_it_changes(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "v.vec", text_of(WORDS, MATRIX))
    assert open_vectors(path).about.source == "v.vec"
    blocks: Callable[..., object] = VectorFile.blocks
    read_again: list[int] = []
    monkeypatch.setattr(VectorFile, "blocks", lambda self: read_again.append(1) or blocks(self))
    assert open_vectors(path).row("犬") == 1
    assert read_again == []
    write(path, text_of(WORDS[::-1], MATRIX))
    assert open_vectors(path).row("犬") == 2
    assert read_again == [1]


def test_a_model_that_is_not_there_is_named(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file") as caught:
        open_vectors("gniza")
    assert "did you mean ginza" in str(caught.value.hint)
    with pytest.raises(ModelError, match=r"no seqcli\.json"):
        open_vectors(tmp_path)


@pytest.mark.parametrize(("name", "what"), [("vocab.json", "the file"), ("config.json", "the one")])
def test_a_model_whose_files_are_not_of_one_saving_is_refused(
    cache: Path, tmp_path: Path, name: str, what: str
) -> None:
    for folder, words in (("a", ["犬", "猫"]), ("b", ["猫", "犬"])):
        checkpoint.save(
            tmp_path / folder,
            Manifest(kind="vectors", created="2026-11-24T00:00:00+00:00"),
            config={"method": "glove", "words": "word", "recipe": words[0]},
            tensors={"vectors": np.eye(2, dtype=np.float32)},
            documents={"vocab.json": words},
        )
    shutil.copy(tmp_path / "b" / name, tmp_path / "a")
    with pytest.raises(ModelError, match=f"{name}.* is not {what} that was saved"):
        open_vectors(tmp_path / "a")
    assert open_vectors(tmp_path / "b").row("犬") == 1


def test_ja_ginza_is_asked_for_where_it_is_missing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_vectors.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MachineError, match="ja_ginza is not installed"):
        open_vectors()


def test_spellings_are_the_fewest_edits_then_the_most_frequent(tmp_path: Path) -> None:
    keys = ["テスト", "テツ", "試験", "テント", "テストス", "アール"]
    store = store_of(tmp_path, [(key, row) for row, key in enumerate(keys)], np.ones((6, 2), np.float32))
    assert spellings("テスツ", store) == ["テスト", "テツ"]
    assert spellings("ccc", store) == []


def test_only_ideographs_are_chinese_characters() -> None:
    assert [is_chinese(char) for char in "薬々あアaー1。𠮷"] == [True, True, *[False] * 6, True]


# GiNZA's own table


def test_the_table_has_the_owners_in_the_order_of_frequency(ginza: VectorStore) -> None:
    assert (ginza.about.rows, ginza.about.keys, ginza.about.dim) == (20_000, 480_443, 300)
    assert [ginza.owner(row) for row in range(6)] == ["の", "、", "て", "に", "だ", "た"]
    assert ginza.row("cc") == 6098  # a word that is also the name of a symbol in spaCy
    assert float(ginza.norms.min()) > 0


def test_a_surface_is_looked_up_as_in_the_course(ginza: VectorStore) -> None:
    lookup = Lookup(ginza, surface_only=True)
    found = {token.surface: lookup.token(token) for token in lookup.tokens.tokens("私は焼肉をよく食べる")}
    assert list(found) == ["私", "は", "焼肉", "を", "よく", "食べる"]
    np.testing.assert_allclose(found["私"].vector[:2], [-0.13697676, -0.23937745], rtol=0, atol=5e-9)
    assert [word for word, one in found.items() if not one.vector.any()] == ["焼肉", "よく"]
    assert found["焼肉"].how == "none"


@pytest.mark.parametrize(
    ("word", "how", "keys"),
    [
        ("テスト", "normalized", ("テスト",)),
        ("焼肉", "normalized", ("焼き肉",)),
        ("食べ", "normalized", ("食べる",)),
        ("ニューラルネットワーク", "composed", ("ニューラル", "ネットワーク")),
        ("電気自動車", "composed", ("電気", "自動車")),
        ("照らす", "composed", ("照",)),
        ("xqzzwv", "none", ()),
        ("ンヴォロヴン", "none", ()),
        ("", "none", ()),
    ],
)
def test_a_word_says_how_it_was_found(ginza: VectorStore, word: str, how: str, keys: tuple[str, ...]) -> None:
    found = Lookup(ginza).query(word)
    assert (found.how, found.keys) == (how, keys)
    assert found.vector.any() == (how != "none")


def test_a_composed_vector_is_the_mean_of_its_parts_by_rarity(ginza: VectorStore) -> None:
    lookup = Lookup(ginza)
    found = lookup.query("ニューラルネットワーク")
    parts = [lookup.key(key, "surface") for key in found.keys]
    weights = [part.weight for part in parts if part]
    wanted = np.average([part.vector for part in parts if part], axis=0, weights=weights)
    np.testing.assert_allclose(found.vector, wanted, rtol=1e-5, atol=1e-7)
    assert lookup.weight(1) < 0.1 < 0.9 < lookup.weight(10_000) < 1
