"""Word vectors by name: GiNZA's table, a file or a model folder; and how a word finds its vector in one.

The keys of ``ja_ginza`` are Sudachi's normalized forms, so a word is looked up by its normalized form first (焼肉 by
焼き肉), then by its dictionary form, then as it stands. What is still not found is composed: from its parts in split
mode A, then from its Chinese characters, which carry meaning one by one, as kana and Latin letters do not.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import zlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from seqcli.core import vector_store
from seqcli.core.folders import cache_folder
from seqcli.core.vector_store import VectorStore
from seqcli.errors import InputError, MachineError, ModelError

How = Literal["normalized", "dictionary", "surface", "composed", "subwords", "none"]
KIND = "vectors"

if TYPE_CHECKING:
    from seqcli.core.tokens import Token, Tokenizer

_ORDERS: dict[str, tuple[How, ...]] = {
    "normalized": ("normalized", "dictionary", "surface"),
    "surface": ("surface", "dictionary", "normalized"),
}
_INDEXED = 100_000  # words that are searched for a character; the frequent ones say enough
_NAMED = 6  # of the words that a character was composed from
_REMEMBERED = 200_000  # tokens whose vectors are kept at hand; a corpus repeats itself

# Arora et al. 2017, A Simple but Tough-to-Beat Baseline for Sentence Embeddings: a word of probability p weighs
# a / (a + p). The probability is that of Zipf and Mandelbrot's law, since a table orders its words by frequency.
_SIF = 1e-3
_MANDELBROT = 2.7

# The steps that help ja_ginza's vectors; see vectors/texts.py.
_GINZA_RECIPE = "content,idf,abtt,characters"

# Sudachi's classes that carry meaning by themselves; particles, auxiliary verbs, affixes and signs do not.
_SIGNS = frozenset({"補助記号", "記号", "空白"})
_CONTENT = frozenset({"名詞", "動詞", "形容詞", "形状詞", "副詞", "代名詞", "連体詞", "感動詞"})


class Found(NamedTuple):
    """What a word's vector is, and how it came.

    Arguments:
        how: the form by which it was found; ``composed`` from parts; ``subwords``: from its character n-grams, as
            fastText does; ``none``: there is nothing to compose it from.
        keys: the keys that answered: one, or the parts.
        vector: ``(dim,)``, float32, as in the source; zeros where there is none.
        weight: by inverse frequency, in (0, 1].
        row: the row that answered, unless it was composed.
    """

    how: How
    keys: tuple[str, ...]
    vector: np.ndarray
    weight: float
    row: int | None


def open_vectors(model: str | Path = "ginza", option: str = "--model") -> VectorStore:
    """The table that a person means by ``--model``, converted into the cache if that has not been done before.

    Arguments:
        model: ``ginza``, a model folder of ``train-vectors``, or a file of vectors.
        option: what the person typed before it, for an error.

    Raises:
        MachineError: ja_ginza is not installed; the disk is full.
        ModelError: not a folder of vectors.
        InputError: no such file, or not one of vectors.
    """
    place, build = _origin(model, option)
    return vector_store.opened(place, build)


def is_ready(model: str | Path) -> bool:
    """Whether a table was converted before, so that opening it takes no time; errors as in ``open_vectors``."""
    return _origin(model)[0].exists()


def _origin(model: str | Path, option: str = "--model") -> tuple[Path, Callable[[Path], None]]:
    """Where a table lies in the cache, and what puts it there."""
    if str(model) == "ginza":
        return _ginza()
    path = Path(model)
    return _folder(path) if path.is_dir() else _file(path, option)


def _ginza() -> tuple[Path, Callable[[Path], None]]:
    spec = importlib.util.find_spec("ja_ginza")
    if spec is None or not spec.submodule_search_locations:
        raise MachineError("ginza", "the package ja_ginza is not installed", "pip install ja-ginza")
    package = Path(next(iter(spec.submodule_search_locations)))
    version = json.loads((package / "meta.json").read_text(encoding="utf-8"))["version"]

    def build(folder: Path) -> None:
        import srsly
        from spacy.strings import StringStore

        from seqcli.core.vector_writer import Origin, write_store

        vocabulary = package / f"ja_ginza-{version}" / "vocab"
        strings = StringStore().from_disk(vocabulary / "strings.json")  # knows a word by its hash
        matrix = np.load(vocabulary / "vectors", allow_pickle=False)
        keys = [(strings[key], row) for key, row in srsly.read_msgpack(vocabulary / "key2row").items()]
        origin = Origin(f"ja_ginza {version}", "normalized", _GINZA_RECIPE)
        settled = _settled([key for key, _ in keys[: len(matrix)]])
        write_store(folder, matrix, keys, origin, settled=settled)

    return _place(f"ja_ginza-{version}-{_dictionary()}"), build


def _dictionary() -> str:
    """Names Sudachi's dictionary, which settles the words that are their own normalized form; its size will do."""
    spec = importlib.util.find_spec("sudachidict_core")
    folders = spec.submodule_search_locations if spec is not None else None
    for folder in folders or ():
        with contextlib.suppress(OSError):
            return f"{(Path(folder) / 'resources' / 'system.dic').stat().st_size:x}"
    return "none"


