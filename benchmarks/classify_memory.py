"""The peak memory of ``seqcli classify`` over a short and a long table.

    python benchmarks/classify_memory.py [--megabytes 20 400]

The rows are made from the clauses of sample_data/posts.csv, with names and numbers of their own, so that no row can be
answered from what was read before. The model is trained on the same posts. The long table takes half an hour.
"""

import argparse
import csv
import json
import random
import re
import tempfile
from pathlib import Path

import measure

POSTS = measure.HERE.parent / "sample_data" / "posts.csv"


def main() -> None:
    """Writes results/classify_memory.json."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--megabytes", type=int, nargs="+", default=[20, 400])
    options = asked.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as name:
        model, table = Path(name) / "model", Path(name) / "posts.jsonl"
        measure.run([*measure.SEQCLI, "train-classifier", POSTS, "--out", model], **measure.ONE_THREAD)
        for megabytes in options.megabytes:
            rows = write_rows(table, megabytes * 1_000_000)
            command = [*measure.SEQCLI, "classify", model, "--file", table, "--format", "jsonl", "--workers", 1, "-q"]
            run = measure.run(command, **measure.ONE_THREAD)
            found.append({"megabytes": megabytes, "rows": rows, "peak_mb": round(run.peak_mb, 1)})
            found[-1] |= {"cpu_s": round(run.cpu, 1), "rows_a_cpu_s": round(rows / run.cpu, 1)}
            ratio = round(found[-1]["peak_mb"] / found[0]["peak_mb"], 3)
            measure.write("classify_memory", {"runs": found, "last ÷ first": ratio})


def write_rows(file: Path, size: int) -> int:
    """Writes JSON lines of about ``size`` bytes in all; how many they are."""
    with POSTS.open(encoding="utf-8", newline="") as posts:
        clauses = [c for row in csv.DictReader(posts) for c in re.split(r"(?<=[。！？、])", row["text"]) if c]
    chance, rows, written = random.Random(7), 0, 0
    with file.open("wb") as out:
        while written < size:
            said = "".join(chance.choices(clauses, k=chance.randint(2, 6)))
            name = "".join(chr(chance.randint(0x4E00, 0x9FA0)) for _ in range(2))  # two of 20,897 kanji
            line = json.dumps({"id": rows, "text": f"{said}{rows}番目、{name}さん。"}, ensure_ascii=False) + "\n"
            written += out.write(line.encode())
            rows += 1
    return rows


if __name__ == "__main__":
    main()
