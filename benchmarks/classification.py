"""Classifiers of Japanese text beside the linear models that are hard to beat, and what an answer costs.

    python benchmarks/classification.py [--only titles jcm bodies cost speed] [--seeds 1 2 3] [--livedoor DIR]
        [--jcm DIR] [--models DIR]

``DIR`` of livedoor holds ``livedoor`` and ``livedoor-title``, each with train.csv, dev.csv and test.csv (text, label),
as its make_csv.py writes them; that of jcm the authors' data_train.csv, data_val.csv and data_test.csv. Everything is
chosen on the development part, and then learnt from it too, by ours and by the linear peers. Training and answers are
the package's own functions; the figures are of the answers that the saved folder gives. The peers are fitted once in
the same run. What is not measured this time stays in results/classification.json as it was.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from seqcli.classification import data, predict, report, train
from seqcli.classification import plan as plans
from seqcli.classification.data import Partition
from seqcli.classification.report import Answers
from seqcli.core import metrics
from seqcli.core.place import Place
from seqcli.core.tokens import Tokenizer
from seqcli.results import Progress

SETS = ("titles", "jcm", "bodies")
COSTS = ("cost", "speed")
SHARED = measure.HERE.parent.parent / "shared" / "data"
BULK_ROWS = 5000  # titles; those of training, since no other part has so many different ones

Numbers = np.ndarray


def main() -> None:
    """Measures what was asked for, and writes results/classification.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", nargs="+", choices=(*SETS, *COSTS), default=(*SETS, *COSTS))
    asked.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked.add_argument("--livedoor", type=Path)
    asked.add_argument("--jcm", type=Path, default=SHARED / "jcm")
    asked.add_argument("--models", type=Path, help="keeps the models here, NAME-SEED")
    options = asked.parse_args()
    file = measure.RESULTS / "classification.json"
    results = json.loads(file.read_text("utf-8")) if file.exists() else {}
    results.pop("about", None)
    with tempfile.TemporaryDirectory() as name:
        livedoor = options.livedoor or made(Path(name))
        models = options.models or Path(name)
        for which in SETS:
            if which in options.only:
                parts = partition(which, livedoor, options.jcm)
                results[which] = measured(which, parts, options.seeds, models)
                measure.write("classification", results)
        if "cost" in options.only:
            results["cost"] = cost(livedoor / "livedoor-title", Path(name))
            measure.write("classification", results)
        if "speed" in options.only:
            model = models / f"titles-{options.seeds[0]}"
            results["speed"] = speed(model, partition("titles", livedoor, options.jcm), Path(name))
            measure.write("classification", results)


def made(folder: Path) -> Path:
    """The splits of livedoor, written by the script that comes with it."""
    subprocess.run([sys.executable, SHARED / "livedoor" / "make_csv.py", folder], check=True, stdout=sys.stderr)
    return folder


def partition(which: str, livedoor: Path, jcm: Path) -> Partition:
    """The parts of a data set, as its authors divided it."""
    folder = {"titles": livedoor / "livedoor-title", "bodies": livedoor / "livedoor"}.get(which)
    if folder is not None:
        return data.prepare(*(folder / f"{part}.csv" for part in ("train", "dev", "test")))
    files = (jcm / f"data_{part}.csv" for part in ("train", "val", "test"))
    return data.prepare(*files, text_column="sent")


def measured(which: str, parts: Partition, seeds: Sequence[int], models: Path) -> dict[str, Any]:
    """Our model by seed, the peers, and whether the difference may be chance."""
    classes = len(parts.labels)
    gold = np.array([parts.labels.index(example.label) for example in parts.test])
    linear = finished(report.baselines(parts, seed=seeds[0], refit=True))
    peers = [*linear, words_svc(parts)]
    best = max(peers, key=lambda peer: metrics.macro_f1(gold, peer.predicted, classes))
    rows, answers = [], []
    fitting = report.baselines
    report.baselines = lambda *_, **__: _known(linear)  # once for all seeds
    try:
        for seed in seeds:
            found = ours(which, parts, seed, models)
            row = _scores(found, gold, classes)
            row["against"] = best.model
            row["difference"] = metrics.paired_bootstrap(gold, found.predicted, best.predicted, classes)._asdict()
            rows.append({"seed": seed, **row})
            answers.append(found)
            print(which, json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr, flush=True)
    finally:
        report.baselines = fitting
    scores = [row["macro_f1"] for row in rows]
    return {
        "texts": {"train": len(parts.train), "valid": len(parts.valid), "test": len(parts.test)},
        "macro_f1": statistics.mean(scores),
        "macro_f1_deviation": statistics.stdev(scores) if len(scores) > 1 else None,
        "training_seconds": statistics.median(row["seconds"] for row in rows),
        "seeds": rows,
        "peers": [_scores(peer, gold, classes) for peer in peers],
    }


def ours(which: str, parts: Partition, seed: int, models: Path) -> Answers:
    """The default training, and the answers of the folder that it wrote."""
    out = models / f"{which}-{seed}"
    plan = plans.make({"seed": seed, "command": f"seqcli train-classifier {which}"})
    begun = time.process_time()
    finished(train.train(parts, Place(out, overwrite=True), plan))
    seconds = time.process_time() - begun
    model = predict.load(out)
    found = model.probabilities([example.text for example in parts.test])
    return Answers.of("seqcli", np.log(np.maximum(found, 1e-30)), seconds, model.decision)


