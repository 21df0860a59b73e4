"""The label that is said: at which probability, and what that is good for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from classifiers import LABELS, TEXTS, save
from signs import finished
from test_stream_rows import records, row

from seqcli.classification import evaluate, stream
from seqcli.classification.decision import MOST_PROBABLE, Decision, decide
from seqcli.classification.predict import Handle
from seqcli.core import metrics
from seqcli.core.evaluation import Request
from seqcli.errors import ModelError


def drawn(shares: tuple[float, ...], count: int, sure: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are what they say, about labels of these shares, and labels drawn by them."""
    chance = np.random.default_rng(seed)
    probabilities = chance.dirichlet(np.array(shares) / sure, count)
    gold = (probabilities.cumsum(axis=1) < chance.random((count, 1))).sum(axis=1)
    return np.log(np.maximum(probabilities, 1e-12)), gold


UNEVEN = [(0.85, 0.15), (0.65, 0.35), (0.6, 0.3, 0.1), (0.5, 0.2, 0.2, 0.05, 0.05)]


@pytest.mark.parametrize("shares", UNEVEN)
def test_rare_labels_are_said_more_readily_and_macro_f1_of_other_texts_is_higher(shares: tuple[float, ...]) -> None:
    decision = decide(drawn(shares, 300, 0.4, 1)[0])
    logs, gold = drawn(shares, 20_000, 0.4, 2)
    said, usual = decision.of(logs), logs.argmax(axis=1)
    assert (said == len(shares) - 1).sum() > (usual == len(shares) - 1).sum()
    found = [metrics.macro_f1(gold, answers, len(shares)) for answers in (said, usual)]
    assert found[0] > found[1] + 0.005
    assert metrics.accuracy(gold, said) < metrics.accuracy(gold, usual)  # which is what it costs


def test_of_two_labels_no_threshold_is_expected_to_do_better() -> None:
    logs, _ = drawn((0.8, 0.2), 2_000, 0.5, 3)

    def expected(said: np.ndarray) -> float:
        p = np.exp(logs)
        return float(
            np.mean([2 * p[said == k, k].sum() / (p[:, k].sum() + (said == k).sum()) for k in range(p.shape[1])])
        )

    best = max(expected((np.exp(logs[:, 1]) > threshold).astype(int)) for threshold in np.linspace(0.05, 0.95, 181))
    assert expected(decide(logs).of(logs)) == pytest.approx(best, abs=1e-3)
    assert best > expected(logs.argmax(axis=1)) + 0.01


def test_the_order_of_the_labels_changes_nothing() -> None:
    logs, _ = drawn((0.6, 0.3, 0.1), 300, 0.4, 4)
    turned = decide(logs[:, ::-1]).of(logs[:, ::-1])
    assert (2 - turned == decide(logs).of(logs)).all()


@pytest.mark.parametrize(("shares", "sure"), [((0.5, 0.5), 0.4), ((0.7, 0.3), 30.0), ((0.25,) * 4, 0.5)])
def test_where_nothing_is_to_be_gained_the_most_probable_label_is_said(shares: tuple[float, ...], sure: float) -> None:
    assert decide(drawn(shares, 500, sure, 5)[0]) == MOST_PROBABLE


def test_nothing_can_be_decided_from_no_texts_or_from_one_label() -> None:
    assert decide(np.zeros((0, 3))) == MOST_PROBABLE
    certain = np.log(np.tile([[1.0, 1e-30, 1e-30]], (9, 1)))
    assert decide(certain).of(certain).tolist() == [0] * 9


RULE = {"gains": (0.01, 1.0, 0.01), "costs": (0.5, 0.0, 0.5)}  # スポーツ, whatever is read


def test_what_is_said_stands_with_its_own_probability_and_the_others_stay_what_they_are(tmp_path: Path) -> None:
    plain, model = save(tmp_path / "plain"), save(tmp_path / "m", **RULE)
    handle = Handle.of(tmp_path / "m")
    answer = records(handle, stream.Request(top_k=3, probabilities=True, explain=True), row(TEXTS[0]))[0]
    assert answer["predicted"] == LABELS[1]
    assert answer["probability"] == answer[f"probability.{LABELS[1]}"] < max(p["probability"] for p in answer["top"])
    assert answer["top"][0]["label"] == LABELS[0]  # by probability alone
    np.testing.assert_array_equal(model.probabilities(TEXTS), plain.probabilities(TEXTS))
    unsure = records(handle, stream.Request(threshold=0.5), row(TEXTS[0]))[0]
    assert unsure["predicted"] == "unsure"
    (told,) = model.answers(TEXTS[:1])
    rest = model.probabilities([TEXTS[0].replace("昨日", "", 1)])[0, 1]
    assert answer["explanation"][0]["effect"] == pytest.approx(told.log_probabilities[1] - np.log(rest), abs=1e-4)


def test_evaluate_counts_what_is_said(tmp_path: Path) -> None:
    save(tmp_path / "m", **RULE)
    (tmp_path / "t.csv").write_text(
        "text,label\n" + "".join(f"{text},{LABELS[k // 4]}\n" for k, text in enumerate(TEXTS)), encoding="utf-8"
    )
    found = finished(evaluate.evaluate(tmp_path / "m", str(tmp_path / "t.csv"), Request()))
    assert found.records[0]["accuracy"] == pytest.approx(1 / 3)


def test_a_rule_about_other_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="decides between 2 labels"):
        save(tmp_path / "m", gains=(1.0, 1.0), costs=(0.0, 0.0))
    assert Decision((1.0, 2.0), (0.0, 0.5)).of(np.log([[0.6, 0.4], [0.8, 0.2]])).tolist() == [0, 0]
    assert Decision((1.0, 2.0), (0.0, 0.0)).of(np.log([[0.6, 0.4], [0.8, 0.2]])).tolist() == [1, 0]
