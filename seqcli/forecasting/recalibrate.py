"""Conformal recalibration: intervals made wider or narrower by what the journal's own forecasts got wrong.

For each horizon and each pair of quantiles (2.5 % and 97.5 %, 5 % and 95 %, …) one factor multiplies the distance from
the median. It is the split-conformal quantile of the factors that would just have reached each outcome (Romano,
Patterson and Candès, Conformalized Quantile Regression, NeurIPS 2019; their score, but in units of the half-width, so
that calm and wild days count alike). While there are few outcomes it is shrunk: one step ahead towards 1, further
ahead towards the factors of the horizon before. The median stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core import checkpoint, clock, files
from seqcli.core.checkpoint import ModelFolder
from seqcli.core.statistics import LEVELS, crps_from_quantiles
from seqcli.errors import InputError
from seqcli.forecasting import calibration as calibrations
from seqcli.forecasting import issue, journal, outcomes
from seqcli.forecasting.calibration import MEDIAN, PAIRS, Calibration
from seqcli.forecasting.data import Floats, Panel
from seqcli.forecasting.outcomes import Outcomes
from seqcli.results import Record, Result

FEWEST_DAYS: Final = 40
"""Days of outcomes, about two months: with less, the 95 % interval would follow single days."""

_COMMON, _SHAPE = 0.2, 0.1
# How far a model may be expected to be off before anything was seen, as standard deviations of the logarithm of a
# factor: of what all pairs have in common, and of how far one pair departs from that.

_FLAT = 1e-9  # of the 95 % interval; prices that went through a journal differ by less

_LEAST, _MOST = 0.2, 5.0  # a factor beyond these says that something else is wrong

Mask = NDArray[np.bool_]


def learn(model: Path, path: Path, panel: Panel, *, force: bool = False) -> Result:
    """A calibration of a model folder, kept in it.

    Arguments:
        model: the folder.
        path: the journal, and the other arguments, as of :func:`recalibrate`.
        panel: the values of its series.
        force: apply it whatever its check says.

    Raises:
        ModelError: no forecaster there, or its calibrations are damaged; a journal of a newer seqcli.
        InputError: as :func:`recalibrate`.
        TryLaterError: the model is in use.
    """
    checkpoint.peek(model, issue.KIND)  # before a lock is laid beside it
    file = ModelFolder(model).calibrations
    with files.lock(model):
        model_id, before = issue.load(model).manifest.id, calibrations.load(file)
        learnt = recalibrate(path, panel, model_id, [one for one in before if one.model_id == model_id], force=force)
        calibrations.add(file, learnt)
    return result(learnt)


def recalibrate(
    path: Path,
    panel: Panel,
    model_id: str,
    before: Sequence[Calibration] = (),
    until: np.datetime64 | None = None,
    *,
    force: bool = False,
) -> Calibration:
    """A calibration learnt from the outcomes of one model's forecasts, on days that it was not trained on.

    It is ``applied`` unless its own check says that it would have made the forecasts worse.

    Arguments:
        path: the journal.
        panel: the values of its series.
        model_id: the model.
        before: its calibrations so far. Forecasts made with one of them are first taken back to what the model itself
            had said; those made with an unknown one are left out.
        until: nothing after this day is looked at; None: all of the panel.
        force: apply it whatever the check says.

    Raises:
        InputError: no journal, no forecasts of this model, or too few outcomes (how many, and how many it takes).
        ModelError: a journal of a newer seqcli.
    """
    if until is not None:
        panel = panel.head(int(np.searchsorted(panel.dates, until, "right")))
    mine = [row for row in journal.read(path) if row["model_id"] == model_id]
    if not mine:
        held = ", ".join(journal.contents(path).models) or "none"
        raise InputError(str(path), f"no forecasts of model {model_id}", f"models in this journal: {held}")
    (one,), _ = outcomes.match(mine, panel, str(path))
    known = np.isfinite(one.moves) & _usable(one, before)
    days = known.any(axis=0).sum(axis=0).tolist()  # one for each horizon
    if not days or days[0] < FEWEST_DAYS:
        raise InputError(
            str(path),
            f"outcomes of {days[0] if days else 0} days one step ahead, and it takes {FEWEST_DAYS}",
            f"later again; how it stands: seqcli track {path}",
        )
    raw = _uncorrected(one, before)
    targets = one.origins[:, None] + np.arange(1, len(days) + 1)
    inside = {c: _coverage(one.moves, raw, PAIRS.index(c), known) for c in (0.8, 0.95)}
    check = _check(one.moves, raw, known, one.origins)
    return Calibration(
        created=clock.now().isoformat(timespec="seconds"),
        model_id=model_id,
        outcomes_until=str(one.panel.dates[targets[known.any(axis=0)].max()]),
        days=tuple(count if count >= FEWEST_DAYS else 0 for count in days),
        factors=_factors(one.moves, raw, known),
        coverage80=inside[0.8],
        coverage95=inside[0.95],
        crps_check=check,
        applied=force or check is None or check <= 1.0,
    )


def result(calibration: Calibration) -> Result:
    """A calibration as records, one a horizon, and in words."""
    wide, narrow = PAIRS.index(0.95), PAIRS.index(0.8)
    records: list[Record] = [
        {
            "calibration": calibration.id,
            "model_id": calibration.model_id,
            "h": h + 1,
            "days": calibration.days[h],
            "outcomes_until": calibration.outcomes_until,
            "applied": calibration.applied,
            "coverage80": calibration.coverage80[h],
            "coverage95": calibration.coverage95[h],
            "factor80": factors[narrow],
            "factor95": factors[wide],
        }
        for h, factors in enumerate(calibration.factors)
    ]
    first, check = calibration.factors[0], calibration.crps_check
    becomes = "becomes" if calibration.applied else "would become"
    said = [
        f"Learnt from {calibration.days[0]} days, outcomes until {calibration.outcomes_until}: one step ahead the 80 % "
        f"interval {becomes} {_change(first[narrow])}, the 95 % interval {_change(first[wide])}."
    ]
    warnings = []
    if check is not None:
        said.append(
            "Learnt from the first two thirds of these days only, it would have changed the CRPS of the last third "
            f"by {100.0 * (check - 1.0):+.2f} %."
        )
        if check > 1.0:
            worse = "on the last third of the journal this correction would have made the forecasts worse"
            end = "it is applied all the same" if calibration.applied else "kept, but not applied (--force applies it)"
            warnings.append(f"{worse}: {end}")
    return Result(records=tuple(records), sentences=tuple(said), warnings=tuple(warnings))


def _change(factor: float) -> str:
    return f"{100.0 * abs(factor - 1.0):.1f} % {'wider' if factor >= 1.0 else 'narrower'}"


def _usable(one: Outcomes, before: Sequence[Calibration]) -> Mask:
    """``(N, O, H)``: forecasts that prove something, with a calibration that can be taken back.

    Where one made neighbouring quantiles fall together, what the model had said between them is lost.
    """
    quantiles = one.forecast.quantiles
    width = quantiles[..., -1] - quantiles[..., 0]
    flat = (np.diff(quantiles, axis=-1) <= _FLAT * width[..., None]).any(axis=-1) & (width > 0.0)
    known = np.isin(one.calibration, ["", *(each.id for each in before)])[None, :, None]
    return np.asarray(~one.in_sample & known & ~(flat & (one.calibration != "")[None, :, None]))


def _uncorrected(one: Outcomes, before: Sequence[Calibration]) -> Floats:
    """``(N, O, H, 21)``: what the model had said before a calibration was applied, in order."""
    raw = one.forecast.quantiles.copy()
    for each in before:
        here = one.calibration == each.id
        if here.any():
            median = raw[:, here][..., MEDIAN : MEDIAN + 1]
            raw[:, here] = median + (raw[:, here] - median) / calibrations.spread(each, raw.shape[2])
    return raw


def _factors(moves: Floats, raw: Floats, known: Mask) -> tuple[tuple[float, ...], ...]:
    """A factor for each horizon and pair.

    Arguments:
        moves: ``(N, O, H)`` what happened.
        raw: ``(N, O, H, 21)`` what the model had said.
        known: ``(N, O, H)`` what counts.
    """
    out: list[tuple[float, ...]] = []
    for h in range(moves.shape[2]):
        days = int(known[..., h].any(axis=0).sum())
        if out and days < FEWEST_DAYS:
            out.append(out[-1])
            continue
        use = known[..., h]
        found = np.array([_conformal(moves[..., h][use], raw[..., h, :][use], k) for k in range(len(PAIRS))])
        out.append(tuple(_shrunk(found, np.array(out[-1] if out else [1.0] * len(PAIRS)), days / (h + 1)).tolist()))
    return tuple(out)


def _conformal(y: Floats, quantiles: Floats, pair: int) -> float:
    """The factor with which a pair of quantiles would have held its share of the ``(n,)`` outcomes.

    The ⌈(n + 1) × share⌉-th smallest of the factors that reach each outcome, as split conformal prediction has it.
    """
    median = quantiles[:, MEDIAN]
    down, up = median - quantiles[:, pair], quantiles[:, -1 - pair] - median
    good = (down > 0.0) & (up > 0.0)
    n = int(good.sum())
    if not n:
        return 1.0  # a model that is certain has no width to correct
    y, median, down, up = y[good], median[good], down[good], up[good]
    reach = np.sort(np.maximum((y - median) / up, (median - y) / down))
    rank = min(n, math.ceil((n + 1) * PAIRS[pair]))
    return float(np.clip(reach[rank - 1], _LEAST, _MOST))


def _shrunk(found: Floats, expected: Floats, n: float) -> Floats:
    """``(pairs,)`` factors pulled from what was found towards what was expected, by what ``n`` days leave open.

    In logarithms: a normal prior for what the pairs have in common, and one for each departure from it. The errors
    are those of the quantiles of ``n`` independent normal values: series of one day, and horizons that overlap, are
    not counted as more.
    """
    normal, c = NormalDist(), np.array(PAIRS)
    z = np.array([normal.inv_cdf((1.0 + share) / 2.0) for share in PAIRS])
    density = 2.0 * np.array([normal.pdf(each) for each in z])
    error = np.sqrt(c * (1.0 - c) / n) / (density * z)
    departure = np.log(found / expected)
    common = float(np.average(departure, weights=error**-2))
    believed = common * _COMMON**2 / (_COMMON**2 + float(error.min()) ** 2)
    shape = (departure - common) * _SHAPE**2 / (_SHAPE**2 + error**2)
    return np.asarray(np.clip(expected * np.exp(believed + shape), _LEAST, _MOST))


def _coverage(moves: Floats, raw: Floats, pair: int, known: Mask) -> tuple[float | None, ...]:
    inside = (moves >= raw[..., pair]) & (moves <= raw[..., -1 - pair])
    return tuple(
        float(inside[..., h][known[..., h]].mean()) if known[..., h].any() else None for h in range(moves.shape[2])
    )


def _check(moves: Floats, raw: Floats, known: Mask, origins: NDArray[np.intp]) -> float | None:
    """CRPS with a correction divided by that without, on the last third of the days; learnt from outcomes before it."""
    rows = np.flatnonzero(known.any(axis=(0, 2)))
    cut = origins[rows[2 * len(rows) // 3]]
    targets = origins[:, None] + np.arange(1, moves.shape[2] + 1)
    learnt, later = known & (targets <= cut)[None], known & (origins >= cut)[None, :, None]
    unit = raw[..., LEVELS.index(0.9)] - raw[..., LEVELS.index(0.1)]
    later &= unit > 0.0
    if not later.any() or not learnt[..., 0].any():
        return None
    trial = Calibration("", "", "", (), _factors(moves, raw, learnt), (), (), None)
    y, said, unit = moves[later], raw[later], unit[later]
    corrected = calibrations.apply(raw, trial)[later]
    without = (crps_from_quantiles(y, said) / unit).sum()
    return float((crps_from_quantiles(y, corrected) / unit).sum() / without) if without > 0.0 else None
