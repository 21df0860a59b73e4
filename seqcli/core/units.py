"""What a language model reads and writes one at a time: characters, words, or pieces of words."""

from __future__ import annotations

import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seqcli.core import checkpoint
from seqcli.core.safe_formats import HINT, read_json
from seqcli.core.tokens import Tokenizer, pieces, version_drift
from seqcli.errors import InputError, ModelError, UsageError

Kind = Literal["char", "word", "subword"]
Splitter = Literal["auto", "ginza", "whitespace"]
Ids = NDArray[np.int32]

UNKNOWN: Final = 0
"""The id of everything that the vocabulary does not hold."""

DOCUMENT: Final = 1
"""The id that stands before every document; a model that gives it says that a document has ended."""

SPECIAL: Final = ("<unk>", "<doc>")

RECIPE: Final = "units.json"
MODEL: Final = "tokenizer.model"

_JUDGED = 100_000  # characters of a corpus by which its language is told
_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SUBWORDS = 8_000
_SENTENCE = 1_000  # characters; sentencepiece passes over what is longer than 4,192 bytes
_BYTES = range(3, 3 + 256)  # where sentencepiece puts the bytes: behind <unk>, <doc> and the line end
_SPACE = "▁"  # what sentencepiece writes for a space; the same character in a text is given to it as bytes
_SPACE_IDS = [_BYTES[byte] for byte in _SPACE.encode()]


