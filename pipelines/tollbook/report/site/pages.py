"""The pages of the site, put together: the bridge, tasks, hidden cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from tollbook.report.chrome import data_element, document, resource
from tollbook.report.site import words
from tollbook.report.site.embedded import Book
from tollbook.report.tables import escape

SHARED_SCRIPTS: Final = ("money.js", "book.js", "elements.js", "filters.js")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the site.

    Attributes:
        file: Name of its file.
        link: What links to it say.
        title: Its title.
        about: What it shows, in a sentence or two; HTML.
        tables: Tables that it holds.
        chooses: `pair` where two periods are chosen, `period` where one or all are.
        words: Words that its script needs, by name.
        sections: Its sections, in order.
        script: The script that fills it.
    """

    file: str
    link: str
    title: str
    about: str
    tables: tuple[str, ...]
    chooses: str
    words: dict[str, Any]
    sections: tuple[str, ...]
    script: str


def section(name: str, title: str, why: str, *, chart: bool = True, table: str | None = None) -> str:
    """Return a section that its page's script fills.

    Args:
        name: Ending of the ids of its chart, key and table.
        title: Its heading.
        why: How to read it; HTML.
        chart: Whether it has a chart; its table is then folded behind the chart.
        table: What the folded table is called; without one the table stands open.
    """
    drawn = ""
    if chart:
        label = f"{title}. The table below has the same."
        drawn = (
            f'<ul class="key" id="key-{name}"></ul><figure><div class="chart" id="chart-{name}" role="img" '
            f'aria-label="{escape(label)}"></div></figure>'
        )
    rows = f'<div id="table-{name}"></div>'
    if table is not None:
        rows = f"<details><summary>{escape(table)}</summary>{rows}</details>"
    return (
        f'<section id="section-{name}"><h2>{escape(title)}</h2><p class="why">{why}</p>'
        f'<div class="card">{drawn}{rows}</div></section>'
    )


BRIDGE: Final = Page(
    file="index.html",
    link="The bridge",
    title="Why the bill changed",
    about="Effective costs: what teams are charged, after discounts and with their share of platforms, plans and "
    "commitments. The effects sum to the change, to the last digit.",
    tables=("drivers", "effects", "prices"),
    chooses="pair",
    words={
        "effects": [
            {"effect": effect, "label": label, "group": group, "meaning": meaning}
            for effect, (label, group, meaning) in words.EFFECTS.items()
        ],
        "groups": dict(words.GROUPS),
    },
    sections=(
        section(
            "bridge",
            "From one bill to the other",
            "Each effect is what changed the cost with all others as they were on average; the method does not depend "
            "on their order. Effects of zero are left out.",
            table="Every effect, with all digits",
        ),
        section(
            "bearers",
            "Where the change comes from",
            "Teams and workflows by how much their cost changed.",
            chart=False,
        ),
        section(
            "bills",
            "The bill by month and team",
            "Effective cost of the chosen team and workflow in each billing period.",
            table="Bill by month and team, with all digits",
        ),
        section(
            "prices",
            "What a token costs, whoever used it",
            "Index of list prices of all usage, the first period = 100, whatever team is chosen. <em>Prices</em>: the "
            "same units of the same models. <em>With successors</em>: a class of models, so that moving to a cheaper "
            "successor counts. <em>Average token</em>: whatever moved.",
            table="Price index by month",
        ),
    ),
    script="bridge.js",
)

