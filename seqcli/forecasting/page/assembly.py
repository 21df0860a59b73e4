"""The page: one HTML file that needs no network and no script, from the newest forecasts and the track record."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Final

import numpy as np

from seqcli import __version__
from seqcli.forecasting import calendar as calendars
from seqcli.forecasting import drift
from seqcli.forecasting.page import drawing, record
from seqcli.forecasting.page.fans import Fan
from seqcli.forecasting.page.markup import Markup, tag
from seqcli.forecasting.page.record import Scores, table
from seqcli.forecasting.page.words import Words
from seqcli.results import Record

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, eq=False)
class Page:
    """All that is on the page.

    Arguments:
        name: of the journal's file.
        made: ISO time in UTC.
        today: ISO date of that moment.
        data_until: ISO date of the newest value known.
        calendar: which days the series have.
        plain: series modelled in differences.
        fans: the newest forecast of each series.
        record: the records of ``track``.
        rows: forecasts in the journal.
        first: ISO date on which the first of them was issued.
        last: ISO date on which the last of them was issued.
        replayed: forecasts issued after the day they are about.
    """

    name: str
    made: str
    today: str
    data_until: str
    calendar: str
    plain: frozenset[str]
    fans: tuple[Fan, ...]
    record: tuple[Record, ...]
    rows: int
    first: str
    last: str
    replayed: int

    @property
    def newest(self) -> Fan:
        """The fan that was issued last from the newest origin."""
        return max(self.fans, key=lambda one: (one.origin, one.issued_at))


def assemble(page: Page, words: Words) -> str:
    """The whole file."""
    scores = Scores(page.record, page.calendar, page.plain)
    body = tag(
        "body",
        tag("a", words.skip, href="#forecasts", class_="skip"),
        tag("header", tag("h1", words.title), tag("p", tag("bdi", page.name), " · ", words.moment(page.made))),
        tag(
            "main",
            _glance(page, scores, words),
            _overview(page, scores, words),
            _forecasts(page, scores, words),
            record.section(scores, words),
            _reading(words),
        ),
        tag("footer", tag("p", words.no_advice), tag("p", f"seqcli {__version__} · {page.made}", class_="small")),
    )
    return f"<!doctype html>\n{tag('html', _head(page, words), body, lang=words.language)}\n"


def _head(page: Page, words: Words) -> Markup:
    style = resources.files("seqcli.forecasting.page").joinpath("page.css").read_text(encoding="utf-8")
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"{words.title} · {page.newest.origin}"),
        tag("style", Markup(style)),
    )


def _glance(page: Page, scores: Scores, words: Words) -> Markup:
    newest, warnings = page.newest, list(_warnings(page, scores, words))
    model = words.learnt_until.format(model=newest.model_id, date=words.date(newest.data_until))
    if newest.calibration:
        model += words.calibrated.format(calibration=newest.calibration)
    facts = (
        (words.newest, words.date(newest.origin)),
        (words.data_until, words.date(page.data_until)),
        (words.made, words.moment(page.made)),
        (words.model, model),
        (words.verdict, record.verdict(scores, words)),
        (
            words.journal,
            words.journal_rows.format(
                rows=words.count(page.rows),
                series=len(page.fans),
                first=words.date(page.first),
                last=words.date(page.last),
            ),
        ),
    )
    beware = None
    if warnings:
        listed = tag("ul", *(tag("li", warning) for warning in warnings))
        beware = tag("div", tag("p", tag("strong", words.beware)), listed, class_="call bad")
    return tag(
        "section",
        tag("h2", words.glance, id="glance"),
        beware,
        record.skill(scores, words),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", said)) for name, said in facts), class_="facts"),
        tag("p", words.no_advice, class_="small"),
        aria_labelledby="glance",
    )


def _warnings(page: Page, scores: Scores, words: Words) -> Iterator[str]:
    """What makes these numbers worth less than they look."""
    newest = page.newest
    stale = [one.stale for one in page.fans if one.stale is not None and one.origin == newest.origin]
    if stale:
        yield words.stale.format(age=words.steps(max(stale), page.calendar))
    if max(target for one in page.fans for target in one.targets) < page.today:
        yield words.lapsed.format(date=words.date(newest.origin))
    elif _age(page.calendar, newest.origin, page.data_until) > 0:
        yield words.behind_data.format(data=words.date(page.data_until), date=words.date(newest.origin))
    if scores.verdict in (drift.RECALIBRATE, drift.RETRAIN):
        yield record.verdict(scores, words)
    if page.replayed:
        yield words.replayed.format(n=words.count(page.replayed))
    if scores.seen:
        yield words.seen.format(n=words.count(scores.seen))


def _age(calendar: str, first: str, last: str) -> int:
    return calendars.count(calendar, np.datetime64(first), np.datetime64(last)) if first < last else 0


def _overview(page: Page, scores: Scores, words: Words) -> Markup:
    newest = page.newest
    ends = (0, len(newest.targets) - 1) if len(newest.targets) > 1 else (0,)
    head = [words.series, words.last]
    head += [words.range80.format(ahead=words.ahead(h + 1, page.calendar)) for h in ends]
    head += [words.held80, words.to_ewma, words.drift]
    rows = []
    for k, one in enumerate(page.fans):
        found = scores.get(one.series, "all")
        last = words.number(one.last, one.digits)
        cells: list[object] = [last if one.origin == newest.origin else f"{last} ({words.date(one.origin)})"]
        cells += [_range(one, min(h, len(one.targets) - 1), "q0.1", "q0.9", words) for h in ends]
        cells += [words.percent(found["coverage80"] if found else None)]
        cells += [words.ratio(found["crps_ewma"] if found else None)]
        cells += [record.drift_in_short(scores, one.series, words)]
        rows.append((tag("a", one.series, href=f"#s{k + 1}"), cells))
    return tag(
        "section",
        tag("h2", words.overview, id="overview"),
        tag("nav", table("overview-t", words.overview_caption, head, rows), aria_labelledby="overview"),
        aria_labelledby="overview",
    )


def _range(one: Fan, h: int, low: str, high: str, words: Words) -> str:
    return f"{words.number(one.quantiles[low][h], one.digits)} – {words.number(one.quantiles[high][h], one.digits)}"


def _forecasts(page: Page, scores: Scores, words: Words) -> Markup:
    articles = [_article(one, f"s{k + 1}", scores, words) for k, one in enumerate(page.fans)]
    wider = any(drawing.stretched(one) for one in page.fans)
    return tag(
        "section",
        tag("h2", words.forecasts, id="forecasts"),
        tag("p", words.forecasts_note, words.stop + words.wider if wider else None),
        tag("div", *articles, class_="fans"),
        aria_labelledby="forecasts",
    )


def _article(one: Fan, identity: str, scores: Scores, words: Words) -> Markup:
    return tag(
        "article",
        tag("h3", one.series, id=identity),
        tag("p", drawing.summary(one, words)),
        tag("figure", drawing.fan(one, f"{identity}-f", words), drawing.legend(one, words)),
        tag("details", tag("summary", words.numbers), *_numbers(one, identity, words)),
        record.of_series(scores, one.series, identity, words),
        tag("p", tag("a", words.top, href="#overview"), class_="small"),
        aria_labelledby=identity,
    )


def _numbers(one: Fan, identity: str, words: Words) -> Iterator[Markup]:
    """The numbers of the drawing as tables."""
    bands = drawing.BANDS[::-1]
    head = [words.date_heading, words.ahead_heading, words.median]
    head += [words.between.format(share=words.percent(int(name) / 100, 0)) for name, _, _ in bands]
    came = any(value is not None for value in one.came)
    rows = []
    for h, target in enumerate(one.targets):
        cells = [words.horizon(h + 1, one.calendar), words.number(one.median[h], one.digits)]
        cells += [_range(one, h, low, high, words) for _, low, high in bands]
        outcome = one.came[h]
        cells += ["–" if outcome is None else words.number(outcome, one.digits)] if came else []
        rows.append((target, cells))
    yield table(
        f"{identity}-n",
        words.numbers_caption.format(series=one.series),
        [*head, *([words.came] if came else [])],
        rows,
    )
    past = [(day, [words.number(value, one.digits)]) for day, value in one.history[::-1] if math.isfinite(value)]
    caption = words.history_numbers.format(series=one.series)
    yield table(f"{identity}-h", caption, (words.date_heading, words.value), past, tall=True)


def _reading(words: Words) -> Markup:
    alarm = f"{drift.ALARM:.0f}"
    meanings = [tag("div", tag("dt", name), tag("dd", said.format(alarm=alarm))) for name, said in words.meanings]
    return tag(
        "section",
        tag("h2", words.reading, id="reading"),
        tag("dl", *meanings, class_="terms"),
        aria_labelledby="reading",
    )
