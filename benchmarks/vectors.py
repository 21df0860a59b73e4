"""Words as vectors: speed beside spaCy, NumPy and gensim, coverage of running text, memory, and how search grows.

    python benchmarks/vectors.py [--corpus TEXT] [--scale 10]

Everything is measured in whole processes, ours and the other in turn. The corpus is our sample novel unless another is
named; ``--scale`` repeats it for what needs a longer one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import measure
import numpy as np

SHARED = measure.HERE.parent.parent / "shared" / "data" / "neko"

SPACY = """
import spacy
nlp = spacy.load("ja_ginza")
keys, _, scores = nlp.vocab.vectors.most_similar(nlp.vocab["テスト"].vector[None], n=10)
print([nlp.vocab.strings[key] for key in keys[0]])
"""
NUMPY = """
import sys, numpy as np
vectors = np.load(sys.argv[1], mmap_mode="r")
scores = vectors @ vectors[int(sys.argv[2])]
best = np.argpartition(scores, -11)[-11:]
print(best[np.argsort(-scores[best])], scores[best])
"""
GENSIM = """
import json, sys, time
from gensim.models import Word2Vec
path, counts, threads = sys.argv[1], json.load(open(sys.argv[2], encoding="utf-8")), int(sys.argv[3])
kept = {word: count for word, count in zip(counts["words"], counts["counts"]) if count >= 5}
model = Word2Vec(vector_size=100, window=5, min_count=1, sg=1, negative=5, seed=1, workers=threads)
model.build_vocab_from_freq(kept, corpus_count=counts["texts"])
begun = time.perf_counter()
model.train(corpus_file=path, total_words=sum(counts["counts"]), total_examples=counts["texts"], epochs=3)
print(3 * sum(counts["counts"]) / (time.perf_counter() - begun))
"""


def main() -> None:
    """Measures, and writes results/vectors.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--corpus", type=Path, default=SHARED / "train.txt")
    asked.add_argument("--running-text", type=Path, default=SHARED / "valid.txt")
    asked.add_argument("--scale", type=int, default=10)
    options = asked.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode, and so have the others
    measure.run([*measure.SEQCLI, "similar", "テスト"])  # the store is built once
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = {
            "memory": memory(folder, options.corpus, options.scale),  # first: a child's peak begins with its parent's
            "similar": similar(),
            "answers": [row["item"] for row in rows("similar", "テスト")],
            "similarity": similarity(folder),
            "coverage": coverage(options.running_text),
            "search_500000": search(folder, 500_000),
            "training": training(folder, options.corpus, options.scale),
        }
    measure.write("vectors", results)


def similar() -> dict[str, Any]:
    """One query in a fresh process, beside spaCy's, with the threads that each takes by itself."""
    return measure.paired([*measure.SEQCLI, "similar", "テスト"], [sys.executable, "-c", SPACY], times=9)


def similarity(folder: Path) -> dict[str, float]:
    """Spearman's rank correlation with 245 pairs that we judged ourselves (word_pairs.tsv, 0 to 10), by the recipe.

    The steps were chosen on these pairs: they say which step helps, not how good the result is elsewhere.
    """
    from scipy.stats import spearmanr

    pairs = [line.split("\t") for line in (measure.HERE / "word_pairs.tsv").read_text("utf-8").splitlines()[1:]]
    words = folder / "words.txt"
    words.write_text("".join(f"{left}\n{right}\n" for left, right, _ in pairs), "utf-8")
    found = {}
    for recipe in (
        "plain",
        "content",
        "content,center",
        "content,abtt",
        "content,idf,abtt",
        "content,idf,abtt,characters",
    ):
        vectors = folder / "words.npy"
        measure.run(
            [*measure.SEQCLI, "embed", "--file", words, "--unit", "text", "--recipe", recipe, "--output", vectors]
        )
        matrix = np.load(vectors)
        matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-9)
        cosines = (matrix[::2] * matrix[1::2]).sum(axis=1)
        found[recipe] = round(float(spearmanr(cosines, [float(score) for *_, score in pairs]).statistic), 3)
    return found