def _settled(words: Sequence[str]) -> frozenset[str]:
    """Those of some words that are one token and their own normalized form, which need no tokenizer to be found."""
    from seqcli.core.tokens import Tokenizer

    tokenizer = Tokenizer(form="normalized")
    return frozenset(word for word in words if tokenizer.words(word) == [word])


def _folder(path: Path) -> tuple[Path, Callable[[Path], None]]:
    from seqcli.core import checkpoint
    from seqcli.core.safe_formats import tensor_shapes

    manifest = checkpoint.peek(path, KIND)

    def build(folder: Path) -> None:
        from seqcli.core.vector_writer import Origin, write_store

        # Digests are compared here, once; a query reads the converted table alone.
        found, config, tensors = checkpoint.load(path, KIND, lambda _: tensor_shapes(path / "model.safetensors"))
        if found.id != manifest.id:
            raise ModelError(str(path), "was replaced by another model while it was opened", "run the command again")
        vectors, words = tensors.get("vectors"), checkpoint.load_list(path, "vocab.json")
        if vectors is None or vectors.ndim != 2 or len(vectors) != len(words) or len(set(words)) != len(words):
            raise ModelError(str(path), "its words and its vectors do not fit together", "train the model again")
        about = {name: config[name] for name in ("form", "recipe", "words") if isinstance(config.get(name), str)}
        origin = Origin(f"{config.get('method', 'vectors')} {manifest.id}", **about)
        write_store(folder, vectors, zip(words, range(len(words)), strict=True), origin)

    return _place(f"model-{manifest.id}"), build


def _file(path: Path, option: str) -> tuple[Path, Callable[[Path], None]]:
    try:
        status = path.stat()
    except OSError:
        from seqcli.core.lines import nearest

        close = nearest(str(path), ["ginza"])
        hint = f"did you mean {close}?" if close else "ginza, a model folder, or a file such as cc.ja.300.vec"
        raise InputError(f"{option} {path}", "no such file, folder or model", hint) from None
    # Not hashlib: it loads OpenSSL, which takes longer than to open the table.
    identity = f"{zlib.crc32(bytes(path.resolve())):08x}-{status.st_size:x}-{status.st_mtime_ns:x}"

    def build(folder: Path) -> None:
        from seqcli.core import fasttext
        from seqcli.core.vector_files import VectorFile
        from seqcli.core.vector_writer import Origin, StoreWriter

        file = fasttext.FastTextFile(path, folder) if fasttext.is_model(path) else VectorFile(path)
        blocks = file.blocks()
        first = next(blocks)
        writer = StoreWriter(folder, first.shape[1])
        try:
            writer.add(first)
            for block in blocks:
                writer.add(block)
            writer.finish(file.words.items(), Origin(path.name, subwords=file.subwords), bad_utf8=file.bad_utf8)
        finally:
            writer.close()

    return _place(f"file-{identity}"), build


