"""Whether a model in use has drifted or was unlucky: three tests that may be looked at every morning.

They bet against what a good forecast promises, day by day (``core.betting``), on horizons that do not overlap: the day
after the origin, or every h-th origin where the shortest horizon is h. Series of one day move together, so each day is
one bet on their mean, which is fair however they depend on each other.

The promises: outcomes fall evenly above and below the median; they are as far from it as the quantiles say; and the
score is, as far as one could know, no worse than EWMA-normal's.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core.betting import Evidence, evidence
from seqcli.core.statistics import LEVELS, SCORED, crps_from_quantiles
from seqcli.forecasting.baselines import Offsets
from seqcli.forecasting.data import Floats
from seqcli.forecasting.outcomes import Outcomes, below

ALARM: Final = 60.0
"""Evidence that is called drift. Three tests, each with a false alarm in at most 1/60 of models: 5 % together, for
ever and however often one looks."""

FEWEST_DAYS: Final = 20
"""Days, about a month, with less of which nothing is said in favour of a model."""

KEEP, RECALIBRATE, RETRAIN, TOO_EARLY = "keep", "recalibrate", "retrain", "too early to say"

_TOLERANCE: Final = 0.1
# A mean of 0.1 is a median that is a tenth of a standard deviation off, or intervals five per cent too wide or narrow:
# less is not worth anybody's work.

_EDGES = np.array([0.0, *LEVELS, 1.0])
_CHANCE = np.diff(_EDGES)
_NORMAL = np.array([NormalDist().inv_cdf(p) for p in (_EDGES[:-1] + _EDGES[1:]) / 2.0])
_SQUARE = _NORMAL**2 - _CHANCE @ _NORMAL**2
# What an outcome between two neighbouring quantiles counts: as the normal deviate in their middle, and its square.
# Both have mean zero if the forecast is right.

_STEEPEST: Final = np.maximum(SCORED, 1.0 - np.array(SCORED))
_SCORED_COLUMNS: Final = [LEVELS.index(level) for level in SCORED]


@dataclass(frozen=True)
class Drift:
    """The evidence against a model.

    Arguments:
        days: bets that were made, one for each origin that counts.
        bias: that outcomes lie above (or below) the median more than they should.
        width: that outcomes are further away (or nearer) than the quantiles say: too narrow above, too wide below.
        skill: that the CRPS is higher (or lower) than EWMA-normal's on the same days.
        dates: ``(days,)`` the origins.
    """

    days: int
    bias: Evidence
    width: Evidence
    skill: Evidence
    dates: NDArray[np.datetime64]

    @property
    def verdict(self) -> str:
        """``retrain`` if the median is off, or the score is worse than EWMA-normal's though the width is right;
        ``recalibrate`` if the width is off (which may be why the score is worse); otherwise ``keep``, or
        ``too early to say`` with less than 20 days.
        """
        if self.bias.either >= ALARM:
            return RETRAIN
        if self.width.either >= ALARM:
            return RECALIBRATE
        if self.skill.above >= ALARM:
            return RETRAIN
        return KEEP if self.days >= FEWEST_DAYS else TOO_EARLY

    def sentence(self, model: str, next_command: str = "") -> str:
        """The verdict and why, for a person."""
        verdict = self.verdict
        if verdict == TOO_EARLY:
            return f"Verdict on {model}: too early to say. It takes {FEWEST_DAYS} days; {self.days} have come due."
        if verdict == KEEP:
            most = max(self.bias.either, self.width.either, self.skill.above)
            return (
                f"Verdict on {model}: keep. In {self.days} days nothing happened that luck does not explain "
                f"(evidence {most:.1f}; {ALARM:.0f} would be drift)."
            )
        if self.bias.either >= ALARM:
            proof, what = self.bias, f"outcomes lie {_side(self.bias, 'above', 'below')} its median too often"
        elif self.width.either >= ALARM:
            proof, what = self.width, f"its intervals are too {_side(self.width, 'narrow', 'wide')}"
        else:
            proof, what = self.skill, "its CRPS is higher than EWMA-normal's"
        worse = verdict == RECALIBRATE and self.skill.above >= ALARM
        strength = proof.above if proof is self.skill else proof.either
        return (
            f"Verdict on {model}: {verdict}. Since about {self.dates[proof.since]} {what}, and that is not luck "
            f"(evidence {strength:.3g}; it takes {ALARM:.0f})."
            + (" So its CRPS is worse than EWMA-normal's: if that lasts after it, retrain." if worse else "")
            + (f" Next: {next_command}" if next_command else "")
        )


def watch(outcomes: Outcomes, ewma: Offsets, series: int | None = None) -> Drift:
    """The three tests on the forecasts of a model since its present calibration came into force.

    Arguments:
        outcomes: of one model; those marked ``in_sample`` do not count.
        ewma: EWMA-normal on the same origins, ``(N, O, H)``.
        series: one of the N; None: all of them, a day at a time.
    """
    chosen = slice(None) if series is None else slice(series, series + 1)
    moves = outcomes.moves[chosen]
    present = outcomes.calibration == outcomes.calibration[-1:]
    known = np.isfinite(moves) & ~outcomes.in_sample[chosen] & present[None, :, None]
    horizons = np.flatnonzero(known.any(axis=(0, 1)))
    h = int(horizons[0]) if len(horizons) else 0
    days = _apart(np.flatnonzero(known[..., h].any(axis=0)), outcomes.origins, h + 1)
    known, y = known[:, days, h], moves[:, days, h]
    ours = outcomes.forecast.quantiles[chosen][:, days, h]
    theirs = ewma.quantiles[chosen][:, days, h]
    low, high = below(ours, y)
    bias = evidence(_daily(_between(_NORMAL, low, high), known), _NORMAL[0], _NORMAL[-1], _TOLERANCE)
    width = evidence(_daily(_between(_SQUARE, low, high), known), _SQUARE.min(), _SQUARE.max(), _TOLERANCE)
    skill = evidence(_skill(y, ours, theirs, known), -1.0, 1.0)
    return Drift(len(days), bias, width, skill, outcomes.panel.dates[outcomes.origins[days]])


def _side(proof: Evidence, above: str, beneath: str) -> str:
    return above if proof.above > proof.below else beneath


def _apart(days: NDArray[np.intp], rows: NDArray[np.intp], steps: int) -> NDArray[np.intp]:
    """Those of ``days`` whose forecasts do not overlap: rows at least ``steps`` apart, the first ones first."""
    kept: list[int] = []
    for day in days.tolist():
        if not kept or rows[day] - rows[kept[-1]] >= steps:
            kept.append(day)
    return np.array(kept, np.intp)


def _between(table: Floats, low: NDArray[np.int64], high: NDArray[np.int64]) -> Floats:
    """The table's entry for an outcome above ``low`` quantiles; the expected one of several, if it falls on some."""
    total, chance = (np.concatenate([[0.0], each.cumsum()]) for each in (table * _CHANCE, _CHANCE))
    return np.asarray((total[high + 1] - total[low]) / (chance[high + 1] - chance[low]))


