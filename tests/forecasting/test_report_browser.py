"""The page in a real browser: what a reader of it would stumble over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from browser import Browser
from journals import keep, walk

from seqcli.forecasting.report import report

LONG = "A very long name of a series, without end: " + "x" * 60

pytestmark = pytest.mark.skipif(browser.find() is None, reason="no Chromium is installed")

OVERFLOWS = """
(() => {
  document.querySelectorAll("details").forEach(d => d.open = true);
  const wide = document.documentElement.clientWidth;
  const free = e => !e.closest(".skip") && (!e.closest(".scroll") || e.matches(".scroll"));
  const out = [...document.querySelectorAll("body *")].filter(e =>
    free(e) && e.getBoundingClientRect().right > wide + 0.5);
  return [document.documentElement.scrollWidth - wide, out.map(e => e.outerHTML.slice(0, 120))];
})()
"""

# WCAG 2.2, 1.4.3 (text, 4.5 to 1) and 1.4.11 (what a drawing says, 3 to 1): the contrast of what was computed.
CONTRASTS = """
(() => {
  document.querySelectorAll("details").forEach(d => d.open = true);
  const channels = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = colour => channels(colour).slice(0, 3).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor, parts = channels(colour);
      if (parts.length === 3 || parts[3] === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const ratio = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((m, n) => n - m);
    return (x + 0.05) / (y + 0.05);
  };
  const found = {};
  const note = (kind, e, colour, least) => {
    const r = ratio(colour, ground(e)), name = kind + " " + e.tagName + "." + (e.getAttribute("class") || "");
    if (!(name in found) || r < found[name][0]) found[name] = [r, least];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || e.closest("title, desc")) continue;
    const style = getComputedStyle(e);
    note("text", e, e instanceof SVGElement ? style.fill : style.color, 4.5);
  }
  for (const e of document.querySelectorAll(".past, .middle, .b95, .b80, .b50, .bar, .mark, .level, .now")) {
    if (!(e instanceof SVGElement) || e.tagName === "text") continue;
    const style = getComputedStyle(e);
    note("drawing", e, style.stroke === "none" ? style.fill : style.stroke, 3);
  }
  return found;
})()
"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("chromium")) as one:
        yield one


@pytest.fixture(scope="module", params=["en", "ja"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all that a page can have: two models, old data, a warning, known outcomes, a name without end."""
    folder = tmp_path_factory.mktemp("page")
    panel = walk(390, names=("USD/JPY", LONG, "為替"))
    journal = folder / "fx.sqlite"
    keep(journal, panel.head(360), 300, horizon=5, scale=0.6, model_id="old")
    keep(journal, panel.head(388), 340, horizon=5, scale=0.6, model_id="f" * 12, stale=2, calibration="2021-01-01-0abc")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQCLI_NOW", f"{panel.dates[-1]}T17:00:00")
        report(journal, panel, folder / "page.html", language=request.param)
    return folder / "page.html"


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_window(chromium: Browser, page: Path, width: int) -> None:
    chromium.open(page, width)
    beyond, elements = chromium.run(OVERFLOWS)
    assert beyond <= 0
    assert elements == []


def test_tables_that_are_too_wide_scroll_and_the_keyboard_reaches_them(chromium: Browser, page: Path) -> None:
    chromium.open(page, 320)
    script = """[...document.querySelectorAll(".scroll")].map(e =>
        [e.scrollWidth > e.clientWidth, e.tabIndex, getComputedStyle(e).overflowX])"""
    found = chromium.run(script)
    assert any(wide for wide, _, _ in found)
    assert all((index, overflow) == (0, "auto") for _, index, overflow in found)


def test_no_request_leaves_the_page_and_the_console_is_silent(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280)
    chromium.run("document.fonts.ready.then(() => 1)")

    def reported(method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in chromium.events if event.get("method") == method]

    urls = {params["request"]["url"] for params in reported("Network.requestWillBeSent")}
    assert {url for url in urls if not url.startswith("data:")} == {page.as_uri()}
    assert reported("Log.entryAdded") == []
    assert reported("Runtime.consoleAPICalled") == []
    assert reported("Runtime.exceptionThrown") == []


@pytest.mark.parametrize(("scheme", "media"), [("light", ""), ("dark", ""), ("dark", "print")])
def test_text_and_drawings_stand_out_from_their_ground(chromium: Browser, page: Path, scheme: str, media: str) -> None:
    chromium.open(page, 1280, scheme=scheme, media=media)
    ground = chromium.run("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light" or media == "print")
    found = chromium.run(CONTRASTS)
    assert len(found) > 20
    assert {name: ratio for name, (ratio, least) in found.items() if ratio < least} == {}


def test_labels_of_a_drawing_do_not_run_into_each_other(chromium: Browser, page: Path) -> None:
    script = """[...document.querySelectorAll("svg.chart")].flatMap(svg => {
      const boxes = [...svg.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()])
        .filter(([, b]) => b.width > 0);
      return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([, q]) =>
        p.left < q.right && q.left < p.right && p.top + 2 < q.bottom && q.top + 2 < p.bottom).map(([b]) => [a, b]));
    })"""
    for width in (320, 390, 768, 1280):
        chromium.open(page, width)
        chromium.run('document.querySelectorAll("details").forEach(d => d.open = true)')
        assert chromium.run(script) == [], width


def test_what_has_the_focus_can_be_seen(chromium: Browser, page: Path) -> None:
    chromium.open(page, 1280)
    script = """[...document.querySelectorAll("a, summary, .scroll")].filter(e => e.checkVisibility()).map(e => {
      e.focus({focusVisible: true});
      const style = getComputedStyle(e);
      return [document.activeElement === e, style.outlineStyle, parseFloat(style.outlineWidth) >= 2];
    })"""
    found = chromium.run(script)
    assert len(found) > 10
    assert all(state == [True, "solid", True] for state in found)
