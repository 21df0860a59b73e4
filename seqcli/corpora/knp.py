"""KNP's format: the morphemes of one sentence, and which phrase depends on which."""

from __future__ import annotations

import re
from typing import NamedTuple

_COMMENT = re.compile(r"#(?: |$)")
_HEADER = re.compile(r"([*+])(?: (-?\d{1,6})([DPIA])?(?: |$)|$)")
_SPACE = re.compile(r"(?<!\\) ")  # JUMAN writes a space that is a morpheme as "\ "


class Morpheme(NamedTuple):
    """One word, as JUMAN writes it.

    Arguments:
        surface: as it stands in the text.
        reading: in hiragana.
        lemma: the form in a dictionary.
        pos: the part of speech, such as 名詞.
        rest: what else stands in the line: finer parts of speech, inflection, features.
    """

    surface: str
    reading: str
    lemma: str
    pos: str
    rest: str


class Phrase(NamedTuple):
    """A bunsetsu and what it depends on.

    Arguments:
        head: index of the bunsetsu that it depends on; -1 for the last one.
        relation: D dependency, P parallel, I incomplete parallel, A apposition.
        start: index of its first morpheme.
    """

    head: int
    relation: str
    start: int


class Sentence(NamedTuple):
    """One sentence.

    Arguments:
        morphemes: its words in order.
        phrases: its bunsetsu in order.
        problems: line and sentence of what does not follow the format.
    """

    morphemes: list[Morpheme]
    phrases: list[Phrase]
    problems: list[tuple[int, str]]


def parse(text: str) -> Sentence:
    """Reads one sentence up to ``EOS``; what cannot be read is a problem, and left out."""
    morphemes: list[Morpheme] = []
    phrases: list[Phrase] = []
    problems: list[tuple[int, str]] = []
    heads: list[int] = []  # the line of each bunsetsu
    lines = text.split("\n")
    ended = False
    for number, line in enumerate(lines, 1):
        if ended and line.strip():
            problems.append((number, f"the file goes on after EOS: {_shown(line)}"))
            break
        cells = _SPACE.split(line)
        if line == "EOS":
            ended = True
        elif len(cells) >= 4 and not _HEADER.match(line) and (line[0] != "#" or len(cells) > 9):
            surface, reading, lemma, pos, *rest = cells
            morphemes.append(Morpheme(surface.replace("\\ ", " "), reading, lemma, pos, " ".join(rest)))
        elif (header := _HEADER.match(line)) and header[3]:
            if header[1] == "*":  # the lines with + divide a bunsetsu further
                phrases.append(Phrase(int(header[2]), header[3], len(morphemes)))
                heads.append(number)
        elif line.strip() and not _COMMENT.match(line) and not line.startswith("@ "):  # @: another reading
            problems.append((number, f"neither a phrase nor a morpheme: {_shown(line)}"))
    if not ended:
        problems.append((len(lines), "the file ends without EOS"))
    problems += [
        (number, f"the phrase depends on phrase {phrase.head} of {len(phrases)}")
        for number, phrase in zip(heads, phrases, strict=True)
        if not -1 <= phrase.head < len(phrases)
    ]
    return Sentence(morphemes, phrases, sorted(problems))


def _shown(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:59] + "…")
