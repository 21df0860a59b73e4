"""Rows on their way through a classifier: nothing is lost, renamed in silence or kept in memory."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from classifiers import TEXTS, save
from signs import finished

from seqcli.classification import stream
from seqcli.classification.predict import Handle
from seqcli.classification.stream import Request, Tally
from seqcli.core.texts import Item
from seqcli.errors import InputError, ModelError, UsageError


@pytest.fixture(scope="module")
def handle(tmp_path_factory: pytest.TempPathFactory) -> Handle:
    path = tmp_path_factory.mktemp("models") / "topics"
    save(path)
    return Handle.of(path)


def records(handle: Handle, request: Request, *items: Item, tally: Tally | None = None) -> list[dict[str, Any]]:
    return [dict(record) for record in stream.stream(handle, request, items, tally or Tally())]


def row(text: str, **columns: object) -> Item:
    return Item(text, {"text": text, **columns})


BAD = Item("", {"text": None, "id": 2}, InputError("t.csv: row 3", "4 values"))


def test_a_damaged_model_is_refused_before_a_row_is_read(tmp_path: Path) -> None:
    save(tmp_path / "m")
    handle = Handle.of(tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    source = iter([row("焼肉"), row("試合")])
    with pytest.raises(ModelError, match=r"model\.safetensors"):
        next(stream.stream(handle, Request(), source, Tally()))
    assert len(list(source)) == 2


def test_columns_stay_and_ours_are_called_otherwise(handle: Handle) -> None:
    tally = Tally()
    found = records(handle, Request(top_k=1), row("焼肉", predicted="x", predicted_1="y", top=3), tally=tally)
    assert list(found[0]) == ["text", "predicted", "predicted_1", "top", "predicted_2", "probability", "top_1"]
    assert found[0]["predicted"] == "x" and found[0]["top"] == 3
    assert found[0]["predicted_2"] == found[0]["top_1"][0]["label"]
    assert [said for said in tally.sentences() if "already" in said] == [
        "the input has a column 'predicted' already: ours is 'predicted_2'",
        "the input has a column 'top' already: ours is 'top_1'",
    ]


def test_a_name_of_ours_is_the_same_in_every_row(handle: Handle) -> None:
    tally = Tally()
    rows = [row("焼肉", predicted="x"), row("試合"), row("携帯", predicted_1="y", error="e")]
    found = records(handle, Request(batch_size=1), *rows, tally=tally)
    answers = [record["predicted"] for record in records(handle, Request(), *map(row, ("焼肉", "試合", "携帯")))]
    assert [record["predicted_1"] for record in found] == answers
    assert [record.get("predicted") for record in found] == ["x", None, None]
    assert found[2]["predicted_1_1"] == "y" and found[2]["error_1"] == "e" and "error" not in found[2]
    assert list(tally.columns.moved) == ["predicted_1", "error"]


def test_a_bad_row_stays_is_left_out_or_ends_it(handle: Handle) -> None:
    rows = (row("焼肉", id=1), BAD, row("試合", id=3))
    for on_error, ids in (("mark", [1, 2, 3]), ("skip", [1, 3])):
        tally = Tally()
        found = records(handle, Request(on_error=on_error, probabilities=True), *rows, tally=tally)
        assert [record["id"] for record in found] == ids
        assert tally.failed == 1
        assert any("1 row could not be used" in said for said in tally.sentences())
    marked = records(handle, Request(probabilities=True), *rows)[1]
    assert marked["error"] == "t.csv: row 3: 4 values"
    assert {name: value for name, value in marked.items() if name.startswith(("pred", "prob"))} == dict.fromkeys(
        ["predicted", "probability", "probability.グルメ", "probability.スポーツ", "probability.携帯電話"]
    )


def test_rows_without_a_word_are_counted_apart(handle: Handle) -> None:
    tally = Tally()
    found = records(handle, Request(), *(row(text) for text in ("焼肉", "", "焼肉", " ", "")), tally=tally)
    told = "2; 3 rows without a word were answered by how frequent the labels are"
    assert list(tally.sentences()) == [f"{found[0]['predicted']}: {told}"]
    blank = Tally()
    records(handle, Request(), row(""), tally=blank)
    assert list(blank.sentences()) == ["1 row without a word was answered by how frequent the labels are"]


def test_labels_that_are_numbers_are_not_taken_for_their_counts() -> None:
    tally = Tally()
    tally.labels.update({"0": 1200, "1": 3})
    assert list(tally.sentences()) == ["0: 1,200, 1: 3"]


def test_lines_of_a_csv_are_alike(handle: Handle) -> None:
    found = records(handle, Request(even=True, explain=True), row("焼肉", id=1), BAD, row("", id=3))
    assert {tuple(sorted(record)) for record in found} == {tuple(sorted(found[0]))}


def test_below_the_threshold_the_answer_is_unsure(handle: Handle, tmp_path: Path) -> None:
    sure = records(handle, Request(), row(""))[0]["probability"]
    assert records(handle, Request(threshold=sure), row(""))[0]["predicted"] == "グルメ"
    unsure = records(handle, Request(threshold=sure + 0.01), row(""))[0]
    assert unsure["predicted"] == "unsure" and unsure["probability"] == sure
    save(tmp_path / "m", ("a", "b", "unsure"))
    with pytest.raises(UsageError, match="a label 'unsure' of its own"):
        records(Handle.of(tmp_path / "m"), Request(threshold=0.5), row(""))
    with pytest.raises(UsageError, match="no probability"):
        Request(threshold=1.5)


def test_the_size_of_the_batches_changes_no_answer(handle: Handle) -> None:
    texts = [row(text) for text in (*TEXTS, "", "焼肉" * 500)]
    whole = records(handle, Request(), *texts)
    for size in (1, 3):
        for one, other in zip(records(handle, Request(batch_size=size), *texts), whole, strict=True):
            assert one["predicted"] == other["predicted"]
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_a_row_at_a_time_is_answered_before_the_next_is_read(handle: Handle) -> None:
    read = []

    def source() -> Iterator[Item]:
        for text in TEXTS:
            read.append(text)
            yield row(text)

    found = stream.stream(handle, Request(batch_size=1), source(), Tally())
    assert next(iter(found))["text"] == TEXTS[0] == read[-1]


def test_what_reading_raises_comes_after_the_rows_before_it(handle: Handle) -> None:
    def source() -> Iterator[Item]:
        yield from (row(text) for text in TEXTS[:5])
        raise InputError("t.csv: row 7", "broken")

    found = stream.stream(handle, Request(batch_size=2), source(), Tally())
    assert [record["text"] for record in itertools.islice(found, 4)] == list(TEXTS[:4])
    with pytest.raises(InputError, match="broken"):
        list(found)


def test_memory_does_not_grow_with_the_input(handle: Handle) -> None:
    def peak(rows: int) -> int:
        source = (row("焼肉を食べた" * 20, id=number) for number in range(rows))
        tracemalloc.start()
        for _ in stream.stream(handle, Request(batch_size=20), source, Tally()):
            pass
        high = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return high

    peak(40)  # what is loaded once
    assert peak(400) < 1.5 * peak(80)


def test_a_file_that_was_stopped_goes_on_and_ends_the_same(handle: Handle, tmp_path: Path) -> None:
    request, job = Request(batch_size=2), {"input": 1}
    items = [row(text, id=number) for number, text in enumerate(TEXTS)]

    def work(path: Path, request: Request = request) -> Any:
        return stream.to_file(handle, request, iter(items), path, job, tally=Tally())

    assert finished(work(tmp_path / "whole.jsonl")) == len(TEXTS)
    lines = (tmp_path / "whole.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(len(TEXTS)))
    stopped = work(tmp_path / "cut.jsonl")
    for _ in range(3):
        next(stopped)
    stopped.close()
    assert not (tmp_path / "cut.jsonl").exists()
    again = work(tmp_path / "cut.jsonl")
    assert next(again).done == 6
    assert finished(again) == len(TEXTS)
    assert (tmp_path / "cut.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    other = work(tmp_path / "cut.jsonl", replace(request, top_k=1))
    assert next(other).done == 2  # another job begins anew
    other.close()
    with pytest.raises(UsageError, match="JSON lines"):
        finished(work(tmp_path / "x.csv"))
