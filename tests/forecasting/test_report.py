from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from journals import keep, offsets, rows, walk
from pages import FIT, Parser, body, calls, page, path, table

from seqcli.errors import InputError, MachineError
from seqcli.forecasting import drift, journal, track
from seqcli.forecasting.page import drawing, fans
from seqcli.forecasting.page.markup import Markup, tag
from seqcli.forecasting.page.words import Words
from seqcli.forecasting.report import LANGUAGES, report

__all__ = ["path"]  # the fixture


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_page_is_well_formed_and_can_be_read_by_a_machine(path: Path, language: Any) -> None:
    panel = walk(FIT + 80)
    keep(path, panel, FIT, horizon=3)
    root = page(path, panel, language=language)
    (html,) = root.all("html")
    assert html.attributes["lang"] == language
    ids = Counter(e.attributes["id"] for e in root.walk() if e.attributes.get("id"))
    assert max(ids.values()) == 1
    for element in root.walk():
        for name in ("aria-labelledby", "aria-describedby"):
            if name in element.attributes:
                assert element.attributes[name] in ids
        if (href := element.attributes.get("href") or "").startswith("#"):
            assert href[1:] in ids
    drawings = [svg for svg in root.all("svg") if svg.parent is not None and svg.parent.name != "svg"]
    assert len(drawings) == 2 + 2 * 2
    for svg in drawings:
        assert svg.attributes["role"] == "img"
        titles, described = svg.all("title"), svg.all("desc")
        assert len(titles) == len(described) == 1
        assert titles[0].text and described[0].text
        assert svg.attributes["aria-labelledby"] == titles[0].attributes["id"]
    tables = root.all("table")
    assert len(tables) == 3 + 2 * 3
    for each in tables:
        assert len(each.all("caption")) == 1
        columns = each.all("thead")[0].all("th")
        assert all(th.attributes["scope"] == "col" for th in columns)
        for row in each.all("tbody")[0].all("tr"):
            assert len(row.all("th")) == 1
            assert row.all("th")[0].attributes["scope"] == "row"
            assert len(row.all("th")) + len(row.all("td")) == len(columns)
    levels = [int(e.name[1]) for e in root.walk() if re.fullmatch("h[1-6]", e.name)]
    assert levels[0] == levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_nothing_on_a_page_comes_from_elsewhere_or_runs(path: Path) -> None:
    panel = walk(FIT + 40)
    keep(path, panel, FIT)
    root = page(path, panel)
    (policy,) = [m for m in root.all("meta") if m.attributes.get("http-equiv") == "Content-Security-Policy"]
    assert (policy.attributes["content"] or "").startswith("default-src 'none'")
    assert not {e.name for e in root.walk()} & {"script", "img", "iframe", "object", "embed", "form", "input", "base"}
    for element in root.walk():
        assert not any(name.startswith("on") for name in element.attributes)
        for name in ("href", "src"):
            assert (element.attributes.get(name) or "#").startswith(("#", "data:"))
    style = root.all("style")[0].text
    assert "url(" not in style
    assert "@import" not in style


def test_the_fan_shows_the_numbers_of_the_journal(path: Path) -> None:
    panel = walk(FIT + 80)
    keep(path, panel, FIT, horizon=3)
    root = page(path, panel)
    newest = [r for r in journal.read(path) if r["series"] == "USD/JPY" and r["origin_date"] == str(panel.dates[-1])]
    assert [tr.all("th")[0].text for tr in body(root, "s1-n")] == [r["target_date"] for r in newest]
    for tr, record in zip(body(root, "s1-n"), newest, strict=True):
        median, middle, narrow, wide = [td.text for td in tr.all("td")][1:]
        assert float(median) == pytest.approx(record["point"], rel=1e-4)
        for said, low, high in ((middle, "q0.25", "q0.75"), (narrow, "q0.1", "q0.9"), (wide, "q0.025", "q0.975")):
            assert [float(n) for n in said.split(" – ")] == pytest.approx([record[low], record[high]], rel=1e-4)
    past = body(root, "s1-h")
    assert len(past) == 61
    assert past[0].all("th")[0].text == str(panel.dates[-1])
    assert float(past[0].all("td")[0].text) == pytest.approx(panel.values[-1, 0], rel=1e-4)


