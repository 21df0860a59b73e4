"""Makes a model of word vectors from plain text: counts or learns, saves, and says what came out."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from seqcli.core import checkpoint, clock, files, vector_files
from seqcli.core.checkpoint import Manifest, ModelFolder
from seqcli.core.place import Place
from seqcli.core.safe_formats import dump_json, dump_tensors, read_json, read_tensors
from seqcli.core.signals import Signals
from seqcli.core.tokens import Form
from seqcli.core.word_vectors import KIND, open_vectors
from seqcli.errors import DivergedError, InputError, Interrupted, MachineError, ModelError, UsageError
from seqcli.results import Progress, Record, Result
from seqcli.vectors import counts
from seqcli.vectors.corpus import Corpus, Vocabulary, tokenized
from seqcli.vectors.learned import Gensim, Learner, Settings
from seqcli.vectors.nearest import search

Method = Literal["tfidf", "cooccurrence", "ppmi-svd", "word2vec", "fasttext", "glove"]
COUNTED = ("tfidf", "cooccurrence", "ppmi-svd")
FILES = {".vec": "word2vec text", ".txt": "word2vec text", ".glove": "GloVe text", ".bin": "word2vec binary"}

_RATES = {"word2vec": 0.025, "fasttext": 0.025, "glove": 0.05}  # those of their authors
_EPOCHS = {"word2vec": 5, "fasttext": 5, "glove": 25}

# Everyday words whose neighbours anyone can judge, of several kinds; and characters.
_PROBES = {
    "word": ("私", "人", "今日", "学校", "食べる", "見る", "大きい", "美しい", "心", "水"),
    "char": ("人", "日", "水", "心", "大", "食", "見", "山", "手", "火"),
}
_NEIGHBOURS = 5
_PLANNED = 0.92  # of the time that --max-minutes gives; the machine may be busier later than while it was measured


@dataclass(frozen=True)
class Plan:
    """What is trained.

    Arguments:
        method: how words become vectors.
        unit: ``word`` or ``char``.
        form: of a word.
        dim: numbers in a vector.
        window: tokens to each side that are its context.
        min_count: words seen less often get no vector.
        epochs: passes over the corpus, of the learned methods; None: chosen for the method.
        rate: their learning rate at the beginning; None: as in the papers.
        seed: of everything that is drawn.
        threads: processor threads; None: all cores.
        encoding: of the corpus.
        command: what was typed, for the record.
        max_minutes: as many epochs are trained, at most ``epochs``, as end within this time; one is measured for it.
    """

    method: Method = "word2vec"
    unit: str = "word"
    form: Form = "normalized"
    dim: int = 100
    window: int = 5
    min_count: int = 5
    epochs: int | None = None
    rate: float | None = None
    seed: int = 1
    threads: int | None = None
    encoding: str = "auto"
    command: str = ""
    max_minutes: float | None = None

    @property
    def settings(self) -> Settings:
        """How the vectors are learned, with every choice made."""
        return Settings(
            self.method, self.dim, self.window, self.epochs or _EPOCHS.get(self.method, 1),
            self.rate or _RATES.get(self.method, 0.0), self.seed, self.threads or os.cpu_count() or 1,
        )  # fmt: skip


def train(
    sources: Sequence[str], out: Path, plan: Plan, *, overwrite: bool = False, resume: bool = False,
    write: Path | None = None,
) -> Generator[Progress, None, Result]:  # fmt: skip
    """Trains vectors and writes their model folder; yields signs of life, returns the report.

    Arguments:
        sources: text files, a text a line, or ``-``.
        out: the model folder.
        plan: what is trained.
        overwrite: replace the model that is there, once the new one is whole.
        resume: go on with an interrupted run of a learned method.
        write: the vectors as a file besides, in one of ``FILES``.

    Raises:
        InputError: a source cannot be read, or holds too little.
        UsageError: an option that the method has no use for, or a suffix that is none of ``FILES``.
        ModelError: the place holds something, or there is nothing to resume.
        MachineError: gensim is not installed, or the folder cannot be written.
        DivergedError: the loss stopped being a number; the last good vectors are saved.
        Interrupted: Ctrl-C or SIGTERM, after the epoch in hand was saved.
    """
    if resume and plan.method in COUNTED:
        raise UsageError("--resume", f"{plan.method} is counted in one go", "run it again with --overwrite")
    if plan.max_minutes is not None and plan.method in COUNTED:
        raise UsageError("--max-minutes", f"{plan.method} is counted in one go", "leave it out")
    if write is not None:
        _check_file(write)
    with Place(out, overwrite, resume).held():
        corpus = yield from tokenized(sources, plan.unit, plan.form, plan.encoding)
        words = corpus.vocabulary(plan.min_count)
        began = time.monotonic()
        try:
            vectors, history = yield from _made(corpus, words, plan, ModelFolder(out), resume=resume)
        except LostError as lost:
            if not ModelFolder(out).manifest.exists():  # a model that is there is worth more
                made = _Made(sources, corpus, words, lost.vectors, lost.history)
                _save(out, plan, made, [], overwrite=True)
            raise
        seconds = time.monotonic() - began
        wanted, plan = plan.settings.epochs, replace(plan, epochs=len(history) or plan.epochs)
        rows = [_report(plan, words, vectors, seconds), *_baseline(corpus, plan)]
        _save(out, plan, _Made(sources, corpus, words, vectors, history), rows, overwrite=overwrite or resume)
    if write is not None:
        write_vectors(write, words.words, vectors)
    said = (*_sentences(plan, words, corpus, seconds, out), *_fitted(plan, wanted))
    return Result(tuple(rows), table=_table(rows), sentences=said)


@dataclass(frozen=True, eq=False)
class _Made:
    """What a model folder is written from."""

    sources: Sequence[str]
    corpus: Corpus
    words: Vocabulary
    vectors: np.ndarray
    history: list[dict[str, Any]]


class LostError(DivergedError):
    """A training that diverged, with the last good vectors."""

    def __init__(self, error: DivergedError, vectors: np.ndarray, history: list[dict[str, Any]]) -> None:
        super().__init__(error.where, error.what, error.hint)
        self.vectors, self.history = vectors, history


def _save(out: Path, plan: Plan, made: _Made, rows: Sequence[Record], *, overwrite: bool) -> None:
    """Writes the model folder; without rows, of a training that diverged."""
    config = {**{k: v for k, v in asdict(plan).items() if k not in ("command", "threads", "max_minutes")},
              **asdict(plan.settings), "words": plan.unit, "recipe": _recipe(plan)}  # fmt: skip
    manifest = Manifest(
        kind=KIND, created=clock.now().isoformat(), command=plan.command, seed=plan.seed, metrics=tuple(rows),
        data={"fingerprint": made.corpus.fingerprint, "sources": list(made.sources), "texts": made.corpus.texts,
              "tokens": made.words.total},
    )  # fmt: skip
    checkpoint.save(
        out, manifest, config=config, tensors={"vectors": made.vectors},
        documents={"vocab.json": list(made.words.words)}, history=made.history,
        card=_card(plan, made.words, rows[0] if rows else None), overwrite=overwrite,
    )  # fmt: skip


def _check_file(path: Path) -> None:
    """Refuses a name before the training that it would be the end of."""
    if path.suffix not in FILES:
        said = ", ".join(f"{suffix} ({what})" for suffix, what in FILES.items())
        raise UsageError(f"--write {path}", f"the suffix {path.suffix!r} is no format of vectors", f"end it in {said}")
    files.check_writable(path.absolute().parent)


def write_vectors(path: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    """Writes vectors as a file, by its suffix, which is one of ``FILES``."""
    binary, lines = path.suffix == ".bin", [] if path.suffix == ".glove" else [f"{len(words)} {vectors.shape[1]}\n"]
    parts = [line.encode() for line in lines]
    for word, vector in zip(words, vectors, strict=True):
        raw = "_".join(word.split()).encode() + b" " + vector.astype("<f4").tobytes() + b"\n"
        parts.append(raw if binary else vector_files.text_line(word, vector).encode())
    files.write_bytes(path, b"".join(parts))


def _made(
    corpus: Corpus, words: Vocabulary, plan: Plan, folder: ModelFolder, *, resume: bool
) -> Generator[Progress, None, tuple[np.ndarray, list[dict[str, Any]]]]:
    if plan.method == "tfidf":
        weights = yield from counts.tfidf(corpus, words)
        return counts.reduced(weights, plan.dim, 1.0, plan.seed), []
    if plan.method in ("word2vec", "fasttext"):
        return (yield from _learn(partial(Gensim, words=words, path=corpus.path), corpus, plan, folder, resume=resume))
    pairs = yield from counts.cooccurrences(corpus, words, plan.window, harmonic=plan.method == "glove")
    if pairs.nnz == 0:
        raise InputError("corpus", "no two words of the vocabulary stand near each other", "--min-count 1")
    if plan.method == "cooccurrence":
        return counts.context_counts(pairs, plan.dim), []
    if plan.method == "ppmi-svd":
        yield Progress("reducing", 0, 1, f"{pairs.nnz:,} pairs")
        return counts.reduced(counts.ppmi(pairs), plan.dim, 0.5, plan.seed), []
    from seqcli.vectors.glove import GloVe

    return (yield from _learn(partial(GloVe, pairs=pairs), corpus, plan, folder, resume=resume))


def _learn(
    begin: Callable[[Settings], Learner], corpus: Corpus, plan: Plan, folder: ModelFolder, *, resume: bool
) -> Generator[Progress, None, tuple[np.ndarray, list[dict[str, Any]]]]:
    settings = plan.settings
    if plan.max_minutes is not None and resume:
        settings = replace(settings, epochs=_begun_with(folder))
    elif plan.max_minutes is not None:
        yield Progress("measuring", 0, 1, "one epoch")
        settings = replace(settings, epochs=min(settings.epochs, _affordable(begin(settings), 60 * plan.max_minutes)))
    learner, epochs = begin(settings), settings.epochs
    same = {**asdict(settings), "min_count": plan.min_count, "fingerprint": corpus.fingerprint}
    first, history = _restore(learner, folder, same) if resume else (0, [])
    try:
        with Signals() as signals:
            for epoch in range(first, epochs):
                began = time.monotonic()
                text = learner.epoch(epoch)
                seconds = time.monotonic() - began
                rate = round(sum(corpus.counts.values()) / max(seconds, 1e-9))
                history.append({"epoch": epoch + 1, "seconds": round(seconds, 3), "words_per_second": rate})
                yield Progress("training", epoch + 1, epochs, f"{text}, {rate:,} words a second", line=True)
                signals.heed(f"after epoch {epoch + 1} of {epochs}")
    except Interrupted:
        _pause(learner, folder, same, history)
        raise
    except DivergedError as error:
        raise LostError(error, learner.vectors(), history) from error
    return learner.vectors(), history


def _affordable(learner: Learner, seconds: float) -> int:
    """How many epochs fit into a time, one at least. It is spent on one that is measured and thrown away.

    The learning rate falls over all epochs, so their number has to be known before the first one.
    """
    began = time.monotonic()
    learner.epoch(0)
    each = max(time.monotonic() - began, 1e-9)
    return max(1, int((_PLANNED * seconds - each) / each))


def _begun_with(folder: ModelFolder) -> int:
    """How many epochs were planned for the run that was interrupted."""
    before = read_json(folder.resume / "state.json", dict).get("settings")
    epochs = before.get("epochs") if isinstance(before, dict) else None
    if type(epochs) is not int:
        raise ModelError(str(folder.resume), "is damaged", "start again with --overwrite")
    return epochs


def _pause(learner: Learner, folder: ModelFolder, same: Mapping[str, Any], history: list[dict[str, Any]]) -> None:
    with files.new_folder(folder.resume, overwrite=True) as new:
        (new / "state.safetensors").write_bytes(dump_tensors(learner.state()))
        (new / "state.json").write_text(dump_json({"settings": dict(same), "history": history}), encoding="utf-8")


def _restore(learner: Learner, folder: ModelFolder, same: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    facts = read_json(folder.resume / "state.json", dict)
    before, history = facts.get("settings"), facts.get("history")
    if not isinstance(before, dict) or not isinstance(history, list):
        raise ModelError(str(folder.resume), "is damaged", "start again with --overwrite")
    changed = [name for name, value in same.items() if before.get(name) != value]
    if changed:
        what = f"was begun with {changed[0]} {before.get(changed[0])!r}, not {same[changed[0]]!r}"
        raise ModelError(str(folder.path), what, "resume with the same settings and corpus, or --overwrite")
    state, now = read_tensors(folder.resume / "state.safetensors"), learner.state()
    if {name: array.shape for name, array in state.items()} != {name: array.shape for name, array in now.items()}:
        raise ModelError(str(folder.resume), "does not fit the corpus", "start again with --overwrite")
    learner.restore(state)
    return len(history), history


def _recipe(plan: Plan) -> str:
    """How texts are embedded with the vectors; all-but-the-top helps PPMI and hurts skip-gram."""
    if plan.unit == "char":
        return "plain"
    return "content,idf,abtt" if plan.method == "ppmi-svd" else "content,idf"


def _report(plan: Plan, words: Vocabulary, vectors: np.ndarray, seconds: float) -> dict[str, Any]:
    return {
        "model": plan.method, "unit": plan.unit, "vocabulary": len(words.words), "dim": vectors.shape[1],
        "tokens": words.total, "coverage": words.coverage, "seconds": round(seconds, 3),
        "neighbours": _neighbours(plan, words, vectors),
    }  # fmt: skip


def _neighbours(plan: Plan, words: Vocabulary, vectors: np.ndarray) -> dict[str, list[str]]:
    """The neighbours of the probes that have a vector; of the most frequent longer words where none has."""
    ids = {word: number for number, word in enumerate(words.words)}
    probes = [word for word in _PROBES[plan.unit] if word in ids]
    probes = probes or sorted(words.words[:200], key=len, reverse=True)[:_NEIGHBOURS]
    rows = [ids[word] for word in probes]
    own = [frozenset({row}) for row in rows]
    found = search([vectors], np.linalg.norm(vectors, axis=1), vectors[rows], _NEIGHBOURS, without=own)
    return {word: [words.words[row] for row, _ in near] for word, near in zip(probes, found, strict=True)}


def _baseline(corpus: Corpus, plan: Plan) -> list[dict[str, Any]]:
    """GiNZA's own vectors on the same tokens: what one has without training."""
    if plan.unit != "word":
        return []
    try:
        store = open_vectors("ginza")
    except MachineError:
        return []
    total = sum(corpus.counts.values())
    covered = sum(count for word, count in corpus.counts.items() if word in store)
    near = {}
    for word in _PROBES["word"]:
        row = store.row(word)
        if row is not None:
            found = search(store.blocks(), store.norms, store.vectors[[row]], _NEIGHBOURS, without=[frozenset({row})])
            near[word] = [store.owner(at) for at, _ in found[0]]
    return [
        {"model": "ginza", "unit": "word", "vocabulary": store.about.keys, "dim": store.about.dim, "tokens": total,
         "coverage": covered / max(total, 1), "seconds": None, "neighbours": near}
    ]  # fmt: skip


