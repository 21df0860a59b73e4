"""What n-grams teach the network: draws from their distribution, by counts that do not know the place."""

from __future__ import annotations

import numpy as np
import pytest
import torch  # noqa: TID253 - the network's side of it

from seqcli.core.units import DOCUMENT
from seqcli.generation.chunks import Batch, Streams
from seqcli.generation.config import GeneratorConfig
from seqcli.generation.model import LanguageModel
from seqcli.generation.ngram import KneserNey
from seqcli.generation.teacher import _LEAST, Teacher

V = 20


def text(length: int) -> np.ndarray:
    """Ids of which the small ones are frequent, in two documents."""
    tokens = np.random.default_rng(0).geometric(0.3, length).clip(max=V - 3) + 1
    tokens[[0, length // 2]] = DOCUMENT
    return tokens.astype(np.int32)


def test_units_are_drawn_as_often_as_the_model_says() -> None:
    model = KneserNey.fit(text(3000), V, 3)
    context = [4, 2, 3]  # and 2 behind it, which is not asked about
    drawn = model.drawn([*context, 2], 40_000, np.random.default_rng(1))
    assert drawn.shape == (40_000, 4)
    for place in (0, 1, 3):
        shares = np.bincount(drawn[:, place], minlength=V) / len(drawn)
        wanted = model.distribution(context[:place]) if place else model.distribution([])
        np.testing.assert_allclose(shares, wanted, atol=0.012)


def test_nothing_is_drawn_from_before_a_document() -> None:
    model = KneserNey.fit(text(3000), V, 3)
    drawn = model.drawn([5, DOCUMENT, 2], 40_000, np.random.default_rng(1))[:, 2]
    shares = np.bincount(drawn, minlength=V) / len(drawn)
    np.testing.assert_allclose(shares, model.distribution([DOCUMENT]), atol=0.012)


def test_a_part_is_taught_by_the_others_alone() -> None:
    tokens = np.random.default_rng(2).integers(2, 10, 8 * _LEAST).astype(np.int32)
    tokens[_LEAST : 2 * _LEAST] = np.tile([10, 11], _LEAST // 2)  # the second of eight parts is not like any other
    teacher = Teacher.of(tokens, V, seed=1)
    assert teacher is not None
    there = np.isin(teacher.drawn[:, _LEAST : 2 * _LEAST], [10, 11]).mean()
    assert there < 0.2, "what stands there is known from there only"
    elsewhere = np.isin(teacher.drawn[:, 2 * _LEAST :], np.arange(2, 12)).mean()
    assert elsewhere > 0.95


@pytest.mark.parametrize("length", [1, _LEAST - 1])
def test_a_short_text_has_no_teacher(length: int) -> None:
    assert Teacher.of(np.full(length, 3, np.int32), V, seed=1) is None


def test_a_batch_is_taught_what_was_drawn_for_its_places() -> None:
    tokens = np.arange(2000, dtype=np.int32) % V
    teacher = Teacher(np.stack([(tokens + 1) % V, (tokens + 2) % V]))
    streams = Streams.of(tokens, 4, 7, seed=1, teacher=teacher)
    for epoch, further in ((0, 1), (1, 2), (2, 1)):
        for batch in streams.batches(epoch):
            assert batch.taught is not None
            np.testing.assert_array_equal(batch.taught, (batch.tokens[:, 1:] + further) % V)
            assert batch.size == batch.taught.size


def test_the_loss_is_shared_between_the_text_and_the_teacher() -> None:
    torch.manual_seed(0)
    model = LanguageModel(GeneratorConfig(V, embedding=6, hidden=9, cutoffs=(7,)))
    tokens = np.random.default_rng(3).integers(0, V, (3, 6))
    other = np.random.default_rng(4).integers(0, V, (3, 5))
    streams = Streams.of(tokens.ravel(), 3, 5, seed=1)

    def loss(taught: float, given: np.ndarray | None) -> float:
        return float(streams.step(model, lambda: 0.0, taught)(Batch(tokens, given), None)[0].detach())

    alone, theirs = loss(0.0, other), loss(0.999999, other)
    assert alone != pytest.approx(theirs, rel=1e-3)
    assert loss(0.25, other) == pytest.approx(0.75 * alone + 0.25 * theirs, rel=1e-4)
    assert loss(0.25, None) == alone
