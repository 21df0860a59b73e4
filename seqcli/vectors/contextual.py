"""Vectors that depend on the sentence: a local BERT, ELECTRA or similar folder, through ``transformers``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seqcli.errors import MachineError, ModelError

_BATCH = 32  # windows a pass
_PREFIX = "hf:"


class Contextual:
    """A pretrained encoder on the disk; nothing is downloaded and no code of the folder is run.

    A text longer than the network's window is read in several, which see nothing of each other.

    Arguments:
        path: a folder as ``save_pretrained`` writes it.

    Raises:
        MachineError: the package transformers is not installed.
        ModelError: not such a folder.
    """

    def __init__(self, path: Path) -> None:
        where = f"--model {_PREFIX}{path}"
        if not (path / "config.json").is_file():
            what = "no such folder" if not path.exists() else "has no config.json"
            raise ModelError(
                where, what, "give a folder with config.json, weights and tokenizer, as save_pretrained writes"
            )
        try:
            from transformers import AutoModel, AutoTokenizer
            from transformers.utils import logging
        except ImportError:
            raise MachineError(where, "the package transformers is not installed", "pip install 'seqcli[hf]'") from None
        quiet: Any = logging
        quiet.set_verbosity_error()
        quiet.disable_progress_bar()
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            self._model = AutoModel.from_pretrained(path, local_files_only=True, use_safetensors=True).eval()
        except Exception as problem:  # of a damaged folder that package raises errors of many kinds
            what = f"cannot be loaded: {next(iter(str(problem).splitlines()), type(problem).__name__)[:200]}"
            raise ModelError(where, what, "it needs config.json, model.safetensors and the tokenizer's files") from None
        self.dim = int(self._model.config.hidden_size)
        positions = getattr(self._model.config, "max_position_embeddings", 512)
        self._before, self._after = self._special()
        self._window = min(int(positions), int(self._tokenizer.model_max_length)) - len(self._before + self._after)

    def vectors(self, texts: Sequence[str]) -> list[np.ndarray | None]:
        """The mean over each text's pieces, ``(dim,)``; None for a text without any."""
        return [
            np.array([vector for _, vector in pieces]).mean(axis=0) if pieces else None for pieces in self.pieces(texts)
        ]

    def pieces(self, texts: Sequence[str]) -> list[list[tuple[str, np.ndarray]]]:
        """Each text's word pieces, as the network's own tokenizer splits it, with the last layer's vectors."""
        found: list[list[tuple[str, np.ndarray]]] = [[] for _ in texts]
        windows = list(self._windows(texts))
        # Windows of like length together, so that little is computed for padding.
        windows.sort(key=lambda one: len(one[1]))
        placed: list[tuple[int, int, list[tuple[str, np.ndarray]]]] = []
        for start in range(0, len(windows), _BATCH):
            batch = windows[start : start + _BATCH]
            for (text, ids, order), hidden in zip(batch, self._hidden([ids for _, ids, _ in batch]), strict=True):
                names = self._tokenizer.convert_ids_to_tokens(ids)
                placed.append((text, order, list(zip(names, hidden, strict=True))))
        for text, _, pieces in sorted(placed, key=lambda one: one[:2]):
            found[text] += pieces
        return found

    def _special(self) -> tuple[list[int], list[int]]:
        """What the tokenizer puts before and behind a text, such as [CLS] and [SEP]."""
        whole, bare = (self._tokenizer.encode("1", add_special_tokens=special) for special in (True, False))
        start = next(at for at in range(len(whole)) if whole[at : at + len(bare)] == bare)
        return whole[:start], whole[start + len(bare) :]

    def _windows(self, texts: Sequence[str]) -> Iterator[tuple[int, list[int], int]]:
        for number, text in enumerate(texts):
            ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, verbose=False)
            for order, start in enumerate(range(0, len(ids), self._window)):
                yield number, ids[start : start + self._window], order

    def _hidden(self, windows: Sequence[list[int]]) -> Iterator[np.ndarray]:
        """The last layer of each window without the special tokens, ``(pieces, dim)``."""
        import torch

        whole = [[*self._before, *ids, *self._after] for ids in windows]
        longest = max(map(len, whole))
        padding = self._tokenizer.pad_token_id or 0
        ids = torch.tensor([one + [padding] * (longest - len(one)) for one in whole])
        mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in whole])
        with torch.inference_mode():
            output: Any = self._model(input_ids=ids, attention_mask=mask).last_hidden_state  # (windows, longest, dim)
        for row, window in zip(output.numpy(), windows, strict=True):
            yield row[len(self._before) : len(self._before) + len(window)].astype(np.float32)
