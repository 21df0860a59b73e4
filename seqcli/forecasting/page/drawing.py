"""The page's drawings, as inline SVG without a line of script.

They are as wide as their column and keep the size of their letters: the outer ``<svg>`` has no view box, so its x are
per cent and its y are CSS pixels; only the curves lie in an inner one that is stretched. Room for the labels of the
vertical axis is padding, into which the text overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from seqcli.forecasting.page.fans import Fan
from seqcli.forecasting.page.markup import Markup, tag
from seqcli.forecasting.page.words import Words

BANDS: Final = (("95", "q0.025", "q0.975"), ("80", "q0.1", "q0.9"), ("50", "q0.25", "q0.75"))
"""The bands of a fan, the widest first: percentage, lower and upper quantile."""

_TOP, _HEIGHT = 18, 190  # pixels: where the plot begins, and its height
_WIDTH = 1000  # of the stretched drawing, in its own units
_FAN: Final = 0.38  # of the width, at least: five days beside sixty would be a sliver
_LETTER: Final = 7.3  # pixels that a digit takes
_BAR = 22  # pixels a bar of coverage takes


def fan(one: Fan, identity: str, words: Words) -> Markup:
    """The history and the fan of one series."""
    known = [value for _, value in one.history if math.isfinite(value)]
    came = [value for value in one.came if value is not None]
    ends = [value for name in ("q0.025", "q0.975") for value in one.quantiles[name]]
    ticks, decimals = _ticks(min(known + came + ends), max(known + came + ends))
    low, high = ticks[0], ticks[-1]

    def y(value: float) -> float:
        return _HEIGHT * (high - value) / (high - low)

    split = _WIDTH * (1 - (_FAN if stretched(one) else len(one.targets) / (len(one.history) - 1 + len(one.targets))))
    past = [split * i / max(1, len(one.history) - 1) for i in range(len(one.history))]
    ahead = [split + (_WIDTH - split) * (h + 1) / len(one.targets) for h in range(len(one.targets))]
    curves = [_line(f"M0 {y(tick):.1f}H{_WIDTH}", "grid") for tick in ticks]
    for name, lower, upper in BANDS:
        up = [(split, y(one.last)), *zip(ahead, map(y, one.quantiles[upper]), strict=True)]
        down = [*zip(ahead, map(y, one.quantiles[lower]), strict=True)][::-1]
        curves.append(_line(f"M{_points([*up, *down])}Z", f"b{name}"))
    curves.append(_line(f"M{split:.0f} 0V{_HEIGHT}", "now"))
    curves.append(_line("".join(_strokes(past, [value for _, value in one.history], y)), "past"))
    curves.append(_line(f"M{_points([(split, y(one.last)), *zip(ahead, map(y, one.median), strict=True)])}", "middle"))
    labels = [(words.number(tick, decimals), _TOP + y(tick)) for tick in ticks]
    title = words.fan_title.format(series=one.series, date=words.date(one.origin))
    described = words.fan_described.format(
        days=len(one.history),
        low=words.number(min(known), one.digits),
        high=words.number(max(known), one.digits),
        summary=summary(one, words),
    )
    return _chart(
        identity,
        title,
        described,
        _TOP + _HEIGHT + 22,
        8.0 + _LETTER * max(len(label) for label, _ in labels),
        tag("text", words.forecast, x=f"{split / 10:.1f}%", y=11, dx=4, class_="note"),
        tag(
            "svg", *curves, y=_TOP, width="100%", height=_HEIGHT, viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
            preserveAspectRatio="none",
        ),
        *(tag("text", label, x=-7, y=f"{place:.1f}", dy=".32em", class_="end") for label, place in labels),
        *_days(one, past, ahead, words),
        *(
            tag("circle", cx=f"{x / 10:.1f}%", cy=f"{_TOP + y(value):.1f}", r=3.5, class_="came")
            for x, value in zip(ahead, one.came, strict=True)
            if value is not None
        ),
    )  # fmt: skip


def stretched(one: Fan) -> bool:
    """Whether a day of the forecast is drawn wider than one of the past."""
    return len(one.targets) < _FAN * (len(one.history) - 1 + len(one.targets))


def summary(one: Fan, words: Words) -> str:
    """The forecast in a sentence."""
    return words.fan_summary.format(
        last=words.number(one.last, one.digits),
        origin=words.date(one.origin),
        low=words.number(one.quantiles["q0.1"][-1], one.digits),
        high=words.number(one.quantiles["q0.9"][-1], one.digits),
        target=words.date(one.targets[-1]),
        ahead=words.ahead(len(one.targets), one.calendar),
    )


def histogram(shares: Sequence[float], identity: str, title: str, words: Words) -> Markup:
    """A PIT histogram: bars that are level if the forecasts are calibrated, their heights written above."""
    most, plot, bins = max(0.2, *shares), 110, len(shares)
    level = _TOP + plot * (1 - 1 / bins / most)
    drawn: list[Markup] = []
    for k, share in enumerate(shares):
        top = _TOP + plot * (1 - share / most)
        drawn.append(
            tag(
                "rect", x=f"{(k + 0.08) * 100 / bins:.1f}%", width=f"{84 / bins:.1f}%", y=f"{top:.1f}",
                height=f"{_TOP + plot - top:.1f}", class_="bar",
            )
        )  # fmt: skip
        # A number that the line would strike through moves above it.
        number = min(top, level) if top - 16 < level else top
        said = f"{100 * share:.0f}"
        drawn.append(tag("text", said, x=f"{(k + 0.5) * 100 / bins:.1f}%", y=f"{number - 4:.1f}", class_="middle"))
    return _chart(
        identity,
        title,
        words.pit_described.format(shares=words.comma.join(words.percent(share, 0) for share in shares)),
        _TOP + plot + 22,
        0.0,
        *drawn,
        tag("line", x1=0, x2="100%", y1=f"{level:.1f}", y2=f"{level:.1f}", class_="level"),
        tag("text", words.pit_low, x=0, y=_TOP + plot + 15),
        tag("text", words.pit_high, x="100%", y=_TOP + plot + 15, class_="end"),
    )


def coverage(rows: Sequence[tuple[str, float, float]], identity: str, title: str, words: Words) -> Markup:
    """Bars of how many outcomes an interval held, with a mark where it should be.

    Arguments:
        rows: label, share that was held, share that was promised.
        identity: for the ids of the title and the description.
        title: what a screen reader calls it.
        words: the language.
    """
    drawn: list[Markup] = []
    for k, (label, share, promised) in enumerate(rows):
        top = k * _BAR + 4
        place = f"{100 * promised:.1f}%"
        drawn += [
            tag("rect", width="100%", y=top, height=12, class_="trough"),
            tag("rect", width=f"{100 * share:.2f}%", y=top, height=12, class_="bar"),
            tag("line", x1=place, x2=place, y1=top - 3, y2=top + 15, class_="mark"),
            tag("text", label, x=-78, y=top + 10),
            tag("text", words.percent(share), x="100%", y=top + 10, dx=52, class_="end"),
        ]
    said = words.comma.join(f"{label}: {words.percent(share)}" for label, share, _ in rows)
    return _chart(identity, title, said, len(rows) * _BAR + 6, 78.0, *drawn, right=52.0)


def _chart(
    identity: str, title: str, described: str, height: int, left: float, *inner: Markup, right: float = 0.0
) -> Markup:
    return tag(
        "svg",
        tag("title", title, id=f"{identity}-t"),
        tag("desc", described, id=f"{identity}-d"),
        *inner,
        class_="chart",
        role="img",
        aria_labelledby=f"{identity}-t",
        aria_describedby=f"{identity}-d",
        height=height,
        style=f"padding:0 {right:.0f}px 0 {left:.0f}px",
    )


def _line(path: str, kind: str) -> Markup:
    return tag("path", d=path, class_=kind)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return "L".join(f"{x:.0f} {y:.1f}" for x, y in points)


def _strokes(xs: Sequence[float], values: Sequence[float], y: Callable[[float], float]) -> Iterator[str]:
    """A line that breaks where a day has no value; a value alone between two gaps is a dot."""
    drawing = False
    for x, value in zip(xs, values, strict=True):
        if math.isfinite(value):
            yield f"{'L' if drawing else 'M'}{x:.0f} {y(value):.1f}{'' if drawing else 'h0'}"
        drawing = math.isfinite(value)


def _days(one: Fan, past: Sequence[float], ahead: Sequence[float], words: Words) -> Iterator[Markup]:
    """Dates below the plot: four always, more where there is room."""
    long = one.calendar in ("weekly", "monthly")
    y = _TOP + _HEIGHT + 16

    def label(day: str, x: float, kind: str) -> Markup:
        return tag("text", words.day(day, long), x=f"{x / 10:.1f}%", y=y, class_=kind)

    yield label(one.history[0][0], 0, "")
    if len(past) > 30:
        place = len(past) // 2
        yield label(one.history[place][0], past[place], "middle wide")
    yield label(one.origin, past[-1], "middle")
    if 3 <= len(ahead) <= 7:
        yield label(one.targets[len(ahead) // 2], ahead[len(ahead) // 2], "middle wide")
    yield label(one.targets[-1], _WIDTH, "end")


def _ticks(low: float, high: float) -> tuple[list[float], int]:
    """Round numbers around a span, four to seven of them, and the decimals that they need."""
    if not high > low:
        low, high = low - (abs(low) or 1.0) * 0.01, high + (abs(high) or 1.0) * 0.01
    rough = (high - low) / 4.0
    power = math.floor(math.log10(rough))
    step = next(s for s in (1.0, 2.0, 2.5, 5.0, 10.0) if s * 10.0**power >= rough * 0.999) * 10.0**power
    first, last = math.floor(low / step), math.ceil(high / step)
    decimals = max(0, -power + (1 if abs(step / 10.0**power - 2.5) < 1e-6 else 0))
    return [step * k for k in range(first, last + 1)], decimals


def legend(one: Fan, words: Words) -> Markup:
    """What the lines and bands are, in words."""
    entries = [("past", words.history), ("middle", words.median)]
    entries += [
        (f"b{name}", words.interval.format(share=words.percent(int(name) / 100, 0))) for name, _, _ in BANDS[::-1]
    ]
    entries += [("came", words.came)] if any(value is not None for value in one.came) else []
    keys = ((tag("span", class_=f"key {kind}", aria_hidden="true"), said) for kind, said in entries)
    return tag("ul", *(tag("li", key, said) for key, said in keys), class_="legend")
