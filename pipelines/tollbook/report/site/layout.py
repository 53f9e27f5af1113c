"""What a page of the site consists of, and the HTML of its sections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tollbook.report.tables import escape


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the site.

    Attributes:
        file: Name of its file.
        link: What links to it say.
        title: Its title.
        about: What it shows, in a sentence or two; HTML.
        tables: Tables that it holds.
        filters: What can be chosen, in order: `team`, `workflow`, `subscription`, `product`, `workload`, `month`, and
            either `before` and `after`, two periods, or `period`, one or all.
        words: Words that its script needs, by name.
        sections: Its sections, in order.
        scripts: Scripts that fill it, in order; the last one starts.
    """

    file: str
    link: str
    title: str
    about: str
    tables: tuple[str, ...]
    filters: tuple[str, ...]
    words: dict[str, Any]
    sections: tuple[str, ...]
    scripts: tuple[str, ...]


def section(
    name: str, title: str, why: str, *, chart: bool = True, table: str | None = None, more: str | None = None
) -> str:
    """Return a section that its page's script fills.

    Args:
        name: Ending of the ids of its chart, key and table.
        title: Its heading.
        why: How to read it; HTML.
        chart: Whether it has a chart; its table is then folded behind the chart.
        table: What the folded table is called; without one the table stands open.
        more: What a folded table behind the first is called, whose id ends in `-more`, where the first draws with
            elements and has a key; none without it.
    """
    drawn = ""
    if chart:
        label = f"{title}. The table below has the same."
        drawn = (
            f'<ul class="key" id="key-{name}"></ul><figure><div class="chart" id="chart-{name}" role="img" '
            f'aria-label="{escape(label)}"></div></figure>'
        )
    elif more is not None:
        drawn = f'<ul class="key" id="key-{name}"></ul>'
    rows = f'<div id="table-{name}"></div>'
    if table is not None:
        rows = f"<details><summary>{escape(table)}</summary>{rows}</details>"
    if more is not None:
        rows += f'<details><summary>{escape(more)}</summary><div id="table-{name}-more"></div></details>'
    return (
        f'<section id="section-{name}"><h2>{escape(title)}</h2><p class="why">{why}</p>'
        f'<div class="card">{drawn}{rows}</div></section>'
    )
