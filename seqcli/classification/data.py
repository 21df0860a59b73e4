"""Labelled texts on their way in, and their training, validation and test parts."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from seqcli.core import rows
from seqcli.core.lines import BadLineError, Lines, display_name, listed, nearest
from seqcli.core.texts import folded
from seqcli.corpora import folder
from seqcli.corpora.splits import split
from seqcli.errors import InputError, UsageError

SHARES: Final = (0.1, 0.1)
"""Shares of the examples that are held out for validation and for the test, where no file is given for them."""

FORMATS: Final = (*rows.FORMATS, "fasttext")

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_FASTTEXT = re.compile(r"__label__(\S+)\s*")
_UNLABELLED = "no __label__ at the beginning"


class Example(NamedTuple):
    """One labelled text.

    Arguments:
        text: as it stands in the source.
        label: without whitespace around it.
        group: what it belongs to, such as its article, and must not be torn from; None: nothing.
        where: the place to name, ``posts.csv: row 17``.
    """

    text: str
    label: str
    group: str | None
    where: str


class Dropped(NamedTuple):
    """Rows that were left out for one reason: how many, and the first one's place or what is wrong there."""

    rows: int
    first: str


@dataclass(frozen=True)
class Examples:
    """What a source holds.

    Arguments:
        source: its name.
        examples: in its order.
        dropped: reason to the rows that were left out for it.
        others: the columns of a table that hold neither text nor label nor group; empty for lines and folders.
    """

    source: str
    examples: list[Example]
    dropped: dict[str, Dropped] = field(default_factory=dict)
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Partition:
    """The three parts of the examples.

    Arguments:
        train: learnt from.
        valid: choices are made on it.
        test: only the report is made on it.
        labels: of the training part, sorted; every label of the other parts is among them.
        notes: what the user should know: duplicates, labels that are too rare.
        dropped: reason to the rows that were left out of all sources.
        fingerprint: of the texts and labels of all parts.
    """

    train: list[Example]
    valid: list[Example]
    test: list[Example]
    labels: tuple[str, ...]
    notes: tuple[str, ...]
    dropped: dict[str, Dropped]
    fingerprint: str


def read(
    source: str | Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    group_column: str | None = None,
    input_format: str | None = None,
    encoding: str = "auto",
    stdin: io.BufferedIOBase | None = None,
) -> Examples:
    """Labelled texts from a table, from fastText's lines, or from a folder or archive with a folder a label.

    Rows without text or label, and rows that cannot be read, are left out and counted. Numbers are labels too: 0 and 1
    become ``0`` and ``1``. A ``.txt`` holds fastText's lines: ``__label__NAME text``.

    Arguments:
        source: CSV, TSV, JSON lines, Parquet or ``.txt`` (``.gz`` too), a folder, a zip or tar archive, or ``-``.
        text_column: of a table; of a folder whose files have titles, ``text`` is title and text, ``title`` that alone.
        label_column: of a table.
        group_column: of a table.
        input_format: one of ``FORMATS``; by the suffix otherwise.
        encoding: a Python codec, or ``auto``.
        stdin: read in place of the process's standard input.

    Raises:
        InputError: no such file, no such column (the nearest is named), or nothing that can be used.
        UsageError: the format cannot be told, or there is no such encoding.
    """
    collected = _Collected()
    others: tuple[str, ...] = ()
    if input_format is None and _is_folder(source):
        _from_folder(Path(source), text_column, encoding, collected)
    elif input_format == "fasttext" or (input_format is None and str(source).endswith((".txt", ".txt.gz"))):
        _from_lines(Lines(source, encoding, stdin), collected)
    else:
        table = rows.read_table(source, input_format=input_format, encoding=encoding, on_error="mark", stdin=stdin)
        wanted = {"--text-column": text_column, "--label-column": label_column, "--group-column": group_column}
        for option, column in wanted.items():
            if column is not None:
                table.require(column, option)
        others = tuple(column for column in table.columns if column not in wanted.values())
        _from_table(table, text_column, label_column, group_column, collected)
    if not collected.examples:
        name, dropped = display_name(source), collected.dropped
        reasons = [f"{reason} ({those.first.removeprefix(f'{name}: ')})" for reason, those in dropped.items()]
        hint = "give a table with columns text and label, lines of __label__NAME text, or a folder for each label"
        what = f"holds no labelled text: {'; '.join(reasons) or 'it is empty'}"
        raise InputError(name, what, hint if _UNLABELLED in dropped else None)
    return Examples(str(source), collected.examples, collected.dropped, others)


