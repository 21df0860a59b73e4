"""What is written: as often as the model says, as long as asked, always text, and the same for the same seed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generators import ENGLISH, TEXT, save

from seqcli.core import checkpoint
from seqcli.core.tokens import Tokenizer
from seqcli.core.units import DOCUMENT, UNKNOWN
from seqcli.errors import ModelError, UsageError
from seqcli.generation import sample
from seqcli.generation.drawing import Request, Speller, draw, shaped
from seqcli.generation.loading import Model, load
from seqcli.generation.mixture import Reading
from seqcli.generation.sample import Tally

ALL = np.ones(5, bool)
LIKELY = np.array([[0.4, 0.1, 0.3, 0.15, 0.05]])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return save(tmp_path_factory.mktemp("models") / "char")


@pytest.fixture(scope="module", params=["char", "word", "english", "subword", "alone", "cached"])
def any_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("models") / request.param
    if request.param == "english":
        return save(path, ENGLISH, "word")
    if request.param == "alone":
        return save(path, mixed=False, cell="gru", layers=2)
    if request.param == "cached":
        return save(path, cache_size=6, cache_theta=0.7, cache_weight=0.3)
    return save(path, kind=request.param)


def written(model: Model, *prompts: str, **asked: Any) -> list[str]:
    return [str(row["text"]) for row in sample.texts(model, prompts or ("",), Request(**asked), Tally())]


def test_the_same_seed_writes_the_same_and_another_one_does_not(any_model: Model) -> None:
    first = written(any_model, seed=3, count=2, length=40)
    assert written(any_model, seed=3, count=2, length=40) == first
    assert written(any_model, seed=4, count=2, length=40) != first
    assert first[0] != first[1]


def test_a_text_does_not_depend_on_how_many_are_written_beside_it(any_model: Model) -> None:
    assert written(any_model, seed=3, count=7, length=30)[:2] == written(any_model, seed=3, count=2, length=30)


def test_in_small_batches_the_texts_are_the_same(any_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(any_model, "私は", "猫", count=3, length=20)
    monkeypatch.setattr(sample, "AT_ONCE", 2)
    assert written(any_model, "私は", "猫", count=3, length=20) == whole
    monkeypatch.setattr(sample, "AT_ONCE", 5)
    monkeypatch.setattr(sample, "_CACHED", 1)
    assert written(any_model, "私は", "猫", count=3, length=20) == whole


def test_what_is_streamed_is_what_is_written(any_model: Model) -> None:
    asked = Request(count=2, length=40, seed=9, stop=("食べる。", "魚"))
    rows = list(sample.texts(any_model, ["私は"], asked, Tally()))
    streamed = list(sample.pieces(any_model, ["私は"], asked, Tally()))
    assert "".join(streamed) == "\n\n".join("私は" + str(row["text"]) for row in rows)
    assert len(streamed) > 10


def test_no_text_is_longer_than_asked_and_characters_are_met_exactly(any_model: Model) -> None:
    rows = list(sample.texts(any_model, [""], Request(count=20, length=17), Tally()))
    assert max(len(str(row["text"])) for row in rows) <= 17
    ended = [row for row in rows if row["ended"] == "length"]
    assert ended
    if any_model.units.kind == "char":
        assert {len(str(row["text"])) for row in ended} == {17}


def test_the_unknown_is_only_written_where_it_is_allowed(model: Model) -> None:
    network = model.mixture.network
    assert network is not None
    network.bias[UNKNOWN] += 20
    try:
        assert "<unk>" not in "".join(written(model, count=5))
        assert "<unk>" in "".join(written(model, count=5, allow_unknown=True, part="network"))
    finally:
        network.bias[UNKNOWN] -= 20


def test_units_are_drawn_as_often_as_they_are_likely(model: Model) -> None:
    reading = model.mixture.read(model.mixture.start(), model.units.encode("私は"))
    wanted = model.mixture.probabilities(reading)[0].copy()
    wanted[[UNKNOWN, DOCUMENT]] = 0
    wanted /= wanted.sum()
    count = 4000
    found = Counter(written(model, "私は", count=count, length=1))
    for one in wanted.argsort()[-5:]:
        share, expected = found[model.units.vocab[one]] / count, wanted[one]
        assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / count)


def test_at_temperature_zero_the_likeliest_is_taken(model: Model) -> None:
    rows = list(sample.steps(model, ["私は"], Request(temperature=0, length=8), Tally()))
    reading = model.mixture.read(model.mixture.start(), model.units.encode("私は"))
    for row in rows:
        likely = model.mixture.probabilities(reading)[0]
        likely[[UNKNOWN, *([DOCUMENT] if row["step"] == 1 else [])]] = 0
        best = int(likely.argmax())
        assert row["piece"] == model.units.vocab[best]
        reading = model.mixture.advance(reading, np.array([best]))
    assert written(model, "私は", temperature=0, seed=1) == written(model, "私は", temperature=0, seed=2)
    assert written(model, "私は", temperature=0) == written(model, "私は", top_k=1)


def test_temperature_raises_probabilities_to_a_power() -> None:
    found = shaped(LIKELY, Request(temperature=0.5), ALL, [[]])
    np.testing.assert_allclose(found, LIKELY**2 / (LIKELY**2).sum())
    np.testing.assert_allclose(shaped(LIKELY, Request(), ALL, [[]]), LIKELY)
    hardly = shaped(LIKELY * 1e-30, Request(temperature=0.001), ALL, [[]])
    np.testing.assert_allclose(hardly, [[1, 0, 0, 0, 0]], atol=1e-12)


def test_top_k_and_top_p_leave_the_likeliest() -> None:
    two = shaped(LIKELY, Request(top_k=2), ALL, [[]])
    np.testing.assert_allclose(two, [[4 / 7, 0, 3 / 7, 0, 0]])
    np.testing.assert_allclose(shaped(LIKELY, Request(top_p=0.69), ALL, [[]]), two)
    assert np.count_nonzero(shaped(LIKELY, Request(top_p=0.71), ALL, [[]])) == 3  # the one that crosses it counts
    assert np.count_nonzero(shaped(LIKELY, Request(top_p=1e-9), ALL, [[]])) == 1
    np.testing.assert_allclose(shaped(LIKELY, Request(top_p=1, top_k=99), ALL, [[]]), LIKELY)
    # Of the two likeliest the first alone holds over half.
    assert np.count_nonzero(shaped(LIKELY, Request(top_k=2, top_p=0.5), ALL, [[]])) == 1


def test_of_units_that_are_equally_likely_no_more_are_left_than_asked() -> None:
    alike = np.full((2, 5), 0.2)
    for asked, left in (({"top_k": 1}, 1), ({"top_k": 3}, 3), ({"top_p": 0.3}, 2), ({"top_p": 0.1}, 1)):
        found = shaped(alike, Request(**asked), ALL, [[], []])
        assert np.count_nonzero(found, axis=1).tolist() == [left, left]
        np.testing.assert_allclose(found.sum(axis=1), 1)


def test_what_was_just_written_becomes_rarer_with_a_penalty() -> None:
    found = shaped(LIKELY, Request(repetition_penalty=2), ALL, [[0, 0, 2]])
    wanted = LIKELY ** [2, 1, 2, 1, 1]
    np.testing.assert_allclose(found, wanted / wanted.sum())
    forgotten = shaped(LIKELY, Request(repetition_penalty=2), ALL, [[0] + [4] * 64])
    assert forgotten[0, 0] > LIKELY[0, 0]


def test_where_only_the_impossible_is_allowed_it_is_all_the_same() -> None:
    found = shaped(np.array([[1.0, 0, 0, 0, 0]]), Request(), np.array([False, True, True, False, False]), [[]])
    np.testing.assert_allclose(found, [[0, 0.5, 0.5, 0, 0]])


def test_a_draw_is_the_unit_in_whose_share_the_number_falls() -> None:
    numbers = np.array([0.0, 0.39, 0.4, 0.51, 0.999])
    assert draw(np.repeat(LIKELY, 5, axis=0), numbers).tolist() == [0, 0, 1, 2, 4]
    assert draw(np.array([[0.0, 1.0, 0.0]]), np.array([0.0])).tolist() == [1]
    assert draw(np.array([[0.0, 1.0, 0.0]]), np.array([1 - 2**-53])).tolist() == [1]


def test_a_text_ends_before_a_stop_string_wherever_it_began(model: Model) -> None:
    whole = written(model, "私は", length=200, seed=2)[0]
    stop = whole[7:10]
    ended = next(sample.texts(model, ["私は"], Request(length=200, seed=2, stop=("絶対に無い", stop)), Tally()))
    assert ended["text"] == whole[: whole.index(stop)]
    assert ended["ended"] == "stop"


def test_a_document_ends_where_the_model_ends_it_but_is_never_empty(model: Model) -> None:
    network = model.mixture.network
    assert network is not None
    network.bias[DOCUMENT] += 50
    try:
        row = next(sample.texts(model, [""], Request(part="network"), Tally()))
        assert row["ended"] == "document"
        assert len(str(row["text"])) == 1
    finally:
        network.bias[DOCUMENT] -= 50


def test_the_probability_of_a_text_is_the_models_own_however_it_was_drawn(model: Model) -> None:
    row = next(sample.texts(model, ["猫"], Request(temperature=0.3, top_k=3, length=12), Tally()))
    ids = model.units.encode("猫" + str(row["text"]))
    scores, _ = model.mixture.scores(model.mixture.start(), ids[None])
    assert row["log_probability"] == pytest.approx(scores.mixture[0, 1:].sum(), abs=1e-3)


def test_steps_tell_what_could_have_been(any_model: Model) -> None:
    rows = list(sample.steps(any_model, ["私は"], Request(length=20, top_k=3, count=2), Tally()))
    assert {row["sample"] for row in rows} == {1, 2}
    for row in rows:
        candidates = row["candidates"]
        assert 1 <= len(candidates) <= 3
        assert [c["probability"] for c in candidates] == sorted((c["probability"] for c in candidates), reverse=True)
        assert {"piece": row["piece"], "probability": row["probability"]} in candidates


def test_an_unknown_character_of_a_prompt_is_told_and_read_as_unknown(model: Model) -> None:
    tally = Tally()
    rows = list(sample.texts(model, ["象は象", "私"], Request(length=5), tally))
    assert [row["prompt"] for row in rows] == ["象は象", "私"]
    assert "2" in tally.warnings()[0]
    assert "象" in tally.warnings()[0]
    assert Tally().warnings() == ()


@pytest.mark.parametrize("cached", [False, True])
def test_a_prompt_of_any_length_is_read_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    model = save(tmp_path / "m", cache_size=20 if cached else 0, cache_theta=0.7, cache_weight=0.3)
    ids = model.units.encode(TEXT * 3)
    at_once = model.mixture.read(model.mixture.start(), ids)
    monkeypatch.setattr("seqcli.generation.mixture.CHUNK", 7)
    in_parts = model.mixture.read(model.mixture.start(), ids)
    step = model.mixture.start()
    for one in ids:
        step = model.mixture.advance(step, np.array([one]))
    for other in (in_parts, step):
        np.testing.assert_allclose(model.mixture.probabilities(other), model.mixture.probabilities(at_once), rtol=1e-4)
        assert other.tail.tolist() == at_once.tail.tolist()
        assert other.matched.tolist() == at_once.matched.tolist()


def test_the_cache_remembers_what_was_given_and_no_echo_of_its_own(tmp_path: Path) -> None:
    """With its own words in the cache, the likeliest text soon says one thing for ever."""
    mixture = save(tmp_path / "m", cache_size=50, cache_theta=0.7, cache_weight=0.3).mixture
    read = mixture.advance(mixture.start(), np.array([5]))
    wrote = mixture.advance(mixture.start(), np.array([5]), own=True)
    bare = replace(mixture, cache=None)
    alone = bare.probabilities(bare.advance(bare.start(), np.array([5])))
    np.testing.assert_allclose(mixture.probabilities(wrote), alone, rtol=1e-6)
    assert mixture.probabilities(read)[0, 5] > alone[0, 5] + 0.1


def test_scores_are_the_probabilities_of_each_step(any_model: Model) -> None:
    mixture = any_model.mixture
    text = any_model.units.encode(ENGLISH if any_model.units.splitter == "whitespace" else TEXT)
    ids = np.stack([text[:10], text[5:15]])
    start = Reading.join([mixture.start(), mixture.read(mixture.start(), ids[0, :3])])
    scores, end = mixture.scores(start, ids)
    reading = start
    for place, column in enumerate(ids.T):
        likely = mixture.probabilities(reading)
        np.testing.assert_allclose(likely.sum(1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.log(likely[[0, 1], column]), scores.mixture[:, place], atol=1e-4)
        reading = mixture.advance(reading, column)
    np.testing.assert_allclose(mixture.probabilities(end), mixture.probabilities(reading), rtol=1e-4)


def test_the_parts_are_the_network_and_the_counts(model: Model) -> None:
    mixture, ids = model.mixture, model.units.encode("猫は魚")[None]
    scores, _ = mixture.scores(mixture.start(), ids)
    assert scores.network is not None
    assert scores.ngram is not None
    alone, _ = mixture.only("network").scores(mixture.only("network").start(), ids)
    counted, _ = mixture.only("kneser-ney").scores(mixture.only("kneser-ney").start(), ids)
    np.testing.assert_allclose(alone.mixture, scores.network)
    np.testing.assert_allclose(counted.mixture, scores.ngram)
    np.testing.assert_allclose(np.exp(scores.mixture), 0.2 * np.exp(scores.network) + 0.8 * np.exp(scores.ngram))


def test_a_model_without_counts_has_no_such_part(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="without n-grams"):
        save(tmp_path / "m", mixed=False).mixture.only("kneser-ney")


@pytest.mark.parametrize(
    ("asked", "flag"),
    [
        ({"temperature": -0.1}, "--temperature"),
        ({"temperature": float("nan")}, "--temperature"),
        ({"temperature": float("inf")}, "--temperature"),
        ({"top_p": 0.0}, "--top-p"),
        ({"top_p": 1.01}, "--top-p"),
        ({"top_k": 0}, "--top-k"),
        ({"repetition_penalty": 0.0}, "--repetition-penalty"),
        ({"length": 0}, "--length"),
        ({"count": 0}, "--count"),
        ({"seed": -1}, "--seed"),
        ({"stop": ("a", "")}, "--stop"),
    ],
)
def test_a_request_out_of_range_is_refused_by_name(asked: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        Request(**asked)


def test_bytes_are_only_written_where_they_make_characters(tmp_path: Path) -> None:
    units = save(tmp_path / "m", kind="subword").units
    byte = [units.vocab.index(f"<0x{value:02X}>") for value in range(256)]
    speller = Speller(units, "", allow_unknown=False)
    first = speller.allowed(first=False)
    assert first[byte[0xE8]]
    assert not first[byte[0xB1]]
    assert not first[byte[0xFF]]
    assert first[units.encode("食")[0]]
    spelled = [speller.add(byte[0xE8])]
    after = speller.allowed(first=False)
    assert not after[units.encode("食")[0]]
    assert [value for value in range(256) if after[byte[value]]] == list(range(0x80, 0xC0))
    spelled += [speller.add(byte[0xB1]), speller.add(byte[0xA1])]
    assert spelled == ["", "", "象"]
    assert speller.allowed(first=False)[units.encode("食")[0]]


def test_half_a_character_is_not_written(tmp_path: Path) -> None:
    model = save(tmp_path / "m", kind="subword", mixed=False)
    network = model.mixture.network
    assert network is not None
    network.bias[model.units.is_byte] += 30
    for row in sample.texts(model, [""], Request(count=20, length=5, seed=1), Tally()):
        assert "\ufffd" not in str(row["text"])
        str(row["text"]).encode("utf-8", "strict")


def test_words_with_spaces_between_them_are_written_so(tmp_path: Path) -> None:
    model = save(tmp_path / "m", ENGLISH, "word")
    for row in sample.texts(model, ["the cat", "the cat ", "the dog\n"], Request(length=60, seed=2), Tally()):
        whole = str(row["prompt"]) + str(row["text"])
        assert "  " not in whole
        assert " \n" not in whole.removeprefix("the cat ")
        assert model.units.decode(model.units.encode(whole)) == whole.strip(" ")


@pytest.mark.parametrize("name", ["vocab.json", "units.json", "ngram.safetensors"])
def test_a_folder_whose_parts_do_not_belong_together_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=f"{name}: is not the file that was saved"):
        load(mixed_up(tmp_path, name, "word"))


def test_a_vocabulary_of_another_size_is_refused_also_where_no_digest_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = mixed_up(tmp_path, "vocab.json", "char")
    monkeypatch.setattr(checkpoint, "check_documents", lambda *_: None)  # as older models pass it
    with pytest.raises(ModelError, match=r"config\.json says"):
        load(broken)


def mixed_up(folder: Path, name: str, kind: str) -> Path:
    """A model of characters, one of whose files is that of a model of ``kind``."""
    save(folder / "a")
    save(folder / "b", ENGLISH, kind)
    shutil.copy(folder / "b" / name, folder / "a")
    return folder / "a"


def test_a_tokenizer_of_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert save(tmp_path / "now", kind="word").warnings() == ()
    recipe = Tokenizer().recipe() | {"sudachipy": "0.0.1"}
    monkeypatch.setattr(Tokenizer, "recipe", lambda _: recipe)
    assert "0.0.1" in save(tmp_path / "then", kind="word").warnings()[0]


def test_writing_imports_no_heavy_package(tmp_path: Path) -> None:
    save(tmp_path / "m")
    script = (
        "import sys, pathlib\nfrom seqcli.generation import sample\nfrom seqcli.generation.loading import load\n"
        "from seqcli.generation.drawing import Request\n"
        "list(sample.texts(load(pathlib.Path('m')), [''], Request(), sample.Tally()))\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not {"torch", "pandas", "scipy", "sudachipy", "sentencepiece", "sklearn"} & set(done.stdout.split())


def lines() -> Iterator[str]:
    """An endless input."""
    while True:
        yield "私は"


def test_an_endless_input_is_answered_as_it_comes(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "AT_ONCE", 3)
    rows = sample.texts(model, lines(), Request(length=3), Tally())
    assert [next(rows)["prompt"] for _ in range(8)] == ["私は"] * 8
