"""A corpus of words of the Penn Treebank's size and form, where that is not at hand: Japanese news, split by SudachiPy.

    python benchmarks/word_corpus.py OUT [--archive livedoor-news-corpus.tar.gz]

Writes OUT/train.txt, valid.txt and test.txt: 930,000, 74,000 and 82,000 words with the line ends, a sentence a line,
words between spaces, in lower case, digits as N, and ``<unk>`` for all but the 9,999 most frequent words of train.
"""

import argparse
import random
import re
import tarfile
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import measure
from sudachipy import Dictionary

ARCHIVE = measure.HERE.parent.parent / "shared" / "data" / "livedoor" / "livedoor-news-corpus.tar.gz"
SIZES = {"train": 930_000, "valid": 74_000, "test": 82_000}
KINDS = 9_999
LINE_END = "\n"


def main() -> None:
    """Writes the three files."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("out", type=Path)
    asked.add_argument("--archive", type=Path, default=ARCHIVE)
    options = asked.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    words: list[str] = []
    for sentence in sentences(options.archive):
        words += [*sentence, LINE_END]
        if len(words) >= sum(SIZES.values()):
            break
    counts = Counter(word for word in words[: SIZES["train"]] if word != LINE_END)
    kept = {word for word, _ in counts.most_common(KINDS)} | {LINE_END}
    start = 0
    for part, size in SIZES.items():
        some = [word if word in kept else "<unk>" for word in words[start : start + size]]
        (options.out / f"{part}.txt").write_text(" ".join(some).replace(" \n ", "\n").strip() + "\n", "utf-8")
        start += size


def sentences(archive: Path) -> Iterator[list[str]]:
    """The words of each sentence of the articles, in an order that is drawn once and for all."""
    with tarfile.open(archive) as members:
        articles = {}
        for member in members:
            file = members.extractfile(member) if re.search(r"/[a-z-]+-\d+\.txt$", member.name) else None
            if file is not None:
                articles[member.name] = file.read().decode()
    names = sorted(articles)
    random.Random(1).shuffle(names)
    tokenizer = Dictionary().create()
    for name in names:
        for line in articles[name].split("\n")[2:]:  # behind address and date
            for sentence in re.split("(?<=[。！？])", unicodedata.normalize("NFKC", line).lower()):
                words = [word.surface() for word in tokenizer.tokenize(sentence) if word.surface().strip()]
                if words and "http" not in sentence:
                    yield [re.sub("[0-9]+", "N", word) for word in words]


if __name__ == "__main__":
    main()