def prepare(
    train: str | Path,
    valid: str | Path | None = None,
    test: str | Path | None = None,
    *,
    text_column: str = "text",
    label_column: str = "label",
    group_column: str | None = None,
    input_format: str | None = None,
    encoding: str = "auto",
    seed: int = 0,
) -> Partition:
    """Reads the sources and divides what has to be divided: ``read`` and ``partition`` in one.

    Raises:
        InputError: as ``read`` and ``partition``.
        UsageError: as ``read``, or standard input is named twice.
    """
    if [str(source) for source in (train, valid, test)].count("-") > 1:
        what = "standard input can be only one of the training, validation and test texts"
        raise UsageError("-", what, "give files for the others")

    def one(source: str | Path) -> Examples:
        return read(
            source, text_column=text_column, label_column=label_column, group_column=group_column,
            input_format=input_format, encoding=encoding,
        )  # fmt: skip

    given = [None if source is None else one(source) for source in (valid, test)]
    return partition(one(train), *given, seed=seed)


def partition(
    train: Examples,
    valid: Examples | None = None,
    test: Examples | None = None,
    *,
    shares: tuple[float, float] = SHARES,
    seed: int = 0,
) -> Partition:
    """The three parts; what is not given is held out of ``train``, every label in proportion, groups kept whole.

    A text that stands in two parts would be learnt and then asked for: it is removed from the part that is learnt
    from, so that what is judged on stays as it was given. The test part decides nothing else.

    Arguments:
        train: what is learnt from.
        valid: what choices are made on.
        test: what the report is made on.
        shares: of ``train`` that are held out for ``valid`` and ``test``.
        seed: of the hold-out; another one holds out other examples.

    Raises:
        InputError: fewer than two labels, a label with a single example, one that only ``valid`` or ``test`` has, or
            too few examples to hold any out.
    """
    _check_labels(train)
    given = {name: source.examples for name, source in (("valid", valid), ("test", test)) if source}
    parts = {"train": train.examples, **given}
    if len(given) < 2:
        parts = _held_out(train, (0.0 if valid else shares[0], 0.0 if test else shares[1]), seed) | given
    learnt, chosen, judged = parts["train"], parts["valid"], parts["test"]
    notes: list[str] = []
    chosen = _without(chosen, judged, "validation", "test", notes)
    learnt = _without(learnt, [*chosen, *judged], "training", "validation or test", notes)
    for name, source, part in (("training", train, learnt), ("validation", valid, chosen)):
        if not part:
            what = f"every text of the {name} part also stands in a later part"
            raise InputError((source or train).source, what, "give files that have no texts in common")
    labels = tuple(sorted({example.label for example in learnt}))
    known = set(labels)
    unknown = next((example for example in (*chosen, *judged) if example.label not in known), None)
    if unknown is not None:
        raise _unknown(unknown, labels)
    if len(labels) < 2:
        raise InputError(train.source, f"only the label {labels[0]!r} is left to learn: later parts have the others")
    notes += [*_about_two_labels(learnt), *_about_labels(learnt, chosen, judged)]
    dropped = _merged([source.dropped for source in (train, valid, test) if source])
    return Partition(learnt, chosen, judged, labels, tuple(notes), dropped, _fingerprint(learnt, chosen, judged))


class _Collected:
    """Examples and dropped rows of one source, as they come."""

    def __init__(self) -> None:
        self.examples: list[Example] = []
        self.dropped: dict[str, Dropped] = {}

    def drop(self, reason: str, first: str, rows: int = 1) -> None:
        known = self.dropped.get(reason, Dropped(0, first))
        self.dropped[reason] = known._replace(rows=known.rows + rows)

    def add(self, example: Example) -> None:
        if not example.text.strip():
            self.drop("no text", example.where)
        elif not example.label:
            self.drop("no label", example.where)
        else:
            self.examples.append(example)


def _from_table(table: rows.Table, text: str, label: str, group: str | None, collected: _Collected) -> None:
    for row in table:
        try:
            if row.error is not None:
                raise row.error
            named = rows.text(row, label).strip()
            belongs = (rows.text(row, group).strip() or None) if group else None
            collected.add(Example(rows.text(row, text), named, belongs, row.where()))
        except InputError as problem:
            collected.drop("not readable", str(problem))


def _from_lines(lines: Lines, collected: _Collected) -> None:
    for line in _readable(lines, collected):
        where = f"{lines.name}: row {lines.number}"
        match = _FASTTEXT.match(line)
        if not line.strip():
            continue
        if match is None:
            collected.drop(_UNLABELLED, where)
        elif _FASTTEXT.match(line, match.end()):
            collected.drop("more than one label", where)
        else:
            collected.add(Example(line[match.end() :].strip(), match[1], None, where))


def _readable(lines: Lines, collected: _Collected) -> Iterator[str]:
    while True:
        try:
            line = next(lines)
        except StopIteration:
            return
        except BadLineError as problem:
            collected.drop("not readable", str(problem))
        else:
            yield line


def _from_folder(path: Path, text_column: str, encoding: str, collected: _Collected) -> None:
    records, left_out = folder.load(path, encoding=encoding)
    for deviation in left_out:
        collected.drop("not readable", deviation)
    for record in records:
        title, text = record["title"] or "", record["text"]
        whole = title if text_column == "title" else f"{title}\n{text}".strip()
        collected.add(Example(whole, str(record["label"]), None, f"{path}: {record['id']}"))


