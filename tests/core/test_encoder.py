from __future__ import annotations

import itertools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch  # noqa: TID253 - the NumPy encoder is held equal to PyTorch's here
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.core.cells import RecurrentEncoder
from seqcli.core.encoder import CellName, Encoder, EncoderConfig
from seqcli.core.equations import Array
from seqcli.errors import ModelError, UsageError

CELLS: list[CellName] = ["rnn", "gru", "lstm"]
SHAPES = list(itertools.product(CELLS, [1, 2, 3], [False, True]))


def both(
    config: EncoderConfig, seed: int = 0, noise: float = 0.3
) -> tuple[RecurrentEncoder, Encoder, dict[str, Array]]:
    torch.manual_seed(seed)
    net = RecurrentEncoder(config).eval()
    with torch.no_grad():
        for parameter in net.parameters():  # new biases are 0 and 1, which would hide a mistake in their order
            parameter.add_(noise * torch.randn_like(parameter))
    tensors = {f"encoder.{name}": tensor.numpy() for name, tensor in net.state_dict().items()}
    return net, Encoder.from_tensors(tensors, "encoder.", config.cell), tensors


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        EncoderConfig,
        st.sampled_from(CELLS),
        st.integers(1, 6),
        st.integers(1, 8),
        st.integers(1, 3),
        st.just(0.5),
        st.booleans(),
    ),
    st.integers(1, 5),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
    st.integers(0, 1000),
)
def test_it_equals_the_encoder_that_was_trained(
    config: EncoderConfig, batch: int, steps: int, with_state: bool, with_lengths: bool, seed: int
) -> None:
    net, encoder, _ = both(config, seed)
    x = torch.randn(batch, steps, config.input_size)
    state, lengths = None, None
    if with_state:
        rows = config.layers * (2 if config.bidirectional else 1)
        states = 2 if config.cell == "lstm" else 1
        state = tuple(torch.randn(rows, batch, config.hidden_size) for _ in range(states))
    if with_lengths:
        lengths = torch.randint(1, steps + 1, (batch,))
    with torch.no_grad():
        outputs, end = net(x, state, lengths)
    begin = None if state is None else tuple(s.numpy() for s in state)
    got, got_end = encoder.forward(x.numpy(), begin, None if lengths is None else lengths.numpy())
    assert encoder.output_size == config.output_size == got.shape[2]
    np.testing.assert_allclose(got, outputs.numpy(), atol=1e-5, rtol=0)
    assert len(got_end) == len(end)
    for ours, theirs in zip(got_end, end, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", CELLS)
def test_a_long_wide_batch_that_needs_many_blocks_equals_it_too(cell: CellName) -> None:
    # Less noise than elsewhere: over 40 steps large weights are chaotic, and rounding alone would differ by 1e-5.
    net, encoder, _ = both(EncoderConfig(cell, 3, 16, 2, bidirectional=True), noise=0.1)
    x = torch.randn(300, 40, 3)
    lengths = torch.randint(1, 41, (300,))
    with torch.no_grad():
        outputs, _ = net(x, None, lengths)
    np.testing.assert_allclose(encoder.forward(x.numpy(), None, lengths.numpy())[0], outputs, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), SHAPES)
