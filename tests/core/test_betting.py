from __future__ import annotations

import numpy as np
import pytest

from seqcli.core.betting import Evidence, evidence


def coins(days: int, chance: float, seed: int) -> np.ndarray:
    """1 or -1 each day."""
    return np.where(np.random.default_rng(seed).random(days) < chance, 1.0, -1.0)


def test_nothing_seen_is_no_evidence() -> None:
    assert evidence(np.empty(0), -1.0, 1.0) == Evidence(1.0, 1.0, 0)


def test_one_bet_by_hand() -> None:
    # Half of the money is put down on the first day, in six equal bets of 0.02 … 0.8; the other half stays.
    shares = np.array([0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
    found = evidence(np.array([1.0]), -1.0, 1.0)
    assert found.above == pytest.approx(0.5 + 0.5 * (1.0 + shares).mean())
    assert found.below == pytest.approx(0.5 + 0.5 * (1.0 - shares).mean())
    assert found.either == pytest.approx(1.0)


def test_the_expected_wealth_is_one_if_the_claim_holds() -> None:
    # All 2^6 outcomes of six fair coins at once, beginning on the day before the second share is put down.
    sides = np.array(np.meshgrid(*[[-1.0, 1.0]] * 6)).reshape(6, -1).T
    wealth = [evidence(np.concatenate([np.zeros(18), s]), -1.0, 1.0).above for s in sides]
    assert np.mean(wealth) == pytest.approx(1.0, abs=1e-12)


def test_whoever_looks_every_day_for_a_year_is_rarely_alarmed_for_nothing() -> None:
    limit, runs, alarms = 20.0, 200, 0
    for seed in range(runs):
        values = coins(250, 0.5, seed)
        alarms += any(evidence(values[:day], -1.0, 1.0).either >= limit for day in range(5, 251, 5))
    assert alarms / runs <= 1.0 / limit


def test_a_lasting_departure_is_found_on_its_side() -> None:
    found = evidence(coins(250, 0.65, 1), -1.0, 1.0)
    assert found.above > 1000.0
    assert found.below < 1.0
    assert evidence(coins(250, 0.35, 1), -1.0, 1.0).below > 1000.0


def test_a_change_after_years_of_fair_weather_is_found_and_dated() -> None:
    values = np.concatenate([coins(1000, 0.5, 2), coins(120, 0.8, 3)])
    found = evidence(values, -1.0, 1.0)
    assert found.above > 1000.0
    assert abs(found.since - 1000) <= 42


def test_a_departure_within_the_tolerance_is_no_evidence_however_long_it_lasts() -> None:
    values = coins(5000, 0.53, 4)  # mean 0.06
    assert evidence(values, -1.0, 1.0).either > 100.0
    assert evidence(values, -1.0, 1.0, tolerance=0.1).either < 1.0


def test_overwhelming_evidence_stays_a_number() -> None:
    assert np.isfinite(evidence(np.ones(10_000), -1.0, 1.0).either)
