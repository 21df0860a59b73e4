"""Archives that mean harm, or are broken, are read in memory or refused; nothing is ever unpacked."""

import io
import stat
import tarfile
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from blog_corpus import as_folder, as_tar, as_zip

from seqcli.corpora import members as reading
from seqcli.corpora.members import Member, decode, members
from seqcli.errors import InputError


def everything(name: str) -> bool:
    return True


@pytest.mark.parametrize("name", ["../x.txt", "a/../../x.txt", "/etc/x.txt", "..\\x.txt"])
@pytest.mark.parametrize("make", [as_zip, as_tar])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str, make: object) -> None:
    archive = as_zip(tmp_path / "bad", {name: b"x"}) if make is as_zip else as_tar(tmp_path / "bad", {name: b"x"})
    with pytest.raises(InputError, match="leads out of the archive"):
        members(archive, everything)
    assert [path.name for path in tmp_path.iterdir()] == ["bad"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_of_a_tar_are_passed_over(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("a/1.txt")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
        info = tarfile.TarInfo("a/2.txt")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    assert members(tmp_path / "a.tar", everything) == [Member("a/2.txt", b"x")]


def test_links_of_a_zip_are_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("a/1.txt")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a/2.txt", b"x")
    assert members(tmp_path / "a.zip", everything) == [Member("a/2.txt", b"x")]


@pytest.mark.parametrize("name", ["big.zip", "big.tar.bz2", "folder"])
def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(reading, "_LARGEST", 1000)
    given = {"a/1.txt": b"x" * 1001}
    make = {"big.zip": as_zip, "big.tar.bz2": as_tar, "folder": as_folder}[name]
    with pytest.raises(InputError, match="is 1,001 bytes long; the longest text is 1,000"):
        members(make(tmp_path / name, given), everything)


def test_an_archive_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_TOTAL", 1000)
    with pytest.raises(InputError, match="this is not a corpus of text"):
        members(as_zip(tmp_path / "a.zip", {f"{n}.txt": b"x" * 400 for n in range(3)}), everything)


@pytest.mark.parametrize("make", [as_zip, as_tar])
def test_a_damaged_archive_is_an_input_error(tmp_path: Path, make: object) -> None:
    given = {f"a/{n}.txt": bytes(range(256)) * 40 for n in range(20)}
    whole = (as_zip(tmp_path / "a", given) if make is as_zip else as_tar(tmp_path / "a", given, "w:gz")).read_bytes()
    for place in range(1, len(whole), max(1, len(whole) // 40)):
        broken = bytearray(whole)
        broken[place] ^= 0x55
        for data in (bytes(broken), whole[:place]):
            (tmp_path / "broken").write_bytes(data)
            with suppress(InputError):
                members(tmp_path / "broken", everything)


def test_an_encrypted_zip_says_so(tmp_path: Path) -> None:
    data = bytearray(as_zip(tmp_path / "a.zip", {"a/1.txt": b"x"}).read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(header) + flags] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InputError, match="encrypted"):
        members(tmp_path / "a.zip", everything)


def test_names_that_windows_wrote_are_japanese(tmp_path: Path) -> None:
    name = "写真の猫/1.txt"
    data = as_zip(tmp_path / "a.zip", {"xxxxxxxx/1.txt": b"x"}).read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"xxxxxxxx/1.txt", name.encode("cp932")))
    assert members(tmp_path / "a.zip", everything) == [Member(name, b"x")]
    with tarfile.open(tmp_path / "b.tar", "w", encoding="cp932", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name))
    assert members(tmp_path / "b.tar", everything) == [Member(name, b"")]


def test_what_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    with pytest.raises(InputError, match="no such file"):
        members(tmp_path / "b.txt", everything)
    with pytest.raises(InputError, match="neither a folder nor a zip or tar archive"):
        members(tmp_path / "a.txt", everything)
    assert members(tmp_path / "a.txt", everything, single=True) == [Member("a.txt", b"x")]


def test_only_what_is_wanted_is_read_and_sorted(tmp_path: Path) -> None:
    given = {"b.txt": b"2", "c.png": b"3", "a.txt": b"1"}
    for path in (as_zip(tmp_path / "z", given), as_tar(tmp_path / "t", given), as_folder(tmp_path / "f", given)):
        assert members(path, lambda name: name.endswith(".txt")) == [Member("a.txt", b"1"), Member("b.txt", b"2")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "euc_jp", "cp932", "iso2022_jp"])
def test_every_usual_encoding_is_found(encoding: str) -> None:
    text = "今日は良い天気ですから、猫と散歩に行きます。\n"
    assert decode("a.txt", text.replace("\n", "\r\n").encode(encoding)) == text


def test_a_wrong_byte_is_named_with_its_line() -> None:
    with pytest.raises(InputError, match=r"^a\.txt: line 2: byte 0x82 is not utf-8$"):
        decode("a.txt", b"x\n\x82\xa0\n", "utf-8")