def _daily(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """``(O,)`` mean over the series that have a value that day (every day has one)."""
    return np.asarray(np.where(known, values, 0.0).sum(axis=0) / known.sum(axis=0))


def _skill(y: Floats, ours: Floats, theirs: Floats, known: NDArray[np.bool_]) -> Floats:
    """``(O,)`` how much worse than EWMA-normal's the CRPS was that day, between -1 and 1.

    Two pinball losses at one level differ by at most max(level, 1 - level) times the distance of the quantiles. That
    is known beforehand, so that the largest of it so far makes the bets bounded without making them unfair (Choe and
    Ramdas, Comparing Sequential Forecasters, Operations Research 72, 2024, for bounded scores). Each series counts in
    units of EWMA-normal's 80 % interval.
    """
    unit = theirs[..., LEVELS.index(0.9)] - theirs[..., LEVELS.index(0.1)]
    known = known & (unit > 0.0)
    unit = np.where(known, unit, 1.0)
    worse = np.where(known, crps_from_quantiles(y, ours) - crps_from_quantiles(y, theirs), 0.0) / unit
    apart = 2.0 * (np.abs(ours - theirs)[..., _SCORED_COLUMNS] * _STEEPEST).mean(axis=-1)
    most = np.maximum.accumulate((np.where(known, apart, 0.0) / unit).sum(axis=0)) if known.shape[1] else np.zeros(0)
    return np.asarray(np.clip(worse.sum(axis=0) / np.where(most > 0.0, most, 1.0), -1.0, 1.0))
