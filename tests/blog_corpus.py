"""A small corpus written by us in the format of the KNB corpus: four articles, one a theme."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

ROOT = "KNBC_v1.0_090925"

# A sentence: its bunsetsu, each with what it depends on; a bunsetsu: its morphemes as surface, reading, lemma, POS.
GOURMET_1 = """\
# S-ID:KN101_Gourmet_1-1-1-01
* 1D <BGH:グルメ/ぐるめ><文頭><係:文節内>
+ 1D <文節内>
［ ［ ［ 特殊 1 括弧始 3 * 0 * 0 NIL <文頭><括弧始>
グルメ ぐるめ グルメ 名詞 6 普通名詞 1 * 0 * 0 "代表表記:グルメ/ぐるめ" <カタカナ><名詞相当語>
］ ］ ］ 特殊 1 括弧終 4 * 0 * 0 NIL <括弧終>
* 2D <BGH:焼肉/やきにく><ガ>
+ 2D <体言>
焼肉 やきにく 焼肉 名詞 6 普通名詞 1 * 0 * 0 "代表表記:焼肉/やきにく" <漢字><文節始>
が が が 助詞 9 格助詞 1 * 0 * 0 NIL <かな漢字><ひらがな>
* -1D <BGH:旨い/うまい><文末>
+ -1D <用言:形>
旨い うまい 旨い 形容詞 3 * 0 イ形容詞アウオ段 18 基本形 2 "代表表記:旨い/うまい" <表現文末>
。 。 。 特殊 1 句点 1 * 0 * 0 NIL <文末><英記号>
EOS
"""

# (theme, sentence number) to words and the six columns' last four
ARTICLES: dict[str, list[tuple[str, tuple[str, str, str, str]]]] = {
    "KN102_Keitai_1": [
        ("［ 携帯 電話 ］ 電池 が すぐ 切れる 。", ("[著者]", "すぐ切れる", "批評-", "電池")),
        ("でも 画面 は きれい だ 。", ("[著者]\\n友人", "きれいだ\\nきれい", "批評+\\n感情-", "画面\\n画面")),
    ],
    "KN103_Kyoto_1": [
        ("［ 京都 観光 ］", ("", "", "", "")),
        ("寺 へ 行く べき だ 。", ("[著者]", "行くべきだ", "当為", "寺")),
        ("道 が 混んで いた 。", ("", "", "", "")),
    ],
    "KN104_Sports_1": [("［ スポーツ ］ 試合 に 勝った 。", ("[著者]", "勝った", "出来事＋", "試合"))],
}


def analysed(identifier: str, words: str) -> str:
    """One sentence as KNP writes it, with a bunsetsu a word."""
    lines = [f"# S-ID:{identifier}"]
    chosen = words.split()
    for place, word in enumerate(chosen):
        head = place + 1 if place + 1 < len(chosen) else -1
        lines += [f"* {head}D <文節>", f"+ {head}D <体言>"]
        lines.append(f'{word} {word} {word} 名詞 6 普通名詞 1 * 0 * 0 "代表表記:{word}/{word}" <文節始>')
    return "\n".join([*lines, "EOS", ""])


def files(encoding: str = "euc_jp") -> dict[str, bytes]:
    """The files of the corpus by name."""
    made = {"README.txt": "我々が書いた見本\n", "corpus1/KN101_Gourmet_1/KN101_Gourmet_1-1-1-01": GOURMET_1}
    rows = {"Gourmet": "KN101_Gourmet_1-1-1-01\t［グルメ］焼肉が旨い。\t[著者]\t旨い\t感情+\t焼肉\n"}
    for article, sentences in ARTICLES.items():
        for number, (words, columns) in enumerate(sentences, 1):
            name = f"{article}-1-{number}-01"
            made[f"corpus1/{article}/{name}"] = analysed(name, words)
            row = "\t".join([name, words.replace(" ", ""), *columns])
            theme = article.split("_")[1]
            rows[theme] = rows.get(theme, "") + row + "\n"
    made |= {f"corpus2/{theme}.tsv": text for theme, text in rows.items()}
    return {f"{ROOT}/{name}": text.encode(encoding) for name, text in made.items()}


def as_folder(path: Path, given: Mapping[str, bytes]) -> Path:
    """Writes the files into a folder."""
    for name, data in given.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def as_tar(path: Path, given: Mapping[str, bytes], mode: Literal["w:bz2", "w:gz"] = "w:bz2") -> Path:
    """Writes the files into a tar archive, the last name first: an archive promises no order."""
    with tarfile.open(path, mode) as archive:
        for name, data in reversed(given.items()):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def as_zip(path: Path, given: Mapping[str, bytes]) -> Path:
    """Writes the files into a zip archive."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in given.items():
            archive.writestr(name, data)
    return path
