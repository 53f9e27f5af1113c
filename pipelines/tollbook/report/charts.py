"""The charts, as plotly figures in JSON: data and layout; colours of text and grid come from the page's theme.

Amounts become numbers here only to say where a mark is drawn; what is written beside it comes from decimals.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tollbook.report import wording
from tollbook.report.facts import Charge, Cost, Facts, ModelUse, Month

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7")
"""Colours that people with any colour vision tell apart. Source: Okabe and Ito, Color Universal Design, 2008."""

OTHER_COLOUR = "#98a1ac"
MOST_MODELS = 12
_LONGEST_LABEL = 34
_FEW_DAYS = 10
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")

Figure = dict[str, Any]
"""A plotly figure: `data`, `layout` and, for the page's script, `height`. Unit: CSS pixels."""


@dataclass(frozen=True, slots=True)
class Series:
    """One colour of a stacked chart.

    Attributes:
        name: What it stands for.
        colour: Its colour.
        costs: Its cost in each month.
    """

    name: str
    colour: str
    costs: tuple[Cost, ...]


def plotly_text(text: str) -> str:
    """Return text that plotly shows as it stands: no tags, no links, nothing that turns its direction, not too long."""
    shown = _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
    if len(shown) > _LONGEST_LABEL:
        shown = f"{shown[: _LONGEST_LABEL - 1]}…"
    return html.escape(shown, quote=False)


def months_chart(
    months: Sequence[Month], value: Callable[[Month], Decimal | int | None], said: Callable[[Month], str], colour: str
) -> Figure:
    """Return one bar a month, what it says written on top.

    Args:
        months: The months.
        value: Its height, None for no bar.
        said: What is written on it.
        colour: Colour of the bars; the last stands out.
    """
    return {
        "data": [
            {
                "type": "bar",
                "x": [wording.month_label(each) for each in months],
                "y": [value(each) for each in months],
                "text": [said(each) for each in months],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": colour, "opacity": [0.55] * (len(months) - 1) + [1]},
                "hovertemplate": "%{x}: %{text}<extra></extra>",
            }
        ],
        "layout": {
            "margin": {"l": 4, "r": 4, "t": 26, "b": 28},
            "bargap": 0.42,
            "xaxis": {"type": "category", "fixedrange": True, "showgrid": False},
            "yaxis": {"visible": False, "fixedrange": True, "rangemode": "tozero"},
        },
        "height": 190,
    }


def story_charts(facts: Facts) -> dict[str, Figure]:
    """Return the three charts that tell the story: price, use and bill, by month."""
    return {
        "price": months_chart(
            facts.months,
            lambda each: each.price_of_million,
            lambda each: wording.price(each.price_of_million),
            COLOURS[1],
        ),
        "task-tokens": months_chart(
            facts.months,
            lambda each: each.tokens_per_task,
            lambda each: wording.tokens(each.tokens_per_task),
            COLOURS[4],
        ),
        "bill": months_chart(
            facts.months, lambda each: each.list_cost, lambda each: wording.usd(each.list_cost), COLOURS[0]
        ),
    }


def stack(charges: Sequence[Charge], name_of: Callable[[Charge], str]) -> list[Series]:
    """Return the dearest names, each with a colour, and all others as one.

    Args:
        charges: Rows of a chargeback table, dearest first.
        name_of: What to stack them by.
    """
    sums: dict[str, list[Cost]] = {}
    for charge in charges:
        before = sums.setdefault(name_of(charge), [None] * len(charge.costs))
        sums[name_of(charge)] = [_plus(one, other) for one, other in zip(before, charge.costs, strict=True)]
    ranked = sorted(sums.items(), key=lambda item: -sum((cost or Decimal(0) for cost in item[1]), Decimal(0)))
    series = [Series(name, colour, tuple(costs)) for (name, costs), colour in zip(ranked, COLOURS, strict=False)]
    rest = ranked[len(COLOURS) :]
    if rest:
        together: list[Cost] = [None] * len(rest[0][1])
        for _, costs in rest:
            together = [_plus(one, other) for one, other in zip(together, costs, strict=True)]
        series.append(Series(f"{len(rest)} others", OTHER_COLOUR, tuple(together)))
    return series