def words_svc(parts: Partition) -> Answers:
    """TF-IDF of words and a linear support-vector machine, C chosen on the development part."""
    begun = time.process_time()
    tokenizer = Tokenizer()
    texts = [[tokenizer.words(example.text) for example in part] for part in (parts.train, parts.valid, parts.test)]
    labels = [[example.label for example in part] for part in (parts.train, parts.valid)]
    vectors = TfidfVectorizer(analyzer=list, sublinear_tf=True, min_df=2)
    train_rows, valid_rows = vectors.fit_transform(texts[0]), vectors.transform(texts[1])
    fitted = [LinearSVC(C=c, random_state=0).fit(train_rows, labels[0]) for c in (0.1, 0.3, 1.0, 3.0)]
    best = max(fitted, key=lambda model: float((model.predict(valid_rows) == np.array(labels[1])).mean()))
    both = vectors.fit_transform([*texts[0], *texts[1]])  # again, with what chose, as the others do
    best = LinearSVC(C=best.C, random_state=0).fit(both, [*labels[0], *labels[1]])
    predicted = np.array([parts.labels.index(label) for label in best.predict(vectors.transform(texts[2]))])
    return Answers("tfidf-words-svc", predicted, None, time.process_time() - begun)


def cost(titles: Path, folder: Path) -> dict[str, Any]:
    """The whole command that trains on titles beside spaCy's ensemble on the same, each a process on one thread."""
    files = [titles / f"{part}.csv" for part in ("train", "dev", "test")]
    parts = ("--valid", files[1], "--test", files[2])
    ours = measure.run(
        [*measure.SEQCLI, "train-classifier", files[0], *parts, "--out", folder / "cost", "-q"], **measure.ONE_THREAD
    )
    said = folder / "peer.txt"
    peer = measure.run([sys.executable, measure.HERE / "peer_spacy_textcat.py", *files, said], **measure.ONE_THREAD)
    found = json.loads(said.read_text("utf-8"))
    with files[2].open(encoding="utf-8", newline="") as file:
        gold = [row["label"] for row in csv.DictReader(file)]
    labels = sorted(set(gold))
    numbers = [np.array([labels.index(label) for label in one]) for one in (gold, found["predicted"])]
    return {
        "seqcli train-classifier": {"cpu_s": round(ours.cpu, 1), "wall_s": round(ours.wall, 1)},
        "spaCy's ensemble": {
            "cpu_s": round(peer.cpu, 1), "wall_s": round(peer.wall, 1), "dev_macro_f1": found["dev"],
            "macro_f1": metrics.macro_f1(*numbers, len(labels)),
        },
        "cpu_ratio": round(ours.cpu / peer.cpu, 3),
    }  # fmt: skip


def speed(model: Path, parts: Partition, folder: Path) -> dict[str, Any]:
    """One line beside ``import torch``, and texts a second in bulk."""
    if not model.exists():
        finished(train.train(parts, Place(model), plans.make({"seed": 1})))
    line = folder / "line.txt"
    line.write_text("昨日の焼肉は最高だった\n", encoding="utf-8")
    pair = measure.paired(
        [*measure.SEQCLI, "classify", model, "--file", line],
        [sys.executable, "-c", "import torch"],
        **measure.ONE_THREAD,
    )
    del pair["peak_mb"]  # a process that begins as a copy of this one counts this one's memory, too
    found: dict[str, Any] = {"one line ÷ import torch": pair}
    texts = [example.text for example in parts.train][:BULK_ROWS]
    many = folder / "many.csv"
    with many.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    run = measure.run([*measure.SEQCLI, "classify", model, "--file", many, "-q"], **measure.ONE_THREAD)
    found["the whole command"] = {
        "texts": len(texts), "cpu_s": round(run.cpu, 2), "texts_a_cpu_s": round(len(texts) / run.cpu, 1),
    }  # fmt: skip
    loaded = predict.load(model)
    loaded.probabilities(texts[:100])  # warms up
    rates = []
    for _ in range(3):
        begun = time.process_time()
        loaded.probabilities(texts)
        rates.append(len(texts) / (time.process_time() - begun))
    found["texts a CPU second"] = round(statistics.median(rates), 1)
    found["texts a CPU second, spaCy's CNN"] = round(spacy_rate(texts), 1)
    found["megabytes of the model"] = round(sum(f.stat().st_size for f in model.iterdir() if f.is_file()) / 1e6, 2)
    return found


def spacy_rate(texts: Sequence[str]) -> float:
    """Texts a CPU second of spaCy's convolutional text classifier, with weights of chance, which are as fast."""
    import spacy
    from spacy.training import Example

    layers = {
        "@architectures": "spacy.HashEmbedCNN.v2", "width": 96, "depth": 4, "embed_size": 2000, "window_size": 1,
        "maxout_pieces": 3, "subword_features": True, "pretrained_vectors": None,
    }  # fmt: skip
    model = {"@architectures": "spacy.TextCatCNN.v2", "exclusive_classes": True, "tok2vec": layers}
    nlp = spacy.blank("ja")
    nlp.add_pipe("textcat", config={"model": model})
    labels = "abcdefghi"
    answers = [{"cats": {label: float(label == own) for label in labels}} for own in labels]
    nlp.initialize(lambda: [Example.from_dict(nlp.make_doc(t), a) for t, a in zip(texts, answers, strict=False)])
    rates = []
    for _ in range(3):
        begun = time.process_time()
        count = sum(1 for _ in nlp.pipe(texts))
        rates.append(count / (time.process_time() - begun))
    return statistics.median(rates)


def _scores(answers: Answers, gold: Numbers, classes: int) -> dict[str, Any]:
    return report.record(answers, gold, classes)


def _known(answers: list[Answers]) -> Generator[Progress, None, list[Answers]]:
    yield from ()
    return answers


def finished(work: Iterator[Any]) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value


if __name__ == "__main__":
    os.environ.update(measure.ONE_THREAD)
    main()
