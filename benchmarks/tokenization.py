"""Words of Japanese text: speed beside SudachiPy and GiNZA, memory as the file grows, start-up, two processes.

    python benchmarks/tokenization.py [--corpus TEXT] [--megabytes 40]

Whole processes, ours and the other in turn; the corpus is repeated to the size. Not named ``tokenize``: that is a
module of Python, which this folder must not hide.
"""

import argparse
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import measure

LIVEDOOR = measure.HERE.parent.parent / "shared" / "data" / "livedoor" / "livedoor-news-corpus.tar.gz"

SUDACHI = """
import sys, sudachipy
tokenizer = sudachipy.Dictionary().create(mode="C")
with open(sys.argv[1], encoding="utf-8") as lines:
    for line in lines:
        surfaces = [morpheme.surface() for morpheme in tokenizer.tokenize(line.rstrip("\\n"))]
"""
GINZA = """
import sys, time, spacy
language = spacy.load("ja_ginza")
with open(sys.argv[1], encoding="utf-8") as lines:
    texts = lines.read().splitlines()[:int(sys.argv[3])]
begun = time.process_time()
count = sum(len((language if sys.argv[2] == "pipeline" else language.tokenizer)(text)) for text in texts)
print(count / (time.process_time() - begun))
"""


def main() -> None:
    """Measures, and writes results/tokenize.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--corpus", type=Path, help="a text; the Livedoor news without")
    asked.add_argument("--megabytes", type=int, default=40)
    asked.add_argument("--times", type=int, default=5)
    options = asked.parse_args()
    text = options.corpus.read_bytes() if options.corpus else livedoor()
    with tempfile.TemporaryDirectory() as name:
        small, large = Path(name, "small.txt"), Path(name, "large.txt")
        for path, size in ((small, options.megabytes * 100_000), (large, options.megabytes * 1_000_000)):
            path.write_bytes((text * (size // len(text) + 1))[:size].decode(errors="ignore").encode())
        ours = [*measure.SEQCLI, "tokenize", "--wakati", "--file", large]
        found = measure.paired(ours, [sys.executable, "-c", SUDACHI, large], options.times, **measure.ONE_THREAD)
        one = measure.run(ours)
        two = measure.run([*ours, "--workers", 2])
        short = measure.run([*measure.SEQCLI, "tokenize", "--wakati", "--file", small])
        count = tokens(large, Path(name, "out.txt"))
        results: dict[str, Any] = {
            "megabytes": options.megabytes,
            "tokens": count,
            "tokens_per_cpu_second": round(count / one.cpu),
            "speed_to_sudachipy": round(1 / found["cpu_ratio"], 3),
            "beside_sudachipy": found,
            "two_workers_wall_ratio": round(two.wall / one.wall, 3),
            "peak_mb": {"of_all": round(one.peak_mb), "of_a_tenth": round(short.peak_mb)},
            "start": start(options.times),
            "ginza_tokens_per_cpu_second": {
                "tokenizer": round(ginza(small, "tokenizer", 3000)),
                "pipeline": round(ginza(small, "pipeline", 150)),
            },
        }
    measure.write("tokenize", results)


def livedoor() -> bytes:
    """The articles of the Livedoor news, one after the other."""
    with tarfile.open(LIVEDOOR) as archive:
        articles = (archive.extractfile(member) for member in archive if "-" in Path(member.name).name)
        return b"".join(article.read() for article in articles if article)


def tokens(path: Path, out: Path) -> int:
    """How many tokens our command finds in a file."""
    measure.run([*measure.SEQCLI, "tokenize", "--wakati", "--file", path, "--output", out])
    with out.open(encoding="utf-8") as lines:
        return sum(len(line.split()) for line in lines)


def start(times: int) -> dict[str, float]:
    """One short text in a fresh process: the quickest of several, in seconds."""
    runs = [measure.run([*measure.SEQCLI, "tokenize", "猫です"]) for _ in range(2 * times)]
    return {"wall_s": round(min(run.wall for run in runs), 3), "cpu_s": round(min(run.cpu for run in runs), 3)}


def ginza(path: Path, what: str, lines: int) -> float:
    """Tokens a CPU second of spaCy's tokenizer or of the whole pipeline of ja_ginza, its start left out."""
    command = [sys.executable, "-c", GINZA, str(path), what, str(lines)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