def _table(rows: Sequence[Record]) -> tuple[Record, ...]:
    """The report as a person reads it: the neighbours of three probes as words."""
    shown = []
    for row in rows:
        near = list(row["neighbours"].items())[:3]
        text = "  ".join(f"{word}: {' '.join(found[:3])}" for word, found in near)
        shown.append({**{name: value for name, value in row.items() if name != "neighbours"}, "neighbours": text})
    return tuple(shown)


def _sentences(plan: Plan, words: Vocabulary, corpus: Corpus, seconds: float, out: Path) -> tuple[str, ...]:
    made = f"{plan.method}: {len(words.words):,} {plan.unit}s from {words.total:,} tokens in {seconds:.1f} s"
    cached = " (tokens from the cache)" if corpus.cached else ""
    covered = f"{words.coverage:.1%} of the running text has a vector."
    asked = next((word for word in words.words if word.isalnum()), words.words[0])  # rather than 。, the most frequent
    unit = " --unit char" if plan.unit == "char" else ""
    hint = f"Try: seqcli similar {shlex.quote(asked)} --model {shlex.quote(str(out))}{unit}"
    return (f"{made}{cached}, saved in {out}.", covered, hint)


def _fitted(plan: Plan, wanted: int) -> tuple[str, ...]:
    """What the time has allowed."""
    if plan.max_minutes is None:
        return ()
    allowed = f"--max-minutes {plan.max_minutes:g} allowed {plan.epochs} of {wanted} epochs"
    return (f"{allowed}; --epochs {plan.epochs} repeats them.",)


def _card(plan: Plan, words: Vocabulary, row: Mapping[str, Any] | None) -> str:
    near = "\n".join(f"- {word}: {' '.join(found)}" for word, found in row["neighbours"].items()) if row else ""
    end = f"Neighbours of some words:\n\n{near}" if row else "The training diverged: these are the last good vectors."
    # gensim's threads write over each other.
    again = "gives" if plan.method not in ("word2vec", "fasttext") else "on one thread gives"
    return (
        f"# Word vectors: {plan.method}\n\n"
        f"- {len(words.words)} {plan.unit}s of {plan.dim} dimensions, {words.total} tokens in {words.texts} texts\n"
        f"- window {plan.window}, seen at least {plan.min_count} times: {words.coverage:.1%} of the running text\n"
        f"- seed {plan.seed}, which {again} the same vectors again\n\n"
        f"{end}\n"
    )
