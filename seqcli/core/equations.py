"""RNN, LSTM and GRU in NumPy, written as a course writes them: forwards, and the δ recursions backwards.

A sequence of the batch is a **column**, so that the code reads like the equations: ``W @ x + U @ h + b``. Time comes
first: inside a cell every array is ``(time, features, batch)``. Only ``encoder.py``, which stacks cells, speaks the
``(batch, time, feature)`` of the rest of the program.

This file never imports PyTorch. It predicts from the weights that ``cells.py`` trained, often before PyTorch would have
been imported, and the tests hold the two equal. To follow back-propagation through time, read `RNN`, then `LSTM`, then
`GRU`: each class holds one step forwards and, below it, the same step backwards.

References:
    Elman (1990), Finding structure in time. Cognitive Science 14(2).
    Werbos (1990), Backpropagation through time: what it does and how to do it. Proceedings of the IEEE 78(10).
    Hochreiter & Schmidhuber (1997), Long short-term memory. Neural Computation 9(8).
    Gers, Schmidhuber & Cummins (2000), Learning to forget: continual prediction with LSTM. Neural Computation 12(10).
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder. EMNLP; arXiv:1406.1078.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]  # float32 or float64: the weights decide
State = tuple[Array, ...]  # (h,) or, for the LSTM, (h, c)
_BLOCK_BYTES = 1 << 20  # inputs are projected a block of steps at a time, which stays in the cache


@dataclass(frozen=True, eq=False)
class Gradients:
    """What one cell's `backward` returns: ∂L/∂(everything that went in), each in the shape of what it belongs to.

    ``delta`` is δ_t = ∂L/∂a_t, ``(t, gates·h, b)``: the error that reaches the sums of step t before they are squashed.
    Its norm over time shows whether a gradient vanishes or explodes.
    """

    x: Array
    W: Array
    U: Array
    b: Array
    state: State
    delta: Array
    b_reset: Array | None = None


def sigmoid_(a: Array) -> Array:
    """σ(a) = 1 / (1 + exp(-a)), in place. As (1 + tanh(a/2)) / 2 it cannot overflow."""
    a *= 0.5
    np.tanh(a, out=a)
    a *= 0.5
    a += 0.5
    return a


@dataclass(frozen=True, eq=False)
class Cell(ABC):
    """One layer in one direction: its weights, and the walk over time that all cells share.

    Arguments:
        W: ``(gates·h, f)``, what the input does to each gate; one block of h rows a gate.
        U: ``(gates·h, h)``, what the previous hidden state does to each gate.
        b: ``(gates·h,)``, the biases.
    """

    W: Array
    U: Array
    b: Array

    gates: ClassVar[int]
    states: ClassVar[int] = 1  # how many arrays make a state

    @property
    def hidden_size(self) -> int:
        """Units of the layer, h."""
        return int(self.U.shape[1])

    def zero_state(self, batch: int) -> State:
        """The state before the first step where none is given: ``states`` arrays of zeros, ``(h, b)``."""
        return tuple(np.zeros((self.hidden_size, batch), self.W.dtype) for _ in range(self.states))

    def project(self, x: Array) -> Array:
        """W x_t + b for many steps at once, since it waits for no state: ``(t, f, b)`` → ``(t, gates·h, b)``."""
        t, f, b = x.shape
        if b == 1:  # one product of matrices instead of t of a matrix and a vector: W is read once, not t times
            p = x.reshape(t, f) @ self.W.T  # (t, gates·h)
            p += self.b
            return p.reshape(t, -1, 1)
        p = self.W @ x
        p += self.b[:, None]
        return p

    @abstractmethod
    def step(self, p: Array, state: State) -> State:
        """One step in time: the new state, whose first array is also the output.

        It works in place, but only on the fresh product U h_{t-1}: what was given is not changed.

        Arguments:
            p: ``(gates·h, b)``, this step's `project`-ed input.
            state: arrays ``(h, b)``.
        """

    def forward(
        self, x: Array, state: State | None = None, active: Sequence[int] | None = None, reverse: bool = False
    ) -> tuple[Array, State]:
        """Walks over a sequence: the outputs ``(t, h, b)``, and the state after the last step.

        Arguments:
            x: ``(t, f, b)``.
            state: where to begin, arrays ``(h, b)``; zeros if absent.
            active: for a padded batch, sorted from the longest row to the shortest: how many rows have a real step at
                t. The others are left out of the step: their outputs are 0 and their states stay as they are.
            reverse: walk from the last step to the first.
        """
        steps, _, batch = x.shape
        outputs = np.zeros((steps, self.hidden_size, batch), self.W.dtype)
        state = state or self.zero_state(batch)
        size = max(1, _BLOCK_BYTES // max(1, self.b.nbytes * batch))
        starts = range(0, steps, size)
        for start in reversed(starts) if reverse else starts:
            projected = self.project(x[start : start + size])  # (size, gates·h, b)
            times = range(len(projected))
            for i in reversed(times) if reverse else times:
                n = batch if active is None else active[start + i]
                if n == batch:
                    state = self.step(projected[i], state)
                    outputs[start + i] = state[0]
                else:
                    new = self.step(projected[i, :, :n], tuple(s[:, :n] for s in state))
                    outputs[start + i, :, :n] = new[0]
                    state = tuple(np.concatenate([v, s[:, n:]], axis=1) for v, s in zip(new, state, strict=True))
        return outputs, state

    @abstractmethod
    def backward(self, x: Array, errors: Array, state: State | None = None, last: State | None = None) -> Gradients:
        """Back-propagation through time (Werbos 1990), for a batch without padding that `forward` read from its start.

        `forward` remembers no gates, so that predicting costs no memory: they are worked out again from its outputs,
        for all steps at once.

        Arguments:
            x: ``(t, f, b)``.
            errors: ``(t, h, b)``, e_t: ∂L/∂h_t as far as L reads the output h_t itself.
            state: where `forward` began; zeros if absent.
            last: ∂L/∂(state after the last step) from whatever goes on from there, arrays ``(h, b)``; zeros if absent.
        """

    def _gradients(self, x: Array, before: Array, delta: Array, state: State) -> Gradients:
        """From δ_t to the gradients, wherever a_t = W x_t + U h_{t-1} + b.

        ∂L/∂x_t = Wᵀ δ_t,  ∂L/∂W = Σ_t δ_t x_tᵀ,  ∂L/∂U = Σ_t δ_t h_{t-1}ᵀ,  ∂L/∂b = Σ_t δ_t.
        """
        dW, dU, db = _sum_outer(delta, x), _sum_outer(delta, before), delta.sum(axis=(0, 2))
        return Gradients(x=self.W.T @ delta, W=dW, U=dU, b=db, state=state, delta=delta)


def _one_earlier(first: Array, later: Array) -> Array:
    """What stood one step before each step, such as h_{t-1} for every h_t: ``(t, h, b)``."""
    return np.concatenate([first[None], later[:-1]])


def _sum_outer(left: Array, right: Array) -> Array:
    """Σ_t left_t right_tᵀ, over the batch too: ``(t, m, b)``, ``(t, n, b)`` → ``(m, n)``."""
    return np.tensordot(left, right, axes=((0, 2), (0, 2)))


class RNN(Cell):
    """The plain recurrent cell (Elman 1990).

    Forwards::

        a_t = W x_t + U h_{t-1} + b
        h_t = tanh(a_t)

    Backwards: the error of h_t comes from the output e_t and from the next step, and tanh' = 1 - tanh²::

        ε_t = ∂L/∂h_t = e_t + Uᵀ δ_{t+1}
        δ_t = ∂L/∂a_t = ε_t ⊙ (1 - h_t²)
        ∂L/∂h_0 = Uᵀ δ_1

    Over k steps δ is multiplied k times by Uᵀ and by a slope of at most 1: with a small U it vanishes, with a large one
    it may explode.
    """

    gates = 1

    def step(self, p: Array, state: State) -> State:
        """h_t = tanh(p_t + U h_{t-1})."""
        a = self.U @ state[0]
        a += p
        return (np.tanh(a, out=a),)

    def backward(self, x: Array, errors: Array, state: State | None = None, last: State | None = None) -> Gradients:
        """See `Cell.backward` for the arguments, and the class for the recursion."""
        (h0,) = state or self.zero_state(x.shape[2])
        (from_next,) = last or self.zero_state(x.shape[2])
        h, _ = self.forward(x, (h0,))
        delta = np.empty_like(h)
        for t in reversed(range(len(x))):
            delta[t] = (errors[t] + from_next) * (1 - h[t] ** 2)
            from_next = self.U.T @ delta[t]
        return self._gradients(x, _one_earlier(h0, h), delta, (from_next,))


class LSTM(Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with the forget gate (Gers et al. 2000).

    Forwards; the blocks of W, U and b lie in the order i, f, o, g::

        i_t = σ(W_i x_t + U_i h_{t-1} + b_i)        input gate: how much of the new is written
        f_t = σ(W_f x_t + U_f h_{t-1} + b_f)        forget gate: how much of the old is kept
        o_t = σ(W_o x_t + U_o h_{t-1} + b_o)        output gate: how much of the cell is shown
        g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)     what could be written
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t             the cell
        h_t = o_t ⊙ tanh(c_t)

    Backwards; δ_t stacks δ_i, δ_f, δ_o and δ_g, and σ' = σ (1 - σ)::

        ε_t = ∂L/∂h_t = e_t + Uᵀ δ_{t+1}
        κ_t = ∂L/∂c_t = ε_t ⊙ o_t ⊙ (1 - tanh² c_t) + κ_{t+1} ⊙ f_{t+1}
        δ_i = κ_t ⊙ g_t ⊙ i_t (1 - i_t)
        δ_f = κ_t ⊙ c_{t-1} ⊙ f_t (1 - f_t)
        δ_o = ε_t ⊙ tanh(c_t) ⊙ o_t (1 - o_t)
        δ_g = κ_t ⊙ i_t ⊙ (1 - g_t²)
        ∂L/∂h_0 = Uᵀ δ_1,  ∂L/∂c_0 = κ_1 ⊙ f_1

    κ passes from step to step through f alone, with no matrix: while f is near 1 the error does not vanish.
    """

    gates = 4
    states = 2

    def step(self, p: Array, state: State) -> State:
        """(h_t, c_t) from p_t = W x_t + b and (h_{t-1}, c_{t-1})."""
        h, c = state
        size = len(h)
        a = self.U @ h
        a += p
        gates, g = sigmoid_(a[: 3 * size]), np.tanh(a[3 * size :])
        i, f, o = gates[:size], gates[size : 2 * size], gates[2 * size :]
        c = f * c
        i *= g
        c += i
        h = np.tanh(c)
        h *= o
        return h, c

    def backward(self, x: Array, errors: Array, state: State | None = None, last: State | None = None) -> Gradients:
        """See `Cell.backward` for the arguments, and the class for the recursion."""
        h0, c0 = state or self.zero_state(x.shape[2])
        from_next, kappa_f = last or self.zero_state(x.shape[2])  # Uᵀ δ_{t+1} and κ_{t+1} ⊙ f_{t+1}
        h, _ = self.forward(x, (h0, c0))
        before, size = _one_earlier(h0, h), self.hidden_size
        a = self.project(x) + self.U @ before  # (t, 4h, b)
        i, f, o = np.split(sigmoid_(a[:, : 3 * size]), 3, axis=1)  # each (t, h, b)
        g = np.tanh(a[:, 3 * size :])
        c = np.empty_like(h)
        for t in range(len(x)):
            c[t] = f[t] * (c[t - 1] if t else c0) + i[t] * g[t]
        c_before, tanh_c = _one_earlier(c0, c), np.tanh(c)
        delta = np.empty_like(a)
        for t in reversed(range(len(x))):
            epsilon = errors[t] + from_next
            kappa = epsilon * o[t] * (1 - tanh_c[t] ** 2) + kappa_f
            delta_i, delta_f, delta_o, delta_g = np.split(delta[t], 4)
            delta_i[:] = kappa * g[t] * i[t] * (1 - i[t])
            delta_f[:] = kappa * c_before[t] * f[t] * (1 - f[t])
            delta_o[:] = epsilon * tanh_c[t] * o[t] * (1 - o[t])
            delta_g[:] = kappa * i[t] * (1 - g[t] ** 2)
            from_next, kappa_f = self.U.T @ delta[t], kappa * f[t]
        return self._gradients(x, before, delta, (from_next, kappa_f))


