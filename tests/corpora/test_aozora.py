"""Aozora Bunko's notation becomes the text that is read aloud."""

from pathlib import Path

import pytest
from blog_corpus import as_folder, as_tar, as_zip

from seqcli.corpora import aozora
from seqcli.errors import InputError

RULE = "-" * 55
BOOK = f"""我々の見本
副題
見本　太郎
誰か花子訳

{RULE}
【テキスト中に現れる記号について】

《》：ルビ
（例）私《わたくし》
{RULE}

［＃３字下げ］一［＃「一」は中見出し］

　私《わたくし》は山を見た。
　［＃ここから２字下げ］
　川も見た。\u3000
［＃改ページ］


　海は見ない。


底本：「見本全集」見本社
　　　2000（平成12）年1月1日
入力：誰か
"""


def body(line: str) -> str:
    """What one paragraph becomes."""
    return aozora.clean(line).text


def test_header_and_colophon_are_not_text() -> None:
    work = aozora.clean(BOOK)
    assert (work.title, work.author) == ("我々の見本", "見本　太郎")
    assert work.text == "一\n\n私は山を見た。\n川も見た。\n\n海は見ない。"


def test_without_the_list_of_symbols_the_header_ends_at_the_first_empty_line() -> None:
    work = aozora.clean("見本\n見本太郎\n\n山を見た。\n\n川を見た。\n\n底本：「見本」\n")
    assert work == ("見本", "見本太郎", "山を見た。\n\n川を見た。")


def test_a_plain_text_stays_what_it_is() -> None:
    given = "山を見た。\n\n川を見た。（〔注〕と-----も）\n誰か訳"
    assert aozora.clean(given) == (None, None, given)
    assert aozora.clean("") == (None, None, "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("私《わたくし》は", "私は"),
        ("この｜山の手線《やまのてせん》に", "この山の手線に"),
        ("｜Ｗ．Ｃ．《トイレ》へ、｜君《きみ》", "Ｗ．Ｃ．へ、君"),
        ("時々《ときどき》ランプ《洋燈》を、Ａ《エー》、大人《紳士》", "時々ランプ《洋燈》を、Ａ、大人"),
        ("曲は《月光》だ", "曲は《月光》だ"),
        ("甲｜乙", "甲｜乙"),
        ("《題》と書く", "《題》と書く"),
        ("猫だ［＃「猫」に傍点］。", "猫だ。"),
        ("猫だ［＃「※［＃「てへん＋劣」、第3水準1-84-77］く」に傍点］。", "猫だ。"),
        ("※［＃「てへん＋劣」、第3水準1-84-77］く", "挘く"),
        ("※［＃「くちへん＋世」、U+546D、12-3］だ", "呭だ"),
        ("※［＃「口＋世」、第4水準2-3-77、12-3］だ", b"\x8f\xa3\xed".decode("euc_jis_2004") + "だ"),
        ("※［＃「やまいだれ＋謎」、12-3］だ", "〓だ"),
        ("※［＃「異体字」、U+FFFFFF、1-99-1］だ", "〓だ"),
        ("※［＃始め二重山括弧、1-1-52］強※［＃終わり二重山括弧、1-1-53］", "《強》"),
        ("※［＃「てへん＋劣」、第3水準1-84-77］《むし》る", "挘る"),
        ("〔e'tude〕と〔c,a〕と〔Koeln, Ko:ln〕", "étudeとçaとKoeln, Köln"),
        ("〔AE&on〕〔stras&e〕〔Mal/o/〕", "ÆonstraßeMałø"),
        ("〔これは注〕", "〔これは注〕"),
        ("見え／＼と、離れ／″＼", "見え〳〵と、離れ〴〵"),
        ("レ点［＃レ］と一［＃二］と［＃（ノ）］", "レ点と一と"),
        ("閉じない［＃注", "閉じない［＃注"),
    ],
)
def test_the_notation_becomes_what_is_read(given: str, expected: str) -> None:
    assert body(given) == expected


def test_every_container_and_encoding_gives_the_same(tmp_path: Path) -> None:
    data = BOOK.replace("\n", "\r\n").encode("cp932")
    single = as_folder(tmp_path, {"mihon.txt": data}) / "mihon.txt"
    (expected,) = aozora.records(single).records
    assert expected == {"id": "mihon", **aozora.clean(BOOK)._asdict()}
    for path in (
        as_folder(tmp_path / "folder", {"mihon.txt": BOOK.encode("utf-8-sig")}),
        as_zip(tmp_path / "mihon.zip", {"mihon.txt": data, "picture.png": b"\x89PNG", "__MACOSX/._mihon.txt": b"\0"}),
        as_tar(tmp_path / "mihon.tar.gz", {"mihon.txt": data}, "w:gz"),
    ):
        assert aozora.records(path).records == (expected,)


def test_a_folder_of_the_sites_archives_is_read(tmp_path: Path) -> None:
    as_folder(tmp_path, {"a.txt": "山\n".encode(), "broken.zip": b"PK\x03\x04"})
    as_zip(tmp_path / "1_ruby.zip", {"mihon.txt": BOOK.encode("cp932")})
    result = aozora.records(tmp_path)
    assert [row["id"] for row in result.records] == ["a", "1_ruby/mihon"]
    assert len(result.warnings) == 1 and "broken.zip" in result.warnings[0]


def test_a_text_that_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    given = {"a.txt": "山\n".encode(), "b.txt": b"\x00\x01", "c.txt": b"\n", "d.txt": b"\x82\xa0\xff\xff\n"}
    result = aozora.records(as_folder(tmp_path, given))
    assert [row["id"] for row in result.records] == ["a"]
    assert [warning.split(":")[0] for warning in result.warnings] == ["b.txt", "c.txt", "d.txt"]
    with pytest.raises(InputError, match=r"holds no text that can be read: b\.txt: line 1: there is a NUL"):
        aozora.records(as_folder(tmp_path / "bad", {"b.txt": b"\0"}))
    with pytest.raises(InputError, match=r"holds no text that can be read$"):
        aozora.records(as_folder(tmp_path / "none", {"b.png": b"\0"}))
