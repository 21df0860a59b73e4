"""The continuous cache: what was written in a similar place is likelier, and nothing is lost by having one."""

import math

import numpy as np
import pytest

from seqcli.core.units import DOCUMENT
from seqcli.generation import cache
from seqcli.generation.cache import Floats, Ids, Memory, Settings

V, H = 12, 6


@pytest.fixture
def text() -> tuple[Floats, Floats, Ids]:
    """Log-probabilities of a model, its states, and ids in three documents."""
    random = np.random.default_rng(0)
    tokens = random.integers(2, V, 300)
    tokens[[0, 90, 91]] = DOCUMENT
    return np.log(random.uniform(0.05, 0.5, 300)), random.normal(size=(300, H)).astype(np.float32), tokens


def by_hand(logs: Floats, hidden: Floats, tokens: Ids, settings: Settings) -> list[float]:
    """The paper's equations, one place at a time."""
    found = []
    remembered: list[tuple[Floats, int]] = []
    for log, state, token in zip(logs, hidden, tokens, strict=True):
        pairs = remembered[-settings.size :]
        likeness = [math.exp(settings.theta * float(state @ before)) for before, _ in pairs]
        recalled = sum(one for one, (_, what) in zip(likeness, pairs, strict=True) if what == token)
        share = recalled / sum(likeness) if pairs else 0.0
        weight = settings.weight if pairs else 0.0
        found.append(math.log((1 - weight) * math.exp(log) + weight * share))
        remembered = [] if token == DOCUMENT else [*remembered, (state, int(token))]
    return found


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("theta", [0.0, 0.5, 3.0])
def test_a_text_gets_the_probabilities_of_the_paper(
    text: tuple[Floats, Floats, Ids], size: int, theta: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_BLOCK", 64)
    settings = Settings(size, theta, 0.2)
    assert cache.mixed(*text, settings) == pytest.approx(by_hand(*text, settings), abs=1e-4)


def test_written_unit_by_unit_the_probabilities_are_the_same(text: tuple[Floats, Floats, Ids]) -> None:
    logs, hidden, tokens = text
    settings = Settings(20, 0.7, 0.3)
    expected = cache.mixed(logs, hidden, tokens, settings)
    memory = Memory.empty(settings, H, batch=2)
    for place, (state, token) in enumerate(zip(hidden, tokens, strict=True)):
        states = np.stack([state, hidden[0]])
        alone = np.full((2, V), (1 - math.exp(logs[place])) / (V - 1))
        alone[0, token] = math.exp(logs[place])
        alone[1] = 1 / V
        mixed = memory.mixed(alone, states)
        assert mixed.sum(axis=1) == pytest.approx(1.0)
        assert math.log(mixed[0, token]) == pytest.approx(expected[place], abs=1e-4)
        memory = memory.remember(states[:, None], np.array([[token], [3]]))


def test_read_in_chunks_the_probabilities_are_the_same(text: tuple[Floats, Floats, Ids]) -> None:
    settings = Settings(70, 0.7, 0.3)
    expected = cache.mixed(*text, settings)
    logs, hidden, tokens = (np.stack([one, one[::-1]]) for one in text)
    memory = Memory.empty(settings, H, batch=2)
    found = []
    for start in range(0, 300, 33):
        some = slice(start, start + 33)
        found.append(memory.scored(logs[:, some], hidden[:, some], tokens[:, some]))
        memory = memory.remember(hidden[:, some], tokens[:, some])
    assert np.concatenate(found, axis=1)[0] == pytest.approx(expected, abs=1e-6)
    # And on from there a unit at a time, in rows that were swapped.
    one_more = memory.select(np.array([1, 0])).mixed(np.full((2, V), 1 / V), hidden[:, 0])
    assert one_more[1] == pytest.approx(memory.mixed(np.full((2, V), 1 / V), hidden[:, 0][[1, 0]])[0])


def test_what_is_remembered_later_does_not_reach_an_older_memory(text: tuple[Floats, Floats, Ids]) -> None:
    _, hidden, tokens = text
    memory = Memory.empty(Settings(50, 0.5, 0.3), H).remember(hidden[None, :40], tokens[None, :40])
    alone = np.full((1, V), 1 / V)
    before = memory.mixed(alone, hidden[:1])
    memory.remember(hidden[None, 40:41], tokens[None, 40:41]).remember(hidden[None, 41:200], tokens[None, 41:200])
    assert memory.mixed(alone, hidden[:1]).tolist() == before.tolist()


def test_batches_of_different_length_are_joined(text: tuple[Floats, Floats, Ids]) -> None:
    _, hidden, tokens = text
    memories = [
        Memory.empty(Settings(150, 0.5, 0.3), H).remember(hidden[None, start:end], tokens[None, start:end])
        for start, end in ((100, 110), (100, 280), (120, 140))
    ]
    alone, states = np.full((3, V), 1 / V), hidden[:3]
    expected = [one.mixed(alone[:1], states[row : row + 1])[0] for row, one in enumerate(memories)]
    assert Memory.join(memories).mixed(alone, states) == pytest.approx(np.stack(expected))


def test_an_empty_cache_changes_nothing() -> None:
    memory = Memory.empty(Settings(5, 0.1, 0.5), H)
    alone = np.full((1, V), 1 / V)
    assert memory.mixed(alone, np.ones((1, H))).tolist() == alone.tolist()


def test_states_that_are_far_apart_do_not_overflow() -> None:
    hidden = np.array([[-300.0], [300.0], [300.0]], np.float32)
    tokens = np.array([4, 5, 5])
    logs = np.log([0.1, 0.1, 0.1])
    found = cache.mixed(logs, hidden, tokens, Settings(10, 5.0, 0.5))
    assert np.exp(found) == pytest.approx([0.1, 0.05, 0.55], abs=1e-6)


def test_a_text_that_repeats_itself_gets_a_cache_and_noise_gets_none() -> None:
    random = np.random.default_rng(1)
    states = random.normal(size=(40, H)).astype(np.float32)
    phrase = random.integers(2, V, 40)
    logs = np.full(400, math.log(1 / V))
    repeated, likelihood = cache.choose(logs, np.tile(states, (10, 1)), np.tile(phrase, 10))
    assert repeated.weight == max(cache.WEIGHTS)
    assert likelihood > logs.mean() + 0.5
    noise = cache.choose(np.log(np.full(400, 0.9)), random.normal(size=(400, H)), random.integers(2, V, 400))
    assert noise == (Settings(0, 0.0, 0.0), pytest.approx(math.log(0.9)))


def test_a_cache_of_no_pairs_is_no_cache(text: tuple[Floats, Floats, Ids]) -> None:
    assert cache.mixed(*text, Settings(0, 0.0, 0.0)) == pytest.approx(text[0])