def _is_folder(source: str | Path) -> bool:
    return str(source) != "-" and (Path(source).is_dir() or str(source).lower().endswith(_ARCHIVES))


def _check_labels(train: Examples) -> None:
    counts = Counter(example.label for example in train.examples)
    if len(counts) < 2:
        what = f"only one label: {next(iter(counts))!r} ({len(train.examples):,} examples)"
        raise InputError(train.source, what, "a classifier needs examples of two labels or more")
    single = {example.label: example.where for example in train.examples if counts[example.label] == 1}
    if single:
        labels = "label {} has a single example" if len(single) == 1 else "labels {} have a single example each"
        what = f"the {labels.format(listed([*map(repr, single)]))}"
        hint = "add more, or give the row a label that has more"
        if train.others and len(counts) > len(train.examples) // 2:
            hint = f"is another column the label? --label-column (there are: {', '.join(train.others)})"
        raise InputError(next(iter(single.values())), what, hint)


def _held_out(train: Examples, shares: tuple[float, float], seed: int) -> dict[str, list[Example]]:
    """Parts of ``train``; rows of the same text, or of the same group, come into the same part."""
    examples = train.examples
    keys = [folded(example.text) for example in examples]
    grouped = any(example.group is not None for example in examples)
    # A text without a group is a group of its own; the NUL keeps it apart from every name.
    groups = [e.group if e.group is not None else f"\0{key}" for e, key in zip(examples, keys, strict=True)]
    labels = [example.label for example in examples]
    placed = split(keys, labels, groups if grouped else None, shares=(1 - sum(shares), *shares), seed=seed)
    parts: dict[str, list[Example]] = {"train": [], "valid": [], "test": []}
    for example, part in zip(examples, placed, strict=True):
        parts[part].append(example)
    for (part, option), share in zip((("valid", "--valid"), ("test", "--test")), shares, strict=True):
        if share and not parts[part]:
            what = f"{len(examples)} examples are too few to hold some out for {option}"
            hint = f"give at least three different texts{' and groups' * grouped} of each label, or {option} FILE"
            raise InputError(train.source, what, hint)
    lost = sorted(set(labels) - {example.label for example in parts["train"]})
    if lost:
        hint = "another --seed may keep some, or add groups that have it"
        raise InputError(train.source, f"every example of the label {lost[0]!r} is in a group held out", hint)
    return parts


def _without(part: list[Example], judged: Sequence[Example], name: str, judge: str, notes: list[str]) -> list[Example]:
    """``part`` without the texts of ``judged``, as ``splits.duplicates`` compares them; says how many."""
    known = {folded(example.text): example for example in reversed(judged)}
    kept = [example for example in part if folded(example.text) not in known]
    if removed := len(part) - len(kept):
        first = next(example for example in part if folded(example.text) in known)
        those = "1 text of the" if removed == 1 else f"{removed:,} texts of the"
        notes.append(
            f"{those} {name} part also stand{'s'[: removed == 1]} in {judge}: left out of {name} "
            f"(the first: {first.where} is {known[folded(first.text)].where})"
        )
    return kept


def _unknown(example: Example, labels: Sequence[str]) -> InputError:
    close = nearest(example.label, labels)
    hint = f"did you mean {close}?" if close else "add examples of it to the training data, or remove the row"
    what = f"the label {example.label!r} is not among those of training: {listed(labels)}"
    return InputError(example.where, what, hint)


def _about_two_labels(train: Sequence[Example]) -> list[str]:
    """Texts that stand under several labels: nobody could learn which is right."""
    first: dict[str, Example] = {}
    pairs = []
    for example in train:
        known = first.setdefault(folded(example.text), example)
        if known.label != example.label:
            pairs.append((known, example))
    if not pairs:
        return []
    (one, other), count = pairs[0], len(pairs)
    those = "1 row has" if count == 1 else f"{count:,} rows have"
    return [
        f"{those} the text of an earlier training row and another label "
        f"(the first: {one.where} is {one.label}, {other.where} is {other.label})"
    ]


def _about_labels(train: Sequence[Example], valid: Sequence[Example], test: Sequence[Example]) -> list[str]:
    """Labels that a part has no example of."""
    labels, *others = ({example.label for example in part} for part in (train, valid, test))
    missing = zip(("validation", "test"), (sorted(labels - other) for other in others), strict=True)
    return [f"no example of {listed(rare)} in the {name} part" for name, rare in missing if rare]


def _merged(dropped: Sequence[Mapping[str, Dropped]]) -> dict[str, Dropped]:
    merged = _Collected()
    for source in dropped:
        for reason, these in source.items():
            merged.drop(reason, these.first, these.rows)
    return merged.dropped


def _fingerprint(*parts: Sequence[Example]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for example in part:
            digest.update(f"{example.label}\0{example.text}\0".encode("utf-8", "surrogatepass"))
        digest.update(b"\1")
    return digest.hexdigest()
