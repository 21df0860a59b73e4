from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID253 - the recursions are held equal to PyTorch's autograd here
from hypothesis import given, settings
from hypothesis import strategies as st

from seqcli.core.cells import RecurrentEncoder
from seqcli.core.encoder import CellName, Encoder, EncoderConfig
from seqcli.core.equations import CELLS, GRU, LSTM, RNN, Array, Cell, State, sigmoid_

FORMS = ["rnn", "lstm", "gru after", "gru before"]


def some_cell(form: str, f: int, h: int, generator: np.random.Generator) -> Cell:
    kind = CELLS[form.split(maxsplit=1)[0]]
    W, U, b = (0.7 * generator.normal(size=(kind.gates * h, *rest)) for rest in [(f,), (h,), ()])
    if form == "gru after":
        return GRU(W, U, b, generator.normal(size=h))
    return GRU(W, U, b, reset="before") if form == "gru before" else kind(W, U, b)


def central_difference(loss: Callable[[], float], array: Array, step: float = 1e-5) -> Array:
    """∂loss/∂array, element by element; ``loss`` reads the array that is changed here."""
    slope = np.empty_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = loss()
        array[index] = kept - step
        slope[index] = (above - loss()) / (2 * step)
        array[index] = kept
    return slope


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=5, deadline=None)
@given(t=st.integers(1, 5), f=st.integers(1, 3), h=st.integers(1, 3), b=st.integers(1, 2), seed=st.integers(0, 99))
def test_every_gradient_equals_central_differences(form: str, t: int, f: int, h: int, b: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    cell = some_cell(form, f, h, generator)
    x, errors = generator.normal(size=(t, f, b)), generator.normal(size=(t, h, b))
    state, last = (tuple(generator.normal(size=(h, b)) for _ in range(cell.states)) for _ in range(2))

    def loss() -> float:
        outputs, end = cell.forward(x, state)
        return float((errors * outputs).sum() + sum((w * s).sum() for w, s in zip(last, end, strict=True)))

    gradients = cell.backward(x, errors, state, last)
    pairs = [(gradients.x, x), (gradients.W, cell.W), (gradients.U, cell.U), (gradients.b, cell.b)]
    pairs += zip(gradients.state, state, strict=True)
    if isinstance(cell, GRU) and cell.b_reset is not None:
        assert gradients.b_reset is not None
        pairs.append((gradients.b_reset, cell.b_reset))
    for gradient, array in pairs:
        np.testing.assert_allclose(gradient, central_difference(loss, array), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_every_gradient_equals_autograd(name: CellName) -> None:
    h = 4
    torch.manual_seed(0)
    net = RecurrentEncoder(EncoderConfig(name, 3, h)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    x = torch.randn(5, 7, 3, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(1, 5, h, dtype=torch.float64, requires_grad=True) for _ in range(CELLS[name].states))
    outputs, end = net(x, state)
    errors, last = torch.randn_like(outputs), tuple(torch.randn_like(s) for s in end)
    ((errors * outputs).sum() + sum((w * s).sum() for w, s in zip(last, end, strict=True))).backward()

    tensors = {key: value.numpy() for key, value in net.state_dict().items()}
    ((cell,),) = Encoder.from_tensors(tensors, "", name, np.float64).layers

    def columns(tensor: torch.Tensor | None) -> Array:
        assert tensor is not None
        return tensor.detach().numpy().transpose(1, 2, 0)  # (b, t, f) -> (t, f, b)

    def one(states: tuple[torch.Tensor | None, ...]) -> State:
        return tuple(s.detach().numpy()[0].T for s in states if s is not None)

    gradients = cell.backward(columns(x), columns(errors), one(state), one(last))
    np.testing.assert_allclose(gradients.x, columns(x.grad), atol=1e-6, rtol=1e-6)
    for got, expected in zip(gradients.state, one(tuple(s.grad for s in state)), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6, rtol=1e-6)
    order = np.arange(cell.gates * h)
    if name == "lstm":  # PyTorch has i, f, g, o
        i, f, g, o = np.split(order, 4)
        order = np.concatenate([i, f, o, g])
    theirs = {key: value.grad.numpy()[order] for key, value in net.named_parameters() if value.grad is not None}
    np.testing.assert_allclose(gradients.W, theirs["layers.0.weight_ih_l0"], atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(gradients.U, theirs["layers.0.weight_hh_l0"], atol=1e-6, rtol=1e-6)
    np.testing.assert_allclose(gradients.b, theirs["layers.0.bias_ih_l0"], atol=1e-6, rtol=1e-6)
    if name == "gru":
        assert gradients.b_reset is not None
        np.testing.assert_allclose(gradients.b_reset, theirs["layers.0.bias_hh_l0"][2 * h :], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_two_halves_joined_at_the_state_are_those_of_the_whole(form: str) -> None:
    generator = np.random.default_rng(5)
    cell = some_cell(form, 2, 3, generator)
    x, errors = generator.normal(size=(8, 2, 4)), generator.normal(size=(8, 3, 4))
    whole = cell.backward(x, errors)
    _, middle = cell.forward(x[:3])
    second = cell.backward(x[3:], errors[3:], middle)
    first = cell.backward(x[:3], errors[:3], last=second.state)
    np.testing.assert_allclose(first.U + second.U, whole.U)
    np.testing.assert_allclose(np.concatenate([first.x, second.x]), whole.x)


def test_a_step_of_each_cell_is_what_the_course_writes() -> None:
    def sigma(a: float) -> float:
        return float(1 / (1 + np.exp(-a)))

    x, h, c = 0.5, -0.3, 0.8
    w, u, v = [0.4, -1.1, 0.9, 0.6], [0.7, 0.2, -0.5, 1.3], [0.1, -0.2, 0.3, 0.05]
    a = [w[k] * x + u[k] * h + v[k] for k in range(4)]

    def one(kind: type[Cell], *rest: object) -> list[float]:
        k = kind.gates
        cell = kind(np.array(w[:k])[:, None], np.array(u[:k])[:, None], np.array(v[:k]), *rest)
        state = tuple(np.array([[value]]) for value in (h, c)[: kind.states])
        return [float(s[0, 0]) for s in cell.step(cell.project(np.array([[[x]]]))[0], state)]

    assert one(RNN) == pytest.approx([np.tanh(a[0])])
    new_c = sigma(a[1]) * c + sigma(a[0]) * np.tanh(a[3])
    assert one(LSTM) == pytest.approx([sigma(a[2]) * np.tanh(new_c), new_c])
    r, z = sigma(a[0]), sigma(a[1])
    n = np.tanh(w[2] * x + v[2] + r * (u[2] * h + 0.25))
    assert one(GRU, np.array([0.25])) == pytest.approx([(1 - z) * n + z * h])
    n = np.tanh(w[2] * x + u[2] * (r * h) + v[2])
    assert one(GRU, None, "before") == pytest.approx([(1 - z) * h + z * n])


def test_the_two_gru_forms_agree_once_z_is_mirrored_only_while_r_is_the_same_for_all_units() -> None:
    generator = np.random.default_rng(7)
    before = some_cell("gru before", 2, 3, generator)
    assert isinstance(before, GRU)
    x, z = generator.normal(size=(6, 2, 4)), slice(3, 6)

    def difference(cell: GRU) -> float:
        mirrored = GRU(cell.W.copy(), cell.U.copy(), cell.b.copy(), reset="after")
        for array in (mirrored.W, mirrored.U, mirrored.b):
            array[z] *= -1
        return float(np.abs(mirrored.forward(x)[0] - cell.forward(x)[0]).max())

    assert difference(before) > 0.01
    same_r = replace(before, W=before.W.copy(), U=before.U.copy(), b=before.b.copy())
    same_r.W[:3], same_r.U[:3], same_r.b[:3] = same_r.W[0], same_r.U[0], same_r.b[0]
    assert difference(same_r) < 1e-12


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_a_walk_in_blocks_equals_one_step_after_the_other(form: str, reverse: bool) -> None:
    generator = np.random.default_rng(8)
    cell = some_cell(form, 2, 32, generator)
    x = generator.normal(size=(50, 2, 100))  # several blocks, even for the plain RNN
    outputs, end = cell.forward(x, reverse=reverse)
    state = cell.zero_state(100)
    for t in reversed(range(50)) if reverse else range(50):
        state = cell.step(cell.project(x[t : t + 1])[0], state)
        np.testing.assert_allclose(outputs[t], state[0], atol=1e-12)
    for got, expected in zip(end, state, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-12)


def norms(cell: Cell, steps: int) -> Array:
    """‖δ_t‖ for an error at the last output alone."""
    generator = np.random.default_rng(9)
    errors = np.zeros((steps, cell.hidden_size, 1))
    errors[-1] = 1
    x = 0.1 * generator.normal(size=(steps, cell.W.shape[1], 1))
    return np.asarray(np.linalg.norm(cell.backward(x, errors).delta, axis=(1, 2)))


def test_the_gradient_of_a_plain_rnn_with_a_small_recurrence_vanishes_and_that_of_an_open_lstm_does_not() -> None:
    generator = np.random.default_rng(10)
    U = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    rnn = RNN(generator.normal(size=(6, 2)), 0.5 * U, np.zeros(6))
    falling = norms(rnn, 30)
    assert (falling[:-1] <= 0.5 * falling[1:] + 1e-300).all()  # ‖δ_t‖ ≤ ‖Uᵀ‖ ‖δ_{t+1}‖
    remembering = np.concatenate([np.zeros(6), np.full(6, 6.0), np.zeros(12)])  # the forget gate stays near 1
    lstm = norms(LSTM(0.1 * generator.normal(size=(24, 2)), 0.1 * np.tile(U, (4, 1)), remembering), 30)
    assert lstm[0] / lstm[-1] > 1e6 * falling[0] / falling[-1]


def test_the_sigmoid_neither_overflows_nor_loses_its_middle() -> None:
    a = np.array([-1e4, -30.0, -1.0, 0.0, 1.0, 30.0, 1e4])
    expected = 1 / (1 + np.exp(-np.clip(a, -700, 700)))
    np.testing.assert_allclose(sigmoid_(a), expected, atol=1e-15)