@dataclass(frozen=True, eq=False)
class GRU(Cell):
    """The gated recurrent unit (Cho et al. 2014), in the two forms that go by this name.

    Both have a reset gate r and an update gate z; the blocks of W, U and b lie in the order r, z, n::

        r_t = σ(W_r x_t + U_r h_{t-1} + b_r)
        z_t = σ(W_z x_t + U_z h_{t-1} + b_z)

    ``reset="after"``, PyTorch's and cuDNN's: the reset gate acts **after** the recurrent product, which therefore needs
    a bias of its own, ``b_reset``, and z says how much of the **old** is kept::

        m_t = U_n h_{t-1} + b_reset
        n_t = tanh(W_n x_t + b_n + r_t ⊙ m_t)
        h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}

    ``reset="before"``, the course's: the reset gate acts on the state **before** the product, and z says how much of
    the **new** is taken::

        n_t = tanh(W_n x_t + U_n (r_t ⊙ h_{t-1}) + b_n)
        h_t = (1 - z_t) ⊙ h_{t-1} + z_t ⊙ n_t

    Changing z for 1 - z only changes the sign of W_z, U_z and b_z. The place of r is a real difference: unless r is the
    same for all units, no choice of weights turns one form into the other, so weights do not move between them.

    Backwards, ε_t = ∂L/∂h_t = e_t + (what flows back from step t+1, the last line). ``after``::

        δ_n = ε_t ⊙ (1 - z_t) ⊙ (1 - n_t²)
        δ_z = ε_t ⊙ (h_{t-1} - n_t) ⊙ z_t (1 - z_t)
        δ_r = δ_n ⊙ m_t ⊙ r_t (1 - r_t)
        back = z_t ⊙ ε_t + U_rᵀ δ_r + U_zᵀ δ_z + U_nᵀ (r_t ⊙ δ_n)
        ∂L/∂U_n = Σ_t (r_t ⊙ δ_n) h_{t-1}ᵀ,  ∂L/∂b_reset = Σ_t r_t ⊙ δ_n

    ``before``, with ρ_t = U_nᵀ δ_n = ∂L/∂(r_t ⊙ h_{t-1})::

        δ_n = ε_t ⊙ z_t ⊙ (1 - n_t²)
        δ_z = ε_t ⊙ (n_t - h_{t-1}) ⊙ z_t (1 - z_t)
        δ_r = ρ_t ⊙ h_{t-1} ⊙ r_t (1 - r_t)
        back = (1 - z_t) ⊙ ε_t + U_rᵀ δ_r + U_zᵀ δ_z + r_t ⊙ ρ_t
        ∂L/∂U_n = Σ_t δ_n (r_t ⊙ h_{t-1})ᵀ

    Arguments:
        b_reset: ``(h,)``, only for ``reset="after"``; zeros if absent.
        reset: ``after`` or ``before``.
    """

    b_reset: Array | None = None
    reset: Literal["after", "before"] = "after"

    gates = 3

    def step(self, p: Array, state: State) -> State:
        """h_t from p_t = W x_t + b and h_{t-1}."""
        (h,) = state
        size, rz = len(h), 2 * len(h)
        if self.reset == "before":
            a = self.U[:rz] @ h
            a += p[:rz]
            sigmoid_(a)
            r, z = a[:size], a[size:]
            r *= h  # from here on r ⊙ h
            n = self.U[rz:] @ r
            n += p[rz:]
            np.tanh(n, out=n)
            n -= h  # (1 - z) h + z n = h + z (n - h)
            n *= z
            n += h
            return (n,)
        a = self.U @ h
        if self.b_reset is not None:
            a[rz:] += self.b_reset[:, None]
        a[:rz] += p[:rz]
        sigmoid_(a[:rz])
        r, z, n = a[:size], a[size:rz], a[rz:]  # n begins as m
        n *= r
        n += p[rz:]
        np.tanh(n, out=n)
        new = h - n  # (1 - z) n + z h = n + z (h - n)
        new *= z
        new += n
        return (new,)

    def backward(self, x: Array, errors: Array, state: State | None = None, last: State | None = None) -> Gradients:
        """See `Cell.backward` for the arguments, and the class for the recursions."""
        (h0,) = state or self.zero_state(x.shape[2])
        (back,) = last or self.zero_state(x.shape[2])
        before = _one_earlier(h0, self.forward(x, (h0,))[0])
        rz, p = 2 * self.hidden_size, self.project(x)  # p: (t, 3h, b)
        r, z = np.split(sigmoid_(p[:, :rz] + self.U[:rz] @ before), 2, axis=1)  # each (t, h, b)
        delta = np.empty_like(p)
        if self.reset == "before":
            U_rz, U_n = self.U[:rz], self.U[rz:]
            n = np.tanh(p[:, rz:] + U_n @ (r * before))
            for t in reversed(range(len(x))):
                epsilon = errors[t] + back
                delta_r, delta_z, delta_n = np.split(delta[t], 3)
                delta_n[:] = epsilon * z[t] * (1 - n[t] ** 2)
                delta_z[:] = epsilon * (n[t] - before[t]) * z[t] * (1 - z[t])
                rho = U_n.T @ delta_n
                delta_r[:] = rho * before[t] * r[t] * (1 - r[t])
                back = (1 - z[t]) * epsilon + U_rz.T @ delta[t, :rz] + r[t] * rho
            gradients = self._gradients(x, before, delta, (back,))
            gradients.U[rz:] = _sum_outer(delta[:, rz:], r * before)
            return gradients
        m = self.U[rz:] @ before
        if self.b_reset is not None:
            m += self.b_reset[:, None]
        n = np.tanh(p[:, rz:] + r * m)
        through_U = np.empty_like(p)  # δ as U sees it: r ⊙ δ_n in place of δ_n
        for t in reversed(range(len(x))):
            epsilon = errors[t] + back
            delta_r, delta_z, delta_n = np.split(delta[t], 3)
            delta_n[:] = epsilon * (1 - z[t]) * (1 - n[t] ** 2)
            delta_z[:] = epsilon * (before[t] - n[t]) * z[t] * (1 - z[t])
            delta_r[:] = delta_n * m[t] * r[t] * (1 - r[t])
            through_U[t] = np.concatenate([delta_r, delta_z, r[t] * delta_n])
            back = z[t] * epsilon + self.U.T @ through_U[t]
        gradients = self._gradients(x, before, delta, (back,))
        return replace(gradients, U=_sum_outer(through_U, before), b_reset=through_U[:, rz:].sum(axis=(0, 2)))


CELLS: dict[str, type[Cell]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM}
