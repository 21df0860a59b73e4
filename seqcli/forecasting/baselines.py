"""Forecasts that need no network: the ones that a model has to beat before it is worth its name.

All of them speak in offsets, level at the target minus level at the origin (a log-return, or a difference), and none
has a view on the direction but ``random-walk-drift``. They use rows up to the origin only; what they learn once
(quantiles, drift) comes from rows up to ``fit_end``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core.statistics import LEVELS
from seqcli.forecasting.averages import discounted
from seqcli.forecasting.data import Floats, Panel

RANDOM_WALK: Final = "random-walk"
EWMA_NORMAL: Final = "ewma-normal"

FEWEST_MOVES: Final = 20  # an empirical quantile of fewer moves is noise
TRAILING: Final = 250  # days: a year of fixings
DECAY: Final = 0.94  # RiskMetrics' daily decay (J.P. Morgan/Reuters, RiskMetrics Technical Document, 1996)
WARM_UP: Final = 100  # days until an EWMA has forgotten how it began
GARCH_WINDOW: Final = 2500  # days, about ten years
GARCH_FEWEST: Final = 250  # days: with less, the five parameters are not to be had
GARCH_REFIT: Final = 21  # days, about a month
PATHS: Final = 2048  # simulated for every origin; Sobol points want a power of two


@dataclass(frozen=True, eq=False)
class Task:
    """One series, and where a forecast of it is wanted.

    Arguments:
        levels: ``(T,)`` logarithms of a positive series, or the values; NaN on days without a value.
        fit_end: last row of the training period.
        origins: ``(O,)`` rows to forecast from, increasing. An origin without a value gets no forecast (NaN).
        horizon: H; targets are the rows 1..H after the origin, observed or not.
    """

    levels: Floats
    fit_end: int
    origins: NDArray[np.intp]
    horizon: int

    def empty(self) -> Floats:
        """``(O, H, 21)`` of NaN, to be filled in with quantiles."""
        return np.full((len(self.origins), self.horizon, len(LEVELS)), np.nan)

    def moves(self, h: int) -> Floats:
        """``(T,)`` change over the h rows that end in each row; NaN where either end has no value."""
        out = np.full(len(self.levels), np.nan)
        out[h:] = self.levels[h:] - self.levels[:-h]
        return out


@dataclass(frozen=True, eq=False)
class Offsets:
    """Forecasts as offsets from the level at the origin; NaN where there is none.

    Arguments:
        point: ``(O, H)``, or ``(N, O, H)`` for a panel.
        quantiles: the same with the 21 quantile levels of ``LEVELS`` as last axis.
        notes: what a reader has to know, a sentence each: no forecast for a series, a fit that did not converge.
    """

    point: Floats
    quantiles: Floats
    notes: tuple[str, ...] = ()


def _without_view(quantiles: Floats, *notes: str) -> Offsets:
    """The random walk as the point forecast, wherever there are quantiles."""
    return Offsets(np.where(np.isfinite(quantiles[..., 0]), 0.0, np.nan), quantiles, notes)


def random_walk(task: Task) -> Offsets:
    """The last value; quantiles of all h-step moves of the training period."""
    out, few = task.empty(), False
    for h in range(1, task.horizon + 1):
        moves = task.moves(h)[: task.fit_end + 1]
        moves = moves[np.isfinite(moves)]
        if len(moves) < FEWEST_MOVES:
            few = True
            continue
        out[:, h - 1] = np.quantile(moves, LEVELS)
    return _without_view(out, *(["too few moves in the training period"] if few else []))


def random_walk_drift(task: Task) -> Offsets:
    """The last value plus the mean daily move of the training period; quantiles as those of the random walk.

    Those quantiles are not centred: they hold the drift already.
    """
    base = random_walk(task)
    rows = np.flatnonzero(np.isfinite(task.levels[: task.fit_end + 1]))
    if len(rows) < 2:
        return base
    drift = (task.levels[rows[-1]] - task.levels[rows[0]]) / (rows[-1] - rows[0])
    return Offsets(base.point + drift * np.arange(1, task.horizon + 1), base.quantiles, base.notes)


def random_walk_trailing(task: Task) -> Offsets:
    """The last value; quantiles of the last 250 h-step moves that ended at the origin or before."""
    out, few = task.empty(), False
    for h in range(1, task.horizon + 1):
        moves = task.moves(h)
        ends = np.flatnonzero(np.isfinite(moves))
        moves = moves[ends]
        seen = np.searchsorted(ends, task.origins, side="right")
        full = seen >= TRAILING
        if full.any():
            windows = np.lib.stride_tricks.sliding_window_view(moves, TRAILING)[seen[full] - TRAILING]
            out[full, h - 1] = _sorted_quantiles(np.sort(windows, axis=1))
        for k in np.flatnonzero(~full & (seen >= FEWEST_MOVES)):
            out[k, h - 1] = np.quantile(moves[: seen[k]], LEVELS)
        few = few or bool((seen < FEWEST_MOVES).any())
    return _without_view(out, *(["too few moves before some of the origins"] if few else []))


def _daily_moves(levels: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Row in which each move between neighbouring values ended, and the move.

    A move over k rows is divided by sqrt(k): under a random walk that is the size of one of its days.
    """
    rows = np.flatnonzero(np.isfinite(levels))
    return rows[1:], np.diff(levels[rows]) / np.sqrt(np.diff(rows))


