"""A training of the classifier: what it writes, what it may look at, and that it can be stopped at any step."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signs import finished

from seqcli.classification import data, plan, predict, train
from seqcli.classification.data import Example, Partition
from seqcli.classification.decision import MOST_PROBABLE, Decision
from seqcli.classification.material import Material, prepare
from seqcli.classification.plan import Plan
from seqcli.core.place import Place
from seqcli.core.safe_formats import read_tensors
from seqcli.core.signals import Signals
from seqcli.errors import DivergedError, Interrupted, ModelError, UsageError
from seqcli.results import Progress, Result

WORDS = {
    "食べ物": ("焼肉", "寿司", "ラーメン", "ケーキ", "うどん"),
    "スポーツ": ("野球", "サッカー", "マラソン", "水泳", "試合"),
    "電話": ("携帯", "画面", "電池", "メール", "アプリ"),
}
FRAMES = ("昨日の{}の話をした", "{}が好きだ", "新しい{}について友達と長く話していたら夜になった", "{}", "{}はもういい")


def examples(labels: int = 3, frames: int = 5) -> list[Example]:
    return [
        Example(frame.format(word), label, None, f"rows: row {number}")
        for number, (frame, label, word) in enumerate(
            (frame, label, word)
            for frame in FRAMES[:frames]
            for label, words in list(WORDS.items())[:labels]
            for word in words
        )
    ]


@pytest.fixture(scope="module")
def partition() -> Partition:
    return data.partition(data.Examples("rows", examples()), seed=1)


def tiny(**changes: Any) -> Plan:
    """The smallest training; what is no field of ``Plan`` or of ``make`` is a flag."""
    flags = {"hidden": 5, "epochs": 2, "batch_size": 8, "seed": 1, "learning_rate": 0.01}
    rest: dict[str, Any] = {"vectors": "none", "members": 2}
    for name, value in changes.items():
        (rest if name in ("vectors", "members", "fusion", "refit", "balance", "max_tokens") else flags)[name] = value
    return plan.make(flags, **rest)


def trained(partition: Partition, out: Path, how: Plan, **options: Any) -> Result:
    """Trains to the end."""
    return interrupted(partition, out, how, None, **options)[0]


def interrupted(
    partition: Partition, out: Path, how: Plan, at: tuple[str, int] | None, **options: Any
) -> tuple[Result, list[Progress]]:
    """Trains, and is sent a SIGINT when an epoch is over and a stage has come so far."""
    work = train.train(partition, Place(out, **options), how)
    seen = []
    while True:
        try:
            sign = next(work)
        except StopIteration as done:
            assert isinstance(done.value, Result)
            return done.value, seen
        seen.append(sign)
        if at is not None and sign.line and sign.stage.startswith(at[0]) and sign.done >= at[1]:
            os.kill(os.getpid(), signal.SIGINT)
            at = None


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(partition: Partition, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("classifier") / "m"
    return out, trained(partition, out, tiny())


def test_the_folder_answers_the_test_part_as_the_report_says(partition: Partition, whole: tuple[Path, Result]) -> None:
    out, result = whole
    model = predict.load(out)
    found = model.probabilities([example.text for example in partition.test])
    said = model.decision.of(np.log(found))
    right = np.mean([model.labels[k] == e.label for k, e in zip(said, partition.test, strict=True)])
    records = {record["model"]: record for record in result.records}
    assert set(records) == {"lstm", "lstm-alone", "majority", "tfidf-logistic", "tfidf-svc"}
    assert records["lstm"]["accuracy"] == pytest.approx(right)
    gold = [model.labels.index(example.label) for example in partition.test]
    assert records["lstm"]["log_loss"] == pytest.approx(-np.log(found[range(len(gold)), gold]).mean(), abs=1e-4)
    assert not (out / "resume").exists()
    manifest = json.loads((out / "seqcli.json").read_text())
    assert manifest["data"]["texts"] == {
        "train": len(partition.train), "valid": len(partition.valid), "test": len(partition.test)
    }  # fmt: skip
    rows = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [(row["member"], row["epoch"]) for row in rows] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    card = (out / "README.md").read_text()
    assert "食べ物" in card and f"seqcli classify {out.name}" in card


def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    partition: Partition, whole: tuple[Path, Result], tmp_path: Path
) -> None:
    trained(partition, tmp_path / "again", tiny())
    trained(partition, tmp_path / "other", tiny(seed=2))
    assert weights(tmp_path / "again") == weights(whole[0])
    assert weights(tmp_path / "other") != weights(whole[0])


def test_no_two_seeds_share_a_member() -> None:
    seeds = [tiny(seed=seed).member(k, 9).seed for seed in range(20) for k in range(10)]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("at", [("training network 1", 1), ("training network 2", 10)])
def test_a_run_that_was_stopped_and_resumed_ends_with_the_same_weights(
    partition: Partition, whole: tuple[Path, Result], tmp_path: Path, at: tuple[str, int]
) -> None:
    with pytest.raises(Interrupted):
        interrupted(partition, tmp_path / "m", tiny(), at)
    assert (tmp_path / "m" / "resume").is_dir()
    result, seen = interrupted(partition, tmp_path / "m", tiny(), None, resume=True)
    assert weights(tmp_path / "m") == weights(whole[0])
    assert (tmp_path / "m" / "linear.json").exists() == (whole[0] / "linear.json").exists()
    stages = [sign.stage for sign in seen if sign.line]
    assert len(stages) < 4  # what was done is not done again
    assert [r["macro_f1"] for r in result.records] == [r["macro_f1"] for r in whole[1].records]


@pytest.mark.parametrize("changes", [{"hidden": 6}, {"batch_size": 4}, {"balance": 0.5}, {"learning_rate": 0.02}])
def test_a_run_begun_otherwise_is_not_resumed(partition: Partition, tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Interrupted):
        interrupted(partition, tmp_path / "m", tiny(), ("training network 1", 1))
    with pytest.raises(ModelError, match="when the training began"):
        trained(partition, tmp_path / "m", tiny(**changes), resume=True)


def test_overwrite_begins_afresh(partition: Partition, whole: tuple[Path, Result], tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        interrupted(partition, tmp_path / "m", tiny(seed=5), ("training network 1", 1))
    trained(partition, tmp_path / "m", tiny(), overwrite=True)
    assert weights(tmp_path / "m") == weights(whole[0])
    with pytest.raises(ModelError, match="already holds a model"):
        trained(partition, tmp_path / "m", tiny())


def test_without_fusion_there_is_no_linear_model(partition: Partition, tmp_path: Path) -> None:
    trained(partition, tmp_path / "m", tiny(fusion=False, members=1, epochs=1))
    assert not (tmp_path / "m" / "linear.safetensors").exists()
    model = predict.load(tmp_path / "m")
    assert model.linear is None and model.config.fusion == 0


def test_vectors_of_ones_own_travel_with_the_model(partition: Partition, tmp_path: Path) -> None:
    words = [word for group in WORDS.values() for word in group]
    lines = [f"{word} {' '.join('1' if k == n % 3 else '0' for k in range(3))}" for n, word in enumerate(words)]
    file = tmp_path / "own.vec"
    file.write_text(f"{len(lines)} 3\n" + "\n".join(lines) + "\n", encoding="utf-8")
    result = trained(partition, tmp_path / "m", tiny(vectors=file, members=1))
    file.unlink()
    model = predict.load(tmp_path / "m")
    assert model.config.vectors == "own" and model.config.vector_size == 3
    found = model.probabilities([example.text for example in partition.test])
    right = np.mean([model.labels[k] == e.label for k, e in zip(found.argmax(axis=1), partition.test, strict=True)])
    assert result.records[0]["accuracy"] == pytest.approx(right)


def test_a_training_that_diverges_keeps_its_last_good_weights(partition: Partition, tmp_path: Path) -> None:
    with pytest.raises(DivergedError):
        trained(partition, tmp_path / "m", tiny(learning_rate=1e30, members=1))
    assert predict.load(tmp_path / "m").config.members == 1
    assert all(np.isfinite(value).all() for value in read_tensors(tmp_path / "m" / "model.safetensors").values())


def test_the_more_there_is_to_read_the_less_often_it_is_read() -> None:
    default = plan.make({"seed": 1})
    few, titles, articles = (default.settled(*sizes) for sizes in ((300, 5_000), (6_000, 100_000), (6_000, 750_000)))
    assert few.fit.epochs > titles.fit.epochs >= 5
    assert few.batch_size is not None and titles.batch_size is not None and few.batch_size < titles.batch_size
    assert titles.config.members > articles.config.members >= 1
    said = plan.make({"seed": 1, "epochs": 2, "batch_size": 7}, members=5).settled(6_000, 10**9)
    assert (said.fit.epochs, said.batch_size, said.config.members) == (2, 7, 5)


def test_the_time_is_shared_among_the_members() -> None:
    how = tiny(max_minutes=6.0, members=3).settled(100, 1000)
    assert [how.member(k, 9).max_minutes for k in range(3)] == [2.0, 2.0, 2.0]


def test_it_learns_what_a_word_tells(partition: Partition, tmp_path: Path) -> None:
    result = trained(partition, tmp_path / "m", tiny(hidden=16, epochs=15, members=1, vectors="ginza", fusion=False))
    assert result.records[0]["macro_f1"] > 0.8
    unseen = predict.load(tmp_path / "m").probabilities(["卓球が好きだ", "蕎麦が好きだ"])
    assert [("スポーツ", "電話", "食べ物")[k] for k in unseen.argmax(axis=1)] == ["スポーツ", "食べ物"]


def test_values_out_of_range_are_named() -> None:
    for changes, option in (({"members": 0}, "--members"), ({"balance": 2.0}, "--class-weights")):
        with pytest.raises(UsageError) as refused:
            tiny(**changes)
        assert option in str(refused.value)


def test_batches_hang_on_the_epoch_alone_and_hold_texts_of_like_length(partition: Partition, tmp_path: Path) -> None:
    import torch

    from seqcli.classification.fitting import Fit

    material = prepared(partition, tiny())
    fit = Fit(material, tiny(balance=1.0), 0, tmp_path, torch.device("cpu"))
    first = fit.batches(0)
    fit.batches(7)
    assert all(np.array_equal(a, b) for a, b in zip(first, fit.batches(0), strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, fit.batches(1), strict=True))
    assert sorted(np.concatenate(first)) == fit.learnt.tolist()
    lengths = material.encoded["labelled"].lengths
    spread = sum(int(np.ptp(lengths[rows])) for rows in first)
    assert spread <= int(np.ptp(lengths)) + len(first)


def prepared(partition: Partition, how: Plan) -> Material:
    work = prepare(partition, how)
    return finished(work)


def with_another_label(part: list[Example], number: int) -> list[Example]:
    other = next(label for label in WORDS if label != part[number].label)
    return [e._replace(label=other) if k == number else e for k, e in enumerate(part)]


def test_each_validation_text_is_held_out_from_one_network_and_learnt_by_the_others(partition: Partition) -> None:
    material = prepared(partition, tiny(members=3))
    train, valid = len(partition.train), len(partition.valid)
    held = [material.rows(k)[1] for k in range(3)]
    assert sorted(np.concatenate(held)) == list(range(train, train + valid))
    for k in range(3):
        assert sorted([*material.rows(k)[0], *held[k]]) == list(range(train + valid))
    for how in (tiny(members=3, refit=False), tiny(members=1)):
        learnt, asked = prepared(partition, how).rows(0)
        assert (learnt.tolist(), asked.tolist()) == (list(range(train)), list(range(train, train + valid)))


def test_a_network_has_seen_nothing_of_the_labels_that_it_is_asked_for(partition: Partition, tmp_path: Path) -> None:
    import torch

    from seqcli.classification.fitting import Fit

    material = prepared(partition, tiny(epochs=1))
    gold = material.gold["labelled"].copy()
    gold[material.rows(0)[1]] = (gold[material.rows(0)[1]] + 1) % 3
    changed = replace(material, gold=material.gold | {"labelled": gold})
    for number, equal in ((0, True), (1, False)):
        states = []
        for one in (material, changed):
            fit = Fit(one, one.plan, number, tmp_path, torch.device("cpu"))
            for _ in fit.run(Signals(), resume=False):
                pass
            states.append(fit.state.weights())
        assert all(np.array_equal(value, states[1][name]) for name, value in states[0].items()) == equal


def test_without_a_refit_the_validation_part_teaches_nothing(partition: Partition, tmp_path: Path) -> None:
    changed = replace(partition, valid=with_another_label(partition.valid, 0))
    for name, parts in (("a", partition), ("b", changed)):
        trained(parts, tmp_path / name, tiny(epochs=1, refit=False))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_the_test_part_moves_nothing(partition: Partition, whole: tuple[Path, Result], tmp_path: Path) -> None:
    changed = [e._replace(text=f"{e.text}とても新しい文") for e in with_another_label(partition.test, 0)]
    trained(replace(partition, test=changed), tmp_path / "m", tiny())
    for name in ("model.safetensors", "linear.safetensors", "config.json", "vocab.json", "characters.json"):
        files = [folder / name for folder in (tmp_path / "m", whole[0])]
        assert files[0].exists() == files[1].exists()
        assert not files[0].exists() or files[0].read_bytes() == files[1].read_bytes()


def test_a_rare_label_counts_more_when_asked(tmp_path: Path) -> None:
    import torch

    from seqcli.classification.fitting import Fit

    rows = [e for e in examples(2) if e.label == "食べ物"] + [e for e in examples(2) if e.label != "食べ物"][::3]
    uneven = data.partition(data.Examples("rows", rows), seed=1)
    for balance, wanted in ((0.0, 1.0), (1.0, None)):
        how = tiny(balance=balance)
        material = prepared(uneven, how)
        found = Fit(material, how, 0, tmp_path, torch.device("cpu")).weights
        shares = material.prior()
        assert float((found.numpy() * shares).sum()) == pytest.approx(1.0)
        ratio = float(found.max() / found.min())
        assert ratio == pytest.approx(wanted or float(shares.max() / shares.min()), rel=1e-4)


def test_a_rare_label_is_said_at_a_smaller_probability_unless_it_counts_more_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = data.partition(data.Examples("rows", examples(2)), seed=1)
    asked: list[int] = []
    rule = Decision((0.6, 1.4), (0.3, 0.4))

    def decided(logs: np.ndarray) -> Decision:
        asked.append(len(logs))
        return rule

    monkeypatch.setattr(train, "decide", decided)
    told = trained(two, tmp_path / "m", tiny()).sentences
    assert asked == [len(two.valid)]
    assert "For macro-F1, '食べ物' is said from a probability of 0.35 on." in told
    near = np.log([[0.64, 0.36], [0.66, 0.34]])
    assert predict.load(tmp_path / "m").decision == rule and rule.of(near).tolist() == [1, 0]
    rule = Decision((0.0, 1.0), (0.0, 0.0))  # always 食べ物
    food = np.mean([example.label == "食べ物" for example in two.test])
    assert food < 1
    assert trained(two, tmp_path / "always", tiny()).records[0]["accuracy"] == pytest.approx(food)
    trained(two, tmp_path / "weighed", tiny(balance=1.0))
    assert predict.load(tmp_path / "weighed").decision == MOST_PROBABLE and len(asked) == 2


def test_a_plan_can_be_made_of_any_cell(partition: Partition, tmp_path: Path) -> None:
    how = tiny(cell="gru", layers=2, members=1, epochs=1)
    result = trained(partition, tmp_path / "m", replace(how, command="seqcli train-classifier"))
    assert result.records[0]["model"] == "gru"
    assert predict.load(tmp_path / "m").config.layers == 2
