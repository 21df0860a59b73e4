"""Pictures: one style, Japanese text included, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from seqcli.core import files
from seqcli.errors import MachineError, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
BLUE, GREY, RED = "#1f5fa8", "#6b6b6b", "#b5452c"  # read by the colour-blind, and apart in grey


def check(path: Path) -> None:
    """Refuses a file name before the work is done that it would be the end of.

    Raises:
        UsageError: neither .png nor .svg.
        MachineError: the folder is not there.
    """
    if path.suffix.lower().removeprefix(".") not in FORMATS:
        raise UsageError(f"--plot {path}", f"the suffix {path.suffix!r} is no picture", "end it in .png or .svg")
    if not path.absolute().parent.is_dir():
        raise MachineError(f"--plot {path}", "no such folder", f"mkdir -p {path.parent}")


def new(rows: int = 1, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """A figure of ``rows`` drawings, one under the other; ``height`` of each in inches, 9 inches wide."""
    # The object-oriented way: no pyplot, so no window system and no global state.
    import matplotlib as mpl
    import matplotlib_fontja  # noqa: F401  its import registers a Japanese font
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    mpl.rcParams.update(
        {
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.unicode_minus": False,
            "svg.fonttype": "path",
            "svg.hashsalt": "seqcli",  # names of parts that are the same in each run, so that files can be compared
        }
    )
    figure = Figure(figsize=(9, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, squeeze=False)[:, 0]
    return figure, list(axes)


def save(figure: Figure, path: Path) -> None:
    """Writes the picture atomically, in the format of the suffix; the same figure gives the same bytes.

    Raises:
        MachineError: the disk is full or the folder cannot be written to.
    """
    kind = path.suffix.lower().removeprefix(".")
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": "seqcli"}
    figure.savefig(buffer, format=kind, dpi=144, metadata=metadata)
    files.write_bytes(path, buffer.getvalue())
