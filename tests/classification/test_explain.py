"""Why a text got its label: the numbers are what they say they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from classifiers import TEXTS, save

from seqcli.classification import explain
from seqcli.classification.predict import Model
from seqcli.results import Record


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return save(tmp_path_factory.mktemp("models") / "topics")


def explained(model: Model, text: str) -> list[Record]:
    (answer,) = model.answers([text])
    return list(explain.explanation(model, text, answer))


def test_the_tokens_stand_where_they_say_and_the_attention_is_shared_out(model: Model) -> None:
    for text in (TEXTS[0], "　焼肉 ラーメン\n🍣", "\n　" * 5000 + TEXTS[0]):
        found = explained(model, text)
        assert [text[one["start"] : one["end"]] for one in found] == [one["token"] for one in found]
        assert sum(one["attention"] for one in found) == pytest.approx(1, abs=1e-5)
        assert min(one["attention"] for one in found) > 0


def test_the_effect_is_what_the_label_loses_without_the_token(tmp_path: Path) -> None:
    model = save(tmp_path / "m", tokenizer={"tokenizer": "whitespace", "normalize": "none"})
    text = "焼肉 試合 美味しい"
    found = explained(model, text)
    label = int(model.probabilities([text]).argmax())
    for one in found:
        rest = text[: one["start"]] + text[one["end"] :]
        lost = np.log(model.probabilities([text])[0, label] / model.probabilities([rest])[0, label])
        assert one["effect"] == pytest.approx(lost, abs=1e-5)
    effects = {one["token"]: one["effect"] for one in found}
    assert max(effects.values()) == max(effects["焼肉"], effects["美味しい"]) > 0 > effects["試合"]


def test_a_text_without_words_has_nothing_to_explain(model: Model) -> None:
    assert explained(model, " ") == []
    assert explain.shades(" ", []) == [(" ", 0.0)]
    assert explain.shades("", []) == []


def test_of_a_long_text_the_first_tokens_are_left_out_one_by_one(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "LONGEST", 2)
    found = explained(model, TEXTS[0])
    assert [one["effect"] is None for one in found] == [False, False] + [True] * (len(found) - 2)
    assert {weight for _, weight in explain.shades(TEXTS[0], found)[2:]} <= {0.0}


def test_whitespace_before_a_text_changes_nothing(model: Model) -> None:
    plain, moved = (model.probabilities([before + TEXTS[0]])[0] for before in ("", " " * 5000))
    assert plain == pytest.approx(moved, abs=0.02)  # the linear model counts one space
    before, after = (explained(model, space + TEXTS[0]) for space in ("", " " * 5000))
    assert [(one["token"], one["start"] - 5000) for one in after] == [(one["token"], one["start"]) for one in before]


def test_a_long_text_is_taken_apart_a_few_tokens_at_a_time(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = explained(model, TEXTS[0])
    monkeypatch.setattr(explain, "_CHARACTERS", 2 * len(TEXTS[0]))
    for one, other in zip(explained(model, TEXTS[0]), whole, strict=True):
        assert one["token"] == other["token"] and one["effect"] == pytest.approx(other["effect"], abs=1e-6)


def test_shades_cover_the_text(model: Model) -> None:
    text = "　焼肉 ラーメン\n🍣"
    pieces = explain.shades(text, explained(model, text))
    assert "".join(piece for piece, _ in pieces) == text
    assert max(abs(weight) for _, weight in pieces) == 1


def test_an_explanation_is_drawn(model: Model, tmp_path: Path) -> None:
    explain.draw(explained(model, TEXTS[0]), tmp_path / "x.svg", "焼肉 → グルメ, 0.93")
    explain.draw(explained(model, TEXTS[0]), tmp_path / "y.svg", "焼肉 → グルメ, 0.94")
    explain.draw(explained(model, "焼肉 " * 300 + "$x_1^2$"), tmp_path / "x.png", "$\\frac$ 焼肉 $")  # no formula
    first, second = ((tmp_path / name).read_bytes() for name in ("x.svg", "y.svg"))
    assert first.startswith(b"<?xml") and first != second  # the title is in it
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