TASKS: Final = Page(
    file="tasks.html",
    link="Tasks",
    title="What a task costs",
    about="A task is one run of a workflow; it counts in the billing period in which it began, with the team of its "
    "first call. Costs are what calls cost by themselves. Means and percentiles are over tasks whose cost is known "
    "whole.",
    tables=("cohorts", "percentiles", "agents", "dearest"),
    chooses="period",
    words={},
    sections=(
        section(
            "workflows",
            "Cost per task by workflow",
            "Mean cost of a task, and the cost that half of the tasks, nine in ten and 99 in 100 do not exceed. The "
            "scale is logarithmic.",
            table="Tasks by workflow, with all digits",
        ),
        section(
            "outcomes",
            "What was spent on tasks that failed",
            "Cost by how the task ended, as its callers told. A cost per successful task holds the cost of those that "
            "failed.",
            table="Cost by outcome, with all digits",
        ),
        section(
            "releases",
            "Releases side by side",
            "Mean cost of a task by the release of the software that made its last call.",
            table="Tasks by release, with all digits",
        ),
        section(
            "agents",
            "Agents, and those that they call",
            "An agent's own calls, and those calls with all that they led to. Own costs add up to the bill; inclusive "
            "ones do not, since a call is in those of every agent above it. Days are UTC.",
            table="Agents, with all digits",
        ),
        section(
            "dearest",
            "The dearest tasks",
            "<code>tollbook trace TASK</code> shows the calls, prices and rules behind one.",
            chart=False,
        ),
    ),
    script="tasks.js",
)

HIDDEN_COST: Final = Page(
    file="hidden-cost.html",
    link="Hidden cost",
    title="What usage costs beside raw inference",
    about="Each cost is at one purpose, by the first rule that holds, and all of them sum to what usage costs. Costs "
    "are what calls cost by themselves.",
    tables=("hidden",),
    chooses="period",
    words={
        "purposes": [
            {"purpose": purpose, "label": label, "meaning": meaning}
            for purpose, (label, meaning) in words.PURPOSES.items()
        ],
        "rules": dict(words.RULES),
        "by_tokens": words.BY_TOKENS,
    },
    sections=(
        section(
            "stack",
            "Raw inference, and what lies on top",
            "By billing period. What is written above a bar is the hidden cost in percent of raw inference.",
            table="Cost by month and purpose, with all digits",
        ),
        section(
            "purposes",
            "By purpose, with the rule behind each",
            "Shares are of raw inference. Published figures say that 40 to 60 % come on top of it.",
            chart=False,
        ),
        section(
            "bearers",
            "Where it hides",
            "Hidden cost in percent of raw inference, by workflow, the dearest first.",
            table="Hidden cost by workflow, with all digits",
        ),
    ),
    script="hidden_cost.js",
)

PAGES: Final = (BRIDGE, TASKS, HIDDEN_COST)
"""The pages, in the order of their links; the first is where the site opens."""


def rendered(page: Page, book: Book, *, pages: Sequence[Page] = PAGES, note: str | None = None) -> str:
    """Return a page as HTML.

    Args:
        page: Which page.
        book: What the book says.
        pages: The pages to link to.
        note: What a reader must know before all else, such as that the data are made up.
    """
    data = {**book.as_json(page.tables), "words": page.words, "chooses": page.chooses}
    package = "tollbook.report.site"
    return document(
        page.title,
        styles=[resource("page.css"), resource("site.css", package)],
        body=[_header(page, pages, note), "<main>", *page.sections, "</main>", _footer(book)],
        data=data_element("book", data),
        scripts=[resource("theme.js"), *(resource(name, package) for name in (*SHARED_SCRIPTS, page.script))],
    )


def _header(page: Page, pages: Sequence[Page], note: str | None) -> str:
    said = "" if note is None else f'<p class="note">{escape(note)}</p>'
    links = "".join(
        f'<li><a href="{each.file}"{" aria-current=page" if each is page else ""}>{escape(each.link)}</a></li>'
        for each in pages
    )
    return f"""<header>
{said}
<nav aria-label="Pages"><ul>{links}</ul></nav>
<h1>{escape(page.title)}</h1>
<form id="filters" aria-label="What is shown"></form>
<p class="lead" id="lead" aria-live="polite"></p>
<p class="about" id="unknown"></p>
<p class="about">{page.about}</p>
<noscript><p class="note">This page adds up in the browser: it needs its own scripts, which it holds.</p></noscript>
<div class="grid tiles" id="tiles"></div>
</header>"""


def _footer(book: Book) -> str:
    made = book.publication
    return f"""<footer>
<p>Book version <code>{escape(made.version)}</code>, lake commit {made.built_commit}, made
{made.built_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC.</p>
<p>Amounts are added in whole millionths of a millionth of the currency and rounded only to be shown. The page holds all
its data and reaches for no network; what is chosen stands in its address.</p>
</footer>"""