def _place(name: str) -> Path:
    return cache_folder() / "vectors" / f"{name}-{vector_store.FORMAT}"


class Lookup:
    """Finds the vectors of tokens in one table.

    Arguments:
        store: the table.
        surface_only: look a token up as it stands and nothing else, as spaCy does: zeros where that fails.
    """

    def __init__(self, store: VectorStore, *, surface_only: bool = False) -> None:
        self.store = store
        self._surface_only = surface_only
        self._order = _ORDERS["surface" if store.about.form == "surface" else "normalized"]
        self._seen: dict[tuple[str, str, str], Found] = {}
        self._characters: dict[str, Found] = {}
        # The sum of 1 / (rank + b) over all keys, by the midpoint rule: within half a percent.
        self._total = math.log((store.about.keys + _MANDELBROT + 0.5) / (_MANDELBROT + 0.5))

    @cached_property
    def tokens(self) -> Tokenizer:
        """GiNZA's tokens, in split mode C."""
        from seqcli.core.tokens import Tokenizer

        return Tokenizer()

    @cached_property
    def _parts(self) -> Tokenizer:
        from seqcli.core.tokens import Tokenizer

        return Tokenizer("A")

    @cached_property
    def nothing(self) -> Found:
        """What a word without a vector gets."""
        return Found("none", (), np.zeros(self.store.about.dim, dtype=np.float32), 0.0, None)

    def token(self, token: Token) -> Found:
        """The vector of one token."""
        key = (token.surface, token.dictionary, token.normalized)
        if key not in self._seen:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[key] = self._token(token)
        return self._seen[key]

    def _token(self, token: Token) -> Found:
        if self._surface_only:
            return self.key(token.surface, "surface") or self._from_subwords(token.surface) or self.nothing
        if found := self._direct(token) or self._from_subwords(token.surface):
            return found
        found = self._from_parts(token)
        return found if found.keys else self._from_characters(token.normalized)

    def query(self, text: str) -> Found:
        """The vector of what a person typed as one word, even where it is several tokens."""
        if self._surface_only or self.store.about.words == "char" or self.store.about.subwords[1]:
            return self.key(text, "surface") or self._from_subwords(text) or self.nothing
        if self._order[0] == "normalized" and self.store.is_settled(text):
            return self.key(text, "normalized") or self.nothing
        tokens = self.tokens.tokens(text)
        if len(tokens) == 1:
            return self.token(tokens[0])
        whole = self.key(text, "surface")
        return whole or self._compose(text, [(token.surface, self.token(token)) for token in content(tokens)])

    def key(self, key: str, how: How) -> Found | None:
        """The vector of one key of the table."""
        row = self.store.row(key)
        if row is None:
            return None
        rank = self.store.rank(key) or self.store.about.keys
        return Found(how, (key,), self.store.vectors[row], self.weight(rank), row)

    def weight(self, rank: int) -> float:
        """By inverse frequency, of the word that is the ``rank``-th most frequent."""
        return _SIF / (_SIF + 1 / (rank + _MANDELBROT) / self._total)

    def characters(self, text: str) -> list[Found]:
        """The vectors of a text's Chinese characters, as ``character`` gives them."""
        return [found for char in text if is_chinese(char) and (found := self.character(char)).keys]

    def character(self, char: str) -> Found:
        """The vector of a character: of its own row, else the mean of the words that it stands in, else of its key."""
        if char not in self._characters:
            self._characters[char] = self._character(char)
        return self._characters[char]

    def _character(self, char: str) -> Found:
        own = self.key(char, "surface")
        if own is not None and own.row is not None and self.store.owner(own.row) == char:
            return own
        rows = self.words_with.get(char)
        if rows is None:
            return own or self.nothing
        keys = tuple(self.store.owner(row) for row in rows[:_NAMED])
        return Found("composed", keys, self.store.vectors[rows].mean(axis=0), self.weight(rows[0] + 1), None)

    @cached_property
    def words_with(self) -> dict[str, list[int]]:
        """The rows whose owners contain a character, the most frequent first."""
        found: dict[str, list[int]] = {}
        for row in range(min(len(self.store), _INDEXED)):
            for char in set(self.store.owner(row)):
                found.setdefault(char, []).append(row)
        return found

    def _direct(self, token: Token) -> Found | None:
        for how in self._order:
            if found := self.key(getattr(token, how), how):
                return found
        return None

    def _from_subwords(self, word: str) -> Found | None:
        vector = self.store.of_subwords(word)
        return None if vector is None else Found("subwords", (word,), vector, self.weight(self.store.about.keys), None)

    def _from_parts(self, token: Token) -> Found:
        parts = [
            part for part in self._parts.tokens(token.surface) if len(part.surface) > 1 or is_chinese(part.surface)
        ]
        found = [(part.surface, self._direct(part)) for part in parts]
        return self._compose(token.surface, [(surface, one) for surface, one in found if one])

    def _from_characters(self, word: str) -> Found:
        """From its Chinese characters; the kana behind them only inflect: 照らす has the vector of 照."""
        ideographs = "".join(filter(is_chinese, word))
        return self._compose(ideographs, [(char, self.character(char)) for char in ideographs])

    def _compose(self, word: str, parts: Sequence[tuple[str, Found]]) -> Found:
        """The mean of the parts, by their weights; nothing where they are less than half of the word."""
        if 2 * sum(len(part) for part, found in parts if found.keys) < max(len(word), 1):
            return self.nothing
        found = [part for _, part in parts if part.keys]
        weights = np.array([part.weight for part in found])
        vector = np.average([part.vector for part in found], axis=0, weights=weights).astype(np.float32)
        keys = tuple(key for part in found for key in part.keys)
        return Found("composed", keys, vector, float(weights.max()), None)


