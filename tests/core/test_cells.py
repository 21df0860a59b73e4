from __future__ import annotations

import itertools

import pytest
import torch  # noqa: TID253 - these tests are about PyTorch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.core.cells import RecurrentEncoder, detach_state
from seqcli.core.encoder import CellName, EncoderConfig

CELLS: list[CellName] = ["rnn", "gru", "lstm"]
SHAPES = list(itertools.product(CELLS, [1, 2, 3], [False, True]))


def encoder(cell: CellName, layers: int = 1, bidirectional: bool = False, dropout: float = 0.0) -> RecurrentEncoder:
    torch.manual_seed(3)
    return RecurrentEncoder(EncoderConfig(cell, 5, 7, layers, dropout, bidirectional))


def some_state(net: RecurrentEncoder, batch: int) -> tuple[torch.Tensor, ...]:
    rows = net.config.layers * (2 if net.config.bidirectional else 1)
    return tuple(torch.randn(rows, batch, 7) for _ in range(2 if net.config.cell == "lstm" else 1))


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), SHAPES)
def test_a_padded_batch_gives_each_row_what_it_gives_alone(cell: CellName, layers: int, bidirectional: bool) -> None:
    net = encoder(cell, layers, bidirectional)
    lengths = torch.tensor([3, 6, 1, 4])
    x, state = torch.randn(4, 6, 5), some_state(net, 4)
    for row, length in enumerate(lengths):
        x[row, length:] = torch.nan  # what stands in the padding must not matter, whatever it is
    outputs, end = net(x, state, lengths)
    for row, length in enumerate(lengths):
        alone, alone_end = net(x[row : row + 1, :length], tuple(s[:, row : row + 1] for s in state))
        torch.testing.assert_close(outputs[row : row + 1, :length], alone)
        assert (outputs[row, length:] == 0).all()
        for got, expected in zip(end, alone_end, strict=True):
            torch.testing.assert_close(got[:, row : row + 1], expected)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(CELLS), st.integers(1, 3), st.integers(1, 4), st.integers(2, 9), st.data())
def test_a_state_carried_over_a_split_gives_the_whole_sequence(
    cell: CellName, layers: int, batch: int, steps: int, data: st.DataObject
) -> None:
    net = encoder(cell, layers)
    x, cut = torch.randn(batch, steps, 5), data.draw(st.integers(1, steps - 1))
    whole, end = net(x)
    first, state = net(x[:, :cut])
    second, carried = net(x[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    for got, expected in zip(carried, end, strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("cell", CELLS)
def test_a_detached_state_stops_the_gradient_and_keeps_the_numbers(cell: CellName) -> None:
    net = encoder(cell)
    x = torch.randn(2, 4, 5, requires_grad=True)
    _, state = net(x)
    stopped = detach_state(state)
    assert all(torch.equal(a, b) for a, b in zip(state, stopped, strict=True))
    later = torch.randn(2, 4, 5, requires_grad=True)
    net(later, stopped)[0].sum().backward()
    assert x.grad is None
    assert later.grad is not None


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), SHAPES)
def test_the_tensors_carry_the_names_and_shapes_of_the_model_folder(
    cell: CellName, layers: int, bidirectional: bool
) -> None:
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[cell]
    expected: dict[str, tuple[int, ...]] = {}
    for k, end in itertools.product(range(layers), ["", "_reverse"] if bidirectional else [""]):
        inputs = 5 if k == 0 else (14 if bidirectional else 7)
        expected[f"layers.{k}.weight_ih_l0{end}"] = (gates * 7, inputs)
        expected[f"layers.{k}.weight_hh_l0{end}"] = (gates * 7, 7)
        expected[f"layers.{k}.bias_ih_l0{end}"] = expected[f"layers.{k}.bias_hh_l0{end}"] = (gates * 7,)
    net = encoder(cell, layers, bidirectional)
    assert {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()} == expected


@pytest.mark.parametrize(("cell", "layers", "bidirectional"), SHAPES)
def test_a_new_net_has_orthogonal_recurrence_and_an_open_forget_gate(
    cell: CellName, layers: int, bidirectional: bool
) -> None:
    for name, weight in encoder(cell, layers, bidirectional).named_parameters():
        for k, gate in enumerate(torch.split(weight.detach(), 7)):
            if "weight_hh" in name:
                torch.testing.assert_close(gate @ gate.T, torch.eye(7), atol=1e-5, rtol=0)
            elif "bias" in name:
                forget = cell == "lstm" and k == 1 and "bias_ih" in name
                assert (gate == (1.0 if forget else 0.0)).all()


def test_the_same_seed_gives_the_same_net() -> None:
    first, second = encoder("lstm", 2).state_dict(), encoder("lstm", 2).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("lengths", [None, torch.tensor([6, 2, 4])])
def test_dropout_stands_between_layers_and_only_in_training(lengths: torch.Tensor | None) -> None:
    x = torch.randn(3, 6, 5)
    plain, dropped = encoder("gru", 2), encoder("gru", 2, dropout=0.5)
    torch.testing.assert_close(dropped.eval()(x, None, lengths)[0], plain(x, None, lengths)[0])
    dropped.train()
    torch.manual_seed(1)
    outputs, (h,) = dropped(x, None, lengths)
    assert not torch.allclose(outputs, plain(x, None, lengths)[0])
    torch.testing.assert_close(h[0], plain(x, None, lengths)[1][0][0])  # the first layer is what it was
    torch.manual_seed(1)
    assert torch.equal(outputs, dropped(x, None, lengths)[0])
    assert torch.equal(encoder("gru", 1, dropout=0.5)(x)[0], encoder("gru", 1)(x)[0])  # no layer above: none dropped
