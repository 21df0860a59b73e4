from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from seqcli.core.statistics import LEVELS
from seqcli.errors import InputError, MachineError, ModelError, TryLaterError
from seqcli.forecasting import journal

HORIZON = 5


def forecast(series: str = "USD/JPY", day: str = "2026-10-01", shift: float = 0.0, **more: Any) -> list[dict[str, Any]]:
    """One origin's records, as `forecast` gives them."""
    return [
        {
            "series": series,
            "origin_date": day,
            "h": h,
            "target_date": f"2026-10-{h + 1:02d}",
            "point": 150.0 + shift,
            **{f"q{level:g}": 150.0 + shift + h * (level - 0.5) for level in LEVELS},
            "last": 150.0,
            "naive": 150.0,
            "issued_at": "2026-10-01T05:00:00+00:00",
            "model_id": "m1",
            "data_until": "2026-09-01",
            **more,
        }
        for h in range(1, HORIZON + 1)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fx.sqlite"


def test_what_is_read_is_what_was_written_in_the_order_of_the_interface(path: Path) -> None:
    written = forecast(stale=2, calibration="2026-09-30-abcd")
    journal.append(path, written)
    assert list(journal.read(path)) == written
    assert list(next(journal.read(path))) == [*forecast()[0], "stale", "calibration"]


def test_the_same_run_twice_adds_nothing_whenever_it_was_issued(path: Path) -> None:
    assert journal.append(path, forecast()) == journal.Written(5, 0, 0, 0)
    again = forecast(issued_at="2026-10-01T09:00:00+00:00")
    assert journal.append(path, again) == journal.Written(0, 5, 0, 0)
    assert next(journal.read(path))["issued_at"] == "2026-10-01T05:00:00+00:00"


def test_other_numbers_for_the_same_forecast_are_counted_and_the_first_are_kept(path: Path) -> None:
    journal.append(path, forecast())
    written = journal.append(path, forecast(shift=0.5))
    assert written == journal.Written(0, 0, 5, 0)
    assert "5 of these forecasts with other numbers" in written.warnings()[0]
    assert {row["point"] for row in journal.read(path)} == {150.0}


def test_force_replaces_and_keeps_the_old_rows_with_a_stamp(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_NOW", "2026-10-01T08:00:00")
    journal.append(path, forecast())
    assert journal.append(path, forecast(shift=0.5), force=True) == journal.Written(0, 0, 0, 5)
    assert {row["point"] for row in journal.read(path)} == {150.5}
    with closing(sqlite3.connect(path)) as database:
        kept = database.execute("SELECT point, h, superseded_at FROM superseded ORDER BY h").fetchall()
    assert kept == [(150.0, h, "2026-10-01T08:00:00+00:00") for h in range(1, 6)]
    assert journal.contents(path).superseded == 5


def test_another_model_on_the_same_day_has_its_own_rows(path: Path) -> None:
    journal.append(path, [*forecast(), *forecast(model_id="m2")])
    seen = journal.contents(path)
    assert (seen.rows, seen.models, seen.series) == (10, ("m1", "m2"), ("USD/JPY",))
    assert (seen.first_origin, seen.last_issued) == ("2026-10-01", "2026-10-01T05:00:00+00:00")


def test_any_sqlite_tool_reads_the_columns_by_their_names(path: Path) -> None:
    journal.append(path, forecast())
    if not shutil.which("sqlite3"):
        pytest.skip("no sqlite3 command here")
    query = 'SELECT series, h, "q0.025", "q0.975" FROM forecasts WHERE h = 2'
    shown = subprocess.run(["sqlite3", path, query], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("USD/JPY|2|149.05|150.95")


def test_a_name_with_blanks_quotes_and_japanese_is_a_name_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "為替 100%?#'\".sqlite"
    journal.append(path, forecast(series="ド'ル\"; DROP TABLE forecasts"))
    assert journal.contents(path).series == ("ド'ル\"; DROP TABLE forecasts",)


def test_numpy_numbers_and_missing_ones_are_stored_as_sqlites_own(path: Path) -> None:
    import numpy as np

    records = forecast(point=np.float32(1.5), last=float("nan"), h=np.int64(1))[:1]
    journal.append(path, records)
    assert journal.append(path, records).unchanged == 1
    row = next(journal.read(path))
    assert (row["point"], row["last"], row["h"]) == (1.5, None, 1)


def test_a_column_that_the_journal_does_not_have_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="no column 'mood'"):
        journal.append(path, forecast(mood="good"))


def apart(work: Callable[[], object]) -> int:
    """Does the work in a process of its own, forked and so quickly there; its number."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fifty_at_once_leave_one_row_each_and_no_error(path: Path) -> None:
    children = [
        apart(lambda: journal.append(path, forecast())) for _ in range(50)
    ]  # all of them make the file, or wait
    assert [exit_code(child) for child in children] == [0] * 50
    assert len(list(journal.read(path))) == HORIZON
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def rows_of_each_series(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as database:
        if database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'forecasts'").fetchone() == (0,):
            return []
        return [count for (count,) in database.execute("SELECT count(*) FROM forecasts GROUP BY series")]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_killed_twenty_times_every_origin_is_whole_and_a_rerun_completes(path: Path) -> None:
    moments = random.Random(1)
    seen = 0
    for run in range(20):

        def work(first: int = 10_000 * run) -> None:
            for k in range(first, first + 10_000):
                journal.append(path, forecast(series=f"S{k}"))

        child = apart(work)
        wanted, deadline = seen + moments.randrange(4), time.monotonic() + 30
        while len(rows_of_each_series(path)) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(moments.uniform(0.0, 0.01))
        os.kill(child, signal.SIGKILL)
        assert exit_code(child) == -signal.SIGKILL
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = rows_of_each_series(path)
        assert set(counts) <= {HORIZON}
        assert len(counts) >= wanted  # what a reader has seen stays
        seen = len(counts)
    for k in range(20):
        journal.append(path, forecast(series=f"S{k}"))
    assert {f"S{k}" for k in range(20)} <= set(journal.contents(path).series)


def test_a_journal_that_is_held_for_too_long_is_tried_later(path: Path) -> None:
    journal.append(path, forecast())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(TryLaterError, match="other processes are writing"):
            journal.append(path, forecast(day="2026-10-02"), timeout=0.2)
        assert time.monotonic() - began < 5.0
        assert len(list(journal.read(path))) == HORIZON  # reading does not wait for a writer


def test_a_journal_of_a_newer_seqcli_is_left_alone(path: Path) -> None:
    journal.append(path, forecast())
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {journal.VERSION + 1}")
    before = path.read_bytes()
    for use in (lambda: journal.append(path, forecast(day="2026-10-02")), lambda: journal.read(path)):
        with pytest.raises(ModelError, match="made by a newer seqcli"):
            use()
    assert path.read_bytes() == before


def test_a_text_file_is_no_journal_and_stays_as_it_is(path: Path) -> None:
    path.write_text("date,value\n2026-10-01,1.0\n" * 100)
    before = path.read_bytes()
    for use in (lambda: journal.append(path, forecast()), lambda: journal.read(path)):
        with pytest.raises(InputError, match="not an SQLite file"):
            use()
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_not_written_to(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE forecasts (weather TEXT)")
    before = path.read_bytes()
    for use in (lambda: journal.append(path, forecast()), lambda: journal.read(path)):
        with pytest.raises(InputError, match="no journal of seqcli"):
            use()
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_journal_is_said_to_be_one(path: Path, damage: str) -> None:
    for k in range(40):
        journal.append(path, forecast(series=f"S{k}"))
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    else:
        content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged journal") as caught:
        list(journal.read(path))
    assert ".dump" in str(caught.value.hint)
    with pytest.raises(InputError, match="damaged journal"):
        journal.append(path, forecast(series="S3"))


def test_a_missing_an_empty_and_a_folder_are_three_different_sentences(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such journal"):
        journal.read(path)
    path.touch()
    with pytest.raises(InputError, match="an empty file"):
        journal.read(path)
    for use in (lambda: journal.append(tmp_path, forecast()), lambda: journal.read(tmp_path)):
        with pytest.raises(InputError, match="a folder"):
            use()
    assert journal.append(path, forecast()).added == HORIZON  # an empty file may become one


def test_reading_leaves_no_file_beside_the_journal(path: Path) -> None:
    journal.append(path, forecast())
    list(journal.read(path))
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_rows_that_a_killed_writer_left_in_the_log_are_read(path: Path, tmp_path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    try:
        journal.append(path, forecast())
        other.execute("SELECT count(*) FROM forecasts").fetchone()  # a file in use keeps its write-ahead log
        journal.append(path, forecast(day="2026-10-02"))
        copy = tmp_path / "copy.sqlite"
        for suffix in ("", "-wal"):
            shutil.copy(f"{path}{suffix}", f"{copy}{suffix}")
    finally:
        other.close()
    assert len(list(journal.read(copy))) == 2 * HORIZON


def mounted(tmp_path: Path, options: str) -> Path:
    folder = tmp_path / "mount"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("only root can mount a small file system")
    return folder


@pytest.mark.skipif(not shutil.which("mount"), reason="no mount command here")
def test_a_full_disk_is_said_and_what_was_written_stays_whole(tmp_path: Path) -> None:
    folder = mounted(tmp_path, "size=256k")
    try:
        path, added = folder / "fx.sqlite", 0
        with pytest.raises(MachineError, match="disk full"):
            for k in range(2000):
                journal.append(path, forecast(series=f"S{k}"))
                added += HORIZON
        assert len(list(journal.read(path))) == added > 0
        subprocess.run(["mount", "-o", "remount,size=4m", folder], check=True)
        assert journal.append(path, forecast(series="after")).added == HORIZON
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(not shutil.which("mount"), reason="no mount command here")
def test_a_journal_is_read_from_a_place_where_nothing_can_be_written(tmp_path: Path) -> None:
    folder = mounted(tmp_path, "size=1m")
    try:
        path = folder / "fx.sqlite"
        journal.append(path, forecast())
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        assert len(list(journal.read(path))) == HORIZON
        with pytest.raises(MachineError, match="cannot be"):
            journal.append(path, forecast(day="2026-10-02"))
    finally:
        subprocess.run(["umount", folder], check=True)
