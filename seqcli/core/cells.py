"""The recurrent encoder in PyTorch: one class for RNN, LSTM and GRU. The only recurrent net that is trained here."""

from __future__ import annotations

# ruff: noqa: TID253 - a PyTorch file by design; who must not load PyTorch uses encoder.py
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from seqcli.core.encoder import EncoderConfig

State = tuple[Tensor, ...]  # (h,) or, for the LSTM, (h, c); each (layers·directions, b, h)

_CELLS: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentEncoder(nn.Module):
    """Reads a sequence step by step and gives, at every step, what it has made of all steps up to there.

    The plain RNN (Elman 1990) squashes a sum of the new input and of its own last output::

        h_t = tanh(W x_t + U h_{t-1} + b)

    The LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000) keeps a cell c, and three gates between
    0 and 1 decide what is written, kept and shown::

        i_t = σ(W_i x_t + U_i h_{t-1} + b_i)        input gate
        f_t = σ(W_f x_t + U_f h_{t-1} + b_f)        forget gate
        o_t = σ(W_o x_t + U_o h_{t-1} + b_o)        output gate
        g_t = tanh(W_g x_t + U_g h_{t-1} + b_g)
        c_t = f_t ⊙ c_{t-1} + i_t ⊙ g_t             cell
        h_t = o_t ⊙ tanh(c_t)

    The GRU (Cho et al. 2014) does with two gates and no cell; PyTorch's form, see ``equations.GRU`` for the other::

        r_t = σ(W_r x_t + U_r h_{t-1} + b_r)        reset gate
        z_t = σ(W_z x_t + U_z h_{t-1} + b_z)        update gate
        n_t = tanh(W_n x_t + b_n + r_t ⊙ (U_n h_{t-1} + b_reset))
        h_t = (1 - z_t) ⊙ n_t + z_t ⊙ h_{t-1}

    ``equations.py`` holds the same cells in NumPy with their gradients written out.

    The weights of layer k are called ``layers.{k}.weight_ih_l0`` (W, ``(gates·h, f)``), ``layers.{k}.weight_hh_l0`` (U,
    ``(gates·h, h)``), ``layers.{k}.bias_ih_l0`` and ``layers.{k}.bias_hh_l0`` (b is their sum), the same with
    ``_reverse`` at the end for the direction from the end. The gates lie in PyTorch's order: i, f, g, o and r, z, n.
    These names are part of the model folder's format.

    Arguments:
        config: the shape of the net.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        # One module a layer, so that dropout stands between them: cuDNN's own inter-layer dropout is not reproducible.
        self.layers = nn.ModuleList(
            _CELLS[config.cell](
                config.input_size if k == 0 else config.output_size,
                config.hidden_size,
                batch_first=True,
                bidirectional=config.bidirectional,
            )
            for k in range(config.layers)
        )
        self.dropout = nn.Dropout(config.dropout)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws new weights from PyTorch's global generator.

        W: uniform with the variance of Glorot & Bengio (2010). U: orthogonal, gate by gate (Saxe et al. 2014), so that
        the first gradients neither vanish nor explode over many steps. Biases: 0, but 1 at the LSTM's forget gate: a
        new net remembers (Gers et al. 2000; Jozefowicz et al. 2015).
        """
        h = self.config.hidden_size
        for name, weight in self.named_parameters():
            if "weight" in name:
                for gate in torch.split(weight.detach(), h):  # (h, f) or (h, h)
                    (nn.init.orthogonal_ if "weight_hh" in name else nn.init.xavier_uniform_)(gate)
            else:
                nn.init.zeros_(weight)
                if self.config.cell == "lstm" and "bias_ih" in name:
                    nn.init.ones_(weight.detach()[h : 2 * h])

    def forward(self, x: Tensor, state: State | None = None, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Encodes a batch of sequences.

        Arguments:
            x: ``(b, t, f)``, at least one step.
            state: the state an earlier call returned, to go on from there: h, and c for the LSTM, each
                ``(layers·directions, b, h)``; zeros if absent.
            lengths: ``(b,)`` integers, the number of real steps of each row, 1 to t; what comes after is padding, does
                not influence anything, and has outputs of zero. Best kept on the CPU. Absent: every row is full. Who
                reads in one direction, and neither the state nor the outputs at the padding, does not need lengths;
                and batches of one length, or without lengths, are up to ten times faster for the LSTM on a CPU.

        Returns:
            ``(b, t, directions·h)``, and the state after each row's last real step.
        """
        steps = x.shape[1]
        directions = 2 if self.config.bidirectional else 1
        sequence: Tensor | PackedSequence = x  # (b, t, f)
        if lengths is not None and bool((lengths != steps).any()):
            sequence = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)  # (Σ lengths, f)
        ends: list[State] = []
        for k, layer in enumerate(self.layers):
            if k > 0:
                sequence = self._drop(sequence)
            begin = None
            if state is not None:
                own = tuple(s[k * directions : (k + 1) * directions].contiguous() for s in state)  # each (d, b, h)
                begin = own if len(own) == 2 else own[0]  # PyTorch wants a bare h where there is no cell
            sequence, end = layer(sequence, begin)  # (b, t, d·h)
            ends.append(end if isinstance(end, tuple) else (end,))
        if isinstance(sequence, PackedSequence):
            sequence, _ = pad_packed_sequence(sequence, batch_first=True, total_length=steps)  # (b, t, d·h)
        return sequence, tuple(torch.cat(parts) for parts in zip(*ends, strict=True))  # each (layers·d, b, h)

    def _drop(self, sequence: Tensor | PackedSequence) -> Tensor | PackedSequence:
        if isinstance(sequence, PackedSequence):
            return sequence._replace(data=self.dropout(sequence.data))
        dropped: Tensor = self.dropout(sequence)
        return dropped


def detach_state(state: State) -> State:
    """The same numbers without their history: between two chunks of truncated BPTT, gradients stop here."""
    return tuple(s.detach() for s in state)