@dataclass(frozen=True)
class Units:
    """A vocabulary, and how text becomes its ids and they become text again.

    Text of known units comes back exactly, spaces and line ends included. Words of a language that is written with
    spaces come back with one space between them; a line end is a word of its own there, and a literal ``<unk>``, as
    prepared corpora have it, is the unknown word.

    Arguments:
        kind: what a unit is.
        vocab: id to string: ``<unk>``, ``<doc>``, and then the most frequent first (of ``subword``: as sentencepiece
            orders them).
        splitter: of words: ``ginza`` or ``whitespace``; empty otherwise.
        model: sentencepiece's model; empty for the other kinds.
        recipe: of GiNZA's tokenizer, with versions.
    """

    kind: Kind
    vocab: tuple[str, ...]
    splitter: str = ""
    model: bytes = field(default=b"", repr=False)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        kind: Kind,
        texts: Iterable[str],
        *,
        min_count: int = 1,
        size: int = 0,
        tokenizer: Splitter = "auto",
        seed: int = 1,
    ) -> Units:
        """The units of a training text.

        Arguments:
            kind: ``char``, ``word`` or ``subword``.
            texts: the training text in pieces of any length; words are not looked for across two of them.
            min_count: rarer characters and words are unknown; of no meaning for ``subword``.
            size: of the vocabulary; 0 is every word, or 8,000 pieces of words (fewer where the text does not give as
                many). Characters are never so many that it matters.
            tokenizer: of words; ``auto`` takes GiNZA where the text has kana or kanji, whitespace otherwise.
            seed: of sentencepiece's drawing.

        Raises:
            InputError: there is no text, or a vocabulary of that size cannot be made from it.
            UsageError: an unknown kind or tokenizer.
        """
        if kind not in get_args(Kind):
            raise UsageError("--unit", f"unknown: {kind!r}", f"one of {', '.join(get_args(Kind))}")
        if tokenizer not in get_args(Splitter):
            raise UsageError("--tokenizer", f"unknown: {tokenizer!r}", f"one of {', '.join(get_args(Splitter))}")
        if kind == "char":
            return cls(kind, _ranked(_character_counts(texts), min_count, 0))
        if kind == "subword":
            return _trained(texts, size or _SUBWORDS, seed)
        texts = iter(texts)
        head: list[str] = []
        while tokenizer == "auto" and sum(map(len, head)) < _JUDGED and (more := next(texts, None)) is not None:
            head.append(more)
        if tokenizer == "auto":
            tokenizer = "ginza" if _is_japanese("".join(head)) else "whitespace"
        counts: Counter[str] = Counter()
        for text in itertools.chain(head, texts):
            counts.update(_words(text, tokenizer))
        if tokenizer == "whitespace":
            counts.pop(SPECIAL[UNKNOWN], None)
        recipe = Tokenizer().recipe() if tokenizer == "ginza" else {}
        return cls(kind, _ranked(counts, min_count, size), tokenizer, recipe=recipe)

    def __len__(self) -> int:
        return len(self.vocab)

    def encode(self, text: str) -> Ids:
        """The ids of a text, ``(t,)``; no ``<doc>`` is added.

        Line by line the result is the same as of the whole text; of characters, cut anywhere.
        """
        if self.kind == "char":
            table = self._table
            return table[np.minimum(_codes(text), len(table) - 1)]
        if self.kind == "word":
            index = self._index
            return np.fromiter((index.get(word, UNKNOWN) for word in _words(text, self.splitter)), np.int32)
        return np.array(self._subwords(text), np.int32)

    def encode_counting(self, text: str) -> tuple[Ids, int]:
        """The ids of a text, and how many of its characters stand in units that are unknown.

        A literal ``<unk>`` of a prepared corpus is no such unit: nobody could say more about it.
        """
        if self.kind != "word":
            ids = self.encode(text)
            return ids, int(np.count_nonzero(ids == UNKNOWN))
        found = self.pieces(text)
        missing = sum(len(word) for one, word in found if one == UNKNOWN and word not in self._index)
        return np.array([one for one, _ in found], np.int32), missing

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; an unknown unit is written ``<unk>``, a document's boundary not at all.

        Bytes that are not a whole character become ``�``.
        """
        known = [int(one) for one in ids if one != DOCUMENT]
        if self.kind == "subword":
            return _spelled(known, self.vocab)
        parts = [self.vocab[one] for one in known]
        if self.splitter != "whitespace":
            return "".join(parts)
        return re.sub(r" ?\n ?", "\n", " ".join(parts))

    def pieces(self, text: str) -> list[tuple[int, str]]:
        """Id and surface of each unit of a text, in order.

        The surfaces put together are the text, but for words between spaces. Of a character that is written as
        bytes, the first byte has it all and the others are empty.
        """
        if self.kind == "word":
            return [(self._index.get(word, UNKNOWN), word) for word in _words(text, self.splitter)]
        if self.kind == "char":
            return list(zip(self.encode(text).tolist(), text, strict=True))
        found, position = [], 0
        for one in self.encode(text).tolist():
            length = int(not _continues(one)) if one in _BYTES else len(self.vocab[one])
            found.append((one, text[position : position + length]))
            position += length
        return found

    def characters(self, ids: Sequence[int] | Ids) -> int:
        """How many characters some ids stand for in a text; an unknown unit counts as one."""
        given = np.asarray(ids, np.int64)
        count = int(self._lengths[given].sum())
        if self.splitter == "whitespace" and len(given) > 1:  # a space stands between two words of a line
            word = (given != DOCUMENT) & (given != self._index.get("\n", -1))
            count += int((word[:-1] & word[1:]).sum())
        return count

    @property
    def is_byte(self) -> NDArray[np.bool_]:
        """Which ids are a byte of a character that the vocabulary does not hold, ``(V,)``."""
        flags = np.zeros(len(self.vocab), bool)
        if self.kind == "subword":
            flags[_BYTES.start : _BYTES.stop] = True
        return flags

    def documents(self) -> dict[str, Any]:
        """The JSON files that a model folder keeps of its units; ``blobs`` has the others."""
        recipe = {"unit": self.kind, "splitter": self.splitter, "tokenizer": dict(self.recipe)}
        return {"vocab.json": list(self.vocab), RECIPE: recipe}

    def blobs(self) -> dict[str, bytes]:
        """The files of a model folder that are not JSON: sentencepiece's model, of ``subword``."""
        return {MODEL: self.model} if self.model else {}

    @classmethod
    def from_folder(cls, path: Path, digests: Mapping[str, str] | None = None) -> Units:
        """The units that a model folder keeps.

        Arguments:
            path: the folder.
            digests: of its files, from its manifest; read there if not given.

        Raises:
            ModelError: a file is missing or damaged, or the parts do not belong together.
        """
        recipe = read_json(path / RECIPE, dict)
        vocab = tuple(checkpoint.load_list(path, "vocab.json"))
        kind, splitter, tokenizer = (recipe.get(name) for name in ("unit", "splitter", "tokenizer"))
        if kind not in get_args(Kind) or splitter not in ("", "ginza", "whitespace") or not isinstance(tokenizer, dict):
            raise ModelError(str(path / RECIPE), f"does not describe units: {str(recipe)[:80]}", HINT)
        if vocab[: len(SPECIAL)] != SPECIAL or (kind == "char" and any(len(one) != 1 for one in vocab[len(SPECIAL) :])):
            raise ModelError(str(path / "vocab.json"), f"is not a vocabulary of unit {kind}", HINT)
        model = checkpoint.load_bytes(path, MODEL, digests=digests) if kind == "subword" else b""
        units = cls(kind, vocab, splitter, model, tokenizer)
        if kind == "subword" and units._sentencepiece.get_piece_size() != len(vocab):
            raise ModelError(str(path / MODEL), "is not the one of vocab.json", HINT)
        return units

    def drift(self) -> tuple[str, ...]:
        """Sentences about a tokenizer that is installed in another version than at training."""
        return version_drift(self.recipe)

    @cached_property
    def _index(self) -> dict[str, int]:
        index = {word: one for one, word in enumerate(self.vocab) if one >= len(SPECIAL)}
        return index | ({SPECIAL[UNKNOWN]: UNKNOWN} if self.splitter == "whitespace" else {})

    @cached_property
    def _table(self) -> Ids:
        """Code point to id, one entry longer than the largest that is known."""
        codes = [ord(character) for character in self.vocab[len(SPECIAL) :]]
        table = np.zeros(max(codes, default=0) + 2, np.int32)
        table[codes] = np.arange(len(SPECIAL), len(self.vocab), dtype=np.int32)
        return table

    @cached_property
    def _lengths(self) -> NDArray[np.int64]:
        lengths = np.array([len(string) for string in self.vocab], np.int64)
        lengths[[UNKNOWN, DOCUMENT]] = 1, 0
        if self.kind == "subword":
            lengths[_BYTES.start : _BYTES.stop] = [not _continues(one) for one in _BYTES]
        return lengths

    @cached_property
    def _sentencepiece(self) -> Any:
        import sentencepiece

        try:
            return sentencepiece.SentencePieceProcessor(model_proto=self.model)
        except RuntimeError as problem:
            raise ModelError(MODEL, f"is damaged: {problem}", HINT) from None

    def _subwords(self, text: str) -> list[int]:
        processor = self._sentencepiece
        found: list[int] = []
        for number, line in enumerate(_sound(text).split("\n")):
            if number:
                found.append(_BYTES.start - 1)  # the line end
            for part_number, part in enumerate(line.split(_SPACE)):
                found += _SPACE_IDS if part_number else ()
                found += processor.encode(part)
        return found


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _sound(text: str) -> str:
    """The text with ``�`` for halves of surrogate pairs, which have no UTF-8."""
    return _SURROGATE.sub("\ufffd", text)


