"""Tokens as GiNZA gives them, at SudachiPy's speed: the one place that knows SudachiPy.

``ja_ginza``'s tokenizer is SudachiPy in mode C, after which spaCy builds a document. The tokens here are those of
``spacy.load("ja_ginza").tokenizer`` without the whitespace ones, and need neither spaCy nor its three seconds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from seqcli.core import user_dictionary
from seqcli.errors import InputError, MachineError, ModelError, UsageError

Kind = Literal["ginza", "char", "whitespace"]
SplitMode = Literal["A", "B", "C"]
Form = Literal["surface", "dictionary", "normalized"]
Normalize = Literal["none", "nfkc"]

# Sudachi takes 49,149 bytes of UTF-8 at once, and 65,535 once it has normalized them. Kana and kanji are three bytes.
_WINDOW = 16_000  # characters of a longer text that are given to it together
# Characters on both sides of a cut that the tokens at the cut are chosen with. A word is chosen by its neighbours, so
# a sentence or two make the tokens the same as those of the uncut text.
_CONTEXT = 200
_ALWAYS_FITS = 1_000  # characters; no character becomes more than 33 bytes
_SENTENCE_END = re.compile(r"[。！？!?]+[」』）)]*\s*|\n+")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Token(NamedTuple):
    """One token.

    Arguments:
        surface: as it stands in the text (in the NFKC form of the text, if the tokenizer normalizes).
        dictionary: the form in which a dictionary lists it: 食べる for 食べ.
        normalized: Sudachi's one spelling of all variants: 引っ越し for 引越し; the keys of ja_ginza's vectors.
        pos: Sudachi's part of speech, as GiNZA's tag: ``名詞-固有名詞-地名-一般``. ``None`` without a dictionary.
        start: where it begins in the original text, in characters.
        end: behind its last character.
    """

    surface: str
    dictionary: str
    normalized: str
    pos: str | None
    start: int
    end: int


@dataclass(frozen=True)
class Tokenizer:
    """Splits text; two of the same settings give the same tokens. Cheap to make and to send to another process.

    Texts of any length and content are split: whitespace is never a token, an empty text has none, and a line that
    begins with ``#`` is nothing special.

    Arguments:
        split_mode: Sudachi's unit: ``A`` short (国家 公務 員), ``B`` middle (国家 公務員), ``C`` long (国家公務員).
        form: which form of a token ``words`` and ``wakati`` give.
        user_dictionary: words to know besides, as Sudachi's CSV or compiled (``.dic``).
        kind: ``ginza``; ``char``: every character (code point) but whitespace is a token; ``whitespace``: split there.
        normalize: ``nfkc`` makes full-width letters, half-width kana and the like one before the text is split.

    Raises:
        UsageError: an unknown setting, or one that only ``ginza`` has.
        InputError: the user dictionary is not there or holds a bad row.
        MachineError: SudachiPy or its dictionary is not installed.
    """

    split_mode: SplitMode = "C"
    form: Form = "surface"
    user_dictionary: Path | None = None
    kind: Kind = "ginza"
    normalize: Normalize = "none"

    def __post_init__(self) -> None:
        settings = {"split-mode": SplitMode, "form": Form, "tokenizer": Kind, "normalize": Normalize}
        given = (self.split_mode, self.form, self.kind, self.normalize)
        for (flag, choices), value in zip(settings.items(), given, strict=True):
            if value not in get_args(choices):
                raise UsageError(f"--{flag}", f"unknown: {value!r}", f"one of {', '.join(get_args(choices))}")
        if self.kind == "ginza":
            _sudachi(self.split_mode, self.user_dictionary)
        elif self.form != "surface" or self.user_dictionary is not None:
            flag = "--form" if self.form != "surface" else "--user-dictionary"
            raise UsageError(flag, f"needs a dictionary, which --tokenizer {self.kind} has not", "--tokenizer ginza")

    def words(self, text: str) -> list[str]:
        """The tokens of a text as strings, in the form of the tokenizer; the fast way to many tokens."""
        text = self.normalized(text)
        if self.kind == "char":
            return [character for character in text if not character.isspace()]
        if self.kind == "whitespace":
            return text.split()
        return [word for _, morphemes in self._analysed(text) for word in _WORDS[self.form](morphemes)]

    def forms(self, text: str) -> list[tuple[str, str, str]]:
        """Surface, dictionary and normalized form of each token: the first three fields of ``tokens``, but faster."""
        if self.kind != "ginza":
            return [(word, word, word) for word in self.words(text)]
        return [
            (surface, m.dictionary_form() or surface, m.normalized_form() or surface)
            for _, morphemes in self._analysed(self.normalized(text))
            for m in morphemes
            if (surface := m.surface()) and not surface.isspace()
        ]

    def wakati(self, text: str) -> str:
        """The tokens of a text in one line, separated by one space; whitespace inside of a token is one space, too."""
        if self.kind == "ginza" and self.form == "surface":
            morphemes = _tokenize(self.sudachi, self.normalized(text))
            if morphemes is not None:
                return " ".join(str(morphemes).split())  # Sudachi joins them itself, without a Python object for each
        return " ".join(" ".join(self.words(text)).split())

    def tokens(self, text: str) -> list[Token]:
        """The tokens of a text with all that is known of them."""
        given, text = text, self.normalized(text)
        if self.kind == "ginza":
            found = [
                Token(surface, m.dictionary_form() or surface, m.normalized_form() or surface,
                      tag(m.part_of_speech()), offset + m.begin(), offset + m.end())
                for offset, morphemes in self._analysed(text)
                for m in morphemes
                if (surface := m.surface()) and not surface.isspace()
            ]  # fmt: skip
        else:
            pattern = r"\S" if self.kind == "char" else r"\S+"
            found = [Token(m[0], m[0], m[0], None, m.start(), m.end()) for m in re.finditer(pattern, text)]
        return found if text == given else placed(found, given)

    @property
    def sudachi(self) -> Any:
        """SudachiPy's own tokenizer with these settings, for the full analysis."""
        return _sudachi(self.split_mode, self.user_dictionary)

    def recipe(self) -> dict[str, Any]:
        """What a model records of its tokenizer; plain JSON. ``from_recipe`` makes the tokenizer again."""
        recipe: dict[str, Any] = {"tokenizer": self.kind, "normalize": self.normalize}
        if self.kind == "ginza":
            recipe |= {"split_mode": self.split_mode, "form": self.form, "user_dictionary": None, **_versions()}
            if self.user_dictionary is not None:
                recipe["user_dictionary"] = user_dictionary.sha256(self.user_dictionary)
        return recipe

    @classmethod
    def from_recipe(cls, recipe: Mapping[str, Any], dictionary: Path | None = None) -> Tokenizer:
        """The tokenizer that ``recipe`` describes.

        Arguments:
            recipe: what ``recipe()`` gave.
            dictionary: the user dictionary, as it was kept in the model's folder; needed only if the recipe names one.

        Raises:
            ModelError: the recipe is not one, or the dictionary is missing or another one.
        """
        try:
            kind, normalize = recipe["tokenizer"], recipe["normalize"]
            if kind != "ginza":
                return cls(kind=kind, normalize=normalize)
            wanted = recipe["user_dictionary"]
            if wanted is not None and (dictionary is None or user_dictionary.sha256(dictionary) != wanted):
                what = "is missing" if dictionary is None else f"is not the one of the model: {dictionary}"
                raise ModelError("tokenizer", f"the user dictionary {what}", "copy the whole model folder again")
            return cls(recipe["split_mode"], recipe["form"], dictionary if wanted else None, "ginza", normalize)
        except (KeyError, TypeError, UsageError) as problem:
            raise ModelError("tokenizer", f"not a tokenizer's recipe: {problem}", None) from None

    def normalized(self, text: str) -> str:
        """The text that is split."""
        return unicodedata.normalize("NFKC", text) if self.normalize == "nfkc" else text

    def _analysed(self, text: str) -> Iterator[tuple[int, Iterable[Any]]]:
        """Sudachi's morphemes (whitespace too) of a text of any length, in pieces, each with where it begins."""
        morphemes = _tokenize(self.sudachi, text)
        return _in_windows(self.sudachi, text) if morphemes is None else iter([(0, morphemes)])


