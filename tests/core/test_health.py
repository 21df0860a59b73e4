from __future__ import annotations

from importlib import metadata

import pytest

from seqcli.core import health, tokens
from seqcli.core.health import FAIL, OK, WARN, Check
from seqcli.errors import MachineError

ASKED = [
    "numpy>=2",
    "no-such-package-a<0.7,>=0.6",
    "no-such-package-b; python_version > '3'",
    "no-such-package-c>=1; extra == 'parquet'",
    'no-such-package-d; extra == "dev"',
    "seqcli[parquet]; extra == 'all'",
]


def test_every_package_that_seqcli_asks_for_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda name: ASKED)
    found = {one.name: one for one in health.machine()}
    assert found["numpy"].status == OK
    assert found["no-such-package-a"].status == found["no-such-package-b"].status == FAIL
    assert found["no-such-package-c"].status == WARN
    assert found["no-such-package-c"].hint == "pip install 'seqcli[parquet]'"
    assert not {"no-such-package-d", "seqcli[parquet]"} & set(found)


def test_a_seqcli_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", unknown)
    assert {one.name: one.status for one in health.machine()}["packages"] == WARN


def test_a_dictionary_that_is_gone_or_splits_words_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {one.name: one.status for one in health.machine()}["dictionary"] == OK

    def gone(*settings: object) -> None:
        raise MachineError("dictionary", "sudachidict-core is not installed", "pip install sudachidict-core")

    monkeypatch.setattr(tokens, "_sudachi", gone)
    (found,) = (one for one in health.machine() if one.name == "dictionary")
    assert (found.status, found.hint) == (FAIL, "pip install sudachidict-core")
    monkeypatch.undo()
    monkeypatch.setattr(tokens.Tokenizer, "words", lambda self, text: list(text))
    (found,) = (one for one in health.machine() if one.name == "dictionary")
    assert found.status == FAIL


def test_the_table_fits_eighty_columns_and_hints_are_sentences() -> None:
    long = "x" * 300
    result = health.result([Check("matplotlib-fontja", OK, long), Check("rates", WARN, long, "seqcli rates --update")])
    assert result.table is not None
    assert [list(row) for row in result.table] == [["check", "status", "detail"]] * 2
    width = sum(max(len(str(row[name])) for row in result.table) for name in ("check", "detail")) + len("status") + 4
    assert width <= 80
    assert list(result.records[1]) == ["check", "status", "detail", "hint"]
    assert result.records[1]["detail"] == long
    assert result.sentences == (f"rates: {long} (seqcli rates --update)", "Nothing would fail; 1 warning.")


def test_the_end_says_whether_something_would_fail() -> None:
    fine, doubt, broken = Check("a", OK, ""), Check("b", WARN, "old"), Check("c", FAIL, "gone", "mend it")
    assert health.result([fine]).sentences == ("Nothing would fail.",)
    assert health.result([doubt, doubt]).sentences[-1] == "Nothing would fail; 2 warnings."
    assert health.result([doubt, broken]).sentences == ("b: old", "c: gone (mend it)")
    assert health.failures([fine, broken, broken]) == "c, c would fail"
    assert health.failures([fine, doubt]) is None
