"""Makes the example models of format 1 beside this file. They must load for ever, so do not make them again.

    python tests/models/make.py

Everything is trained on the sample data, with networks so small that they know nothing and weigh nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "sample_data"

COMMANDS = {
    "forecaster": "train-forecast rates-wide.csv --hidden 3 --epochs 1 --holdout 0",
    "classifier": "train-classifier posts.csv --hidden 6 --members 2 --epochs 20 --vectors none",
    "generator": "train-generator letters.txt --hidden 4 --epochs 1 --order 3",
    "vectors": "train-vectors letters.txt --method ppmi-svd --dim 3 --min-count 3",
}


def main() -> None:
    """Trains one model of each kind."""
    posts = (SAMPLES / "posts.csv").read_text(encoding="utf-8").splitlines()
    letters = (SAMPLES / "letters.txt").read_text(encoding="utf-8")
    few = {"posts.csv": "\n".join([posts[0], *posts[1::4]]) + "\n", "letters.txt": letters[:3000]}
    for name, text in few.items():
        (HERE / name).write_text(text, encoding="utf-8")
    shutil.copy(SAMPLES / "rates-wide.csv", HERE)
    for kind, typed in COMMANDS.items():
        words = [*typed.split(), "--out", kind, "--seed", "1", "--quiet"]
        subprocess.run([sys.executable, "-m", "seqcli", *words], cwd=HERE, check=True, stdout=subprocess.DEVNULL)
    for left in [HERE / name for name in (*few, "rates-wide.csv")]:
        left.unlink()


if __name__ == "__main__":
    main()