def version_drift(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences about what is installed in another version than when ``recipe`` was made."""
    if recipe.get("tokenizer") != "ginza":
        return ()
    return tuple(
        f"the model was made with {package} {recipe.get(package)}, here is {version}: some words may be split otherwise"
        for package, version in _versions().items()
        if recipe.get(package) != version
    )


@cache
def tag(part_of_speech: tuple[str, ...]) -> str:
    """Sudachi's six fields as GiNZA writes them: the first four, without the empty ones."""
    return "-".join(field for field in part_of_speech[:4] if field != "*")


def pieces(text: str, size: int) -> Iterator[tuple[int, str]]:
    """A long text in pieces of at most ``size`` characters, cut behind a sentence where there is one, with offsets."""
    start = 0
    while len(text) - start > size:
        window = text[start : start + size]
        end = max((match.end() for match in _SENTENCE_END.finditer(window)), default=size)
        yield start, window[:end]
        start += end
    yield start, text[start:]


def _surfaces(morphemes: Iterable[Any]) -> list[str]:
    return [surface for m in morphemes if (surface := m.surface()) and not surface.isspace()]


def _dictionary_forms(morphemes: Iterable[Any]) -> list[str]:
    return [m.dictionary_form() or s for m in morphemes if (s := m.surface()) and not s.isspace()]


def _normalized_forms(morphemes: Iterable[Any]) -> list[str]:
    return [m.normalized_form() or s for m in morphemes if (s := m.surface()) and not s.isspace()]


_WORDS = {"surface": _surfaces, "dictionary": _dictionary_forms, "normalized": _normalized_forms}


@cache
def _sudachi(split_mode: SplitMode, dictionary: Path | None) -> Any:
    """SudachiPy's tokenizer, one for each setting in a process: its dictionary is mapped into memory only once."""
    return _dictionary(dictionary).create(mode=split_mode)


@cache
def _dictionary(user: Path | None) -> Any:
    user_dictionary.system_dictionary()
    try:
        import sudachipy
    except ImportError:
        what = "the package sudachipy is not there"
        raise MachineError("tokenizer", what, user_dictionary.MISSING_HINT) from None
    if user is None:
        return sudachipy.Dictionary()
    try:
        return sudachipy.Dictionary(config=sudachipy.Config(user=[str(user_dictionary.compiled(user).absolute())]))
    except sudachipy.errors.SudachiError as problem:
        raise InputError(str(user), f"not a user dictionary: {problem}", "give Sudachi's CSV instead") from None


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("sudachipy", user_dictionary.DICTIONARY_PACKAGE)}


