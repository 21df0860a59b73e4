"""What fits a blank in a sentence, ranked by the probability of the whole sentence. PyTorch is not imported."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seqcli.core.units import DOCUMENT, UNKNOWN, Units
from seqcli.errors import UsageError
from seqcli.generation.loading import Model
from seqcli.generation.mixture import CHUNK, Floats, Mixture, Part, Reading
from seqcli.generation.network import Ids, log_sum
from seqcli.generation.sample import Tally, encoded
from seqcli.results import Record

_LONGEST = {"char": 4, "word": 2, "subword": 3}  # units of a fill
_BEGINNINGS = 32  # fills that are made one unit longer
_LONGER = 256  # of the fills of several units, how many are tried
_AHEAD = 2  # units behind the blank by which all fills are tried …
_FINALISTS = 128  # … before as many of each length are read with the whole rest
_AT_ONCE = 128  # sentences that are read side by side


@dataclass(frozen=True, eq=False)
class _Fills:
    """Some fills of one length.

    Arguments:
        ids: ``(n, length)`` their units.
        readings: what is known behind all but the last unit, a row a beginning.
        rows: ``(n,)`` the row of ``readings`` that each goes on from.
        begun: ``(n,)`` log-probability of all but the last unit.
        likely: ``(n,)`` log-probability of all units, after what stands before the blank.
    """

    ids: Ids
    readings: Reading
    rows: Ids
    begun: Floats
    likely: Floats

    def take(self, places: Ids) -> _Fills:
        """These fills only."""
        return _Fills(self.ids[places], self.readings, self.rows[places], self.begun[places], self.likely[places])

    def before(self, mixture: Mixture, rest: Ids) -> Floats:
        """Log-probability of each fill with the units ``rest`` behind it, ``(n,)``."""
        found = np.empty(len(self.ids))
        for start in range(0, len(found), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            last = self.ids[some, -1:]
            tokens = np.concatenate([last, np.broadcast_to(rest, (len(last), len(rest)))], axis=1)
            scores, _ = mixture.scores(self.readings.select(self.rows[some]), tokens)
            found[some] = self.begun[some] + scores.mixture.sum(axis=1, dtype=np.float64)
        return found


def fill(model: Model, sentence: str, tally: Tally, count: int = 10, part: Part = "mixture") -> list[Record]:
    """Ranks what could stand at the blank of a sentence such as 私は＿をよく食べる.

    Every unit of the model is tried, and the likeliest fills of up to four characters (two words, three pieces of
    words). A sentence begins a document; how it ends is left open.

    Arguments:
        model: who judges.
        sentence: with one blank: ``＿`` or ``_``, any number of them in a row.
        tally: is told what the model does not know.
        count: fills at most.
        part: which of the model's parts judges.

    Returns:
        Records of ``rank, fill, text`` (the whole sentence), ``log_probability`` (natural, of the sentence) and
        ``share`` of the probability of all sentences that were read to their end.

    Raises:
        UsageError: there is no blank, or more than one; or the model knows nothing that could stand in it.
    """
    left, right = _around(sentence)
    if not _usable(model.units).any():
        raise UsageError("--fill", "the model knows no unit but line ends", "train it with a smaller --min-count")
    mixture = model.mixture.only(part)
    begun, rest = encoded(model, left, tally), encoded(model, right, tally)
    reading, before = mixture.start(), 0.0
    for start in range(0, len(begun), CHUNK):
        scores, reading = mixture.scores(reading, begun[None, start : start + CHUNK])
        before += float(scores.mixture.sum(dtype=np.float64))
    found: dict[str, float] = {}
    fills = _first(mixture, reading, model.units)
    for length in range(1, _LONGEST[model.units.kind] + 1):
        if length > 1:
            fills = _longer(mixture, fills, model.units)
        trial = fills if len(rest) <= _AHEAD else fills.take(_best(fills.before(mixture, rest[:_AHEAD]), _FINALISTS))
        for one, likely in zip(trial.ids.tolist(), trial.before(mixture, rest).tolist(), strict=True):
            text = model.units.decode(one)
            found[text] = max(before + likely, found.get(text, -np.inf))
    total = float(log_sum(np.array(list(found.values()))))
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:count]
    return [
        {
            "rank": rank,
            "fill": text,
            "text": left + text + right,
            "log_probability": likely,
            "share": float(np.exp(likely - total)),
        }
        for rank, (text, likely) in enumerate(ranked, 1)
    ]


def _around(sentence: str) -> tuple[str, str]:
    """What stands before and behind the blank."""
    blank = "＿" if "＿" in sentence else "_"
    parts = re.split(f"{blank}+", sentence)
    if len(parts) != 2:
        what = f"has {len(parts) - 1 or 'no'} blank{'s'[: len(parts) - 2]}: {sentence[:60]!r}"
        raise UsageError("--fill", what, "write one blank: ＿, or _ where there is no ＿")
    return parts[0], parts[1]


def _first(mixture: Mixture, reading: Reading, units: Units) -> _Fills:
    """All fills of one unit that could be text."""
    ids = np.flatnonzero(_usable(units))
    likely = _logs(mixture.probabilities(reading)[0, ids])
    return _Fills(ids[:, None], reading, np.zeros(len(ids), np.int64), np.zeros(len(ids)), likely)


def _longer(mixture: Mixture, fills: _Fills, units: Units) -> _Fills:
    """The likeliest fills with one unit more."""
    fills = fills.take(_best(fills.likely, _BEGINNINGS))
    readings = mixture.advance(fills.readings.select(fills.rows), fills.ids[:, -1])
    usable = np.flatnonzero(_usable(units))
    likely = fills.likely[:, None] + _logs(mixture.probabilities(readings)[:, usable])  # (beginnings, usable)
    best = _best(likely.ravel(), _LONGER)
    rows, last = np.divmod(best, len(usable))
    ids = np.concatenate([fills.ids[rows], usable[last][:, None]], axis=1)
    return _Fills(ids, readings, rows, fills.likely[rows], likely.ravel()[best])


def _usable(units: Units) -> NDArray[np.bool_]:
    """Which units may stand in a blank, ``(V,)``: no boundary, no space, no half of a character."""
    usable: NDArray[np.bool_] = ~units.is_byte & np.array([not string.isspace() for string in units.vocab])
    usable[[UNKNOWN, DOCUMENT]] = False
    return usable


def _logs(probabilities: Floats) -> Floats:
    """Their logarithms; what the network holds for impossible comes last."""
    with np.errstate(divide="ignore"):
        logs: Floats = np.log(probabilities)
    return logs


def _best(likely: Floats, count: int) -> Ids:
    """The places of the highest values, the highest first."""
    return np.argsort(-likely, kind="stable")[:count]
