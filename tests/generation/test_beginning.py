"""The embeddings that a network begins with: alike are units that stand beside the same ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import svds  # noqa: TID253 - the peer

from seqcli.generation import beginning
from seqcli.generation.beginning import _decomposed, _likelier, embeddings

V = 12


def text(length: int = 4000) -> np.ndarray:
    """A unit of 2 … 4, then one of 5 … 7, then 8, again and again; 9 … 11 never."""
    random = np.random.default_rng(0)
    rows = np.stack([random.integers(2, 5, length), random.integers(5, 8, length), np.full(length, 8)], axis=1)
    return rows.ravel().astype(np.int32)


def test_units_that_stand_beside_the_same_ones_are_alike_and_others_are_not() -> None:
    found = embeddings(text(), V, 3, seed=1)
    assert found.shape == (V, 3)
    assert found.std() == pytest.approx(1)
    unit = found[2:9] / np.linalg.norm(found[2:9], axis=1, keepdims=True)
    alike = unit @ unit.T
    assert (alike[:3, :3] > 0.95).all()
    assert (alike[3:6, 3:6] > 0.95).all()
    assert (alike[:3, 3:6] < 0.5).all()
    assert not found[9:].any(), "nothing is known of units that the text does not have"


def test_what_is_likelier_behind_and_before_a_unit_is_that_of_the_equations() -> None:
    x = np.array([2, 3, 2, 3, 2, 4])
    found = _likelier(x, 5).toarray()
    assert found.shape == (5, 20)
    # 2 3 twice and 2 4 once of five pairs; 2 is first in three of them, 3 second in two.
    assert found[2, 3] == pytest.approx(np.log(2 / (3 + 1) / (2 / 5)))
    assert found[3, 5 + 2] == pytest.approx(max(0, np.log(2 / (2 + 1) / (3 / 5))))
    assert found[4, 5 + 2] == pytest.approx(max(0, np.log(1 / (1 + 1) / (3 / 5))))
    # Two behind: 2 2 twice, 3 3 and 3 4 once.
    assert found[3, 10 + 4] == pytest.approx(np.log(1 / (2 + 1) / (1 / 4)))
    assert found[4, 15 + 3] == 0, "1 of 1 + 1 is no more than 3's share"
    assert (found >= 0).all()


def test_the_decomposition_is_that_of_scipy() -> None:
    x = np.random.default_rng(1).zipf(1.3, 30_000).clip(max=299)
    matrix = _likelier(x, 300)
    left, values = _decomposed(matrix, 8, seed=0)
    wanted = np.sort(svds(matrix, k=8, random_state=0)[1])[::-1]
    np.testing.assert_allclose(values, wanted, rtol=0.02)
    assert left.T @ left == pytest.approx(np.eye(8), abs=1e-3)


@pytest.mark.parametrize("vocabulary", [12, 40])
def test_more_numbers_than_kinds_of_units_are_zeros(vocabulary: int) -> None:
    found = embeddings(text(50), vocabulary, 64, seed=1)
    assert np.isfinite(found).all()
    assert not found[:, vocabulary:].any()


def test_a_text_that_tells_nothing_gives_zeros() -> None:
    assert not embeddings(np.array([2]), 5, 4, seed=1).any()
    assert not embeddings(np.full(30, 2), 5, 4, seed=1).any()


def test_the_same_seed_gives_the_same_embeddings() -> None:
    np.testing.assert_array_equal(embeddings(text(), V, 4, seed=3), embeddings(text(), V, 4, seed=3))


def test_very_rare_kinds_of_units_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beginning, "_KINDS", 8)
    found = embeddings(text(), V, 4, seed=3)
    assert found[2:8].any(axis=1).all()
    assert not found[8:].any()
