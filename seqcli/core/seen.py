"""What a model has learnt from, as hashes: enough to notice that it is measured on its own training texts.

The texts cannot be read back out of the hashes, but whoever has a text can ask whether it was among them.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from seqcli.core import checkpoint
from seqcli.core.texts import folded

if TYPE_CHECKING:
    from seqcli.core.checkpoint import Manifest

FILE: Final = "seen.safetensors"
MOST: Final = 1 << 20
"""Texts that are kept; of more, the first."""


@dataclass(frozen=True, eq=False)
class Seen:
    """The texts of a training.

    Arguments:
        names: ``(n,)`` their 64-bit hashes, sorted. Two texts of a million share one with a chance of 3 in 10⁸.
    """

    names: NDArray[np.int64]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Seen:
        """Of training texts; each is read once."""
        return cls(np.unique(_names(itertools.islice(texts, MOST))))

    @classmethod
    def load(cls, path: Path, manifest: Manifest) -> Seen | None:
        """Of a model folder; None for a model that keeps none.

        Raises:
            ModelError: the file is damaged.
        """
        if FILE not in manifest.digests:
            return None
        return cls(checkpoint.load_tensors(path, FILE, digests=manifest.digests)["names"].astype(np.int64))

    def tensors(self) -> dict[str, NDArray[np.int64]]:
        """What ``FILE`` holds."""
        return {"names": self.names}

    def among(self, texts: Iterable[str]) -> NDArray[np.bool_]:
        """Which of these texts were among them, but for width variants and whitespace."""
        return np.isin(_names(texts), self.names)


def _names(texts: Iterable[str]) -> NDArray[np.int64]:
    hashes = b"".join(
        hashlib.blake2b(folded(text).encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
    )
    return np.frombuffer(hashes, "<i8")
