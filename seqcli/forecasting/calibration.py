"""Calibrations of a model: factors for its intervals, kept beside its weights, and how they are applied.

``recalibrate`` makes them. A model folder holds all there ever were in ``calibration.json``, oldest first. In force on
a day is the last one whose outcomes were all known by then: a replay of the past does not know what came later.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core import files
from seqcli.core.safe_formats import dump_json, read_json
from seqcli.core.statistics import LEVELS
from seqcli.errors import ModelError
from seqcli.forecasting.data import Floats

FORMAT: Final = 1
MEDIAN: Final = LEVELS.index(0.5)
PAIRS: Final = tuple(round(1.0 - 2.0 * level, 3) for level in LEVELS[:MEDIAN])
"""What each pair of quantiles should hold, the widest first: 0.95, 0.9, 0.8, …, 0.1."""

_ID: Final = re.compile(r"\d{4}-\d\d-\d\d-\S+", re.ASCII)


@dataclass(frozen=True)
class Calibration:
    """Factors that correct a model's intervals.

    Arguments:
        created: ISO time in UTC.
        model_id: the model whose forecasts it was learnt from.
        outcomes_until: ISO date of the last outcome that it knows.
        days: for each horizon, the days of outcomes that it was learnt from; 0: the factors of the horizon before
            stand in, because there were too few.
        factors: for each horizon and each of ``PAIRS``, what the distance from the median is multiplied by.
        coverage80: for each horizon, the share of those outcomes inside the 80 % interval before the correction.
        coverage95: the same for 95 %.
        crps_check: a correction learnt from the first two thirds of the days, tried on the last third: CRPS with it
            divided by CRPS without.
        applied: False: it is kept, but changes no forecast.
    """

    created: str
    model_id: str
    outcomes_until: str
    days: tuple[int, ...]
    factors: tuple[tuple[float, ...], ...]
    coverage80: tuple[float | None, ...]
    coverage95: tuple[float | None, ...]
    crps_check: float | None
    applied: bool = True

    @property
    def id(self) -> str:
        """What records of forecasts call it: the date of its last outcome, and a hash of its factors."""
        content = json.dumps([self.model_id, self.factors])
        return f"{self.outcomes_until}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def usable(kept: Sequence[Calibration], model_id: str) -> tuple[Calibration, ...]:
    """Those that were learnt from forecasts of these very weights, and are to be applied."""
    return tuple(one for one in kept if one.model_id == model_id and one.applied)


def in_force(kept: Sequence[Calibration], days: NDArray[np.datetime64]) -> list[Calibration | None]:
    """For each of ``(O,)`` days the last calibration whose outcomes were all known then; None: there was none."""
    until = np.array([one.outcomes_until for one in kept], "datetime64[D]")
    known = np.column_stack([np.ones(len(days), bool), until[None, :] <= days[:, None]])
    last = len(kept) - np.argmax(known[:, ::-1], axis=1)
    return [(None, *kept)[place] for place in last]


def learnt_until(identity: str) -> str:
    """The ISO date of the last outcome that the calibration of this ``id`` knows; empty where it names none."""
    return identity[:10] if _ID.fullmatch(identity) else ""


def apply(quantiles: Floats, calibration: Calibration) -> Floats:
    """Quantiles with their distances from the median multiplied by the factors; still in order.

    Arguments:
        quantiles: ``(..., H, 21)`` at ``LEVELS``, as levels or offsets (logarithms where the series is positive).
        calibration: horizons beyond its last one get the factors of that one.
    """
    return _scaled(quantiles, spread(calibration, quantiles.shape[-2]))


def spread(calibration: Calibration, horizon: int) -> Floats:
    """``(H, 21)``: the factor of each quantile's distance from the median."""
    each = np.array([calibration.factors[min(h, len(calibration.factors) - 1)] for h in range(horizon)])
    return np.concatenate([each, np.ones((horizon, 1)), each[:, ::-1]], axis=1)