def test_the_drawing_is_where_its_axis_says(path: Path) -> None:
    panel = walk(FIT + 80)
    keep(path, panel, FIT, horizon=4)
    (one, _) = fans.newest(list(journal.read(path)), panel, 60)
    parser = Parser()
    parser.feed(drawing.fan(one, "f", LANGUAGES["en"]))
    svg = parser.root.all("svg")[0]
    labels = [t for t in svg.all("text") if t.attributes.get("x") == "-7"]
    heights = {float(t.text): float(t.attributes["y"] or 0) - 18 for t in labels}
    (top, bottom) = (max(heights), min(heights))
    assert bottom <= one.quantiles["q0.025"][-1] < one.quantiles["q0.975"][-1] <= top

    def value(y: float) -> float:
        return bottom + (heights[bottom] - y) / (heights[bottom] - heights[top]) * (top - bottom)

    (past,) = [p for p in svg.all("path") if p.attributes["class"] == "past"]
    points = [tuple(map(float, p)) for p in re.findall(r"([\d.]+) (-?[\d.]+)", past.attributes["d"] or "")]
    tolerance = (top - bottom) / 190
    assert len(points) == 61
    assert [value(y) for _, y in points] == pytest.approx([v for _, v in one.history], abs=tolerance)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    (band,) = [p for p in svg.all("path") if p.attributes["class"] == "b95"]
    outline = [tuple(map(float, p)) for p in re.findall(r"([\d.]+) (-?[\d.]+)", band.attributes["d"] or "")]
    assert [value(y) for _, y in outline] == pytest.approx(
        [one.last, *one.quantiles["q0.975"], *one.quantiles["q0.025"][::-1]], abs=tolerance
    )


def test_the_track_record_on_the_page_is_that_of_track(path: Path) -> None:
    panel = walk(FIT + 80)
    keep(path, panel, FIT, horizon=3)
    root = page(path, panel)
    wanted = {
        (r["series"], r["h"]): [f"{r['n']:,}", f"{r['crps_ewma']:.4f}", f"{100 * r['coverage80']:.1f}\xa0%"]
        for r in track.track(path, panel).records
    }
    for series, caption in (("all", "record-t"), ("USD/JPY", "s1-r"), ("EUR/USD", "s2-r")):
        found = [[td.text for td in tr.all("td")] for tr in body(root, caption)]
        assert [[row[0], row[6], row[8]] for row in found] == [wanted[series, h] for h in (1, 2, 3, "all")]


def test_every_name_from_outside_is_text_and_never_markup(tmp_path: Path) -> None:
    evil = '<script>alert("x")</script>&amp;\x07\u202e'
    path = tmp_path / "<b>&'\".sqlite"
    panel = walk(FIT + 40, names=(evil, "</title></svg><img src=x>"))
    keep(path, panel, FIT, model_id="<i>m</i>", calibration="</dd><u>")
    root = page(path, panel)
    assert not {e.name for e in root.walk()} & {"script", "img", "i", "u"}
    assert root.id("s1").text == evil.replace("\x07", "\ufffd")
    assert root.id("s2").text == "</title></svg><img src=x>"
    assert "<i>m</i>" in root.text


def test_the_same_journal_and_moment_give_the_same_bytes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEQCLI_NOW", "2021-05-28T17:06:30+00:00")
    panel = walk(FIT + 60)
    keep(path, panel, FIT)
    one, two = path.with_name("1.html"), path.with_name("2.html")
    result = report(path, panel, one)
    report(path, panel, two)
    assert one.read_bytes() == two.read_bytes()
    (record,) = result.records
    made = "2021-05-28T17:06:30+00:00"
    assert record == {"path": str(one), "series": 2, "origin_date": str(panel.dates[-1]), "made": made}
    assert "2021-05-28 17:06 UTC" in one.read_text()


def test_twenty_eight_series_stay_below_400_kilobytes(path: Path) -> None:
    names = tuple(f"A{a}/B{b}" for a in range(4) for b in range(7))
    panel = walk(FIT + 30, names=names)
    keep(path, panel, FIT, horizon=5)
    for language in LANGUAGES:
        root = page(path, panel, language=language)
        assert path.with_suffix(".html").stat().st_size < 400_000
        links = root.all("nav")[0].all("a")
        assert [a.text for a in links] == list(names)


