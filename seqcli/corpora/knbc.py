"""The KNB corpus of Kyoto University and NTT: 249 blog articles in four themes, analysed by hand.

Hashimoto, Kurohashi, Kawahara, Shinzato and Nagata (2011), Construction of a blog corpus with syntactic, anaphoric
and sentiment annotations, Journal of Natural Language Processing 18(2).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from seqcli.core.texts import folded
from seqcli.corpora import knp
from seqcli.corpora.members import Member, decode, members
from seqcli.corpora.report import divide, told
from seqcli.errors import InputError
from seqcli.results import Result

Unit = Literal["article", "sentence"]

THEMES = {"Kyoto": "京都観光", "Keitai": "携帯電話", "Sports": "スポーツ", "Gourmet": "グルメ"}
ARTICLES, SENTENCES = 249, 4_186  # of the published corpus

_FILE = re.compile(r"(?:.*/)?(KN\d+_([A-Za-z]+)_\d+)/(\1(?:-\d{1,9})+)")
_TABLE = re.compile(rf"(?:.*/)?corpus2/(?:{'|'.join(THEMES)})\.tsv")
_BRACKETS = re.compile(r"\s*[［\[]([^］\]]{1,20})[］\]]\s*")
_TYPES = {"当為"} | {name + sign for name in ("感情", "批評", "メリット", "採否", "出来事") for sign in "+-"}
_COLUMNS = 6


class Evaluation(NamedTuple):
    """An opinion in a sentence.

    Arguments:
        holder: who has it (評価保持者).
        expression: the words that say it (評価表現).
        type: 当為, or 感情, 批評, メリット, 採否, 出来事 with + or -.
        target: what it is about (評価対象).
    """

    holder: str
    expression: str
    type: str
    target: str


@dataclass
class Sentence:
    """One sentence of the corpus.

    Arguments:
        id: the name of its file, such as ``KN001_Keitai_1-1-1-01``.
        article: the name of its folder.
        theme: one of the values of ``THEMES``.
        morphemes: its words, without the theme in brackets.
        phrases: its bunsetsu; ``start`` counts the words as they stand in the file, the theme among them.
        evaluations: the opinions in it; None where ``corpus2`` does not list the sentence.
        bracketed: what stood in brackets at its beginning, and was taken away.
    """

    id: str
    article: str
    theme: str
    morphemes: list[knp.Morpheme]
    phrases: list[knp.Phrase]
    evaluations: list[Evaluation] | None = None
    bracketed: str = ""

    @property
    def text(self) -> str:
        """The words without the spaces of the format."""
        return "".join(morpheme.surface for morpheme in self.morphemes)


@dataclass
class Corpus:
    """The corpus in its own order.

    Arguments:
        sentences: all that could be read and hold more than their theme.
        deviations: what does not follow the format, each with file and line.
        warnings: the same for the whole copy.
        themes: how many sentences had their theme in brackets taken away.
        empty: how many sentences held nothing else, and are left out.
    """

    sentences: list[Sentence] = field(default_factory=list)
    deviations: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    themes: int = 0
    empty: int = 0


def records(
    path: Path, *, unit: Unit = "article", split: bool = False, seed: int = 0, encoding: str = "auto"
) -> Result:
    """The corpus as rows: ``id, article, theme, text, tokens, polarity, evaluations``.

    Arguments:
        path: the archive (tar.bz2, zip) or its folder.
        unit: a row an article (its sentences a line each) or a sentence.
        split: adds ``split`` by article, stratified by theme, and ``duplicate_of``.
        seed: of the split.
        encoding: of the files; ``auto`` finds EUC-JP and UTF-8.

    Raises:
        InputError: no such corpus at ``path``, or nothing in it can be read.
    """
    corpus = load(path, encoding)
    rows = [_record(s.id, [s]) for s in corpus.sentences] if unit == "sentence" else _articles(corpus.sentences)
    sentences = [
        f"{len({s.article for s in corpus.sentences}):,} articles, {len(corpus.sentences):,} sentences",
        f"the theme in brackets was taken away from {corpus.themes:,} sentences: a classifier would read it there",
    ]
    if corpus.empty:
        sentences.append(f"left out, as nothing but the theme stood in them: {corpus.empty:,} sentences")
    warnings = told(corpus.deviations, "deviations from the format") + corpus.warnings
    if split:
        more, doubts = divide(rows, "theme", "article", seed)
        sentences += more
        warnings += doubts
    return Result(tuple(rows), sentences=tuple(sentences), warnings=tuple(warnings))


def load(path: Path, encoding: str = "auto") -> Corpus:
    """Reads the corpus; what does not follow the format is told in ``deviations`` and left out.

    Raises:
        InputError: as :func:`records`.
    """
    corpus = Corpus()
    files = members(path, lambda name: bool(_FILE.fullmatch(name) or _TABLE.fullmatch(name)))
    tables = [file for file in files if _TABLE.fullmatch(file.name)]
    analysed = sorted((file for file in files if _FILE.fullmatch(file.name)), key=_order)
    if not analysed:
        what = "holds no file such as corpus1/KN001_Keitai_1/KN001_Keitai_1-1-1-01"
        raise InputError(str(path), what, "give KNBC_v1.0_090925.tar.bz2 or the folder it unpacks to")
    for file in analysed:
        _add(corpus, file, encoding)
    if not corpus.sentences:
        first = corpus.deviations[0] if corpus.deviations else "they hold nothing but their themes"
        raise InputError(str(path), f"none of its {len(analysed):,} sentences can be read; the first: {first}")
    _evaluate(corpus, tables, encoding)
    articles = len({_name(file)[0] for file in analysed})
    if (articles, len(analysed)) != (ARTICLES, SENTENCES):
        corpus.warnings.append(
            f"{path}: {articles:,} articles and {len(analysed):,} sentences; the published corpus has "
            f"{ARTICLES:,} and {SENTENCES:,}"
        )
    return corpus


def _name(file: Member) -> tuple[str, str, str]:
    match = _FILE.fullmatch(file.name)
    assert match is not None
    return match[1], match[2], match[3]  # article, theme, sentence


def _order(file: Member) -> tuple[str, list[int]]:
    article, _, sentence = _name(file)
    return article, [int(part) for part in sentence.removeprefix(article).split("-")[1:]]


def _add(corpus: Corpus, file: Member, encoding: str) -> None:
    article, theme, name = _name(file)
    first = not corpus.sentences or corpus.sentences[-1].article != article
    if not first and corpus.sentences[-1].id == name:
        corpus.deviations.append(f"{file.name}: the second file of this sentence; the first is taken")
        return
    try:
        parsed = knp.parse(decode(file.name, file.data, encoding))
    except InputError as problem:
        corpus.deviations.append(str(problem))
        return
    if not parsed.morphemes:
        corpus.deviations.append(f"{file.name}: has no morphemes")
    corpus.deviations += [f"{file.name}: line {line}: {what}" for line, what in parsed.problems]
    if theme not in THEMES:
        corpus.deviations.append(f"{file.name}: unknown theme {theme!r}; there are {', '.join(THEMES)}")
    if not parsed.morphemes:
        return
    sentence = Sentence(name, article, THEMES.get(theme, theme), parsed.morphemes, parsed.phrases)
    _without_theme(sentence, opening=first)
    corpus.themes += bool(sentence.bracketed)
    corpus.sentences.append(sentence)


def _without_theme(sentence: Sentence, *, opening: bool) -> None:
    """Takes ［グルメ］ away: at the start of an article whatever is in brackets, elsewhere only a theme."""
    match = _BRACKETS.match(sentence.text)
    if match and (opening or folded(match[1]) in THEMES.values()):
        sentence.bracketed = match[1]
        sentence.morphemes = _cut(sentence.morphemes, match.end())


def _cut(morphemes: list[knp.Morpheme], count: int) -> list[knp.Morpheme]:
    """The words without their first ``count`` characters."""
    for place, morpheme in enumerate(morphemes):
        if count < len(morpheme.surface):
            return [morpheme._replace(surface=morpheme.surface[count:]), *morphemes[place + 1 :]]
        count -= len(morpheme.surface)
    return []


def _evaluate(corpus: Corpus, tables: Sequence[Member], encoding: str) -> None:
    """Adds what ``corpus2`` says, then leaves out the sentences that were nothing but a theme."""
    by_id = {sentence.id: sentence for sentence in corpus.sentences}
    for file in tables:
        try:
            lines = decode(file.name, file.data, encoding).split("\n")
        except InputError as problem:
            corpus.deviations.append(str(problem))
            continue
        for number, line in enumerate(lines, 1):
            if line.strip():
                _add_row(corpus, by_id, f"{file.name}: line {number}", line.split("\t"))
    missing = {f"{name}.tsv" for name in THEMES} - {PurePosixPath(file.name).name for file in tables}
    if missing:
        corpus.warnings.append(f"corpus2 lacks {', '.join(sorted(missing))}: no polarity for these sentences")
    if tables and not missing and (unlisted := [s.id for s in corpus.sentences if s.evaluations is None]):
        corpus.warnings.append(f"corpus2 does not list {len(unlisted):,} sentences, the first: {unlisted[0]}")
    filled = [sentence for sentence in corpus.sentences if sentence.text.strip()]
    corpus.empty = len(corpus.sentences) - len(filled)
    corpus.sentences = filled


def _add_row(corpus: Corpus, by_id: dict[str, Sentence], where: str, cells: list[str]) -> None:
    sentence = by_id.get(cells[0].strip())
    if len(cells) != _COLUMNS:
        corpus.deviations.append(f"{where}: {len(cells)} columns, not {_COLUMNS}")
    if sentence is None:
        corpus.deviations.append(f"{where}: no sentence {cells[0][:40]!r} in corpus1")
        return
    cells += [""] * (_COLUMNS - len(cells))
    said = _BRACKETS.sub("", cells[1], count=1) if sentence.bracketed else cells[1]
    if folded(said) != folded(sentence.text):
        corpus.deviations.append(f"{where}: the sentence is not that of corpus1: {cells[1][:40]!r}")
    holders, expressions, types, targets = ([v.strip() for v in cell.split("\\n")] for cell in cells[2:_COLUMNS])
    if types == [""]:
        types = []
    types = [unicodedata.normalize("NFKC", kind).replace("−", "-") for kind in types]
    for kind in types:
        if kind not in _TYPES:
            corpus.deviations.append(f"{where}: unknown type of evaluation {kind[:40]!r}")
    if types and not len(types) == len(expressions) == len(holders) == len(targets):
        counts = f"{len(holders)}, {len(expressions)}, {len(types)} and {len(targets)}"
        corpus.deviations.append(f"{where}: holder, expression, type and target have {counts} values")
    quadruples = zip_longest(holders, expressions, types, targets, fillvalue="")
    sentence.evaluations = [Evaluation(*values) for values in quadruples if any(values)]


def _articles(sentences: Iterable[Sentence]) -> list[dict[str, Any]]:
    articles: dict[str, list[Sentence]] = {}
    for sentence in sentences:
        articles.setdefault(sentence.article, []).append(sentence)
    return [_record(name, members_) for name, members_ in articles.items()]


def _record(name: str, sentences: Sequence[Sentence]) -> dict[str, Any]:
    known = [s.evaluations for s in sentences if s.evaluations is not None]
    found = [evaluation for evaluations in known for evaluation in evaluations]
    return {
        "id": name,
        "article": sentences[0].article,
        "theme": sentences[0].theme,
        "text": "\n".join(s.text.strip() for s in sentences),
        "tokens": [m.surface for s in sentences for m in s.morphemes],
        "polarity": _polarity(found) if known else None,
        "evaluations": [evaluation._asdict() for evaluation in found] if known else None,
    }


def _polarity(evaluations: Iterable[Evaluation]) -> str:
    """Of a sentence or an article: every sign in it, or ``none``; 当為 has none."""
    signs = {evaluation.type[-1:] for evaluation in evaluations} & {"+", "-"}
    if len(signs) == 2:
        return "mixed"
    return {"+": "positive", "-": "negative"}[signs.pop()] if signs else "none"
