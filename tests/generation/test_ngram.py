"""Kneser–Ney: the numbers of the textbook, for every way to ask for them."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from seqcli.core.safe_formats import dump_tensors, read_tensors
from seqcli.core.units import DOCUMENT, Ids, Units
from seqcli.errors import InputError, ModelError
from seqcli.generation import ngram
from seqcli.generation.ngram import KneserNey

NEKO = Path(__file__).parents[3] / "shared" / "data" / "neko"
V = 9


def stream(seed: int, documents: int = 40, longest: int = 30) -> Ids:
    """Documents of ids from 2, each of which mostly follows from the one before it."""
    random = np.random.default_rng(seed)
    ids = []
    for _ in range(documents):
        ids.append(DOCUMENT)
        last = 2
        for _ in range(int(random.integers(1, longest))):
            last = 2 + (last * 3 + int(random.choice(4, p=[0.6, 0.2, 0.15, 0.05]))) % (V - 3)  # id 8 never occurs
            ids.append(last)
    return np.array(ids, np.int32)


class Textbook:
    """The same model as Chen and Goodman write it down: dictionaries, one probability at a time, and no hurry."""

    def __init__(self, tokens: Sequence[int], order: int) -> None:
        self.order = order
        raw: Counter[tuple[int, ...]] = Counter()
        document: list[int] = []
        for token in [*tokens, None]:
            if document and token is not None:
                for n in range(1, order + 1):
                    if n <= len(document) + 1:
                        raw[(*document[len(document) - n + 1 :], token)] += 1
            if token == DOCUMENT:
                document = []
            if token is not None:
                document.append(token)
        self.counts: list[Counter[tuple[int, ...]]] = []
        for n in range(1, order + 1):
            counts: Counter[tuple[int, ...]] = Counter()
            for gram, count in raw.items():
                if n == order == len(gram) or (len(gram) == n < order and gram[0] == DOCUMENT and n > 1):
                    counts[gram] += count
                elif len(gram) == n + 1 and n < order:
                    counts[gram[1:]] += 1
            self.counts.append(counts)
        self.discounts = [self.discount(counts) for counts in self.counts]

    @staticmethod
    def discount(counts: Counter[tuple[int, ...]]) -> list[float]:
        n = [sum(count == k for count in counts.values()) for k in range(5)]
        y = n[1] / (n[1] + 2 * n[2]) if n[1] else 0.0
        taken = [k - (k + 1) * y * n[k + 1] / n[k] if n[k] else 0.0 for k in (1, 2, 3)]
        return [0.0] + [
            d if 0 < d < k else fallback for k, d, fallback in zip((1, 2, 3), taken, (0.5, 1.0, 1.5), strict=True)
        ]

    def probability(self, context: tuple[int, ...], token: int) -> float:
        n = len(context) + 1
        lower = self.probability(context[1:], token) if context else 1 / V
        counts, discounts = self.counts[n - 1], self.discounts[n - 1]
        behind = {gram[-1]: count for gram, count in counts.items() if gram[:-1] == context}
        if not behind:
            return lower
        total = sum(behind.values())
        passed = sum(discounts[min(count, 3)] for count in behind.values()) / total
        count = behind.get(token, 0)
        return (count - discounts[min(count, 3)]) / total + passed * lower

    def log_probabilities(self, tokens: Sequence[int]) -> list[float]:
        found = []
        context: tuple[int, ...] = (DOCUMENT,)
        for token in tokens:
            found.append(math.log(self.probability(context[-(self.order - 1) :] if self.order > 1 else (), token)))
            context = (DOCUMENT,) if token == DOCUMENT else (*context, token)
        return found


@pytest.fixture(scope="module")
def model() -> KneserNey:
    return KneserNey.fit(stream(0), V, 4)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_are_those_of_the_textbook(order: int) -> None:
    train, text = stream(0), stream(1, 10)[1:]
    expected = Textbook(train.tolist(), order)
    found = KneserNey.fit(train, V, order).log_probabilities(text)
    assert found == pytest.approx(expected.log_probabilities(text.tolist()), abs=1e-9)


def test_discounts_come_from_the_counts_of_counts_where_these_give_any(model: KneserNey) -> None:
    expected = Textbook(stream(0).tolist(), 4)
    for level, discounts in zip(model.levels, expected.discounts, strict=True):
        assert level.discounts.tolist() == pytest.approx(discounts)
    assert model.levels[-1].discounts.tolist() != [0.0, 0.5, 1.0, 1.5]


def test_the_probabilities_behind_any_context_add_up_to_one(model: KneserNey) -> None:
    text = stream(2)
    for end in (0, 1, 2, 5, 40, 77):
        probabilities = model.distribution(text[:end])
        assert probabilities.shape == (V,)
        assert probabilities.sum() == pytest.approx(1.0)
        assert (probabilities > 0).all()  # of the id that never occurs, too


def test_unit_by_unit_gives_what_the_whole_text_gives(model: KneserNey) -> None:
    text = stream(3, 5)[1:]
    logs, matched = model.log_probabilities(text), model.order_matched(text)
    state = model.advance(model.nothing(), [DOCUMENT])
    for place, token in enumerate(text):
        assert math.log(model.distributions(state)[0, token]) == pytest.approx(logs[place])
        assert model.matched(state)[0] == matched[place]
        state = model.advance(state, [token])


def test_many_texts_at_once_are_each_as_if_alone(model: KneserNey) -> None:
    rows = np.stack([stream(seed, 3)[1:12] for seed in range(6)])
    state = model.advance(model.nothing(len(rows)), np.full(len(rows), DOCUMENT))
    for ids in rows.T:
        state = model.advance(state, ids)
    together = model.distributions(state)
    for row, ids in enumerate(rows):
        assert together[row] == pytest.approx(model.distribution([DOCUMENT, *ids]))


def test_a_context_does_not_reach_into_the_document_before(model: KneserNey) -> None:
    behind = [model.distribution([DOCUMENT, *before, DOCUMENT, 4]) for before in ([2], [3, 5], [])]
    assert behind[0] == pytest.approx(behind[2])
    assert behind[1] == pytest.approx(behind[2])
    text = [4, 5, DOCUMENT, 4, 5]
    logs = model.log_probabilities(text)
    assert logs[3:] == pytest.approx(logs[:2])
    assert model.order_matched(text)[3] == model.order_matched(text)[0]


def test_how_far_back_it_has_seen_is_counted() -> None:
    model = KneserNey.fit([DOCUMENT, 2, 3, 4, 2, 3, 5], 8, 4)
    # before 2: <doc>; before 3: <doc> 2; before 7: <doc> 2 3; before 4: nothing, as 7 was never seen.
    assert model.order_matched([2, 3, 7, 4]).tolist() == [1, 2, 3, 0]
    # 5 was seen, but nothing behind it.
    assert model.order_matched([2], prefix=[5]).tolist() == [0]


def test_what_stands_before_counts_and_more_of_it_than_the_order_does_not(model: KneserNey) -> None:
    text = stream(4, 1, 40)
    whole = model.log_probabilities(text[1:])
    assert model.log_probabilities(text[10:], text[:10]) == pytest.approx(whole[9:])
    assert model.log_probabilities(text[10:], text[7:10]) == pytest.approx(whole[9:])
    assert model.log_probabilities([], [DOCUMENT]).shape == (0,)


def test_a_long_text_is_looked_up_in_pieces_that_do_not_show(model: KneserNey, monkeypatch: pytest.MonkeyPatch) -> None:
    text = stream(5)[1:]
    logs, matched = model.log_probabilities(text), model.order_matched(text)
    monkeypatch.setattr(ngram, "_CHUNK", 7)
    assert model.log_probabilities(text).tolist() == logs.tolist()
    assert model.order_matched(text).tolist() == matched.tolist()


def test_no_more_than_so_many_tokens_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngram, "MOST", 100)
    counted = [level.counts.tolist() for level in KneserNey.fit(stream(0), V).levels]
    assert counted == [level.counts.tolist() for level in KneserNey.fit(stream(0)[:100], V).levels]


def test_one_unit_over_and_over_is_a_language_too() -> None:
    model = KneserNey.fit([DOCUMENT] + [2] * 50, 3)
    assert model.distribution([2, 2, 2])[2] > 0.9
    assert model.distribution([]).sum() == pytest.approx(1.0)


def test_a_text_shorter_than_the_order_gives_a_lower_one() -> None:
    model = KneserNey.fit([DOCUMENT, 2, 3], 4, 9)
    assert model.order == 3
    assert model.distribution([DOCUMENT, 2]).argmax() == 3


@pytest.mark.parametrize("nothing", [[], [DOCUMENT]])
def test_nothing_to_count_is_an_input_error(nothing: list[int]) -> None:
    with pytest.raises(InputError, match="no text"):
        KneserNey.fit(nothing, 5)


def test_it_comes_back_from_a_file_of_small_integers(model: KneserNey, tmp_path: Path) -> None:
    tensors = model.tensors()
    assert {array.dtype.kind for array in tensors.values()} == {"u"}
    (tmp_path / "ngram.safetensors").write_bytes(dump_tensors(tensors))
    again = KneserNey.from_tensors(read_tensors(tmp_path / "ngram.safetensors"), V)
    text = stream(6)[1:]
    assert again.log_probabilities(text).tolist() == model.log_probabilities(text).tolist()
    assert again.order == 4


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("1.counts", lambda a: a[:-1]),
        ("1.counts", lambda a: a * 0),
        ("2.sizes", lambda a: a[:-1]),
        ("2.sizes", lambda a: np.concatenate([a[:4] + np.uint64(2**62), a[4:]])),  # whose sum is as it was
        ("2.tokens", lambda a: a + 200),
        ("2.tokens", lambda a: a[::-1].copy()),
        ("3.tokens", lambda a: a[:-1]),
        ("3.counts", lambda a: a * 0),
        ("4.counts", lambda a: a[None]),
        ("4.sizes", None),
    ],
)
def test_a_damaged_file_is_refused(model: KneserNey, name: str, change: object) -> None:
    tensors = model.tensors()
    changed = tensors.pop(name)
    if callable(change):
        tensors[name] = change(changed)
    with pytest.raises(ModelError, match=r"ngram\.safetensors"):
        KneserNey.from_tensors(tensors, V)


def test_a_file_of_another_vocabulary_is_refused(model: KneserNey) -> None:
    with pytest.raises(ModelError, match="does not fit"):
        KneserNey.from_tensors(model.tensors(), V + 1)


@pytest.mark.skipif(not NEKO.exists(), reason="the shared data are not here")
def test_a_novel_takes_the_bits_that_the_reference_says() -> None:
    train, valid = ((NEKO / f"{part}.txt").read_text(encoding="utf-8") for part in ("train", "valid"))
    units = Units.fit("char", [train])
    model = KneserNey.fit(np.concatenate([[DOCUMENT], units.encode(train)]), len(units))
    ids, unseen = units.encode_counting(valid)
    bits = -model.log_probabilities(ids).sum() / math.log(2) + 16 * unseen
    assert bits / len(valid) == pytest.approx(4.8027, abs=0.002)  # of the reference, which reads on from train
