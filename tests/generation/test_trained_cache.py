"""A generator's cache: chosen on the validation text, told apart in the report, and saved as it was reported."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signs import finished

from seqcli.core.place import Place
from seqcli.generation import data, plan, report, train
from seqcli.generation.data import Corpus
from seqcli.generation.loading import load
from seqcli.results import Result

KANA = "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Passages that each repeat a line of their own, which no counting of the other passages foresees."""
    home = tmp_path_factory.mktemp("passages")
    random = np.random.default_rng(1)
    lines = ["".join(random.choice(list(KANA), 12)) + "\n" for _ in range(90)]
    (home / "text.txt").write_text("".join(line * 10 for line in lines), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_CACHE_DIR", str(home / "cache"))
        return finished(data.prepare([str(home / "text.txt")], data.Recipe()))  # type: ignore[no-any-return]


def trained(corpus: Corpus, out: Path, **asked: Any) -> Result:
    flags = {"hidden": 16, "epochs": 2, "seed": 1, "threads": 1, "device": "cpu", "batch_size": 8}
    result = finished(train.train(corpus, Place(out), plan.make(corpus, flags, bptt=20, **asked)))
    assert isinstance(result, Result)
    return result


def test_a_text_that_repeats_itself_is_foretold_better_with_a_cache_and_the_saved_model_has_it(
    corpus: Corpus, tmp_path: Path
) -> None:
    told = trained(corpus, tmp_path / "model")
    bits = {row["model"]: row["bits_per_char"] for row in told.records if row["part"] == "test"}
    assert bits[report.MIXTURE] < bits[report.UNCACHED] - 0.1
    model = load(tmp_path / "model")
    assert model.mixture.cache is not None
    tokens = corpus.test
    scores, _ = model.mixture.scores(model.mixture.start(), tokens[None, 1:])
    again = -float(scores.mixture.sum()) / math.log(2) / corpus.parts["test"].characters
    assert again == pytest.approx(bits[report.MIXTURE], abs=1e-4)


@pytest.mark.parametrize("asked", [{"remembered": 0}, {"mixture": False}])
def test_without_a_cache_there_is_neither_a_record_nor_a_setting_of_one(
    corpus: Corpus, tmp_path: Path, asked: dict[str, Any]
) -> None:
    told = trained(corpus, tmp_path / "model", **asked)
    assert report.UNCACHED not in {row["model"] for row in told.records}
    assert load(tmp_path / "model").mixture.cache is None
