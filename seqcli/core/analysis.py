"""GiNZA's full analysis of Japanese: parts of speech, readings, dependencies, entities and bunsetsu.

The one place, beside the builder of the word vectors, that loads spaCy (three seconds).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seqcli.core.tokens import SplitMode, Token, Tokenizer, pieces, placed
from seqcli.errors import MachineError, UsageError

if TYPE_CHECKING:
    from spacy.tokens import Span

_PIECE = 4_000  # characters that are parsed together: far below what Sudachi takes, and memory stays flat


class Analysed(NamedTuple):
    """One token of the full analysis, as a row of CoNLL-U would have it.

    Arguments:
        sentence: number of its sentence in the text, from 1.
        id: number of the token in its sentence, from 1.
        token: as the tokenizer gives it, with its forms, its part of speech (Sudachi's) and its place.
        upos: part of speech of Universal Dependencies: ``NOUN``, ``VERB``, …
        reading: in katakana; ``None`` for a token that has none.
        head: ``id`` of the token that it depends on; 0: the root of the sentence.
        deprel: the relation to it, of Universal Dependencies: ``nsubj``, ``obj``, …
        entity: ``B-`` (begins) or ``I-`` (goes on) and the class of the named entity: ``B-City``; ``None`` outside.
        bunsetsu: number of the bunsetsu in the sentence, from 1.
    """

    sentence: int
    id: int
    token: Token
    upos: str
    reading: str | None
    head: int
    deprel: str
    entity: str | None
    bunsetsu: int


def analyse(text: str, tokenizer: Tokenizer) -> list[Analysed]:
    """The full analysis of a text of any length; whitespace is left out, and so are sentences of nothing else.

    Arguments:
        text: what to analyse; a line that begins with ``#`` is nothing special.
        tokenizer: its split mode, user dictionary and normalization are used.

    Raises:
        UsageError: the tokenizer is not GiNZA's.
        MachineError: GiNZA is not installed.
    """
    if tokenizer.kind != "ginza":
        raise UsageError("--analyze", f"not with --tokenizer {tokenizer.kind}", "leave out --tokenizer")
    language = _language(tokenizer.split_mode, tokenizer.user_dictionary)
    normalized = tokenizer.normalized(text)
    rows: list[Analysed] = []
    for start, piece in pieces(normalized, _PIECE):
        for span in language(piece).sents:
            sentence = rows[-1].sentence + 1 if rows else 1
            rows += _rows(span, sentence, start)
    if normalized == text:
        return rows
    where = placed([row.token for row in rows], text)
    return [row._replace(token=token) for row, token in zip(rows, where, strict=True)]


def _rows(span: Span, sentence: int, offset: int) -> Iterator[Analysed]:
    import ginza

    kept = [token for token in span if not token.is_space]
    ids = {token.i: number for number, token in enumerate(kept, 1)}
    begun = list(itertools.accumulate(label == "B" for label in ginza.bunsetu_bi_labels(span)))
    bunsetsu: dict[int, int] = {}
    for token in kept:
        start = offset + token.idx
        head = token.head
        while head.is_space and head.head.i != head.i:
            head = head.head
        yield Analysed(
            sentence,
            ids[token.i],
            Token(token.text, token.lemma_, token.norm_, token.tag_, start, start + len(token.text)),
            token.pos_,
            next(iter(token.morph.get("Reading", [])), None),
            0 if head.i == token.i else ids.get(head.i, 0),
            token.dep_,
            f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else None,
            bunsetsu.setdefault(begun[token.i - span.start], len(bunsetsu) + 1),
        )


@cache
def _language(split_mode: SplitMode, dictionary: Path | None) -> Any:
    """GiNZA's pipeline, one for each setting in a process."""
    sudachi = Tokenizer("C", user_dictionary=dictionary).sudachi  # says what is wrong with it before three seconds pass
    try:
        import ginza
        import spacy

        language = spacy.load("ja_ginza")
    except (ImportError, OSError):
        what = "for the full analysis the package ja-ginza is needed"
        raise MachineError("--analyze", what, "pip install 'ginza>=5.3,<5.4' 'ja-ginza>=5.3,<5.4'") from None
    ginza.set_split_mode(language, split_mode)  # the only way that has an effect: the config of spacy.load has none
    spacy_tokenizer: Any = language.tokenizer
    spacy_tokenizer.tokenizer = sudachi
    return language