def _scaled(quantiles: Floats, factors: Floats) -> Floats:
    median = quantiles[..., MEDIAN : MEDIAN + 1]
    out: Floats = median + (quantiles - median) * factors
    # Two pairs may be stretched so differently that they would cross: from the median outwards, none falls back.
    np.maximum.accumulate(out[..., MEDIAN:], axis=-1, out=out[..., MEDIAN:])
    inwards = out[..., MEDIAN::-1]
    np.minimum.accumulate(inwards, axis=-1, out=inwards)
    return out


def load(path: Path) -> tuple[Calibration, ...]:
    """All calibrations of a model, oldest first; none where there is no such file.

    Raises:
        ModelError: the file is damaged, or made by a newer seqcli.
    """
    if not path.exists():
        return ()
    content = read_json(path, dict)
    if content.get("format") != FORMAT:
        what = f"calibrations of format {content.get('format')!r}; this seqcli reads {FORMAT}"
        raise ModelError(str(path), what, "pip install --upgrade seqcli")
    try:
        return tuple(_parsed(one) for one in content["calibrations"])
    except (KeyError, TypeError, ValueError) as problem:
        hint = "move the file away: the model then forecasts uncorrected"
        raise ModelError(str(path), f"not a list of calibrations ({problem})", hint) from problem


def add(path: Path, calibration: Calibration) -> bool:
    """Put a calibration behind those that are there; False if it is the last one already.

    One with the same factors is replaced: there it may have been kept without being applied.

    Raises:
        ModelError: the file is damaged, or made by a newer seqcli.
        MachineError: it cannot be written.
    """
    there = load(path)
    if there and (there[-1].id, there[-1].applied) == (calibration.id, calibration.applied):
        return False
    others = [one for one in there if one.id != calibration.id]
    kept = [{"id": one.id, **asdict(one)} for one in (*others, calibration)]
    files.write_text(path, dump_json({"format": FORMAT, "levels": LEVELS, "calibrations": kept}))
    return True


def facts(path: Path, model_id: str) -> list[dict[str, Any]]:
    """What there is to know of a model's calibrations, oldest first; ``in_force`` for a forecast from the newest data.

    Arguments:
        path: the file.
        model_id: of the weights that it lies beside.

    Raises:
        ModelError: the file is damaged, or made by a newer seqcli.
    """
    kept = load(path)
    newest = usable(kept, model_id)[-1:]
    narrow, wide = PAIRS.index(0.8), PAIRS.index(0.95)
    return [
        {
            "id": one.id,
            "model_id": one.model_id,
            "created": one.created,
            "outcomes_until": one.outcomes_until,
            "days": list(one.days),
            "factor80": [each[narrow] for each in one.factors],
            "factor95": [each[wide] for each in one.factors],
            "applied": one.applied,
            "in_force": one in newest,
        }
        for one in kept
    ]


def _parsed(one: dict[str, Any]) -> Calibration:
    values = {"applied": True} | one  # older files do not name it
    values = {field.name: values[field.name] for field in fields(Calibration)}
    if type(values["applied"]) is not bool or not isinstance(values["model_id"], str):
        raise ValueError(f"'applied' is {str(values['applied'])[:20]!r}, or 'model_id' no text")
    if not isinstance(values["outcomes_until"], str) or str(np.datetime64(values["outcomes_until"], "D")) == "NaT":
        raise ValueError(f"'outcomes_until' is {str(values['outcomes_until'])[:20]!r}")
    factors = np.array(values["factors"], float)
    if factors.ndim != 2 or factors.shape[1] != len(PAIRS) or not (np.isfinite(factors) & (factors > 0.0)).all():
        raise ValueError(f"factors of shape {factors.shape}, or not all positive")
    for name in ("days", "coverage80", "coverage95"):
        values[name] = tuple(values[name])
    return Calibration(**{**values, "factors": tuple(map(tuple, factors.tolist()))})
