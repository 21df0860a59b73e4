"""Uneven labels and few texts: what is said beside the most probable label and the linear models.

    python benchmarks/classification_uneven.py [--seeds 1] [--livedoor DIR] [--jcm DIR] [--only NAME ...]

The sets are drawn from the training and development parts that ``classification.py`` names; their test parts stay
unread. Some labels of livedoor's titles are taken together. The morals are drawn in blocks of forty that follow each
other, since neighbours there may be variants of one situation. Training and peers are those of ``classification.py``.
The results stand in results/classification_uneven.json.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import classification
import measure
import numpy as np

from seqcli.classification import data, report
from seqcli.classification.data import Example, Partition
from seqcli.classification.report import Answers
from seqcli.core import metrics

TEXTS = {"train": 1500, "valid": 225, "test": 2500}
BLOCK = 40  # rows of the morals that stay together


@dataclass(frozen=True)
class Uneven:
    """Labels that are taken together under a new one, and the share of each in all parts."""

    source: str
    shares: dict[str, float]
    labels: dict[str, Sequence[str]] = field(default_factory=dict)


TITLES = ("dokujo-tsushin", "it-life-hack", "kaden-channel", "livedoor-homme", "movie-enter", "peachy", "smax",
          "sports-watch", "topic-news")  # fmt: skip
SETS = {
    "titles, three labels": Uneven(
        "titles",
        {"a": 0.6, "b": 0.3, "c": 0.1},
        {"a": [TITLES[k] for k in (1, 2, 4, 6, 7)], "b": [TITLES[k] for k in (0, 3, 8)], "c": [TITLES[5]]},
    ),
    "titles, two labels": Uneven(
        "titles",
        {"a": 0.65, "b": 0.35},
        {"a": [TITLES[k] for k in (0, 2, 3, 4, 5, 8)], "b": [TITLES[k] for k in (1, 6, 7)]},
    ),
    "morals, 65 : 35": Uneven("jcm", {"a": 0.65, "b": 0.35}, {"a": ["0"], "b": ["1"]}),
    "morals, 85 : 15": Uneven("jcm", {"a": 0.85, "b": 0.15}, {"a": ["1"], "b": ["0"]}),
}


def main() -> None:
    """Measures the sets, and writes the results."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", nargs="+", choices=tuple(SETS), default=tuple(SETS))
    asked.add_argument("--seeds", type=int, nargs="+", default=[1])
    asked.add_argument("--livedoor", type=Path)
    asked.add_argument("--jcm", type=Path, default=classification.SHARED / "jcm")
    options = asked.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        livedoor = options.livedoor or classification.made(Path(name))
        files = {
            "titles": [livedoor / "livedoor-title" / f"{part}.csv" for part in ("train", "dev")],
            "jcm": [options.jcm / f"data_{part}.csv" for part in ("train", "val")],
        }
        for which in options.only:
            uneven = SETS[which]
            column = "sent" if uneven.source == "jcm" else "text"
            rows = [row for file in files[uneven.source] for row in data.read(file, text_column=column).examples]
            for seed in options.seeds:
                parts = drawn(rows, uneven, BLOCK if uneven.source == "jcm" else 1, seed)
                row = measured(parts, seed, Path(name))
                results.setdefault(which, []).append({"seed": seed, **row})
                print(which, json.dumps(row, ensure_ascii=False), file=sys.stderr, flush=True)
            measure.write("classification_uneven", results)


def drawn(rows: Sequence[Example], uneven: Uneven, block: int, seed: int) -> Partition:
    """Parts with these shares of the labels; the test part is smaller where the rows do not suffice."""
    names = {old: new for new, those in uneven.labels.items() for old in those}
    blocks = [rows[start : start + block] for start in range(0, len(rows), block)]
    order = np.random.default_rng(seed).permutation(len(blocks))
    by: dict[str, list[Example]] = {label: [] for label in uneven.shares}
    for at in order:
        for row in blocks[at]:
            by[names[row.label]].append(row._replace(label=names[row.label]))
    wanted = {label: {part: round(n * uneven.shares[label]) for part, n in TEXTS.items()} for label in by}
    enough = min(
        1.0, *((len(by[label]) - n["train"] - n["valid"]) / n["test"] for label, n in wanted.items())
    )  # fmt: skip
    parts: dict[str, list[Example]] = {part: [] for part in TEXTS}
    for label, those in by.items():
        start = 0
        for part in TEXTS:
            end = start + int(wanted[label][part] * (enough if part == "test" else 1))
            parts[part] += those[start:end]
            start = end
    sources = [data.Examples(part, parts[part]) for part in TEXTS]
    return data.partition(*sources, seed=seed)


def measured(parts: Partition, seed: int, folder: Path) -> dict[str, Any]:
    """Macro-F1 of what is said, of the most probable labels and of the peers."""
    classes = len(parts.labels)
    gold = np.array([parts.labels.index(example.label) for example in parts.test])
    linear = classification.finished(report.baselines(parts, seed=seed, refit=True))
    found = classification.ours("uneven", parts, seed, folder)
    probable = Answers.of("seqcli, most probable", found.log_probabilities, 0)
    everyone = [found, probable, *linear, classification.words_svc(parts)]
    best = max(everyone[2:], key=lambda peer: metrics.macro_f1(gold, peer.predicted, classes))
    return {
        "texts": {part: len(getattr(parts, part)) for part in TEXTS},
        "macro_f1": {one.model: round(metrics.macro_f1(gold, one.predicted, classes), 4) for one in everyone},
        "accuracy": {one.model: round(metrics.accuracy(gold, one.predicted), 4) for one in everyone},
        "calibration_error": metrics.calibration_error(np.exp(found.log_probabilities), gold),
        "against": best.model,
        "difference": metrics.paired_bootstrap(gold, found.predicted, best.predicted, classes)._asdict(),
    }


if __name__ == "__main__":
    os.environ.update(measure.ONE_THREAD)
    main()