def test_a_padded_batch_gives_each_row_what_it_gives_alone(cell: CellName, layers: int, bidirectional: bool) -> None:
    _, encoder, _ = both(EncoderConfig(cell, 4, 6, layers, bidirectional=bidirectional))
    generator = np.random.default_rng(1)
    lengths = np.array([3, 6, 1, 4], dtype=np.uint8)
    x = generator.normal(size=(4, 6, 4)).astype(np.float32)
    for row, length in enumerate(lengths):
        x[row, length:] = np.nan
    outputs, end = encoder.forward(x, None, lengths)
    for row, length in enumerate(lengths):
        alone, alone_end = encoder.forward(x[row : row + 1, :length])
        np.testing.assert_allclose(outputs[row : row + 1, :length], alone, atol=1e-6)
        assert not outputs[row, length:].any()
        for got, expected in zip(end, alone_end, strict=True):
            np.testing.assert_allclose(got[:, row : row + 1], expected, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_at_a_time_gives_the_whole_sequence_and_changes_nothing_given(cell: CellName) -> None:
    _, encoder, _ = both(EncoderConfig(cell, 4, 6, 2))
    x = np.random.default_rng(2).normal(size=(3, 5, 4)).astype(np.float32)
    whole, end = encoder.forward(x)
    state = tuple(np.zeros_like(s) for s in end)
    for t in range(5):
        kept = tuple(s.copy() for s in state)
        step, after = encoder.forward(x[:, t : t + 1], state)
        assert all(np.array_equal(a, b) for a, b in zip(state, kept, strict=True))
        np.testing.assert_allclose(step[:, 0], whole[:, t], atol=1e-6)
        state = after
    for got, expected in zip(state, end, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_outputs_lie_in_memory_row_by_row_in_the_dtype_asked_for() -> None:
    _, _, tensors = both(EncoderConfig("lstm", 4, 6))
    for dtype in (np.float32, np.float64):
        outputs, end = Encoder.from_tensors(tensors, "encoder.", "lstm", dtype).forward(np.ones((3, 5, 4)))
        assert outputs.dtype == dtype == end[0].dtype == end[1].dtype
        assert outputs.flags.c_contiguous


@pytest.mark.parametrize("lengths", [[1, 2], [0, 2, 3], [1, 2, 6]])
def test_impossible_lengths_are_refused(lengths: list[int]) -> None:
    _, encoder, _ = both(EncoderConfig("gru", 4, 6))
    with pytest.raises(ValueError, match="from 1 to 5"):
        encoder.forward(np.ones((3, 5, 4)), None, np.array(lengths))


def damage(name: str, shape: tuple[int, ...] | None) -> Any:
    return pytest.param(name, shape, id=f"{name} {shape}")


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        damage("encoder.layers.0.weight_hh_l0", None),
        damage("encoder.layers.0.weight_ih_l0", None),
        damage("encoder.layers.1.bias_hh_l0_reverse", None),
        damage("encoder.layers.0.weight_hh_l0", (24, 5)),
        damage("encoder.layers.0.weight_hh_l0", (24,)),
        damage("encoder.layers.0.weight_ih_l0", (23, 4)),
        damage("encoder.layers.0.weight_ih_l0_reverse", (24, 3)),
        damage("encoder.layers.1.weight_ih_l0", (24, 6)),
        damage("encoder.layers.1.bias_ih_l0", (24, 1)),
    ],
)
def test_a_damaged_model_is_refused_by_the_name_of_the_tensor(name: str, shape: tuple[int, ...] | None) -> None:
    _, _, tensors = both(EncoderConfig("lstm", 4, 6, 2, bidirectional=True))
    if shape is None:
        del tensors[name]
    else:
        tensors[name] = np.zeros(shape, np.float32)
    with pytest.raises(ModelError) as error:
        Encoder.from_tensors(tensors, "encoder.", "lstm")
    assert name.startswith(error.value.where)


@pytest.mark.parametrize("other", ["rnn", "gru"])
def test_a_model_of_another_cell_is_refused(other: str) -> None:
    _, _, tensors = both(EncoderConfig("lstm", 4, 6))
    with pytest.raises(ModelError, match=r"\(24, "):
        Encoder.from_tensors(tensors, "encoder.", other)
    with pytest.raises(UsageError, match="'transformer'"):
        Encoder.from_tensors(tensors, "encoder.", "transformer")


@pytest.mark.parametrize(
    ("option", "value", "changes"),
    [
        ("--cell", "'elman'", {"cell": "elman"}),
        ("input size", "0", {"input_size": 0}),
        ("--hidden", "-3", {"hidden_size": -3}),
        ("--layers", "0", {"layers": 0}),
        ("--dropout", "1.0", {"dropout": 1.0}),
        ("--dropout", "-0.1", {"dropout": -0.1}),
        ("--dropout", "nan", {"dropout": float("nan")}),
    ],
)
def test_an_impossible_shape_is_refused_by_option_and_value(option: str, value: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as error:
        EncoderConfig(**{"cell": "lstm", "input_size": 3, "hidden_size": 4, **changes})
    assert error.value.where == option
    assert value in error.value.what


def test_predicting_leaves_pytorch_out_of_the_process() -> None:
    code = """
import sys, numpy as np
from seqcli.core.encoder import Encoder
names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
tensors = {f"layers.0.{n}_l0": np.zeros((8, 2) if "weight" in n else 8, np.float32) for n in names}
Encoder.from_tensors(tensors, "", "lstm").forward(np.ones((1, 3, 2)))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
