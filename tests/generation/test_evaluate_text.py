"""How well a model predicts a text: the same figures whole, in chunks, by line and by unit."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generators import ENGLISH, TEXT, save
from signs import finished

from seqcli.core.evaluation import Request
from seqcli.core.texts import Item
from seqcli.core.units import DOCUMENT
from seqcli.errors import InputError, MachineError, ModelError, UsageError
from seqcli.generation import evaluate as room
from seqcli.generation import stretches
from seqcli.generation.loading import load

KINDS: dict[str, tuple[str, str]] = {
    "char": (TEXT, "char"),
    "word": (TEXT, "word"),
    "subword": (TEXT, "subword"),
    "english": (ENGLISH, "word"),
}
SEEN = "猫は魚をよく食べる。\n私は肉を食べる。\n\n彼は朝に\tパン"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("models")
    for name, (text, kind) in KINDS.items():
        save(base / name, text, kind)
    save(base / "alone", mixed=False)
    save(base / "cached", cache_size=9, cache_theta=0.7, cache_weight=0.3)
    return {name: base / name for name in (*KINDS, "alone", "cached")}


def measured(model: Path, folder: Path, text: str, **asked: Any) -> dict[str, dict[str, Any]]:
    """The records by model."""
    source = folder / "text.txt"
    source.write_bytes(text.encode())
    return {row["model"]: dict(row) for row in finished(room.evaluate(model, str(source), Request(**asked))).records}


@pytest.mark.parametrize("kind", ["char", "cached"])
def test_bits_are_those_of_each_unit_after_all_before_it(models: dict[str, Path], tmp_path: Path, kind: str) -> None:
    found = measured(models[kind], tmp_path, SEEN)
    model = load(models[kind])
    ids = model.units.encode(SEEN)
    for name, part in (("mixture", "mixture"), ("lstm", "network"), ("kneser-ney", "kneser-ney")):
        mixture = model.mixture.only(part)  # type: ignore[arg-type]  # a literal of a loop
        reading, bits = mixture.start(), 0.0
        for one in ids:
            bits -= math.log2(mixture.probabilities(reading)[0, one])
            reading = mixture.advance(reading, np.array([one]))
        assert found[name]["n"] == found[name]["characters"] == len(SEEN)
        assert found[name]["bits_per_char"] == pytest.approx(bits / len(SEEN), rel=1e-5)
        assert found[name]["perplexity"] == pytest.approx(2 ** (bits / len(ids)), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_units_and_their_probabilities_are_the_text_and_its_bits(
    models: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    text = ENGLISH + "the cat sees meat" if kind == "english" else SEEN
    rows = {}
    for part, name in (("mixture", "mixture"), ("network", "lstm"), ("kneser-ney", "kneser-ney")):
        file = tmp_path / f"{part}.tsv"
        record = measured(models[kind], tmp_path, text, per_token=file, part=part)[name]
        pairs = [line.rsplit("\t", 1) for line in file.read_text(encoding="utf-8").splitlines()]
        surfaces = [surface.replace("\\n", "\n").replace("\\t", "\t") for surface, _ in pairs]
        joined = "".join(surfaces) if kind != "english" else " ".join(surfaces).replace(" \n ", "\n")
        assert joined == text
        assert len(pairs) == record["n"]
        bits = -math.fsum(float(logs) for _, logs in pairs) / math.log(2)
        assert bits / len(text) == pytest.approx(record["bits_per_char"], rel=1e-6)
        rows[part] = bits
    assert len(set(rows.values())) == 3


@pytest.mark.parametrize("kind", [*KINDS, "cached"])
def test_in_chunks_the_figures_are_the_same(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    text = (ENGLISH if kind == "english" else TEXT) * 3
    whole = measured(models[kind], tmp_path, text)
    monkeypatch.setattr(room, "CHUNK", 7)
    monkeypatch.setattr(stretches, "_STRETCHES", 4)
    in_chunks = measured(models[kind], tmp_path, text)
    for name in whole:
        for figure in ("n", "characters", "bits_per_char", "bpc_open", "perplexity"):
            assert in_chunks[name][figure] == pytest.approx(whole[name][figure], rel=1e-5)


def test_a_line_longer_than_a_block_is_cut(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = list(room._whole_lines(["ab", "c\nd", "e", "\nf\ng"]))
    assert pieces == ["abc\n", "de\nf\n", "g"]
    monkeypatch.setattr(room, "_BLOCK", 3)
    assert list(room._whole_lines(["ab", "cd", "e\nf"])) == ["abcd", "e\n", "f"]


@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_character_that_was_never_seen_costs_sixteen_bits_more(
    models: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    seen = measured(models[kind], tmp_path, "猫は魚")["mixture"]
    assert seen["bpc_open"] == seen["bits_per_char"]
    result = measured(models[kind], tmp_path, "猫は象")["mixture"]
    assert result["bpc_open"] == pytest.approx(result["bits_per_char"] + 16 / 3)
    assert result["bpc_open_low"] != result["bpc_open_low"]  # NaN: too short to say


def test_documents_are_read_one_after_another_and_their_ends_are_predicted(
    models: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("猫は魚", encoding="utf-8")
    (folder / "b.txt").write_text("私は肉", encoding="utf-8")
    file = tmp_path / "logs.tsv"
    result = finished(room.evaluate(models["char"], str(folder), Request(per_token=file)))
    model = load(models["char"])
    ids = np.concatenate([model.units.encode("猫は魚"), [DOCUMENT], model.units.encode("私は肉")])
    scores, _ = model.mixture.scores(model.mixture.start(), ids[None])
    assert result.records[0]["n"] == 7
    assert result.records[0]["characters"] == 6
    assert result.records[0]["bits_per_char"] == pytest.approx(-scores.mixture.sum() / math.log(2) / 6, rel=1e-5)
    written = file.read_text(encoding="utf-8").splitlines()
    assert "".join(line.split("\t")[0] for line in written) == "猫は魚私は肉"


def test_an_interval_holds_the_figure_and_narrows_with_more_text(models: dict[str, Path], tmp_path: Path) -> None:
    short = measured(models["char"], tmp_path, TEXT * 2)["mixture"]
    long = measured(models["char"], tmp_path, TEXT * 40)["mixture"]
    for record, figure in itertools.product((short, long), ("bits_per_char", "bpc_open", "perplexity")):
        assert record[f"{figure}_low"] < record[figure] < record[f"{figure}_high"]
    widths = [record["perplexity_high"] - record["perplexity_low"] for record in (short, long)]
    assert widths[1] < widths[0] / 2


def test_the_interval_knows_that_the_unseen_may_stand_close_together(models: dict[str, Path], tmp_path: Path) -> None:
    row = measured(models["char"], tmp_path, "猫は魚をよく食べる。\n" * 60 + "鰻鱧鯒鰤鰹鯵鱚鱈鮪鮭\n" * 6)["mixture"]
    assert row["bpc_open"] == pytest.approx(row["bits_per_char"] + 16 * 60 / row["characters"])
    assert row["bpc_open_low"] < row["bpc_open"] < row["bpc_open_high"]
    width, closed = (row[f"{name}_high"] - row[f"{name}_low"] for name in ("bpc_open", "bits_per_char"))
    assert width > 1.3 * closed


def test_a_model_of_the_network_alone_has_one_record(models: dict[str, Path], tmp_path: Path) -> None:
    assert list(measured(models["alone"], tmp_path, TEXT)) == ["lstm"]
    with pytest.raises(UsageError, match="without n-grams"):
        measured(models["alone"], tmp_path, TEXT, part="kneser-ney", per_token=tmp_path / "logs.tsv")


@pytest.mark.parametrize("kind", [*KINDS, "cached"])
def test_each_line_is_measured_as_a_text_of_its_own(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(room, "CHUNK", 5)
    monkeypatch.setattr(room, "_SIDE_BY_SIDE", 3)
    given = [*(ENGLISH if kind == "english" else TEXT).splitlines(), "", "猫"]
    source = tmp_path / "lines.txt"
    source.write_text("\n".join(given) + "\n", encoding="utf-8")
    for part in ("mixture", "network", "kneser-ney"):
        rows = list(room.lines(models[kind], str(source), Request(part=part))[1])
        assert [row["text"] for row in rows] == given
        for row in rows:
            if not row["text"]:
                assert row["bits_per_char"] is row["log_probability"] is None
                continue
            name = "lstm" if part == "network" else part
            wanted = measured(models[kind], tmp_path, str(row["text"]))[name]["bits_per_char"]
            assert row["bits_per_char"] == pytest.approx(wanted, rel=1e-5)
            assert row["log_probability"] == pytest.approx(-wanted * math.log(2) * len(str(row["text"])), rel=1e-5)


def test_a_line_that_the_model_cannot_read_is_dear_by_open_bits(models: dict[str, Path], tmp_path: Path) -> None:
    source = tmp_path / "lines.txt"
    source.write_text("🍜🍜🍜🍜\n", encoding="utf-8")
    row = next(room.lines(models["char"], str(source), Request())[1])
    assert row["bpc_open"] == pytest.approx(float(str(row["bits_per_char"])) + 16)


def test_a_table_keeps_its_columns_and_bad_rows_are_marked(models: dict[str, Path], tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text('id,body,bits_per_char\n1,猫は魚,x\n2,"a,b\n3,私,y\n', encoding="utf-8")
    rows = list(room.lines(models["char"], str(table), Request(text_column="body"), even=True)[1])
    assert list(rows[0]) == ["id", "body", "bits_per_char", "bits_per_char_1", "bpc_open", "log_probability", "error"]
    assert rows[0]["bits_per_char"] == "x"
    assert isinstance(rows[0]["bits_per_char_1"], float)
    assert rows[0]["error"] is None
    assert "row 3" in str(rows[-1]["error"])
    assert rows[-1]["log_probability"] is None


def test_lines_come_as_they_are_asked_for(models: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    endless = (Item("猫は魚") for _ in itertools.count())
    monkeypatch.setattr(room, "items", lambda *_, **__: endless)
    _, rows = room.lines(models["char"], "-", Request())
    assert len({next(rows)["log_probability"] for _ in range(1200)}) == 1


def test_a_text_of_nothing_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no text"):
        measured(models["char"], tmp_path, "")


@pytest.mark.parametrize("tail", ["   ", "\n  \n   ", "\n"])
def test_spaces_that_are_no_unit_cost_nothing(models: dict[str, Path], tmp_path: Path, tail: str) -> None:
    text = "the cat eats fish"
    plain, spaced = (measured(models["english"], tmp_path, one)["mixture"] for one in (text, text + tail))
    assert spaced["characters"] == len(text + tail)
    assert spaced["n"] == plain["n"] + tail.count("\n")
    with pytest.raises(InputError, match="holds no text"):
        measured(models["english"], tmp_path, "   ")
    (tmp_path / "text.txt").write_text("   \nthe cat\n", encoding="utf-8")
    blank, other = room.lines(models["english"], str(tmp_path / "text.txt"), Request())[1]
    assert blank["bits_per_char"] is None
    assert other["bits_per_char"] > 0


def test_a_blank_row_is_no_document_as_in_training(models: dict[str, Path], tmp_path: Path) -> None:
    rows = ["猫は魚を", "", " \n", "食べる。"]
    records = []
    for some in (rows, [rows[0], rows[3]], ["", *rows]):
        (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in some))
        found = finished(room.evaluate(models["char"], str(tmp_path / "text.jsonl"), Request())).records[0]
        records.append({name: value for name, value in found.items() if name != "seconds"})
    assert records[0] == records[1] == records[2]
    assert records[0]["n"] == 4 + 1 + 4


def test_the_notation_of_aozora_is_cleaned_unless_it_shall_stay(models: dict[str, Path], tmp_path: Path) -> None:
    marked = "私は｜魚《さかな》を食べる。\n"
    work = f"題名\n作者名\n\n{marked}［＃改ページ］\n\n底本：「全集」文庫\n"
    body = "私は魚を食べる。\n"
    for text, cleaning, read in (
        (work, "auto", body),
        (work, "off", work),
        (2 * marked, "auto", 2 * marked),
        (2 * marked, "on", 2 * body),
    ):
        found = measured(models["char"], tmp_path, text, cleaning=cleaning)
        assert found["mixture"]["characters"] == len(read)
    with pytest.raises(UsageError, match="--per-line reads lines as they stand"):
        room.lines(models["char"], "-", Request(cleaning="on"))


@pytest.mark.parametrize("source", ["texts/a.txt", "texts", "texts/*.txt"])
def test_the_text_that_is_measured_is_not_written_over(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.chdir(tmp_path)
    text = Path("texts", "a.txt")
    text.parent.mkdir()
    text.write_text(TEXT, encoding="utf-8")
    with pytest.raises(UsageError, match=r"a\.txt is the text itself"):
        finished(room.evaluate(models["char"], source, Request(per_token=text.absolute())))
    assert text.read_text(encoding="utf-8") == TEXT


def test_a_file_stays_as_it_is_where_there_is_no_text_to_measure(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "logs.tsv").write_text("of yesterday", encoding="utf-8")
    with pytest.raises(InputError, match="no such file"):
        finished(room.evaluate(models["char"], str(tmp_path / "none"), Request(per_token=tmp_path / "logs.tsv")))
    assert (tmp_path / "logs.tsv").read_text(encoding="utf-8") == "of yesterday"


def test_a_folder_is_made_for_the_probabilities_and_a_place_that_cannot_be_is_named(
    models: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "new" / "logs.tsv"
    measured(models["char"], tmp_path, "猫は魚", per_token=file)
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3
    with pytest.raises(MachineError, match=r"text\.txt"):
        measured(models["char"], tmp_path, "猫は魚", per_token=tmp_path / "text.txt" / "logs.tsv")


@pytest.mark.parametrize("asked", [{"per_class": True}, {"label_column": "topic"}])
def test_what_only_a_classifier_has_is_refused(models: dict[str, Path], tmp_path: Path, asked: dict[str, Any]) -> None:
    said = f"--{next(iter(asked)).replace('_', '-')}: a generator has nothing of the kind"
    with pytest.raises(UsageError, match=said):
        measured(models["char"], tmp_path, TEXT, **asked)
    with pytest.raises(UsageError, match=said):
        room.lines(models["char"], "-", Request(**asked))


def test_what_would_be_ignored_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--part: 'network' answers by line or by token"):
        measured(models["char"], tmp_path, TEXT, part="network")
    with pytest.raises(UsageError, match=r"--per-token: .* without --per-line"):
        room.lines(models["char"], "-", Request(per_token=tmp_path / "logs.tsv"))


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        measured(tmp_path / "nothing", tmp_path, TEXT)


def test_workers_that_have_no_lines_to_share_are_said_to_do_nothing(models: dict[str, Path], tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text(SEEN, encoding="utf-8")
    alone, two = (finished(room.evaluate(models["char"], str(source), Request(workers=n))) for n in (1, 2))
    assert not any("--workers" in warning for warning in alone.warnings)
    assert [warning for warning in two.warnings if "--workers" in warning]
