"""The page in English."""

from __future__ import annotations

from typing import Final

from seqcli.forecasting.page.words import Words

ENGLISH: Final = Words(
    language="en",
    title="Forecast report",
    skip="Skip to the forecasts",
    comma=", ",
    stop=" ",
    no_advice="These are the calculations of a statistical model, not investment advice.",
    glance="At a glance",
    made="Page made",
    data_until="Data until",
    newest="Newest forecast",
    model="Model",
    learnt_until="{model}, trained on data until {date}",
    calibrated=", recalibrated ({calibration})",
    journal="Journal",
    journal_rows="{rows} forecasts of {series} series, issued from {first} to {last}",
    beware="Beware",
    stale="The newest forecasts were issued from data that were already {age} old.",
    lapsed="All days that these forecasts are about have passed. The newest one is from {date}: has the daily run "
    "stopped?",
    behind_data="The data go on until {data}, but the newest forecast is from {date}: has the daily run failed?",
    replayed="{n} forecasts were issued after the day they are about: a replay, not a record of what was known.",
    seen="{n} forecasts are not counted: of days that the model was trained on, or made when the outcome was known.",
    skill_early="Too early to say how good these forecasts are: {n} have come due.",
    skill_shown="Better than the simple reference: the CRPS {ahead} is {percent} lower than that of EWMA ({p}).",
    skill_none="No skill shown: these forecasts {ahead} cannot be told apart from those of EWMA, a formula of one "
    "line (CRPS {ratio} of its, {p}).",
    skill_worse="Worse than the simple reference: the CRPS {ahead} is {percent} higher than that of EWMA ({p}).",
    point_walk="The median is the last value: the forecast says how far a series may move, not in which direction.",
    point_ratio="Of the direction: the mean absolute error of the median is {ratio} of that of the last value.",
    skill_details="Measured on {n} forecasts from {days} days. Over all horizons: CRPS {ratio} of EWMA's ({p}).",
    skill_daily="The p-values are for somebody who looks once. Evidence that may be looked at every day: {evidence}; "
    "1 is none.",
    verdict="Verdict on the model",
    verdicts={
        "keep": "Keep. Nothing has happened that luck does not explain.",
        "recalibrate": "Recalibrate. The intervals have the wrong width, and that is not luck.",
        "retrain": "Retrain. The forecasts are off, and that is not luck.",
        "too early to say": "Too early to say. It takes {fewest} days with an outcome.",
    },
    drift="Drift check",
    drift_fine="No drift: evidence {evidence}; {alarm} would be drift.",
    drift_none="Nothing to check yet.",
    drift_many="Drift: {names} (evidence {evidence}; it takes {alarm}). Of {count} series, a false alarm now and then "
    "is to be expected.",
    drift_caption="Drift check of {model}. It may be looked at every day; {alarm} is drift.",
    drift_test="Test",
    drift_evidence="Evidence",
    drift_result="Result",
    drift_names={
        "e_bias": "Outcomes on one side of the median",
        "e_width": "Intervals too wide or too narrow",
        "e_worse": "CRPS higher than that of EWMA",
    },
    drift_found="Drift",
    drift_not="Not shown",
    drift_short="{result} ({evidence})",
    drift_no="None",
    overview="Overview",
    overview_caption="The newest forecast of every series, and its record",
    series="Series",
    last="Last value",
    range80="80\u00a0% range, {ahead}",
    held80="Held by the 80\u00a0% range",
    to_ewma="CRPS ÷ EWMA",
    forecasts="Forecasts",
    forecasts_note="Each drawing shows the past and a fan of what may come: if the model is right, 50\u00a0% of "
    "outcomes fall inside the innermost band, 80\u00a0% inside the next and 95\u00a0% inside the widest.",
    wider="Days ahead are drawn wider than past days.",
    forecast="Forecast",
    history="Past",
    median="Median",
    interval="{share} band",
    came="What came",
    fan_title="{series}: forecast of {date}",
    fan_described="The last {days} days lie between {low} and {high}. {summary} The same numbers are in the table "
    "below.",
    fan_summary="Last value {last} ({origin}). With a probability of 80\u00a0%, between {low} and {high} on {target} "
    "({ahead}), if the model is right.",
    numbers="Numbers of this drawing",
    numbers_caption="Forecast of {series}",
    history_numbers="Past of {series}",
    date_heading="Date",
    ahead_heading="Ahead",
    value="Value",
    between="{share} between",
    top="Back to the overview",
    record="Track record",
    record_of="Track record of {series}",
    record_caption="{model}: what was forecast against what happened, {series}",
    record_models="Model by model, all series and horizons",
    newest_of_each_day="The newest model of each day",
    all_horizons="All",
    all_series="all series",
    nothing_due="No forecast has come due yet, so there is no track record.",
    n="n",
    pending="Pending",
    mae="MAE",
    mae_ratio="MAE ÷ walk",
    crps="CRPS",
    crps_ratio="CRPS ÷ walk",
    crps_ewma="CRPS ÷ EWMA",
    p="p (EWMA)",
    coverage80="Held by 80\u00a0%",
    coverage95="Held by 95\u00a0%",
    coverage_title="How many outcomes the intervals held",
    coverage_caption="Bars: share of outcomes inside the 80 and 95\u00a0% intervals. Upright marks: where the "
    "bars should end.",
    pit_title="Where outcomes fell in the forecast distribution, {ahead}",
    pit_caption="Per cent of outcomes in each tenth of the forecast distribution. Level at 10 (the line) if "
    "calibrated; a hill means intervals too wide, a valley too narrow, a slope a median that is off.",
    pit_described="Shares of outcomes from the lowest to the highest tenth: {shares}.",
    pit_low="low",
    pit_high="high",
    older_models="{n} older models are not shown; seqcli track has them.",
    reading="How to read this page",
    meanings=(
        ("Random walk", "The reference that says: tomorrow is as today, give or take what was usual."),
        (
            "EWMA",
            "A normal distribution around the last value, as wide as recent moves: the reference that is hard to beat.",
        ),
        (
            "MAE",
            "Mean absolute error of the median, in per cent of the value (in its units, where a series can be "
            "negative).",
        ),
        (
            "CRPS",
            "Score of the whole distribution in the same unit; lower is better. ×\u00a00.99: one per cent lower than "
            "the reference on the same days.",
        ),
        (
            "Held by 80\u00a0%",
            "Share of outcomes inside the 80\u00a0% interval. Days are few and series move together, so several points "
            "off are normal.",
        ),
        ("p", "Probability of such a difference by chance, for somebody who looks once. Below 0.05 counts as shown."),
        (
            "Evidence",
            "Grows only if luck does not explain what happens, and may be looked at every day. 1 is none, {alarm} is "
            "called drift.",
        ),
    ),
)
