"""Aozora Bunko's texts as plain Japanese: without ruby, notes, header and colophon.

The notation is that of https://www.aozora.gr.jp/annotation/ (注記一覧).
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from seqcli.corpora.members import decode, members
from seqcli.corpora.report import told
from seqcli.errors import InputError
from seqcli.results import Result

# What the notation uses itself is written as a note where it is meant; it waits as a noncharacter until the end.
_RESERVED = str.maketrans("《》｜［］〔〕", "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4\ufdd5\ufdd6")
_RESTORED = {held: character for character, held in _RESERVED.items()}
_GETA = "〓"  # printers set it for a character that they do not have

_LINE = re.compile(r"-{10,}")
_COLOPHON = re.compile(r"底本(?:の親本)?[:：]")
_TRANSLATOR = re.compile(r"(?:訳|編|校訂|校注|編訳|編纂|訳注)$")
_GAIJI = re.compile(r"※［＃([^［］]*)］")
_NOTE = re.compile(r"［＃[^［］]*］")
_PLANE_ROW_CELL = re.compile(r"(?<![\d-])([12])-(\d{1,2})-(\d{1,2})(?![\d-])")
_CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,6})")
_MARKED_RUBY = re.compile(r"｜([^｜《》\n]*)《[^《》\n]*》")
# A reading has kanji only where it stands behind kanji: は《月光》 in a text without the notation is a quotation.
_RUBY = re.compile(r"(?<=[^\s《》])《[^《》\n一-鿿]*》|(?<=[一-鿿々])《[^《》\n]*》")
_ACCENTED = re.compile(r"〔([^〔〕\n]*)〕")
_ACCENT = re.compile(
    r"[aeiouAEIOU]['`_]|[yY]'|[aceghijosuwyACEGHIJOSUWY]\^|[aeiouyAEIOUY]:|[anoANO]~|[auAU]&|[cC],|[oOlLdD]/|[aA][eE]&|[oO][eE]&|s&"
)
_MARKS = {"`": "\u0300", "'": "\u0301", "^": "\u0302", "~": "\u0303", "_": "\u0304", ":": "\u0308", "&": "\u030a"} | {
    ",": "\u0327"
}
_LIGATURES = {"ae&": "æ", "AE&": "Æ", "Ae&": "Æ", "oe&": "œ", "OE&": "Œ", "Oe&": "Œ", "s&": "ß"} | {
    "o/": "ø", "O/": "Ø", "l/": "ł", "L/": "Ł", "d/": "đ", "D/": "Đ",
}  # fmt: skip


class Work(NamedTuple):
    """One work.

    Arguments:
        title: the first line of the header; None for a text without one.
        author: the last line of the header that is not a translator's or an editor's; None likewise.
        text: the body, a paragraph a line; an empty line where the text has one or more.
    """

    title: str | None
    author: str | None
    text: str


def records(path: Path, *, encoding: str = "auto") -> Result:
    """The works as rows: ``id, title, author, text``.

    Arguments:
        path: a text, a zip or tar archive, or a folder of texts and zip archives.
        encoding: of the texts; ``auto`` finds cp932 and UTF-8.

    Raises:
        InputError: nothing there, or nothing in it can be read.
    """
    rows, deviations = [], []
    files = [("", member) for member in members(path, _is_text, single=True)]
    for archive in sorted(path.rglob("*.zip")) if path.is_dir() else ():  # as the site gives them: one a work
        inside = archive.relative_to(path).with_suffix("").as_posix() + "/"
        try:
            files += [(inside, member) for member in members(archive, _is_text)]
        except InputError as problem:
            deviations.append(str(problem))
    for inside, member in files:
        try:
            work = clean(decode(member.name, member.data, encoding))
        except InputError as problem:
            deviations.append(str(problem))
            continue
        name = PurePosixPath(member.name).with_suffix("").as_posix()
        if not work.text:
            deviations.append(f"{member.name}: has no text between its header and its colophon")
            continue
        rows.append({"id": inside + name, "title": work.title, "author": work.author, "text": work.text})
    if not rows:
        raise InputError(str(path), f"holds no text that can be read{': ' + deviations[0] if deviations else ''}")
    return Result(
        tuple(rows),
        sentences=(f"{len(rows):,} work{'s'[: len(rows) - 1]}",),
        warnings=tuple(told(deviations, "texts that are left out")),
    )


def clean(text: str) -> Work:
    """A text in Aozora Bunko's notation as it would be read aloud.

    Ruby and notes go; a character that stands as a note (外字) becomes itself, or 〓 where the note does not say which
    one; 〔e'tude〕 becomes étude and ／＼ 〳〵. A text without the notation stays as it is, blanks at the ends of lines
    aside.

    Arguments:
        text: the whole file.
    """
    header, lines = _parted(text.split("\n"))
    credit = [_plain(line).strip() for line in header if _plain(line).strip()]
    authors = [line for line in credit[1:] if not _TRANSLATOR.search(line)]
    title = credit[0] if credit else None
    return Work(title, authors[-1] if authors else None, _paragraphs(lines))


def _parted(lines: list[str]) -> tuple[list[str], list[str]]:
    """The header and the body."""
    rules = [number for number, line in enumerate(lines[:200]) if _LINE.fullmatch(line.strip())]
    end = next((n for n, line in enumerate(lines) if n and _COLOPHON.match(line)), len(lines))
    if len(rules) >= 2:
        return lines[: rules[0]], lines[rules[1] + 1 : end]
    if end < len(lines):  # no list of symbols: the header ends at the first empty line
        blank = next((number for number, line in enumerate(lines[:end]) if not line.strip()), 0)
        if 2 <= blank <= 6:
            return lines[:blank], lines[blank:end]
    return [], lines[:end]


def _paragraphs(lines: list[str]) -> str:
    kept: list[str] = []
    for line in lines:
        written = _plain(line).strip()
        if not written and (line.strip() or not kept or not kept[-1]):
            continue  # a line of notes alone, or a second empty one
        kept.append(written)
    return "\n".join(kept).strip()


def _plain(line: str) -> str:
    if "＃" in line:
        line = _GAIJI.sub(_character, line)
        while (shorter := _NOTE.sub("", line)) != line:  # a note may stand in a note
            line = shorter
    line = _RUBY.sub("", _MARKED_RUBY.sub(r"\1", line))
    line = _ACCENTED.sub(_accented, line)
    return line.replace("／″＼", "〴〵").replace("／＼", "〳〵").translate(_RESTORED)


def _character(note: re.Match[str]) -> str:
    """The character that a note describes, such as ※［＃「てへん＋劣」、第3水準1-84-77］."""
    found = _GETA
    if code := _CODE_POINT.search(note[1]):
        number = int(code[1], 16)
        found = chr(number) if number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF else _GETA
    elif place := _PLANE_ROW_CELL.search(note[1]):
        plane, row, cell = (int(part) for part in place.groups())
        if 1 <= row <= 94 and 1 <= cell <= 94:
            shift = b"\x8f" if plane == 2 else b""
            found = (
                (shift + bytes([row + 0xA0, cell + 0xA0])).decode("euc_jis_2004", "replace").replace("\ufffd", _GETA)
            )
    return found[:2].translate(_RESERVED)


def _accented(quoted: re.Match[str]) -> str:
    """〔e'tude〕 as étude; brackets that hold no accent stay."""
    changed, count = _ACCENT.subn(
        lambda pair: _LIGATURES.get(pair[0]) or unicodedata.normalize("NFC", pair[0][0] + _MARKS[pair[0][1]]), quoted[1]
    )
    return changed if count else quoted[0]


def _is_text(name: str) -> bool:
    pure = PurePosixPath(name)
    return pure.suffix.lower() == ".txt" and not any(part.startswith((".", "__MACOSX")) for part in pure.parts)