def _character_counts(texts: Iterable[str]) -> dict[str, int]:
    counts = np.zeros(0x110000, np.int64)
    for text in texts:
        codes, found = np.unique(_codes(text), return_counts=True)
        counts[codes] += found
    return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}


def _ranked(counts: Mapping[str, int], min_count: int, size: int) -> tuple[str, ...]:
    """The vocabulary, the most frequent first: what an adaptive softmax cuts into bands."""
    if not counts:
        raise InputError("corpus", "holds no text", "give files with text in them")
    kept = [(-count, unit) for unit, count in counts.items() if count >= min_count]
    if not kept:
        what = f"nothing in it occurs {min_count} times; the most frequent unit {max(counts.values())} times"
        raise InputError("corpus", what, "--min-count 1 keeps all, or give more text")
    vocab = SPECIAL + tuple(unit for _, unit in sorted(kept))
    return vocab[:size] if size else vocab


def _is_japanese(text: str) -> bool:
    """Whether a word in twenty, taken as two characters, is Japanese: an English text that quotes some is not."""
    letters = sum(not character.isspace() for character in text)
    return 10 * len(_JAPANESE.findall(text)) > letters


def _words(text: str, splitter: str) -> Iterator[str]:
    """The words of a text, line by line; with ``ginza``, every character of whitespace is one too."""
    tokenizer = Tokenizer() if splitter == "ginza" else None
    for number, line in enumerate(_sound(text).split("\n")):
        if number:
            yield "\n"
        if tokenizer is None:
            yield from line.split()
        elif line:
            yield from _with_spaces(line, tokenizer.words(line))


def _with_spaces(line: str, words: Sequence[str]) -> Iterator[str]:
    position = 0
    for word in words:
        while not line.startswith(word, position):
            yield line[position]
            position += 1
        yield word
        position += len(word)
    yield from line[position:]


def _trained(texts: Iterable[str], size: int, seed: int) -> Units:
    """Kudo 2018, Subword Regularization (arXiv:1804.10959): a unigram model, with bytes for what it does not hold."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.set_random_generator_seed(seed)
    sentences = (
        part
        for text in texts
        for line in _sound(text).split("\n")
        for _, sentence in pieces(line, _SENTENCE)
        for part in sentence.split(_SPACE)
        if part
    )
    first = next(sentences, None)
    if first is None:
        raise InputError("corpus", "holds no text", "give files with text in them")
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=itertools.chain([first], sentences),
            model_writer=model,
            model_type="unigram",
            vocab_size=size,
            hard_vocab_limit=False,  # a small corpus gives what it has
            character_coverage=0.9995,
            byte_fallback=True,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            user_defined_symbols=["\n"],
            unk_id=UNKNOWN, bos_id=DOCUMENT, eos_id=-1, pad_id=-1,
            unk_piece=SPECIAL[UNKNOWN], bos_piece=SPECIAL[DOCUMENT],
            num_threads=1,  # sums of several threads differ in their last bits
            minloglevel=2,
        )  # fmt: skip
    except RuntimeError as problem:
        what = f"sentencepiece makes no vocabulary of {size} from it: {str(problem).split('] ')[-1][:120]}"
        raise InputError("corpus", what, "another --vocabulary-size, --unit char, or more text") from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocab = [processor.id_to_piece(one) for one in range(processor.get_piece_size())]
    return Units(
        "subword", tuple(vocab[:3] + [piece.replace(_SPACE, " ") for piece in vocab[3:]]), "", model.getvalue()
    )


def _continues(one: int) -> bool:
    """Whether the byte of an id goes on with a character that another one began."""
    return 0x80 <= one - _BYTES.start < 0xC0


def _spelled(ids: Sequence[int], vocab: Sequence[str]) -> str:
    spelled = bytearray()
    for one in ids:
        spelled += bytes([one - _BYTES.start]) if one in _BYTES else vocab[one].encode()
    return spelled.decode("utf-8", "replace")