def _tokenize(sudachi: Any, text: str) -> Any:
    """Sudachi's morphemes, or ``None`` if the text is too long for it."""
    from sudachipy.errors import SudachiError

    try:
        return sudachi.tokenize(text)
    except UnicodeEncodeError:  # half of a surrogate pair, from an undecodable argument
        return _tokenize(sudachi, _SURROGATE.sub("\ufffd", text))
    except SudachiError:
        if len(text) <= _ALWAYS_FITS:
            raise
        return None


def _in_windows(sudachi: Any, text: str) -> Iterator[tuple[int, list[Any]]]:
    """The same for a text that is too long: windows overlap, and tokens are taken where both sides are in view."""
    start = begin = 0  # up to where tokens were given, and where the window begins
    size = _WINDOW
    while start < len(text):
        window = text[begin : begin + size]
        morphemes = _tokenize(sudachi, window)
        if morphemes is None:  # characters of four bytes, or such as become many when they are normalized
            size //= 2
            continue
        known = start - begin
        spans = [(m.begin(), m.end()) for m in morphemes]
        if any(first < known < last for first, last in spans):  # the windows do not agree: no context, then
            begin = start
            continue
        end = len(window) if begin + size >= len(text) else _cut(window, spans, known)
        yield begin, [m for m, (first, last) in zip(morphemes, spans, strict=True) if first >= known and last <= end]
        context = (first for first, _ in spans if end - 2 * _CONTEXT <= first <= end - _CONTEXT)
        start, begin = begin + end, begin + max(context, default=end)


def _cut(window: str, spans: list[tuple[int, int]], known: int) -> int:
    """Where to stop: behind a sentence in the second half of a window, else behind a token, else at its end."""
    latest = len(window) - _CONTEXT
    middle = (known + latest) // 2
    sentence = max((match.end() for match in _SENTENCE_END.finditer(window, middle, latest)), default=latest)
    return max((last for _, last in spans if middle < last <= sentence), default=spans[-1][1])


def placed(tokens: Sequence[Token], given: str) -> list[Token]:
    """Tokens of the NFKC form of a text, with the offsets of the text as it was given."""
    starts, ends = [], []
    position = 0
    for unit in _composed(given):
        length = len(unicodedata.normalize("NFKC", unit))
        starts += [position] * length
        position += len(unit)
        ends += [position] * length
    return [token._replace(start=starts[token.start], end=ends[token.end - 1]) for token in tokens]


def _composed(text: str) -> Iterator[str]:
    """The smallest pieces of a text that NFKC changes each on its own: a letter and its marks, ｶ and ﾞ, ㌔."""
    unit = changed = ""
    for character in text:
        alone = unicodedata.normalize("NFKC", character)
        together = unicodedata.normalize("NFKC", unit + character)
        if unit and together == changed + alone and not unicodedata.combining(alone[0]):
            yield unit
            unit, together = "", alone
        unit, changed = unit + character, together
    if unit:
        yield unit
