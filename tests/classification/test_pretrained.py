"""A classifier that starts from a generator: what it takes over, how it thaws, and that it answers as any other."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - held equal to NumPy here

from seqcli.classification import data, explain, plan, predict, train
from seqcli.classification.config import ClassifierConfig
from seqcli.classification.data import Example, Partition
from seqcli.classification.encoding import Split
from seqcli.classification.model import Classifier, TensorBatch
from seqcli.classification.network import Network
from seqcli.classification.plan import Plan
from seqcli.classification.pretrained import Donor
from seqcli.classification.unit_features import UnitFeatures
from seqcli.core import checkpoint
from seqcli.core.checkpoint import Manifest
from seqcli.core.place import Place
from seqcli.core.safe_formats import read_tensors
from seqcli.core.tokens import Tokenizer
from seqcli.core.units import DOCUMENT, Units
from seqcli.errors import Interrupted, ModelError, UsageError
from seqcli.generation.config import GeneratorConfig, shapes

LABELS = {"食べ物": ("焼肉", "寿司", "ラーメン", "うどん"), "スポーツ": ("野球", "サッカー", "水泳", "試合")}
FRAMES = ("昨日の{}の話をした", "{}が好きだ", "新しい{}について友達と話した", "{}", "{}はもういい")
TEXT = "昨日の焼肉と寿司は最高だった。\n新しいサッカーの試合を見た。\n水泳が好きだ。 the cat\n"


def generator(path: Path, kind: Any = "char", **shape: Any) -> Path:
    """A generator of random weights."""
    units = Units.fit(kind, [TEXT], size=300 if kind == "subword" else 0)
    config = GeneratorConfig(len(units), kind, **({"embedding": 6, "hidden": 8} | shape))
    chance = np.random.default_rng(5)
    tensors = {name: chance.normal(0, 0.4, size).astype(np.float32) for name, size in shapes(config).items()}
    manifest = Manifest(kind="generator", created="2026-11-24T00:00:00+00:00", seed=5)
    checkpoint.save(
        path, manifest, config=asdict(config), tensors=tensors, documents=units.documents(), blobs=units.blobs()
    )
    return path


@pytest.fixture(scope="module")
def partition() -> Partition:
    rows = [
        Example(frame.format(word), label, None, "rows")
        for frame in FRAMES
        for label, words in LABELS.items()
        for word in words
    ]
    return data.partition(data.Examples("rows", rows), seed=1)


def tiny(path: Path, **flags: Any) -> Plan:
    flags = {"epochs": 2, "batch_size": 8, "seed": 1, "learning_rate": 0.01} | flags
    return plan.make(flags, members=2, init_from=path)


def reader(path: Path, **changes: Any) -> UnitFeatures:
    donor = Donor.load(path)
    config = replace(donor.config(ClassifierConfig()), tokenizer=Tokenizer().recipe(), **changes)
    return UnitFeatures(config, donor.units)


def trained(partition: Partition, out: Path, how: Plan, *, stop: int | None = None, resume: bool = False) -> Path:
    """Trains; is sent a SIGINT once the first network has taken so many steps."""
    for sign in train.train(partition, Place(out, resume=resume), how):
        if stop is not None and sign.stage.startswith("training network 1") and sign.done >= stop:
            os.kill(os.getpid(), signal.SIGINT)
            stop = None
    return out


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generator(tmp_path_factory.mktemp("donor") / "g", layers=2)


@pytest.fixture(scope="module")
def whole(partition: Partition, donor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(partition, tmp_path_factory.mktemp("adopted") / "m", tiny(donor))


def test_it_keeps_the_units_and_says_where_they_come_from(donor: Path, whole: Path) -> None:
    for name in ("vocab.json", "units.json"):
        assert (whole / name).read_bytes() == (donor / name).read_bytes()
    ours, theirs = (json.loads((path / "seqcli.json").read_text()) for path in (whole, donor))
    assert ours["data"]["init_from"] == theirs["id"]
    assert theirs["id"] in (whole / "README.md").read_text()
    assert json.loads((whole / "config.json").read_text())["unit"] == "char"


def test_only_the_head_learns_at_first_and_the_rest_begins_as_it_was(
    partition: Partition, donor: Path, tmp_path: Path
) -> None:
    theirs = read_tensors(donor / "model.safetensors")
    one = trained(partition, tmp_path / "one", tiny(donor, steps=1))  # the first step comes before anything thaws
    tensors = read_tensors(one / "model.safetensors")
    assert np.array_equal(tensors["words.weight"], theirs["embedding.weight"])
    for name in theirs:
        if name.startswith("encoder."):
            assert np.array_equal(tensors[name], theirs[name])
    assert np.abs(tensors["member.1.output.bias"]).max() > 0


def test_in_the_end_everything_has_learned(donor: Path, whole: Path) -> None:
    tensors, theirs = read_tensors(whole / "model.safetensors"), read_tensors(donor / "model.safetensors")
    assert not np.array_equal(tensors["words.weight"], theirs["embedding.weight"])
    assert not np.array_equal(tensors["encoder.layers.0.weight_hh_l0"], theirs["encoder.layers.0.weight_hh_l0"])


def test_a_lower_layer_learns_later_and_less(donor: Path) -> None:
    rate = Donor.load(donor).rate
    names = ("output.weight", "encoder.layers.1.weight_ih_l0", "encoder.layers.0.weight_ih_l0", "words.weight")
    assert [rate(name, 0.0) for name in names] == [1, 0, 0, 0]
    last = [rate(name, 1.0) for name in names]
    assert last == sorted(last, reverse=True) and last[-1] > 0
    thawed = [next(share for share in np.linspace(0, 1, 101) if rate(name, share)) for name in names]
    assert thawed == sorted(thawed) and len(set(thawed)) == 4


def test_a_run_that_was_stopped_ends_with_the_same_weights(
    partition: Partition, donor: Path, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(Interrupted):
        trained(partition, tmp_path / "m", tiny(donor), stop=1)
    trained(partition, tmp_path / "m", tiny(donor), resume=True)
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_a_run_is_not_resumed_from_another_generator(partition: Partition, donor: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        trained(partition, tmp_path / "m", tiny(donor), stop=1)
    other = generator(tmp_path / "other", layers=2, word_dropout=0.5)
    with pytest.raises(ModelError, match="'donor' was"):
        trained(partition, tmp_path / "m", tiny(other), resume=True)


def test_numpy_and_pytorch_agree_and_spaces_have_no_label_of_their_own(whole: Path) -> None:
    model = predict.load(whole)
    texts = ["昨日の焼肉", "水泳", "", " \n", "鯖🐟", "試合の話をした" * 60]
    by_numpy = model.probabilities(texts)
    encoded = model.features.read(texts, model.split(texts))
    net = Classifier(model.config, len(model.features.words), len(model.features.characters), torch.zeros(2))
    first = {name: value for name, value in model.tensors.items() if not name.startswith("member.")}
    net.load_state_dict({name: torch.from_numpy(value) for name, value in first.items()})
    with torch.inference_mode():
        logits, _ = net.eval()(TensorBatch.of(encoded.batch(range(len(texts)))))
    ours = Network.from_tensors(replace(model.config, members=1), first).log_probabilities(
        encoded.batch(range(len(texts)))
    )
    assert np.abs(ours - torch.log_softmax(logits, dim=1).numpy()).max() < 1e-5
    assert np.array_equal(by_numpy[2], by_numpy[3])
    assert np.abs(by_numpy[0] - by_numpy[1]).max() > 1e-6


@pytest.mark.parametrize("kind", ["char", "word", "subword"])
def test_attention_on_units_becomes_attention_on_tokens(kind: str, tmp_path: Path) -> None:
    features = reader(generator(tmp_path / "g", kind))
    units = features.units
    text = "焼肉は the cat が鯖"
    tokens = Tokenizer().tokens(text)
    (ids,) = features.read([text], Split.of([tokens])).texts
    assert ids[0] == DOCUMENT and len(ids) == len(units.encode(text)) + 1
    surfaces = ["", *(surface for _, surface in units.pieces(text))]
    shares = features.shares(text, tokens, np.full(len(ids), 1 / len(ids), np.float32))
    assert len(shares) == len(tokens) and shares.sum() == pytest.approx(1)
    if kind == "char":  # the boundary belongs to the first token, a space to the token before it
        owned = [len(token.surface) for token in tokens]
        for k, token in enumerate(tokens):
            owned[k] += (k == 0) + text[token.end :].startswith(" ")
        assert np.allclose(shares * len(surfaces), owned)


def test_an_explanation_has_a_record_for_each_token(whole: Path) -> None:
    model = predict.load(whole)
    text = "昨日の焼肉 the cat"
    rows = explain.explanation(model, text, model.answers([text])[0])
    assert [row["token"] for row in rows] == [token.surface for token in Tokenizer().tokens(text)]
    assert sum(row["attention"] for row in rows) == pytest.approx(1, abs=1e-5)
    assert any(abs(row["effect"]) > 1e-6 for row in rows)


def test_a_long_text_is_read_to_the_same_length_as_any_other(donor: Path) -> None:
    features = reader(donor, max_tokens=20)
    (long, plain, moved) = features.read(["焼肉" * 500_000, "焼肉", " \n" * 500 + "焼肉"], Split.of([])).texts
    assert len(long) == 20
    assert len(plain) > 1 and plain.tolist() == moved.tolist()  # whitespace before a text takes no room


@pytest.mark.parametrize(
    ("flags", "option"), [({"cell": "gru"}, "--cell"), ({"hidden": 9}, "--hidden"), ({"layers": 3}, "--layers")]
)
def test_another_shape_than_the_generators_is_refused(donor: Path, flags: dict[str, Any], option: str) -> None:
    with pytest.raises(UsageError, match=r"the generator of --init-from has") as refused:
        tiny(donor, **flags)
    assert refused.value.where == option
    assert tiny(donor, cell="lstm", hidden=8, layers=2).config.hidden == 8


def test_word_vectors_do_not_go_with_a_generator(donor: Path) -> None:
    with pytest.raises(UsageError, match="cannot read word vectors"):
        plan.make({}, vectors="ginza", init_from=donor)


def test_a_folder_that_is_no_generator_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a classifier, not a generator"):
        tiny(whole)
    with pytest.raises(ModelError, match="no such model folder"):
        tiny(tmp_path / "nothing")


def test_a_damaged_generator_is_refused(tmp_path: Path) -> None:
    path = generator(tmp_path / "g")
    config = json.loads((path / "config.json").read_text())
    for changes, message in (
        ({"hidden": 9}, "config.json wants"),
        ({"hidden": "8"}, "'hidden' is '8'"),
        ({"cell": "qrnn"}, "'cell' is 'qrnn'"),
        ({"tied": False}, "not the one that was saved"),
    ):
        (path / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(ModelError, match=message):
            tiny(path)
    (path / "config.json").write_text(json.dumps(config))
    weights = bytearray((path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (path / "model.safetensors").write_bytes(weights)
    with pytest.raises(ModelError):
        tiny(path)