def content(tokens: Sequence[Token]) -> list[Token]:
    """The tokens that carry meaning; where none does, all but signs."""
    classes = [(token.pos or "").split("-", 1)[0] for token in tokens]
    chosen = [token for token, class_ in zip(tokens, classes, strict=True) if class_ in _CONTENT]
    return chosen or [token for token, class_ in zip(tokens, classes, strict=True) if class_ not in _SIGNS]


def is_chinese(text: str) -> bool:
    """Whether every character is a Chinese one (a CJK unified ideograph)."""
    return all("\u3400" <= char <= "\u9fff" or "\U00020000" <= char <= "\U000323af" or char == "々" for char in text)


def postprocess(store: VectorStore, post: str) -> Callable[[np.ndarray], np.ndarray]:
    """What is done to vectors ``(…, dim)`` before they are compared.

    Arguments:
        store: whose mean and directions are taken away.
        post: ``none``; ``center``: the mean; ``abtt``: all-but-the-top (Mu and Viswanath 2018), the mean and then the
            three directions in which the table varies most, which carry frequency more than meaning.
    """
    mean = store.mean.astype(np.float32)
    directions = store.components.astype(np.float32)
    if post == "none":
        return lambda vectors: vectors
    if post == "center":
        return lambda vectors: vectors - mean

    def abtt(vectors: np.ndarray) -> np.ndarray:
        centred = vectors - mean
        without: np.ndarray = centred - centred @ directions.T @ directions
        return without

    return abtt


def spellings(word: str, store: VectorStore, count: int = 3) -> list[str]:
    """The keys with the fewest edits from a word, the most frequent first, if they share half of its characters.

    Half a million keys take a few tenths of a second.
    """
    wanted = set(word)
    need, most = max(1, (len(wanted) + 1) // 2), max(1, len(word) // 3)
    close = [
        (edits, rank, key)
        for rank, key in enumerate(store.by_frequency())
        if abs(len(key) - len(word)) <= most
        and len(wanted.intersection(key)) >= need
        and (edits := _edits(word, key)) <= most
    ]
    return [key for _, _, key in sorted(close)[:count]]


def _edits(word: str, other: str) -> int:
    """Levenshtein's distance: characters to insert, delete or replace."""
    row = list(range(len(other) + 1))
    for i, char in enumerate(word, 1):
        diagonal, row[0] = row[0], i
        for j, there in enumerate(other, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (char != there))
    return row[-1]