@pytest.mark.parametrize(
    ("forecast", "days", "kind", "sentence"),
    [
        ({"scale": 1.0}, 250, "open", "No skill shown"),
        ({"scale": 2.5}, 250, "bad", "Worse than the simple reference"),
        ({"scale": 0.6}, 4, "open", "Too early to say how good"),
    ],
)
def test_the_first_thing_said_is_whether_there_is_skill(
    path: Path, forecast: dict[str, float], days: int, kind: str, sentence: str
) -> None:
    panel = walk(FIT + days, seed=5)
    root = page(keep(path, panel, FIT, **forecast), panel)
    *_, call = [e for e in root.walk() if (e.attributes.get("class") or "").startswith("call ")]
    assert call.attributes["class"] == f"call {kind}"
    assert call.text.startswith(sentence)


def test_skill_is_claimed_where_track_finds_it(path: Path) -> None:
    panel = walk(FIT + 250, seed=5)
    origins = np.arange(FIT + 1, len(panel.dates))
    spread = offsets(panel, origins, scale=0.5)
    ahead = np.clip(origins[:, None] + np.arange(1, 3), 0, len(panel.dates) - 1)
    levels = panel.levels().T
    spread += 0.5 * (levels[:, ahead] - levels[:, origins][..., None])[..., None]  # half of it is known
    journal.append(path, rows(panel, origins, spread, FIT))
    (call,) = calls(page(path, panel))
    assert call.startswith("Better than the simple reference")
    assert "Of the direction: the mean absolute error of the median is 0." in call


def test_a_model_that_has_to_be_recalibrated_is_named_with_its_evidence(path: Path) -> None:
    panel = walk(FIT + 250, seed=5)
    root = page(keep(path, panel, FIT, scale=0.6), panel)
    assert "Recalibrate. The intervals have the wrong width" in calls(root)[0]
    results = {tr.all("th")[0].text: tr.all("td")[-1].text for tr in body(root, "drift-t")}
    assert results["Intervals too wide or too narrow"] == "Drift"
    assert results["Outcomes on one side of the median"] == "Not shown"
    assert "Drift: Intervals too wide or too narrow" in root.text


def test_what_makes_the_numbers_worth_less_is_said_at_the_top(path: Path) -> None:
    panel = walk(FIT + 60)
    keep(path, panel.head(FIT + 50), FIT - 5, stale=3)
    origins = np.array([FIT + 52])
    late = f"{panel.dates[-1]}T07:00:00+00:00"
    old = rows(panel, origins, offsets(panel, origins), FIT)
    journal.append(path, [{**r, "issued_at": late, "stale": 2} for r in old])
    (beware, _) = calls(page(path, panel))
    assert "already 2\xa0business days old" in beware
    assert "4 forecasts were issued after the day they are about" in beware
    assert "All days that these forecasts are about have passed" in beware
    assert (
        "24 forecasts are not counted: of days that the model was trained on, or made when the outcome was known"
        in beware
    )


def test_a_run_that_failed_since_is_noticed(path: Path) -> None:
    panel = walk(FIT + 60)
    keep(path, panel.head(FIT + 59), FIT)
    (beware, _) = calls(page(path, panel))
    assert "has the daily run failed?" in beware


def test_what_came_after_the_forecast_is_drawn_over_its_fan(path: Path) -> None:
    panel = walk(FIT + 60)
    keep(path, panel.head(FIT + 58), FIT, horizon=3)
    root = page(path, panel)
    circles = root.id("s1-f-t").parent.all("circle")
    assert len(circles) == 2
    came = [tr.all("td")[-1].text for tr in body(root, "s1-n")]
    assert [float(c) for c in came[:2]] == pytest.approx(panel.values[-2:, 0].tolist(), rel=1e-4)
    assert came[2] == "–"


def test_several_models_are_pooled_and_then_listed(path: Path) -> None:
    panel = walk(FIT + 90)
    keep(path, panel.head(FIT + 50), FIT, model_id="old")
    keep(path, panel, FIT + 45, model_id="new")
    root = page(path, panel)
    names = [tr.all("th")[0].text for tr in body(root, "models-t")]
    assert names == ["The newest model of each day", "new", "old"]
    assert "new, trained on data until" in root.text
    assert "Drift check of new" in root.text


def test_series_that_can_be_negative_have_errors_in_their_own_units(path: Path) -> None:
    panel = walk(FIT + 60, log=False)
    root = page(keep(path, panel, FIT), panel)
    row = body(root, "s1-r")[0]
    wanted = next(r for r in track.track(path, panel).records if (r["series"], r["h"]) == ("USD/JPY", 1))
    assert row.all("td")[2].text == f"{wanted['mae']:.3g}"
    assert "−" in table(root, "s1-h").text


