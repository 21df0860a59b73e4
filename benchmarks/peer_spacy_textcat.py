"""The peer: spaCy's ensemble text classifier, a convolutional network beside a bag of words.

    python benchmarks/peer_spacy_textcat.py TRAIN DEV TEST ANSWERS [--epochs 5] [--seed 0]

The CSV files have the columns ``text`` and ``label``. The pipeline is ``spacy.blank("ja")`` with the component
``textcat``: ``spacy.TextCatEnsemble.v2`` with the sizes that it has by default, and, as spaCy's documentation advises
for accuracy, with static vectors, those of ja_ginza. Adam as it is by default (0.001), its averaged weights, dropout
0.2, batches of 32 texts; the epoch with the best macro-F1 on DEV is kept. Tried on DEV: batches that grow from 100 to
1,000 words and no vectors, which is what spaCy's own configuration begins with (0.71 at best, after 104 CPU seconds);
no vectors and 16, 32 or 64 texts (0.70, 0.62, 0.72), rates of 0.005 (0.73), no decay of weights, dropout 0.5. Beyond
five epochs DEV gains nothing (0.766 then, 0.759 one later). Prints a JSON line for each epoch, and
writes the answers to TEST as JSON.
"""

import argparse
import csv
import json
import random
import time
from pathlib import Path

import numpy as np
import spacy
from spacy.training import Example
from spacy.util import fix_random_seed, minibatch
from thinc.api import Adam

from seqcli.core import metrics

ENSEMBLE = {
    "@architectures": "spacy.TextCatEnsemble.v2",
    "tok2vec": {
        "@architectures": "spacy.Tok2Vec.v2",
        "embed": {
            "@architectures": "spacy.MultiHashEmbed.v2", "width": 64, "rows": [2000, 2000, 500, 1000, 500],
            "attrs": ["NORM", "LOWER", "PREFIX", "SUFFIX", "SHAPE"], "include_static_vectors": True,
        },
        "encode": {
            "@architectures": "spacy.MaxoutWindowEncoder.v2", "width": 64, "window_size": 1, "maxout_pieces": 3,
            "depth": 2,
        },
    },
    "linear_model": {
        "@architectures": "spacy.TextCatBOW.v3", "exclusive_classes": True, "length": 262144, "ngram_size": 1,
        "no_output_layer": False,
    },
}  # fmt: skip


def main() -> None:
    """Trains once; what it costs in all is measured from outside."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("files", type=Path, nargs=3)
    asked.add_argument("answers", type=Path)
    asked.add_argument("--epochs", type=int, default=5)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    fix_random_seed(options.seed)
    parts = [list(csv.DictReader(file.open(encoding="utf-8", newline=""))) for file in options.files]
    labels = sorted({row["label"] for row in parts[0]})
    gold = [np.array([labels.index(row["label"]) for row in part]) for part in parts]
    nlp = spacy.blank("ja")
    nlp.vocab.vectors = spacy.load("ja_ginza").vocab.vectors
    textcat = nlp.add_pipe("textcat", config={"model": ENSEMBLE})
    docs = [[nlp.make_doc(row["text"]) for row in part] for part in parts]
    answers = [{"cats": {label: float(label == row["label"]) for label in labels}} for row in parts[0]]
    examples = [Example.from_dict(doc, answer) for doc, answer in zip(docs[0], answers, strict=True)]
    nlp.initialize(lambda: examples)
    optimizer = Adam(learn_rate=0.001, L2=0.01, grad_clip=1.0, use_averages=True)
    order = [textcat.labels.index(label) for label in labels]

    def predicted(part: int) -> np.ndarray:
        scores = np.concatenate([textcat.predict(docs[part][at : at + 256]) for at in range(0, len(docs[part]), 256)])
        return scores[:, order].argmax(axis=1)

    best, kept = -1.0, {}
    for epoch in range(1, options.epochs + 1):
        random.shuffle(examples)
        for batch in minibatch(examples, size=32):
            nlp.update(batch, sgd=optimizer, drop=0.2)
        with nlp.use_params(optimizer.averages):
            score = metrics.macro_f1(gold[1], predicted(1), len(labels))
        if score > best:
            best, kept = score, {key: value.copy() for key, value in optimizer.averages.items()}
        print(json.dumps({"epoch": epoch, "dev": score, "cpu_s": time.process_time()}), flush=True)
    with nlp.use_params(kept):
        said = {"dev": best, "predicted": [labels[k] for k in predicted(2)]}
    options.answers.write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main()
