"""Generators: bits per character of a novel, perplexity of words, how fast they learn, and how fast they write.

    python benchmarks/generation.py [--only novel words peer sampling start] [--novel DIR] [--words DIR]
        [--seeds 1 2 3] [--peer-seconds 600]

``DIR`` holds train.txt, valid.txt and test.txt; without one, words and peer are left out (word_corpus.py makes one).
Trainings are whole processes of one thread, and their processor seconds the operating system's: they include reading
the text, counting n-grams, validating and the report. What is not measured this time stays in results/generation.json
as it was.
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

PARTS = ("novel", "words", "peer", "sampling", "start")
NOVEL = measure.HERE.parent.parent / "shared" / "data" / "neko"
MINUTES = (1.0, 1.5, 2.0, 3.0, 5.0)  # of training, until the peer's perplexity is reached

# One text, unit by unit, from an LSTM of 512 units over 2,990 characters: ours, and torch.nn.LSTM called in a loop.
SAMPLING = """
import sys, time
import numpy as np
import torch
from seqcli.generation.config import GeneratorConfig, shapes
from seqcli.generation.network import Network
V, h, layers, steps = 2990, 512, int(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(0)
config = GeneratorConfig(V, embedding=h, hidden=h, layers=layers)
made = {n: (0.05 * random.standard_normal(s)).astype(np.float32) for n, s in shapes(config).items()}
network = Network.from_tensors(config, made)
network.table.rows(np.arange(V))  # in a text of any length each unit has been met
torch.set_num_threads(1)
lstm, embedding = torch.nn.LSTM(h, h, layers, batch_first=True), torch.nn.Embedding(V, h)
decoder = torch.nn.Linear(h, V)
def ours(steps):
    state, ids = network.start(), np.array([1])
    for _ in range(steps):
        state = network.advance(ids, state)
        shares = np.exp(network.next(state)[0], dtype=np.float64).cumsum()
        ids = np.searchsorted(shares, [random.random() * shares[-1]])
def theirs(steps):
    state, ids = None, torch.tensor([[1]])
    with torch.no_grad():
        for _ in range(steps):
            out, state = lstm(embedding(ids), state)
            ids = torch.multinomial(decoder(out[0, -1]).softmax(0), 1)[None]
for call in (ours, theirs):
    call(steps // 4)
    begun = time.process_time()
    call(steps)
    print(steps / (time.process_time() - begun))
"""


def main() -> None:
    """Measures what was asked for, and writes results/generation.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    asked.add_argument("--novel", type=Path, default=NOVEL)
    asked.add_argument("--words", type=Path)
    asked.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    asked.add_argument("--peer-seconds", type=float, default=600)
    options = asked.parse_args()
    file = measure.RESULTS / "generation.json"
    results = json.loads(file.read_text("utf-8")) if file.exists() else {}
    results.pop("about", None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "novel" in options.only:
            results["novel"] = [novel(folder, options.novel, seed) for seed in options.seeds]
            measure.write("generation", results)
        if options.words is not None and "words" in options.only:
            results["words"] = words(folder, options.words, options.seeds[0], minutes=36.0)
            measure.write("generation", results)
        if options.words is not None and "peer" in options.only:
            results["peer"] = peer(folder, options.words, options.peer_seconds)
            measure.write("generation", results)
        if "sampling" in options.only:
            results["sampling"] = {f"{layers} layers": sampling(layers) for layers in (1, 2)}
        if "start" in options.only:
            results["start"] = start(folder, options.novel)
    measure.write("generation", results)


def novel(folder: Path, corpus: Path, seed: int) -> dict[str, Any]:
    """A training with everything left to the task."""
    return trained(folder / f"novel{seed}", corpus, "--seed", seed)


def words(folder: Path, corpus: Path, seed: int, minutes: float) -> dict[str, Any]:
    """A training of words within a time."""
    flags = ("--seed", seed, "--max-minutes", minutes)
    return trained(folder / f"words-{minutes:g}", corpus, "--unit", "word", "--tokenizer", "whitespace", *flags)


def trained(out: Path, corpus: Path, *flags: Any) -> dict[str, Any]:
    """What a training cost, and its figures on the validation and the test part."""
    parts = [corpus / f"{part}.txt" for part in ("train", "valid", "test")]
    command = ["train-generator", parts[0], "--valid", parts[1], "--test", parts[2], "--out", out, *flags]
    spent = measure.run([*measure.SEQCLI, *command, "--threads", 1], **measure.ONE_THREAD)
    manifest = json.loads((out / "seqcli.json").read_text("utf-8"))
    history = [json.loads(line) for line in (out / "history.jsonl").read_text("utf-8").splitlines()]
    figures = {f"{row['model']} {row['part']}": row for row in manifest["metrics"]}
    kept = {
        name: {"bpc_open": round(row["bpc_open"], 4), "perplexity": round(row["perplexity"], 2)}
        for name, row in figures.items()
    }
    return {
        "flags": list(map(str, flags)),
        "cpu_s": round(spent.cpu, 1),
        "wall_s": round(spent.wall, 1),
        "peak_mb": round(spent.peak_mb),
        "epochs": len(history),
        "units_per_second": round(history[-1]["per_second"]),
        **kept,
    }


def peer(folder: Path, corpus: Path, seconds: float) -> dict[str, Any]:
    """Processor seconds until our validation perplexity is that of the peer after so many of its own."""
    script = measure.HERE / "peer_word_language_model.py"
    command = [sys.executable, script, corpus / "train.txt", corpus / "valid.txt", "--cpu-seconds", seconds]
    said = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=True, env=os.environ | measure.ONE_THREAD
    ).stdout
    found: dict[str, Any] = {"peer": [json.loads(line) for line in said.splitlines()]}
    goal, spent = found["peer"][-1]["perplexity"], found["peer"][-1]["cpu_s"]
    for minutes in MINUTES:
        ours = words(folder, corpus, 1, minutes)
        found[f"{minutes:g} minutes"] = ours
        if ours["lstm valid"]["perplexity"] <= goal:
            return found | {"cpu_s": ours["cpu_s"], "ratio": round(ours["cpu_s"] / spent, 3)}
    return found


def sampling(layers: int, steps: int = 600) -> dict[str, float]:
    """Characters a processor second, batch 1: the median of five runs in turn."""
    command = [sys.executable, "-c", SAMPLING, str(layers), str(steps)]
    pairs = []
    for _ in range(5):
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | measure.ONE_THREAD)
        pairs.append(tuple(map(float, run.stdout.split())))
    ours, theirs, ratio = (sorted(values)[2] for values in zip(*((a, b, a / b) for a, b in pairs), strict=True))
    return {"ours": round(ours), "nn.LSTM": round(theirs), "ratio": round(ratio, 2)}


def start(folder: Path, corpus: Path) -> dict[str, float]:
    """A fresh process that writes 200 characters, beside one that only imports PyTorch."""
    out = folder / "start"
    parts = [corpus / f"{part}.txt" for part in ("train", "valid", "test")]
    made = ["train-generator", parts[0], "--valid", parts[1], "--test", parts[2], "--out", out, "--steps", 20]
    measure.run([*measure.SEQCLI, *made, "--threads", 1], **measure.ONE_THREAD)
    ours = [*measure.SEQCLI, "generate", out, "--length", 200]
    return measure.paired(ours, [sys.executable, "-c", "import torch"], times=9, **measure.ONE_THREAD)


if __name__ == "__main__":
    main()