def test_a_first_forecast_has_a_page_without_a_record(path: Path) -> None:
    panel = walk(FIT + 2)
    root = page(keep(path, panel, FIT), panel)
    assert "No forecast has come due yet" in root.text
    assert "Too early to say how good these forecasts are: 0 have come due" in calls(root)[0]


@pytest.mark.parametrize("horizon", [1, 40])
def test_any_horizon_has_a_page(path: Path, horizon: int) -> None:
    panel = walk(FIT + 80)
    root = page(keep(path, panel, FIT, horizon=horizon), panel)
    assert len(body(root, "s1-n")) == horizon
    assert len(body(root, "s1-r")) <= 7


def test_days_without_a_value_are_gaps_in_the_line(path: Path) -> None:
    panel = walk(FIT + 60)
    keep(path, panel, FIT)
    holed = panel.values.copy()
    holed[-20:-15, 0] = np.nan
    root = page(path, replace(panel, values=holed))
    drawing = root.id("s1-f-t").parent
    (line,) = [p for p in drawing.all("path") if p.attributes["class"] == "past"]
    assert (line.attributes["d"] or "").count("M") == 2


def test_a_constant_series_has_a_page_too(path: Path) -> None:
    panel = walk(FIT + 40)
    panel = replace(panel, values=np.full_like(panel.values, 3.0))
    origins = np.arange(FIT + 1, len(panel.dates))
    journal.append(path, rows(panel, origins, offsets(panel, origins, scale=0.0), FIT))
    root = page(path, panel)
    assert "between 3.0000 and 3.0000" in root.text


def test_an_empty_journal_is_refused_with_the_command_that_fills_it(path: Path) -> None:
    journal.append(path, [])
    with pytest.raises(InputError) as caught:
        report(path, walk(FIT), path.with_suffix(".html"))
    assert caught.value.hint == f"seqcli forecast MODEL --journal {path}"
    assert not path.with_suffix(".html").exists()


def test_a_page_that_cannot_be_written_leaves_the_old_one(path: Path) -> None:
    panel = walk(FIT + 20)
    keep(path, panel, FIT)
    folder = path.with_name("page.html")
    folder.mkdir()
    with pytest.raises(MachineError):
        report(path, panel, folder)
    assert list(folder.iterdir()) == []


def placeholders(words: Words) -> dict[str, Any]:
    def names(value: object) -> object:
        if isinstance(value, str):
            return sorted({name for _, name, _, _ in string.Formatter().parse(value) if name})
        if isinstance(value, tuple):
            return [names(each) for each in value]
        return {key: names(each) for key, each in value.items()} if isinstance(value, dict) else None

    return {field.name: names(getattr(words, field.name)) for field in fields(words)}


def test_both_languages_say_the_same_things() -> None:
    assert placeholders(LANGUAGES["en"]) == placeholders(LANGUAGES["ja"])
    for words in LANGUAGES.values():
        assert set(words.verdicts) == {drift.KEEP, drift.RECALIBRATE, drift.RETRAIN, drift.TOO_EARLY}


def test_dates_and_numbers_are_written_as_the_language_does() -> None:
    english, japanese = LANGUAGES["en"], LANGUAGES["ja"]
    assert english.date("2026-11-06") == "6\xa0Nov\xa02026"
    assert japanese.date("2026-11-06") == "2026年11月6日"
    assert english.ahead(1, "target") == "1\xa0business day ahead"
    assert english.steps(2, "monthly") == "2\xa0months"
    assert japanese.ahead(5, "target") == "5営業日後"
    assert english.number(-0.5, 2) == "−0.50"
    assert english.number(1234567.0, 0) == "1,234,567"
    assert english.percent(0.844) == "84.4\xa0%"
    assert japanese.percent(0.844) == "84.4%"
    assert english.p_is(0.0004) == "p\xa0<\xa00.001"


def test_markup_is_escaped_unless_it_was_made_here() -> None:
    assert tag("p", "<&>\x00", tag("b", '"')) == "<p>&lt;&amp;&gt;\ufffd<b>&quot;</b></p>"
    assert (
        tag("a", "x", href='"><script>', class_=None, hidden=True) == '<a href="&quot;&gt;&lt;script&gt;" hidden>x</a>'
    )
    assert isinstance(tag("p"), Markup)
