"""Why a text got its label: what the networks look at, and what would change without each token."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.classification.encoding import Split
from seqcli.classification.predict import Answer, Model
from seqcli.core import figures
from seqcli.results import Record

LONGEST = 256
"""Tokens that are left out one by one; each costs a pass over the whole text."""

_CHARACTERS = 1_000_000  # of the texts without a token that are in memory at once
_DRAWN = 60  # tokens that fit a picture


def explanation(model: Model, text: str, answer: Answer) -> list[dict[str, Any]]:
    """A record a token that the networks read: ``token, start, end, attention, effect``.

    ``attention`` is how much of the networks' look rests on the token; over the text it adds up to 1. ``effect`` is by
    how much the natural log probability of the label falls when the token is left out (Li, Monroe and Jurafsky,
    Understanding Neural Networks through Representation Erasure, 2016, arXiv:1612.08220): above 0 it speaks for the
    label, below 0 against it. Of a long text the tokens after the first ``LONGEST`` have none.

    Arguments:
        model: that answered.
        text: as it was given.
        answer: what the model said of it.
    """
    tokens = model.features.tokens(text)
    label = answer.label
    effects: list[float] = []
    last, step = min(len(tokens), LONGEST), max(1, _CHARACTERS // max(1, len(text)))
    for start in range(0, last, step):
        left_out = range(start, min(start + step, last))
        without = [text[: tokens[k].start] + text[tokens[k].end :] for k in left_out]
        rest = Split.of([*tokens[:k], *tokens[k + 1 :]] for k in left_out)
        effects += (answer.log_probabilities[label] - model.log_probabilities(without, rest)[:, label]).tolist()
    return [
        {
            "token": token.surface,
            "start": token.start,
            "end": token.end,
            "attention": float(attention),
            "effect": effects[k] if k < len(effects) else None,
        }
        for k, (token, attention) in enumerate(zip(tokens, model.attention(text, tokens), strict=True))
    ]


def shades(text: str, explained: Sequence[Record]) -> list[tuple[str, float]]:
    """The whole text in pieces, each with a weight from -1 (speaks against the label) to 1 (for it), 0 between tokens.

    Arguments:
        text: as it was given.
        explained: what ``explanation`` said of it.
    """
    strongest = max((abs(one["effect"] or 0.0) for one in explained), default=0.0) or 1.0
    pieces, at = [], 0
    for one in explained:
        pieces += [
            (text[at : one["start"]], 0.0),
            (text[one["start"] : one["end"]], (one["effect"] or 0.0) / strongest),
        ]
        at = one["end"]
    return [(piece, weight) for piece, weight in [*pieces, (text[at:], 0.0)] if piece]


def draw(explained: Sequence[Record], path: Path, title: str) -> None:
    """A picture of one explanation: the effect of each token, and the attention on it.

    Arguments:
        explained: what ``explanation`` said of a text; of a long one the beginning is drawn.
        path: ``.png`` or ``.svg``.
        title: what stands above it.
    """
    explained = explained[:_DRAWN]
    figure, (axes,) = figures.new(height=max(2.0, 0.6 + 0.24 * len(explained)))
    rows = np.arange(len(explained))[::-1]
    effects = np.array([one["effect"] or 0.0 for one in explained])
    attention = np.array([one["attention"] for one in explained])
    colours = [figures.BLUE if effect >= 0 else figures.RED for effect in effects]
    axes.barh(rows + 0.2, effects, height=0.4, color=colours)
    axes.barh(rows - 0.2, attention, height=0.3, color=figures.GREY)
    axes.axvline(0, color=figures.GREY, linewidth=0.8)
    axes.set_yticks(rows, [one["token"] for one in explained], parse_math=False)  # a $ is a token like any other
    axes.set_title(title, parse_math=False)
    said = (
        "blue speaks for the label, red against it (change of the log probability without the token); grey: attention"
    )
    axes.set_xlabel(said, fontsize=9, color=figures.GREY)
    figures.save(figure, path)
