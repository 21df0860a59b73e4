"""A map of a neighbourhood: the query and its neighbours on a plane."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqcli.core import figures


def neighbourhood(names: Sequence[str], vectors: np.ndarray, queries: int, path: Path) -> None:
    """Draws words where they lie in the two directions in which they differ most (their principal components).

    Arguments:
        names: of the points.
        vectors: ``(points, dim)``, compared at length one, as the cosine does.
        queries: how many of the first points were asked for; they stand out.
        path: ``.png`` or ``.svg``.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = vectors / np.where(lengths > 0, lengths, 1)
    centred = centred - centred.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    # Two points lie on a line: the second direction is then missing.
    plane = np.zeros((len(names), 2))
    found = (centred @ directions[:2].T)[:, : min(2, len(values))]
    plane[:, : found.shape[1]] = found
    figure, (axes,) = figures.new(height=6.0)
    for at, (name, (x, y)) in enumerate(zip(names, plane, strict=True)):
        colour = figures.RED if at < queries else figures.BLUE
        axes.plot(x, y, "o", color=colour, markersize=5 if at < queries else 3.5)
        axes.annotate(name, (x, y), xytext=(4, 3), textcoords="offset points", color=colour)
    axes.margins(0.12)
    axes.set_xticks([])
    axes.set_yticks([])
    share = float((values[:2] ** 2).sum() / max((values**2).sum(), 1e-12))
    axes.set_title(f"the two main directions hold {share:.0%} of the differences", fontsize=9, color=figures.GREY)
    figures.save(figure, path)
