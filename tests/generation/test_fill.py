"""A blank is filled with what makes the whole sentence likeliest, not with what follows its beginning best."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generators import ENGLISH, TEXT, save

from seqcli.errors import UsageError
from seqcli.generation import fill as fills
from seqcli.generation.fill import fill
from seqcli.generation.loading import Model
from seqcli.generation.sample import Tally


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return save(tmp_path_factory.mktemp("models") / "char")


def log_probability(model: Model, sentence: str, part: Any = "mixture") -> float:
    mixture = model.mixture.only(part)
    scores, _ = mixture.scores(mixture.start(), model.units.encode(sentence)[None])
    return float(scores.mixture.sum())


def test_every_fill_is_ranked_by_the_probability_of_the_whole_sentence(model: Model) -> None:
    rows = fill(model, "私は＿をよく食べる", Tally(), count=1000)
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    likely = [row["log_probability"] for row in rows]
    assert likely == sorted(likely, reverse=True)
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    for row in rows[:20]:
        assert row["text"] == f"私は{row['fill']}をよく食べる"
        assert row["log_probability"] == pytest.approx(log_probability(model, str(row["text"])), abs=1e-3)


def test_no_single_character_is_passed_over(model: Model) -> None:
    found = {row["fill"]: row["log_probability"] for row in fill(model, "私は＿をよく食べる", Tally(), count=1000)}
    for character in model.units.vocab[2:]:
        if character != "\n":
            assert found[character] == pytest.approx(log_probability(model, f"私は{character}をよく食べる"), abs=1e-3)
    assert "\n" not in found


def test_what_was_read_before_such_a_rest_fits_best(model: Model) -> None:
    assert fill(model, "私は＿をよく食べる。", Tally(), part="kneser-ney")[0]["fill"] == "焼肉"
    assert fill(model, "彼は夜に＿を食べる。", Tally(), part="kneser-ney")[0]["fill"] in ("ラーメン", "パン")


def test_the_likeliest_are_found_where_not_all_are_read_to_the_end(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fill(model, "私は＿をよく食べる", Tally(), count=3)
    monkeypatch.setattr(fills, "_FINALISTS", 20)
    monkeypatch.setattr(fills, "_AT_ONCE", 7)
    found = fill(model, "私は＿をよく食べる", Tally(), count=3)
    assert [row["fill"] for row in found] == [row["fill"] for row in whole]


@pytest.mark.parametrize("sentence", ["＿", "＿は魚", "猫は＿", "猫は____よく", "猫_は＿"])
def test_the_blank_may_stand_anywhere(model: Model, sentence: str) -> None:
    row = fill(model, sentence, Tally(), count=5)[0]
    assert row["log_probability"] == pytest.approx(log_probability(model, str(row["text"])), abs=1e-3)


@pytest.mark.parametrize(("text", "sentence"), [(ENGLISH, "the cat _ fish"), (TEXT, "猫は＿をよく食べる")])
def test_words_fill_blanks_too(tmp_path: Path, text: str, sentence: str) -> None:
    model = save(tmp_path / "m", text, "word")
    rows = fill(model, sentence, Tally(), part="kneser-ney")
    assert rows[0]["fill"] in ("eats", "魚")


def test_pieces_of_words_fill_blanks_and_no_half_characters(tmp_path: Path) -> None:
    model = save(tmp_path / "m", kind="subword")
    rows = fill(model, "私は＿をよく食べる", Tally(), count=1000)
    assert len(rows) > 100
    for row in rows:
        assert "\ufffd" not in str(row["fill"])
        assert row["fill"]


def test_an_underscore_beside_a_full_width_one_is_text(model: Model) -> None:
    row = fill(model, "a_b、猫は＿をよく食べる", Tally(), count=1)[0]
    assert row["text"] == f"a_b、猫は{row['fill']}をよく食べる"


@pytest.mark.parametrize("sentence", ["私は焼肉を食べる", "＿は＿を食べる", "_ and _", ""])
def test_a_sentence_without_one_blank_is_refused(model: Model, sentence: str) -> None:
    with pytest.raises(UsageError, match="--fill"):
        fill(model, sentence, Tally())


def test_a_model_that_knows_nothing_to_fill_a_blank_with_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="knows no unit but line ends"):
        fill(save(tmp_path / "m", "\n\n\n"), "私は＿", Tally())


def test_what_the_network_holds_for_impossible_comes_last_without_a_word(tmp_path: Path) -> None:
    model = save(tmp_path / "m", mixed=False)
    network = model.mixture.network
    assert network is not None
    network.bias[model.units.encode("肉")[0]] += 200  # float32 has no number for what is left to the others
    assert fill(model, "私は＿", Tally())[0]["fill"] == "肉"
    assert fill(model, "私は＿", Tally(), count=9999)[-1]["log_probability"] < -150


def test_what_the_model_does_not_know_is_told(model: Model) -> None:
    tally = Tally()
    rows = fill(model, "象は＿を鯨", tally)
    assert {"象", "鯨"} <= set(tally.unknown)
    assert np.isfinite(rows[0]["log_probability"])
