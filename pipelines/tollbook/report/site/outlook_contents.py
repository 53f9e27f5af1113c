"""What is on the pages of the site that tell what is ahead: customers that weigh much, the forecast, other paths."""

from __future__ import annotations

from typing import Final

from tollbook.report.site import words
from tollbook.report.site.layout import Page, section

CONCENTRATION: Final = Page(
    file="concentration.html",
    link="Concentration",
    title="How few customers make most of the usage",
    about="Customers as events name them; calls that name none are in no share. Without a product all are taken "
    "together. List cost is at list prices in USD. Shown as it is known now, of closed periods too.",
    tables=("concentration",),
    filters=("product", "period"),
    words={"measures": dict(words.MEASURES)},
    sections=(
        section(
            "curves",
            "Who has how much",
            "Lorenz curve: what share of the usage the customers up to a share have, the smallest first; on the "
            "diagonal all would have the same. Of the newest period that is chosen.",
            table="Concentration by measure",
        ),
        section(
            "shares",
            "Is it becoming more or less",
            "Share of the list cost that the largest customer has, and the largest tenth of customers, by billing "
            "period. A tenth is one customer at least.",
            table="Concentration by period and measure",
        ),
        section(
            "products",
            "By product",
            "By list cost, of the newest period that is chosen.",
            chart=False,
        ),
    ),
    scripts=("lorenz.js", "concentration.js"),
)

FORECAST: Final = Page(
    file="forecast.html",
    link="Forecast",
    title="What usage will cost",
    about="Tasks, times tokens per task, times prices that are known for the day. Usage alone, at effective cost, in "
    "months of UTC: platforms, plans and commitments come on top. The interval is of the error of counts; prices are "
    "taken as known.",
    tables=("forecast", "history"),
    filters=("team", "month"),
    words={
        "methods": dict(words.METHODS),
        "reasons": dict(words.FORECAST_REASONS),
        "expected": words.EXPECTED,
        "flat_prices": words.FLAT_PRICES,
    },
    sections=(
        section(
            "fan",
            "What it cost, and what is expected",
            "The shaded interval is meant to hold the cost four times of five. Of several teams it is drawn from the "
            "ends of theirs, as if all erred the same way: where they err each for itself it is narrower. "
            '<span id="cut-fan"></span>',
            table="By month, with all digits",
        ),
        section(
            "teams",
            "Team by team",
            "Expected cost and interval of each team in one month. The scale is logarithmic.",
            table="Expected by team and month, with all digits",
        ),
        section(
            "drivers",
            "What the forecast rests on",
            "Drivers of the rest of each month. <em>Known price changes</em> is what the expected cost is above or "
            "below the same usage at the prices of the last known day.",
            chart=False,
        ),
        section(
            "errors",
            "How far off it was",
            "On the last weeks, which the method was not told of: sum of the absolute errors of each week in percent "
            "of what they cost. Beside it three methods that need no thought.",
            table="Errors by team and method",
        ),
        section(
            "weeks",
            "The weeks that it goes by",
            "Cost of whole weeks, back from the last known day.",
            table="Cost by week, with all digits",
        ),
    ),
    scripts=("forecast_tables.js", "forecast.js"),
)

PATHS: Final = Page(
    file="paths.html",
    link="Where to run",
    title="Where inference should run",
    about="What all tokens of a workload would cost on each path: bought by the token, or on whole instances that are "
    "rented or owned, with prices, throughput and utilisation that were supplied. Nothing is charged by it. Quality of "
    "models is not compared.",
    tables=("paths",),
    filters=("workload", "period"),
    words={
        "paths": dict(words.PATHS),
        "excluded": dict(words.EXCLUDED),
        "break_even": dict(words.BREAK_EVEN),
        "caveats": dict(words.CAVEATS),
        "kinds": dict(words.COST_KINDS),
    },
    sections=(
        section(
            "unit",
            "A million tokens on each path",
            "Of the newest period that is chosen, by workload, the dearest first. The scale is logarithmic. Paths "
            "without a mark have no known cost: the table says why.",
            table="Cost by workload and path, with all digits",
        ),
        section(
            "volume",
            "From which volume on",
            "What a million tokens would cost if the workload used more or fewer in a month, mixed as they are: whole "
            "instances cost the same idle or used. Where lines cross is the break-even. "
            '<span id="of-volume"></span>',
            table="Break-even by path",
        ),
        section(
            "sensitivity",
            "If it comes otherwise",
            "From which use on accelerators pay if API prices fall on as assumed, and if hardware lives longer or "
            "shorter.",
            chart=False,
        ),
        section(
            "sources",
            "What it rests on",
            "Price and throughput of each offer, where they were read, and what to keep in mind.",
            chart=False,
        ),
    ),
    scripts=("paths_volume.js", "paths.js"),
)
