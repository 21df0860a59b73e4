"""The network of a generator in PyTorch: its probabilities, its state, its dropout, and its shape as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
import torch  # noqa: TID253 - the subject

from seqcli.errors import ModelError
from seqcli.generation.config import GeneratorConfig, shapes
from seqcli.generation.model import LanguageModel, _kept

V = 30
SHAPES: dict[str, dict[str, Any]] = {
    "tied": {"embedding": 8, "hidden": 8},
    "projected": {"embedding": 6, "hidden": 9},
    "untied": {"tied": False, "embedding": 6, "hidden": 9},
    "clusters": {"embedding": 6, "hidden": 9, "cutoffs": (7, 20)},
    "clusters untied": {"tied": False, "embedding": 6, "hidden": 9, "cutoffs": (1,)},
    "gru": {"cell": "gru", "embedding": 6, "hidden": 9, "layers": 2},
    "rnn": {"cell": "rnn", "embedding": 6, "hidden": 9},
}
DROPOUT = {
    "word_dropout": 0.2, "input_dropout": 0.3, "hidden_dropout": 0.3, "output_dropout": 0.4, "weight_dropout": 0.5,
}  # fmt: skip


def model_of(shape: dict[str, Any], seed: int = 0) -> LanguageModel:
    torch.manual_seed(seed)
    model = LanguageModel(GeneratorConfig(vocabulary=V, **shape))
    with torch.no_grad():
        for weight in model.parameters():  # a new model's probabilities are all but even, which would hide much
            weight.add_(torch.randn_like(weight) * 0.3)
    return model


def tokens_of(rows: int = 3, steps: int = 11) -> torch.Tensor:
    return torch.randint(0, V, (rows, steps), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_probabilities_of_all_units_add_up_to_one(shape: dict[str, Any]) -> None:
    model, tokens = model_of(shape).eval(), tokens_of()
    known, _ = model(tokens)
    total = sum(model.log_probabilities(known, torch.full_like(tokens, unit)).exp() for unit in range(V))
    torch.testing.assert_close(total, torch.ones(3, 11), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_text_read_in_two_pieces_is_read_as_one(shape: dict[str, Any]) -> None:
    model, tokens = model_of(shape).eval(), tokens_of()
    whole, _ = model(tokens)
    first, state = model(tokens[:, :4])
    second, _ = model(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_tensors_are_those_that_the_config_promises(shape: dict[str, Any]) -> None:
    model = model_of(shape)
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == shapes(model.config)


def test_a_unit_of_a_cluster_has_the_share_of_the_cluster_times_its_own_in_it() -> None:
    model, tokens = model_of(SHAPES["clusters"]).eval(), tokens_of(1, 1)
    known, _ = model(tokens)
    u = known[0, 0]
    logits = model.embedding.weight @ u + model.decoder.bias
    assert model.clusters is not None
    head = torch.cat([logits[:7], model.clusters(u)]).softmax(0)
    wanted = head[8] * logits[20:].softmax(0)[3]
    found = model.log_probabilities(known, torch.tensor([[23]])).exp()
    torch.testing.assert_close(found[0, 0], wanted)


@pytest.mark.parametrize("shape", ["projected", "clusters"])
def test_a_new_model_expects_what_stands_in_the_training_text(shape: str) -> None:
    model = model_of(SHAPES[shape]).eval()
    with torch.no_grad():
        model.embedding.weight.zero_()
        if model.clusters is not None:
            model.clusters.weight.zero_()
    counts = torch.arange(V)
    model.expect(counts)
    known, _ = model(torch.zeros(1, V, dtype=torch.long))
    found = model.log_probabilities(known, counts[None]).exp()[0]
    torch.testing.assert_close(found, (counts + 1.0) / (counts.sum() + V), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", DROPOUT)
def test_each_dropout_changes_the_training_and_nothing_else(name: str) -> None:
    shape = {"embedding": 16, "hidden": 24, "layers": 2}
    plain, tokens = model_of(shape), tokens_of()
    model = model_of(shape | {name: 0.5})
    first, second = model(tokens)[0], model(tokens)[0]
    assert not torch.equal(first, second)
    torch.testing.assert_close(model.eval()(tokens)[0], plain.eval()(tokens)[0])
    model.train().strength = 0.0
    torch.testing.assert_close(model(tokens)[0], plain(tokens)[0])


def test_the_same_values_are_dropped_at_every_step_of_a_row() -> None:
    model = model_of({"embedding": 40, "hidden": 40, "output_dropout": 0.5})
    known, _ = model(tokens_of())
    zero = known == 0
    assert zero.any(dim=2).all()
    assert (zero == zero[:, :1]).all()
    assert not torch.equal(zero[0], zero[1])


def test_a_mask_of_dropout_keeps_the_share_and_the_mean() -> None:
    torch.manual_seed(0)
    kept = _kept((300, 1000), 0.3, torch.device("cpu"))
    assert abs(float((kept == 0).float().mean()) - 0.3) < 0.005
    assert abs(float(kept.mean()) - 1) < 0.005
    assert torch.equal(_kept((3, 5), 0.0, torch.device("cpu")), torch.ones(3, 5))


def test_a_shape_survives_json() -> None:
    config = GeneratorConfig(V, "word", cutoffs=(5, 9), mixture=(0.1, 0.5), **DROPOUT)
    values = asdict(config) | {"cutoffs": [5, 9], "mixture": [0.1, 0.5], "of another version": 1}
    assert GeneratorConfig.from_json(values) == config


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("vocabulary", 1, "not a whole number from 2"),
        ("hidden", 0, "not a whole number"),
        ("hidden", True, "not a whole number"),
        ("layers", "2", "not a whole number"),
        ("output_dropout", 1.0, "from 0 to below 1"),
        ("cell", "lstmm", "not one of rnn, gru, lstm"),
        ("unit", "letter", "not one of char, word, subword"),
        ("tied", 1, "not true or false"),
        ("mixture", [0.5, 1.5], "weights from 0 to 1"),
        ("mixture", 0.5, "a short list"),
        ("cutoffs", [9, 5], "rising ids"),
        ("cutoffs", [V], "rising ids"),
        ("cache_theta", float("nan"), "a number from 0"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused_with_its_value(name: str, value: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said) as refused:
        GeneratorConfig.from_json(asdict(GeneratorConfig(V)) | {name: value})
    assert name in str(refused.value)


def test_a_shape_with_something_missing_is_refused() -> None:
    values = asdict(GeneratorConfig(V))
    del values["hidden"]
    with pytest.raises(ModelError, match="'hidden' is missing"):
        GeneratorConfig.from_json(values)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_many_units_at_a_place_have_the_probabilities_that_each_has_alone(shape: dict[str, Any]) -> None:
    model, tokens = model_of(shape).eval(), tokens_of()
    known, _ = model(tokens)
    many = torch.stack([tokens, tokens.flip(0), torch.full_like(tokens, 25)], dim=2)
    found = model.log_probabilities(known, many)
    for k in range(3):
        torch.testing.assert_close(found[:, :, k], model.log_probabilities(known, many[:, :, k]))


def test_a_model_that_begins_with_known_embeddings_has_them() -> None:
    model = model_of(SHAPES["projected"])
    known = torch.randn(V, 6)
    model.begin(known)
    weights = model.embedding.weight.detach()
    torch.testing.assert_close(weights / weights.std(), known / known.std())