def stacked_chart(months: Sequence[Month], series: Sequence[Series]) -> Figure:
    """Return one bar a month, stacked by series, with the month's cost on top."""
    labels = [wording.month_label(each) for each in months]
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": plotly_text(each.name),
            "x": labels,
            "y": list(each.costs),
            "customdata": [wording.usd(cost) for cost in each.costs],
            "marker": {"color": each.colour},
            "hovertemplate": "%{fullData.name}<br>%{x}: %{customdata}<extra></extra>",
        }
        for each in series
    ]
    data.append(
        {
            "type": "scatter",
            "mode": "text",
            "x": labels,
            "y": [month.list_cost for month in months],
            "text": [wording.usd(month.list_cost) for month in months],
            "textposition": "top center",
            "cliponaxis": False,
            "hoverinfo": "skip",
        }
    )
    return {
        "data": data,
        "layout": {
            "barmode": "stack",
            "bargap": 0.38,
            "margin": {"l": 52, "r": 8, "t": 26, "b": 30},
            "xaxis": {"type": "category", "fixedrange": True, "showgrid": False},
            "yaxis": {"fixedrange": True, "tickprefix": "$", "tickformat": ",~r", "nticks": 5, "rangemode": "tozero"},
        },
        "height": 300,
    }


def daily_chart(facts: Facts) -> Figure:
    """Return the cost of each day as an area, and the mean of the last seven days as a line."""
    dates = [day.isoformat() for day, _ in facts.days]
    few = "lines+markers" if len(dates) < _FEW_DAYS else "lines"
    means = wording.daily_means(facts.days)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": few,
                "name": "Day",
                "x": dates,
                "y": [cost for _, cost in facts.days],
                "customdata": [wording.usd(cost) for _, cost in facts.days],
                "fill": "tozeroy",
                "fillcolor": "rgba(86,180,233,0.22)",
                "line": {"color": "#56b4e9", "width": 1.3},
                "hovertemplate": "%{customdata}",
            },
            {
                "type": "scatter",
                "mode": few,
                "name": "Mean of 7 days",
                "x": dates,
                "y": means,
                "customdata": [wording.usd(mean) for mean in means],
                "line": {"color": COLOURS[0], "width": 2.6},
                "hovertemplate": "%{customdata}",
            },
        ],
        "layout": {
            "hovermode": "x unified",
            "margin": {"l": 52, "r": 8, "t": 10, "b": 30},
            "xaxis": {"type": "date", "fixedrange": True, "showgrid": False, "nticks": 8, "tickformat": "%-d %b"},
            "yaxis": {"fixedrange": True, "tickprefix": "$", "tickformat": ",~r", "nticks": 5, "rangemode": "tozero"},
        },
        "height": 280,
    }


def provider_colours(models: Sequence[ModelUse]) -> dict[str, str]:
    """Return a colour for each provider of the models, the dearest first."""
    sums: dict[str, Decimal] = {}
    for each in models:
        sums[each.providers] = sums.get(each.providers, Decimal(0)) + (each.list_cost or 0)
    ranked = sorted(sums, key=lambda name: -sums[name])
    return {name: COLOURS[rank] if rank < len(COLOURS) else OTHER_COLOUR for rank, name in enumerate(ranked)}


def models_chart(models: Sequence[ModelUse], colours: dict[str, str]) -> Figure:
    """Return the dearest models as lying bars, coloured by provider.

    Args:
        models: Models whose cost is known, dearest first.
        colours: Provider to colour.
    """
    shown = models[:MOST_MODELS]
    places = list(range(len(shown)))  # two long names may look alike; places never do
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "y": places,
                "x": [each.list_cost for each in shown],
                "text": [wording.usd(each.list_cost) for each in shown],
                "textposition": "outside",
                "cliponaxis": False,
                "customdata": [[plotly_text(each.model), wording.tokens(each.total_tokens)] for each in shown],
                "marker": {"color": [colours[each.providers] for each in shown]},
                "hovertemplate": "%{customdata[0]}: %{text}<br>%{customdata[1]} tokens<extra></extra>",
            }
        ],
        "layout": {
            "bargap": 0.32,
            "margin": {"l": 8, "r": 76, "t": 4, "b": 8},
            "xaxis": {"visible": False, "fixedrange": True},
            "yaxis": {
                "type": "linear",
                "fixedrange": True,
                "autorange": "reversed",
                "showgrid": False,
                "zeroline": False,
                "tickvals": places,
                "ticktext": [plotly_text(each.model) for each in shown],
                "automargin": True,
            },
        },
        "height": 36 + 27 * len(shown),
    }


def _plus(one: Cost, other: Cost) -> Cost:
    if one is None:
        return other
    return one if other is None else one + other