def coverage(text: Path) -> dict[str, Any]:
    """The share of running text that has a vector, by how it was found, beside looking up surfaces."""
    found = {}
    for lookup in ("normalized", "surface"):
        how = [row["how"] for row in rows("embed", "--file", text, "--how", "--lookup", lookup)]
        found[lookup] = {name: round(how.count(name) / len(how), 5) for name in sorted(set(how))}
        found[lookup]["covered"] = round(1 - how.count("none") / len(how), 5)
    return found


def search(folder: Path, count: int) -> dict[str, float]:
    """One query over many rows of 300 numbers, beside NumPy with the same file mapped; CPU, one thread."""
    random = np.random.default_rng(1)
    path = folder / "many.bin"
    with path.open("wb") as file:
        file.write(f"{count} 300\n".encode())
        for start in range(0, count, 10_000):
            block = random.standard_normal((10_000, 300), dtype=np.float32)
            block /= np.linalg.norm(block, axis=1, keepdims=True)
            file.write(b"".join(f"w{start + row} ".encode() + block[row].tobytes() for row in range(10_000)))
    cache = folder / "cache"
    ours = [*measure.SEQCLI, "similar", "w123456", "--model", path, "--lookup", "surface"]
    measure.run(ours, SEQCLI_CACHE_DIR=str(cache))
    matrix = next((cache / "vectors").glob("file-*/vectors.npy"))
    theirs = [sys.executable, "-c", NUMPY, matrix, 123_456]
    return measure.paired(ours, theirs, times=25, SEQCLI_CACHE_DIR=str(cache), **measure.ONE_THREAD)


def training(folder: Path, corpus: Path, scale: int) -> dict[str, Any]:
    """Words a second in the epochs of word2vec, ours and gensim's in turn; one thread, the same tokens."""
    environment = {"SEQCLI_CACHE_DIR": str(folder / "training"), **measure.ONE_THREAD}
    text = folder / "training.txt"
    text.write_bytes(corpus.read_bytes() * scale)
    pairs = []
    for number in range(4):
        out = folder / f"model{number}"
        flags = ["--out", out, "--epochs", 3, "--threads", 1]
        measure.run([*measure.SEQCLI, "train-vectors", text, *flags], **environment)
        history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        tokens = next(path for path in (folder / "training" / "tokens").iterdir() if path.is_dir())
        command = [sys.executable, "-c", GENSIM, tokens / "tokens.txt", tokens / "counts.json", 1]
        said = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, check=True, env=os.environ | environment
        )
        ours = 3 * history[0]["words_per_second"] * history[0]["seconds"] / sum(row["seconds"] for row in history)
        pairs.append((ours, float(said.stdout)))
    return {
        "words_per_second": round(float(np.median([ours for ours, _ in pairs]))),
        "gensim": round(float(np.median([theirs for _, theirs in pairs]))),
        "ratio": round(float(np.median([ours / theirs for ours, theirs in pairs])), 3),
        "runs": len(pairs),
    }


def memory(folder: Path, corpus: Path, scale: int) -> dict[str, float]:
    """The peak of embedding a text and one that is longer by ``scale``."""
    found = {}
    for times in (1, scale):
        path = folder / f"text{times}.txt"
        path.write_bytes(corpus.read_bytes() * times)
        command = [*measure.SEQCLI, "embed", "--file", path, "--unit", "text", "--output", folder / f"x{times}.npy"]
        spent = measure.run(command, **measure.ONE_THREAD)
        size = path.stat().st_size / 1e6
        found[f"{size:.1f} MB"] = {"peak_mb": round(spent.peak_mb, 1), "mb_per_cpu_second": round(size / spent.cpu, 3)}
    return found


def rows(*words: Any) -> list[dict[str, Any]]:
    """The records of one of our commands."""
    command = list(map(str, [*measure.SEQCLI, *words]))
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in said.splitlines()]


if __name__ == "__main__":
    main()
