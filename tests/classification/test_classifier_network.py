"""The classifier's equations: PyTorch and NumPy agree, and neither sees the padding or the neighbours of a text."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - held equal to NumPy here

from seqcli.classification.config import ClassifierConfig, prefix, shapes
from seqcli.classification.encoding import Encoded, Features, Split, Table, vocabulary
from seqcli.classification.model import SAMPLES, Classifier, TensorBatch
from seqcli.classification.network import Network
from seqcli.core.tokens import Tokenizer
from seqcli.errors import ModelError

TEXTS = (
    "昨日の焼肉は最高に美味しかった。",
    "味",
    "",
    "駅前の寿司は安くて美味しいし、店員さんも親切で、また必ず行きたいと思いました。",
    "qwzx 鱻",
    "電話の画面が割れて残念だった",
)
PRIOR = np.array([0.2, 0.3, 0.5], np.float32)


class Rows:
    """Knows a row for words of even length."""

    def row(self, key: str) -> int | None:
        return len(key) if len(key) % 2 == 0 and len(key) < 8 else None


def config(**changes: Any) -> ClassifierConfig:
    small = ClassifierConfig(
        hidden=7, members=1, vector_size=4, projection=3, word_size=5, character_embedding=4, character_size=6,
        attention=5, max_tokens=16, max_characters=5, tokenizer=Tokenizer().recipe(),
    )  # fmt: skip
    return replace(small, **changes)


def features(shape: ClassifierConfig) -> Features:
    words, characters = vocabulary(Split.of(map(Tokenizer().tokens, TEXTS[:4])), min_count=1)
    if not shape.vector_size:
        return Features(shape, words, characters)
    matrix = np.random.default_rng(3).normal(size=(9, shape.vector_size)).astype(np.float32)
    return Features(shape, words, characters, Rows(), Table(matrix, np.zeros(shape.vector_size, np.float32), 1.0))


def member(shape: ClassifierConfig, reader: Features, seed: int = 0) -> Classifier:
    """A network with weights far from those of a fresh one."""
    torch.manual_seed(seed)
    model = Classifier(shape, len(reader.words), len(reader.characters), torch.from_numpy(PRIOR))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "characters" not in name:
                value.normal_(std=0.6)
    return model.eval()


def tensors(model: Classifier) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in model.state_dict().items()}


def by_torch(model: Classifier, encoded: Encoded, rows: list[int]) -> np.ndarray:
    with torch.inference_mode():
        logits, _ = model(TensorBatch.of(encoded.batch(rows)))
        return torch.log_softmax(logits, dim=1).numpy()


SHAPES = (
    {},
    {"cell": "gru", "layers": 2},
    {"cell": "rnn", "bidirectional": False},
    {"vectors": "none", "vector_size": 0},
)


@pytest.mark.parametrize("changes", SHAPES)
def test_numpy_and_pytorch_agree_in_any_batch(changes: dict[str, Any]) -> None:
    shape = config(**changes)
    reader = features(shape)
    model, encoded = member(shape, reader), reader.encode(TEXTS)
    network = Network.from_tensors(shape, tensors(model))
    together = by_torch(model, encoded, list(range(len(TEXTS))))
    assert np.abs(network.log_probabilities(encoded.batch(range(len(TEXTS)))) - together).max() < 1e-5
    for row in range(len(TEXTS)):
        alone = by_torch(model, encoded, [row])[0]
        assert np.abs(alone - together[row]).max() < 1e-5
        assert np.abs(network.log_probabilities(encoded.batch([row]))[0] - together[row]).max() < 1e-5


def test_what_stands_at_the_padding_changes_nothing() -> None:
    shape = config()
    reader = features(shape)
    model = member(shape, reader)
    batch = reader.encode(TEXTS).batch(range(len(TEXTS)))
    padded = np.arange(batch.tokens.shape[1]) >= batch.lengths[:, None]
    wider = np.pad(np.where(padded, len(batch.words) - 1, batch.tokens), ((0, 0), (0, 3)), constant_values=1)
    other = replace(batch, tokens=wider)
    network = Network.from_tensors(shape, tensors(model))
    assert np.abs(network.log_probabilities(batch) - network.log_probabilities(other)).max() < 1e-6
    with torch.inference_mode():
        logits, attention = model(TensorBatch.of(batch))
        again, wide = model(TensorBatch.of(other))
    assert (logits - again).abs().max() < 1e-5
    assert (wide[:, : attention.shape[1]] - attention).abs().max() < 1e-6
    assert not wide[:, attention.shape[1] :].any()


def test_a_text_that_is_turned_round_has_the_gradient_of_what_stands_there() -> None:
    shape = config(dropout=0.0, input_dropout=0.0, word_dropout=0.0)
    reader = features(shape)
    model = member(shape, reader).double().eval()
    batch = TensorBatch.of(reader.encode(TEXTS).batch(range(len(TEXTS))))
    batch = replace(batch, vectors=batch.vectors.double())

    def logits(*weights: torch.Tensor) -> torch.Tensor:
        named = dict(zip(names, weights, strict=True))
        return torch.func.functional_call(model, named, (batch,))[0]

    names = ["projection.weight", "convolution.weight", "encoder_reverse.layers.0.weight_hh_l0"]
    values = [model.get_parameter(name).detach().clone().requires_grad_() for name in names]
    assert torch.autograd.gradcheck(logits, values, atol=1e-4, fast_mode=True)


def test_training_drops_out_in_several_ways_and_answers_in_one() -> None:
    shape = config()
    reader = features(shape)
    model = member(shape, reader)
    batch = TensorBatch.of(reader.encode(TEXTS).batch(range(len(TEXTS))))
    logits = model.train()(batch)[0].detach().reshape(SAMPLES, len(TEXTS), -1)
    assert not torch.allclose(logits[0, 0], logits[1, 0])
    assert torch.equal(logits[0, 2], logits[1, 2])  # the text without tokens gets the shares of the labels
    assert model.eval()(batch)[0].shape == (len(TEXTS), 3)


def test_bfloat16_changes_little_in_training_and_no_answer() -> None:
    shape = config(dropout=0.0, input_dropout=0.0, word_dropout=0.0)
    reader = features(shape)
    batch = TensorBatch.of(reader.encode(TEXTS).batch(range(len(TEXTS))))
    full, half = member(shape, reader), member(shape, reader)
    half.bf16 = True
    wanted, found = (model.train()(batch)[0] for model in (full, half))
    assert found.dtype == torch.float32 and not torch.equal(wanted, found)
    assert torch.allclose(wanted, found, atol=0.1)
    found.sum().backward()
    gradient = half.get_parameter("encoder.layers.0.weight_ih_l0").grad
    assert gradient is not None and gradient.dtype == torch.float32 and gradient.any()
    assert torch.equal(full.eval()(batch)[0], half.eval()(batch)[0])


def test_attention_adds_up_to_one_over_the_real_tokens() -> None:
    shape = config()
    reader = features(shape)
    batch = reader.encode(TEXTS).batch(range(len(TEXTS)))
    model = member(shape, reader)
    _, by_numpy = Network.from_tensors(shape, tensors(model)).forward(batch)
    with torch.inference_mode():
        attention = model(TensorBatch.of(batch))[1].numpy()
    padded = np.arange(batch.tokens.shape[1]) >= batch.lengths[:, None]
    assert not attention[padded].any()
    assert np.allclose(attention.sum(axis=1), batch.lengths > 0, atol=1e-6)
    assert np.allclose(by_numpy, attention, atol=1e-6)


def test_the_answer_depends_on_the_order_of_the_words() -> None:
    shape = config()
    reader = features(shape)
    network = Network.from_tensors(shape, tensors(member(shape, reader)))
    batch = reader.encode(TEXTS[:1]).batch([0])
    turned = replace(batch, tokens=batch.tokens[:, ::-1].copy())
    assert np.abs(network.log_probabilities(batch) - network.log_probabilities(turned)).max() > 1e-3


def test_a_text_without_tokens_gets_the_shares_of_the_labels_in_training() -> None:
    shape = config()
    reader = features(shape)
    model = member(shape, reader)
    batch = reader.encode(["", " \n "]).batch([0, 1])
    assert np.allclose(np.exp(Network.from_tensors(shape, tensors(model)).log_probabilities(batch)), PRIOR, atol=1e-6)
    assert np.allclose(np.exp(by_torch(model, reader.encode([""]), [0])), PRIOR, atol=1e-6)


def test_members_are_averaged_as_log_probabilities() -> None:
    shape = config(members=2)
    reader = features(shape)
    both = [member(shape, reader, seed) for seed in (1, 2)]
    named = {prefix(k) + name: value for k, one in enumerate(both) for name, value in tensors(one).items()}
    encoded = reader.encode(TEXTS)
    found = Network.from_tensors(shape, named).log_probabilities(encoded.batch(range(len(TEXTS))))
    mean = np.mean([by_torch(one, encoded, list(range(len(TEXTS)))) for one in both], axis=0)
    mean -= np.log(np.exp(mean).sum(axis=1, keepdims=True))
    assert np.abs(found - mean).max() < 1e-5


@pytest.mark.parametrize("changes", SHAPES)
def test_the_shapes_that_a_config_implies_are_those_of_the_network(changes: dict[str, Any]) -> None:
    shape = config(members=2, **changes)
    reader = features(shape)
    named = {prefix(k) + name: v for k in range(2) for name, v in tensors(member(shape, reader)).items()}
    wanted = shapes(shape, len(reader.words), len(reader.characters), len(PRIOR))
    assert {name: value.shape for name, value in named.items()} == wanted


def test_a_config_comes_back_from_json_as_it_was() -> None:
    shape = config(fusion=0.35, temperature=1.25, gains=(0.7, 1.3), costs=(0.3, 0.35))
    assert ClassifierConfig.from_json(json.loads(json.dumps(asdict(shape)))) == shape


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", 0), ("hidden", True), ("hidden", 1 << 40), ("cell", "transformer"), ("vectors", "elsewhere"),
        ("dropout", float("nan")), ("dropout", "0.5"), ("fusion", 1.5), ("temperature", 0.0), ("bidirectional", 1),
        ("tokenizer", None), ("max_tokens", 2.5), ("gains", [1.0]), ("costs", 1.0), ("gains", ["1"]),
        ("costs", [float("nan")]),
    ],
)  # fmt: skip
def test_a_config_that_makes_no_sense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ModelError) as refused:
        ClassifierConfig.from_json(asdict(config()) | {name: value})
    assert name in str(refused.value)
