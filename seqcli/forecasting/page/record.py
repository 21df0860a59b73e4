"""The page's account of how good the forecasts were: scores, verdict, drift, calibration."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from seqcli.forecasting import drift
from seqcli.forecasting.page import drawing
from seqcli.forecasting.page.markup import Markup, join, tag
from seqcli.forecasting.page.words import Words
from seqcli.forecasting.scoring import SIGNIFICANT
from seqcli.forecasting.track import POOLED
from seqcli.results import Record

_TESTS: Final = ("e_bias", "e_width", "e_worse")
_DRAWN = 6  # horizons, at most, in a drawing and in the table of one series
_MODELS = 12  # of a journal that holds more, the newest ones are listed


class Scores:
    """The records of ``track`` that count, by model, series and horizon.

    Arguments:
        records: of ``track``; those marked ``in_sample`` are left out.
        calendar: which days the series have.
        plain: series modelled in differences, whose errors are in their own units and not in per cent.
    """

    def __init__(self, records: Sequence[Record], calendar: str, plain: Collection[str] = ()) -> None:
        counted = [r for r in records if not r["in_sample"]]
        self.calendar, self._plain = calendar, frozenset(plain)
        self.seen = sum(
            r["n"] for r in records if r["in_sample"] and r["series"] == r["h"] == "all" and r["model"] != POOLED
        )
        self.models = tuple(dict.fromkeys(r["model"] for r in counted))
        """The pooled one first, if there are several; then the newest."""
        self.lead = self.models[0]
        self.newest = next(m for m in self.models if m != POOLED)
        self.series = tuple(dict.fromkeys(r["series"] for r in counted if r["series"] != "all"))
        self._by_key: dict[tuple[object, object, object], Record] = {
            (r["model"], r["series"], r["h"]): r for r in counted
        }

    def get(self, series: str, h: int | str, model: str | None = None) -> Record | None:
        """The record of the lead model or another; None where there is none or nothing has come due."""
        record = self._by_key.get((model or self.lead, series, h))
        return record if record is not None and record["n"] else None

    def horizons(self, series: str, model: str | None = None) -> list[int]:
        """The horizons of which outcomes are known."""
        model = model or self.lead
        found = [h for m, s, h in self._by_key if (m, s) == (model, series) and isinstance(h, int)]
        return [h for h in found if self.get(series, h, model)]

    def shortest(self, series: str, model: str | None = None) -> Record | None:
        """The record that verdicts look at: horizons do not overlap there."""
        horizons = self.horizons(series, model)
        return self.get(series, horizons[0], model) if horizons else None

    @property
    def verdict(self) -> str:
        """Of the newest model."""
        return str(self._by_key[self.newest, "all", "all"]["verdict"])

    @property
    def days(self) -> int:
        """Days with an outcome: no series has more."""
        return max((record["n"] for s in self.series if (record := self.shortest(s))), default=0)

    def proofs(self, series: str, model: str | None = None) -> dict[str, float]:
        """Evidence by the name of its test; empty where there is none yet."""
        record = self.shortest(series, model)
        if record is None or record["e_bias"] is None:
            return {}
        return {name: float(record[name]) for name in _TESTS}

    def size(self, series: str, error: float | None, words: Words) -> str:
        """A mean error, in per cent or in the units of the series."""
        # There is one for all series only if all are of one kind.
        if error is not None and (series in self._plain or (series == "all" and self._plain)):
            return f"{error:.3g}"
        return words.percent(error, 3)

    def name(self, model: str, words: Words) -> str:
        """What a model is called."""
        return words.newest_of_each_day if model == POOLED else model


def skill(scores: Scores, words: Words) -> Markup:
    """The first thing to know: whether these forecasts are worth more than a formula of one line."""
    ours = scores.shortest("all")
    if ours is None or ours["crps_ewma"] is None or ours["dm_p_ewma"] is None:
        n = words.count(ours["n"] if ours else 0)
        return tag("div", tag("p", tag("strong", words.skill_early.format(n=n))), class_="call open")
    ratio, p = float(ours["crps_ewma"]), float(ours["dm_p_ewma"])
    shown = p < SIGNIFICANT
    kind, sentence = "open", words.skill_none
    if shown and ratio < 1.0:
        kind, sentence = "good", words.skill_shown
    elif shown and ratio > 1.0:
        kind, sentence = "bad", words.skill_worse
    said = sentence.format(
        ahead=words.ahead(ours["h"], scores.calendar),
        percent=words.percent(abs(1.0 - ratio), 2),
        ratio=words.ratio(ratio),
        p=words.p_is(p),
    )
    every = scores.get("all", "all") or ours
    same = every["mae_ratio"] is None or abs(every["mae_ratio"] - 1.0) < 1e-9
    point = words.point_walk if same else words.point_ratio.format(ratio=words.ratio(every["mae_ratio"]))
    details = words.skill_details.format(
        n=words.count(ours["n"]),
        days=words.count(scores.days),
        ratio=words.ratio(every["crps_ewma"]),
        p=words.p_is(every["dm_p_ewma"]),
    )
    evidence = words.evidence(ours["e_better" if ratio < 1.0 else "e_worse"])
    daily = words.skill_daily.format(evidence=evidence)
    small = tag("p", details, words.stop, daily, class_="small")
    return tag("div", tag("p", tag("strong", said)), tag("p", point), small, class_=f"call {kind}")


def verdict(scores: Scores, words: Words) -> str:
    """Keep, recalibrate, retrain or too early to say, in words."""
    return words.verdicts[scores.verdict].format(fewest=drift.FEWEST_DAYS)


def section(scores: Scores, words: Words) -> Markup:
    """The track record of all series."""
    heading = tag("h2", words.record, id="record")
    if scores.get("all", "all") is None:
        return tag("section", heading, tag("p", words.nothing_due), aria_labelledby="record")
    parts = [heading, _table(scores, "all", scores.horizons("all"), "record-t", words)]
    parts.append(tag("div", *_drawings(scores, "all", "record", words), class_="pair"))
    proofs = scores.proofs("all", scores.newest)
    if proofs:
        parts += [tag("h3", words.drift, id="drift"), _drift_table(scores, proofs, words)]
    if len(scores.models) > 1:
        parts += [tag("h3", words.record_models, id="models"), _models(scores, words)]
    return tag("section", *parts, aria_labelledby="record")


def of_series(scores: Scores, series: str, identity: str, words: Words) -> Markup:
    """The track record of one series, folded away."""
    title = tag("summary", words.record_of.format(series=series))
    if scores.get(series, "all") is None:
        return tag("details", title, tag("p", words.nothing_due))
    horizons = _some(scores.horizons(series))
    return tag(
        "details",
        title,
        _table(scores, series, horizons, f"{identity}-r", words),
        *_drawings(scores, series, identity, words)[:1],
        tag("p", _drift_of_series(scores, series, words)),
    )


def _drift_of_series(scores: Scores, series: str, words: Words) -> str:
    proofs = scores.proofs(series, scores.newest)
    if not proofs:
        return words.drift_none
    alarms = [words.drift_names[name] for name, value in proofs.items() if value >= drift.ALARM]
    most = words.evidence(max(proofs.values()))
    if not alarms:
        return words.drift_fine.format(evidence=most, alarm=f"{drift.ALARM:.0f}")
    return words.drift_many.format(
        names=words.comma.join(alarms), evidence=most, alarm=f"{drift.ALARM:.0f}", count=len(scores.series)
    )


def drift_in_short(scores: Scores, series: str, words: Words) -> str:
    """Whether one series has drifted, in a word and a number."""
    most = max(scores.proofs(series, scores.newest).values(), default=None)
    if most is None:
        return "–"
    result = words.drift_found if most >= drift.ALARM else words.drift_no
    return words.drift_short.format(result=result, evidence=words.evidence(most))


def _drawings(scores: Scores, series: str, identity: str, words: Words) -> list[Markup]:
    """The PIT histogram of the shortest horizon, and coverage by horizon."""
    first = scores.shortest(series)
    assert first is not None
    title = words.pit_title.format(ahead=words.ahead(first["h"], scores.calendar))
    out = []
    if first["pit"] is not None:
        drawn = drawing.histogram(first["pit"], f"{identity}-p", title, words)
        out.append(tag("figure", drawn, tag("figcaption", tag("b", title), " ", words.pit_caption)))
    bars = []
    for h in _some(scores.horizons(series)):
        record = scores.get(series, h)
        assert record is not None
        for column, promised in (("coverage80", 0.8), ("coverage95", 0.95)):
            if record[column] is not None:
                bars.append((f"h = {h}, {words.percent(promised, 0)}", float(record[column]), promised))
    covered = drawing.coverage(bars, f"{identity}-c", words.coverage_title, words)
    caption = tag("figcaption", tag("b", words.coverage_title), " ", words.coverage_caption)
    return [*out, tag("figure", covered, caption)]


def _table(scores: Scores, series: str, horizons: Sequence[int], identity: str, words: Words) -> Markup:
    name = words.all_series if series == "all" else series
    caption = words.record_caption.format(model=scores.name(scores.lead, words), series=name)
    rows = [
        (words.horizon(h, scores.calendar), _cells(scores, record, words))
        for h in horizons
        if (record := scores.get(series, h))
    ]
    if every := scores.get(series, "all"):
        rows.append((words.all_horizons, _cells(scores, every, words)))
    head = (words.ahead_heading, *_headings(words))
    return table(identity, caption, head, rows)


def _models(scores: Scores, words: Words) -> Markup:
    found = [(model, record) for model in scores.models if (record := scores.get("all", "all", model))]
    kept, left = found[:_MODELS], len(found) - _MODELS
    rows = [(scores.name(model, words), _cells(scores, record, words)) for model, record in kept]
    return join(
        table("models-t", words.record_models, (words.model, *_headings(words)), rows),
        tag("p", words.older_models.format(n=left), class_="small") if left > 0 else None,
    )


def _headings(words: Words) -> tuple[str, ...]:
    return (
        words.n, words.pending, words.mae, words.mae_ratio, words.crps, words.crps_ratio, words.crps_ewma, words.p,
        words.coverage80, words.coverage95,
    )  # fmt: skip


def _cells(scores: Scores, record: Mapping[str, Any], words: Words) -> tuple[str, ...]:
    return (
        words.count(record["n"]),
        words.count(record["pending"]),
        scores.size(record["series"], record["mae"], words),
        words.ratio(record["mae_ratio"]),
        scores.size(record["series"], record["crps"], words),
        words.ratio(record["crps_ratio"]),
        words.ratio(record["crps_ewma"]),
        words.chance(record["dm_p_ewma"]),
        words.percent(record["coverage80"]),
        words.percent(record["coverage95"]),
    )


def _drift_table(scores: Scores, proofs: Mapping[str, float], words: Words) -> Markup:
    rows = []
    for name, value in proofs.items():
        result = words.drift_found if value >= drift.ALARM else words.drift_not
        rows.append((words.drift_names[name], (words.evidence(value), result)))
    caption = words.drift_caption.format(model=scores.newest, alarm=f"{drift.ALARM:.0f}")
    return table("drift-t", caption, (words.drift_test, words.drift_evidence, words.drift_result), rows)


def table(
    identity: str,
    caption: str,
    head: Sequence[object],
    rows: Sequence[tuple[object, Sequence[object]]],
    *,
    tall: bool = False,
) -> Markup:
    """A table in a region of its own that scrolls sideways where it is too wide, with the keyboard as well.

    Arguments:
        identity: the id of its caption.
        caption: what it is.
        head: headings of the columns.
        rows: for each row its heading and its other cells.
        tall: it scrolls downwards as well.
    """
    return tag(
        "div",
        tag(
            "table",
            tag("caption", tag("span", caption, id=identity)),
            tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head))),
            tag("tbody", *(_row(first, cells) for first, cells in rows)),
        ),
        class_="scroll tall" if tall else "scroll",
        tabindex=0,
        role="region",
        aria_labelledby=identity,
    )


def _row(first: object, cells: Sequence[object]) -> Markup:
    return tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in cells))


def _some(horizons: Sequence[int]) -> list[int]:
    """All of a few horizons; of many, the first and last and some between."""
    if len(horizons) <= _DRAWN:
        return list(horizons)
    return [horizons[round(k * (len(horizons) - 1) / (_DRAWN - 1))] for k in range(_DRAWN)]
