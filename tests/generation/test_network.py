"""The network in NumPy is the network in PyTorch, unit by unit and text by text."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - compares with PyTorch

from seqcli.errors import ModelError
from seqcli.generation import network as networks
from seqcli.generation.config import GeneratorConfig
from seqcli.generation.model import LanguageModel
from seqcli.generation.network import Ids, Network, State

V = 37

SHAPES: dict[str, dict[str, Any]] = {
    "tied": {"embedding": 12, "hidden": 12},
    "projected": {"embedding": 8, "hidden": 12},
    "untied": {"tied": False, "embedding": 8, "hidden": 12},
    "clusters": {"embedding": 8, "hidden": 12, "cutoffs": (9, 20)},
    "clusters untied": {"tied": False, "embedding": 8, "hidden": 12, "cutoffs": (1,)},
    "gru": {"cell": "gru", "embedding": 8, "hidden": 12, "layers": 2},
    "rnn": {"cell": "rnn", "embedding": 8, "hidden": 12},
    "three layers": {"embedding": 8, "hidden": 12, "layers": 3},
}


def pair(shape: dict[str, Any]) -> tuple[LanguageModel, Network]:
    torch.manual_seed(3)
    config = GeneratorConfig(vocabulary=V, **shape)
    model = LanguageModel(config).eval()
    with torch.no_grad():
        for weight in model.parameters():  # a new model's probabilities are all but even, which would hide much
            weight.add_(torch.randn_like(weight) * 0.3)
    return model, Network.from_tensors(config, {name: t.numpy() for name, t in model.state_dict().items()})


def scored(network: Network, tokens: Ids, state: State) -> tuple[Any, State]:
    """The log-probability of each unit of some texts, ``(b, t)``, as a mixture asks for it."""
    hidden, after = network.before(tokens, state)
    found = network.chosen(hidden.reshape(tokens.size, -1), tokens.ravel())
    return found.reshape(tokens.shape), after


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_numpy_and_pytorch_give_the_same_probabilities(shape: dict[str, Any]) -> None:
    model, network = pair(shape)
    tokens = np.random.default_rng(0).integers(0, V, (3, 50))
    state = network.start(3)
    with torch.no_grad():
        known, _ = model(torch.from_numpy(tokens[:, :-1]))
        wanted = model.log_probabilities(known, torch.from_numpy(tokens[:, 1:])).numpy()
    state = network.advance(tokens[:, 0], state)
    found, _ = scored(network, tokens[:, 1:], state)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert np.ptp(wanted) > 1


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_unit_by_unit_is_the_same_as_all_at_once(shape: dict[str, Any]) -> None:
    _, network = pair(shape)
    tokens = np.random.default_rng(1).integers(0, V, (2, 20))
    at_once, end = scored(network, tokens, network.start(2))
    state, found = network.start(2), []
    for ids in tokens.T:
        log_p = network.next(state)
        found.append(log_p[np.arange(2), ids])
        state = network.advance(ids, state)
        np.testing.assert_allclose(np.exp(log_p).sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(np.stack(found, 1), at_once, atol=1e-5)
    for one, other in zip(state, end, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_text_in_chunks_is_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    _, network = pair(SHAPES["clusters"])
    tokens = np.random.default_rng(2).integers(0, V, (1, 60))
    whole, _ = scored(network, tokens, network.start())
    monkeypatch.setattr(networks, "_LOGIT_BYTES", 7 * V * 4)  # seven places at once
    parts, state = [], network.start()
    for start in range(0, 60, 13):
        found, state = scored(network, tokens[:, start : start + 13], state)
        parts.append(found)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_a_vocabulary_too_large_for_a_table_is_read_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    _, small = pair(SHAPES["tied"])
    monkeypatch.setattr(networks, "_TABLE_BYTES", 0)
    _, large = pair(SHAPES["tied"])
    assert large.table._rows is None
    tokens = np.arange(20)[None]
    wanted, _ = scored(small, tokens, small.start())
    np.testing.assert_allclose(scored(large, tokens, large.start())[0], wanted, atol=1e-6)


def test_a_missing_tensor_is_named() -> None:
    model, network = pair(SHAPES["projected"])
    tensors = {name: t.numpy() for name, t in model.state_dict().items() if name != "projection.bias"}
    with pytest.raises(ModelError, match=r"projection\.bias"):
        Network.from_tensors(model.config, tensors)
    assert network.projection is not None


def test_no_heavy_package_is_imported() -> None:
    script = "import sys, seqcli.generation.network\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "scipy", "sudachipy", "sentencepiece"} & set(done.stdout.split())