def ewma_volatility(levels: Floats, decay: float = DECAY) -> Floats:
    """``(T,)`` exponentially weighted volatility of a day's move, known at the close of each row.

    NaN until 20 moves have been seen, which give the starting value; carried over days without a value.
    """
    ends, moves = _daily_moves(levels)
    out = np.full(len(levels), np.nan)
    if len(moves) < FEWEST_MOVES:
        return out
    start = np.mean(moves[:FEWEST_MOVES] ** 2)
    variance = discounted((1.0 - decay) * moves**2, decay) + start * decay ** np.arange(1, len(moves) + 1)
    seen = np.searchsorted(ends, np.arange(len(levels)), side="right")
    known = seen >= FEWEST_MOVES
    out[known] = np.sqrt(variance[seen[known] - 1])
    return out


def ewma_normal(task: Task) -> Offsets:
    """RiskMetrics: a normal distribution with the EWMA volatility, times sqrt(h)."""
    z = np.array([NormalDist().inv_cdf(p) for p in LEVELS])
    sigma = ewma_volatility(task.levels)[task.origins]
    root = np.sqrt(np.arange(1, task.horizon + 1))
    out = sigma[:, None, None] * root[:, None] * z
    return _without_view(out, *(["too few moves before some of the origins"] if np.isnan(sigma).any() else []))


