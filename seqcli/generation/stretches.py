"""How many bits the units of a text took, and how far these figures may be off: sums over stretches of the text."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from seqcli.core.units import UNKNOWN, Units
from seqcli.generation.loading import Model
from seqcli.generation.mixture import Floats, Scores
from seqcli.generation.network import Ids
from seqcli.generation.report import UNSEEN_BITS

_STRETCH = 16  # units of the smallest stretch
_STRETCHES = 4096  # sums that are kept of a text of any length
_RESAMPLED = 200  # stretches that an interval is drawn from, as in the report of a training
_DRAWS = 2000


@dataclass
class Sums:
    """Sums over a text of any length, and over its stretches, from which the intervals are drawn.

    Arguments:
        names: of the models that are measured.
        units: of the model.
        stretch: units of a stretch; doubled whenever there are too many.
        stretches: of each stretch, ``(3 + models,)``: units, characters, unknown units, and the bits of each model.
        characters: of the text, with the spaces between words, which are no unit.
        missing: those of them that stand in unknown units.
    """

    names: tuple[str, ...]
    units: Units
    stretch: int = _STRETCH
    stretches: list[Floats] = field(default_factory=list)
    characters: int = 0
    missing: int = 0

    @classmethod
    def of(cls, model: Model) -> Sums:
        """Of every part of a model."""
        counted, cached = model.mixture.ngram is not None, model.mixture.cache is not None
        names = (*["mixture"] * (counted or cached), model.config.cell, *["kneser-ney"] * counted)
        return cls(names, model.units)

    def add(self, scores: Scores, ids: Ids, characters: int, missing: int) -> None:
        """Takes the next units.

        Arguments:
            scores: of one text, ``(1, t)`` each.
            ids: ``(t,)``.
            characters: of the text that came with them.
            missing: those of them that stand in unknown units.
        """
        logs = [scores.mixture, scores.network, scores.ngram] if len(self.names) > 1 else [scores.network]
        bits = np.array([one[0] for one in logs if one is not None], np.float64) / -math.log(2)
        for start in range(0, len(ids), self.stretch):
            some = slice(start, start + self.stretch)
            own = ids[some]
            unknown = np.count_nonzero(own == UNKNOWN)
            found = np.array([len(own), self.units.characters(own.tolist()), unknown, *bits[:, some].sum(axis=1)])
            if self.stretches and not (found[1] and self.stretches[-1][1]):  # only the end of a document
                self.stretches[-1] = self.stretches[-1] + found
            else:
                self.stretches.append(found)
        self.characters += characters
        self.missing += missing
        while len(self.stretches) > _STRETCHES:
            self.stretches, self.stretch = list(_halved(np.array(self.stretches))), 2 * self.stretch

    def told(self) -> str:
        """What is known so far, in a few words."""
        total = np.sum(self.stretches, axis=0)
        return f"{self.names[0]} {total[3] / max(total[1], 1):.3f} bits per character"

    def records(self, seconds: float) -> list[dict[str, object]]:
        """A record a model, with the processor seconds that all of them took; at least one stretch is needed."""
        stretches = np.array(self.stretches)
        while len(stretches) > _RESAMPLED:
            stretches = _halved(stretches)
        count = len(stretches)
        drawn = np.random.default_rng(0).integers(0, count, (_DRAWS if count > 1 else 0, count))
        totals = np.concatenate([stretches.sum(axis=0)[None], stretches[drawn].sum(axis=1)])  # (1 + draws, …)
        # The characters of the stretches are those of the units; an unknown word has more than one.
        totals[:, 1] *= self.characters / totals[0, 1]
        totals[:, 2] *= self.missing / max(totals[0, 2], 1)
        return [self._record(name, totals[:, :3].T, totals[:, 3 + k], seconds) for k, name in enumerate(self.names)]

    def _record(self, name: str, text: Floats, bits: Floats, seconds: float) -> dict[str, object]:
        n, characters, missing = text
        figures = {
            "bits_per_char": bits / characters,
            "bpc_open": (bits + UNSEEN_BITS * missing) / characters,
            "perplexity": 2.0 ** (bits / n),
        }
        record: dict[str, object] = {"model": name, "n": int(n[0]), "characters": self.characters}
        for figure, values in figures.items():
            low, high = np.quantile(values[1:], (0.025, 0.975)).tolist() if len(values) > 1 else (math.nan, math.nan)
            record |= {figure: float(values[0]), f"{figure}_low": low, f"{figure}_high": high}
        return record | {"seconds": seconds}


def _halved(stretches: Floats) -> Floats:
    """Every two neighbours as one."""
    pairs = len(stretches) // 2
    halved: Floats = stretches[: 2 * pairs].reshape(pairs, 2, -1).sum(axis=1)
    return np.concatenate([halved, stretches[2 * pairs :]])