def ewma_empirical(task: Task) -> Offsets:
    """The EWMA volatility times the training period's quantiles of h-step moves in units of it."""
    out, few = task.empty(), False
    sigma = ewma_volatility(task.levels)
    trained = np.flatnonzero(np.isfinite(task.levels[: task.fit_end + 1]))
    begin = trained[min(WARM_UP, len(trained) // 4)] if len(trained) else 0
    for h in range(1, task.horizon + 1):
        starts = np.arange(begin, max(begin, task.fit_end - h + 1))
        moves, unit = task.levels[starts + h] - task.levels[starts], sigma[starts] * np.sqrt(h)
        good = np.isfinite(moves) & (unit > 0.0)
        if good.sum() < FEWEST_MOVES:
            few = True
            continue
        z = np.quantile(moves[good] / unit[good], LEVELS)
        out[:, h - 1] = (sigma[task.origins] * np.sqrt(h))[:, None] * z
    return _without_view(out, *(["too few moves in the training period"] if few else []))


@dataclass(frozen=True)
class _Garch:
    """Variance ``v' = omega + (alpha + gamma·[e < 0])·e² + beta·v`` with Student-t shocks of nu degrees of freedom.

    Bollerslev, A Conditionally Heteroskedastic Time Series Model, REStat 69 (1987); with gamma: Glosten, Jagannathan
    and Runkle, Journal of Finance 48 (1993). Moves are in units of their own size over the window of the fit. The
    defaults are what daily financial series mostly come to, and stand in until a fit has converged.
    """

    omega: float = 0.02
    alpha: float = 0.05
    gamma: float = 0.0
    beta: float = 0.93
    nu: float = 6.0

    def next(self, variance: Floats, shock: Floats) -> Floats:
        """The variance of the day after ``shock``, which had ``variance``."""
        return self.omega + (self.alpha + self.gamma * (shock < 0.0)) * shock**2 + self.beta * variance

    def filter(self, moves: Floats) -> Floats:
        """``(n,)`` variance of the day after each move; the day of the first one had variance 1."""
        push = self.next(np.zeros_like(moves), moves)
        return discounted(push, self.beta) + self.beta ** np.arange(1, len(moves) + 1)

    def simulate(self, variance: Floats, horizon: int, seed: int) -> Floats:
        """``(O, H, 21)`` quantiles of the sum of the next moves, from ``(O,)`` variances of the first of them.

        The shocks are quantiles of the t-distribution at scrambled Sobol points (Owen, Scrambling Sobol' and
        Niederreiter-Xing Points, Journal of Complexity 14, 1998): half the error of as many random draws. All origins
        share them.
        """
        from scipy.special import stdtrit
        from scipy.stats import qmc

        unit = np.sqrt((self.nu - 2.0) / self.nu)  # Student's t with variance 1
        even = stdtrit(self.nu, (np.arange(PATHS) + 0.5) / PATHS) * unit
        points = qmc.Sobol(horizon, seed=seed).random(PATHS)
        shocks = even[(points * PATHS).astype(int)].T  # every step has each of the even quantiles once
        v = np.repeat(variance[:, None], PATHS, axis=1)
        total = np.zeros_like(v)
        out = np.empty((len(variance), horizon, len(LEVELS)))
        for step, z in enumerate(shocks):
            shock = np.sqrt(v) * z
            total += shock
            out[:, step] = _sorted_quantiles(np.sort(total, axis=1))
            v = self.next(v, shock)
        out[:, 0] = np.sqrt(variance)[:, None] * stdtrit(self.nu, LEVELS) * unit  # one step needs no simulation
        return out


def _sorted_quantiles(ordered: Floats) -> Floats:
    """``(O, 21)`` what ``np.quantile`` gives, in half the time for many levels: from rows in increasing order."""
    place = np.array(LEVELS) * (ordered.shape[1] - 1)
    below = place.astype(int)
    low, high = ordered[:, below], ordered[:, below + 1]
    mixed: Floats = low + (place - below) * (high - low)
    return mixed


def _fit_garch(moves: Floats, leverage: bool, start: _Garch | None) -> _Garch | None:
    """Maximum likelihood by package ``arch``, from ``start`` and else from its own grid; None if neither converges."""
    from arch import arch_model

    names = ["omega", "alpha[1]", *(["gamma[1]"] if leverage else []), "beta[1]", "nu"]
    model = arch_model(moves, mean="Zero", vol="GARCH", p=1, o=int(leverage), q=1, dist="t", rescale=False)
    fields = [name.removesuffix("[1]") for name in names]
    guesses = [None] if start is None else [np.array([getattr(start, name) for name in fields]), None]
    for guess in guesses:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                result = model.fit(disp="off", show_warning=False, starting_values=guess)
            except (ValueError, ArithmeticError, np.linalg.LinAlgError):
                continue
        found = result.params.loc[names].to_numpy(dtype=float)
        if result.convergence_flag == 0 and np.isfinite(found).all():
            return _Garch(**dict(zip(fields, found.tolist(), strict=True)))
    return None


def _garch_forecast(task: Task, leverage: bool) -> Offsets:
    """GARCH(1,1)-t on the last 2,500 moves, fitted again every 21 days counted from ``fit_end``."""
    out = task.empty()
    ends, moves = _daily_moves(task.levels)
    refit = task.fit_end + GARCH_REFIT * ((task.origins - task.fit_end) // GARCH_REFIT)  # never after the origin
    known = np.searchsorted(ends, task.origins, side="right")
    current: _Garch | None = None
    fits = failed = few = still = 0
    for row in np.unique(refit):
        here = np.flatnonzero(refit == row)
        end = int(np.searchsorted(ends, row, side="right"))
        begin = max(0, end - GARCH_WINDOW)
        window = moves[begin:end]
        if len(window) < GARCH_FEWEST:
            few += 1
            continue
        size = float(np.sqrt(np.mean(window**2)))
        if np.mean(np.abs(window) > 1e-9 * size) <= 0.5:
            still += 1
            continue
        fits += 1
        found = _fit_garch(window / size, leverage, current)
        failed += found is None
        current = found or current or _Garch()
        after = current.filter(moves[begin : known[here].max()] / size)
        out[here] = size * current.simulate(after[known[here] - begin - 1], task.horizon, int(row))
    notes = []
    if few:
        notes.append(f"fewer than {GARCH_FEWEST} moves to fit on")
    if still:
        notes.append("most of its moves are zero")
    if failed:
        notes.append(f"{failed} of {fits} fits did not converge; the parameters before them were kept")
    return _without_view(out, *notes)


def garch_t(task: Task) -> Offsets:
    """GARCH(1,1) with Student-t shocks."""
    return _garch_forecast(task, leverage=False)


def gjr_garch_t(task: Task) -> Offsets:
    """GJR-GARCH(1,1) with Student-t shocks: falls and rises may move the volatility differently."""
    return _garch_forecast(task, leverage=True)


BASELINES: Final[dict[str, Callable[[Task], Offsets]]] = {
    RANDOM_WALK: random_walk,
    "random-walk-drift": random_walk_drift,
    "random-walk-250": random_walk_trailing,
    EWMA_NORMAL: ewma_normal,
    "ewma-empirical": ewma_empirical,
    "garch-t": garch_t,
    "gjr-garch-t": gjr_garch_t,
}
"""Every baseline under the name that reports print."""

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "none": (),
    "fast": tuple(name for name in BASELINES if "garch" not in name),
    "all": tuple(BASELINES),
}
"""What ``--baselines`` takes."""


def run(name: str, panel: Panel, fit_end: int, origins: NDArray[np.intp], horizon: int) -> Offsets:
    """One baseline for all series of a panel.

    Arguments:
        name: a key of ``BASELINES``.
        panel: the series; rows after the last origin are not read, but for the training period's.
        fit_end: row index of the last training day. For an origin before it, quantiles and drift know the future:
            such forecasts are in-sample.
        origins: ``(O,)`` row indices, increasing.
        horizon: H, in rows.

    Returns offsets with ``point (N, O, H)`` and ``quantiles (N, O, H, 21)`` at the levels ``LEVELS``: NaN where a
    series has no value at the origin or the baseline has too little to go by; the notes say so and name the series.
    """
    rows = np.asarray(origins, np.intp)
    shape = (len(panel.names), len(rows), horizon)
    point, quantiles = np.full(shape, np.nan), np.full((*shape, len(LEVELS)), np.nan)
    said: dict[str, list[str]] = {}
    levels = panel.levels()
    for n, series in enumerate(panel.names):
        observed = np.isfinite(levels[rows, n])
        if not observed.any():
            continue
        offsets = BASELINES[name](Task(levels[:, n], fit_end, rows[observed], horizon))
        point[n, observed], quantiles[n, observed] = offsets.point, offsets.quantiles
        for note in offsets.notes:
            said.setdefault(note, []).append(series)
    return Offsets(point, quantiles, tuple(f"{name}: {note} ({listed(of)})" for note, of in said.items()))


def listed(names: Sequence[str], most: int = 5) -> str:
    """The names in a sentence; of many, the first few and how many more."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
