"""The demo's page: what the book says, from top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from pathlib import Path

from tollbook.report import charts, tables, wording
from tollbook.report.charts import Figure, Series
from tollbook.report.chrome import data_element, document, resource, write_whole
from tollbook.report.facts import Facts, read_facts
from tollbook.settings import Settings


def write_page(settings: Settings, path: Path, *, note: str | None = None) -> int:
    """Write the page of the published book; return its size. It appears whole or not at all.

    Args:
        settings: Where the book lives.
        path: File to write.
        note: What a reader must know before all else, such as that the data are made up.

    Returns:
        Unit: Bytes.

    Raises:
        NothingPublishedError: There is no published file yet.
    """
    return write_whole(path, page(read_facts(settings), note=note))


def page(facts: Facts, *, note: str | None = None) -> str:
    """Return the page as HTML.

    Args:
        facts: What the book says.
        note: What a reader must know before all else.
    """
    teams = charts.stack(facts.by_team, lambda charge: charge.names[0])
    workflows = charts.stack(facts.by_workflow, lambda charge: charge.names[1])
    priced = [each for each in facts.models if each.list_cost is not None]
    colours = charts.provider_colours(priced)
    figures: dict[str, Figure] = {
        **charts.story_charts(facts),
        "teams": charts.stacked_chart(facts.months, teams),
        "workflows": charts.stacked_chart(facts.months, workflows),
        "days": charts.daily_chart(facts),
        "models": charts.models_chart(priced, colours),
    }
    title = f"AI usage and its cost, {wording.span(facts.months)}"
    return document(
        title,
        styles=[resource("page.css")],
        body=[
            _header(facts, title, note),
            "<main>",
            _tiles(facts),
            _story(facts),
            _by_team_and_workflow(teams, workflows),
            _days(),
            _chargeback(facts),
            _models(facts, colours, hidden=len(priced) - charts.MOST_MODELS),
            _tasks(facts),
            _balance(facts),
            "</main>",
            _footer(facts),
        ],
        data=data_element("figures", figures),
        scripts=[resource("theme.js"), resource("page.js")],
    )


def _header(facts: Facts, title: str, note: str | None) -> str:
    said = "" if note is None else f'<p class="note">{tables.escape(note)}</p>'
    return f"""<header>
{said}
<h1>{tables.escape(title)}</h1>
<p class="lead">{tables.escape(wording.story(facts))}</p>
<p class="about">Calls of {_range(facts)}, in UTC. All costs are list costs in USD: tokens at the provider's
public price in force when the call was made, before any discount.</p>
</header>"""


def _tiles(facts: Facts) -> str:
    if not facts.months:
        return ""
    last, whole = facts.months[-1], facts.whole
    before = facts.months[-2] if len(facts.months) > 1 else None
    against = "" if before is None else f" on {before.start:%B}"
    bill = wording.change(last.list_cost, before.list_cost if before else None)
    price = wording.change(last.price_of_million, before.price_of_million if before else None)
    used = wording.change(last.total_tokens, before.total_tokens if before else None)
    made = wording.change(last.calls, before.calls if before else None)
    verdict = '<span class="yes">yes</span>' if facts.is_balanced else '<span class="no">no</span>'
    label = wording.month_label(last)
    tiles = [
        (f"Bill, {label}", wording.usd(last.list_cost), _said(bill, against)),
        ("Bill, all months", wording.usd(whole.list_cost), f"{wording.span(facts.months)}"),
        (f"Price of 1 M tokens, {label}", wording.price(last.price_of_million), _said(price, against)),
        (
            f"Cost of a task, {label}",
            wording.price(last.cost_of_task),
            _said(wording.change(last.cost_of_task, before.cost_of_task if before else None), against),
        ),
        (f"Tokens, {label}", wording.tokens(last.total_tokens), _said(used, against)),
        (f"Calls, {label}", wording.whole(last.calls), _said(made, against)),
        (
            "Calls without a known price",
            wording.share(whole.unpriced_calls, whole.calls),
            f"{wording.whole(whole.unpriced_calls)} of {wording.whole(whole.calls)} calls; not in the costs",
        ),
    ]
    shown = [
        f'<div class="card tile"><dl><dt>{tables.escape(what)}</dt><dd>{tables.escape(value)}</dd>'
        f'<dd class="small">{tables.escape(more)}</dd></dl></div>'
        for what, value, more in tiles
    ]
    shown.append(
        f'<div class="card tile"><dl><dt>Book balanced</dt><dd>{verdict}</dd>'
        f'<dd class="small">{wording.whole(facts.compared)} amounts compared</dd></dl></div>'
    )
    return f'<section class="grid tiles" aria-label="Headline numbers">{"".join(shown)}</section>'


def _story(facts: Facts) -> str:
    if not facts.months:
        return ""
    first, last = facts.months[0], facts.months[-1]
    steps: list[tuple[str, str, Decimal | int | None, Decimal | int | None]] = [
        ("price", "Price of a million tokens", last.price_of_million, first.price_of_million),
        ("task-tokens", "Tokens per task", last.tokens_per_task, first.tokens_per_task),
        ("bill", "Monthly bill", last.list_cost, first.list_cost),
    ]
    cards = [
        f'<div class="card"><div class="step"><h3>{what}</h3><strong>{wording.change(now, before) or ""}</strong></div>'
        f"{_figure(name, f'{what} by month')}</div>"
        for name, what, now, before in steps
    ]
    return f"""<section>
<h2>What a token costs, and what a task costs</h2>
<p class="why">The price is the average over all calls with a known price, cached tokens included. A task is one run
of a workflow; it counts in the month in which it began. Percentages compare the last month with the first.</p>
<div class="grid three">{"".join(cards)}</div>
</section>"""


def _by_team_and_workflow(teams: Sequence[Series], workflows: Sequence[Series]) -> str:
    cards = [
        f'<div class="card"><h3>{what}</h3>{_key(series)}{_figure(name, f"List cost by month and {one}")}</div>'
        for name, what, one, series in (
            ("teams", "Cost by team", "team", teams),
            ("workflows", "Cost by workflow", "workflow", workflows),
        )
    ]
    return f"""<section>
<h2>Who the bill is for</h2>
<p class="why">Each call belongs to the team that the owner rules named on its day, else to the team it named
itself; what has neither is
<em>unallocated</em>; a workflow that was not told is <em>unknown</em>.</p>
<div class="grid two">{"".join(cards)}</div>
</section>"""


def _days() -> str:
    key = [Series("Cost of the day", "#56b4e9", ()), Series("Mean of the last 7 days", charts.COLOURS[0], ())]
    return f"""<section>
<h2>Cost by day</h2>
<div class="card">{_key(key)}{_figure("days", "List cost by day")}</div>
</section>"""


def _chargeback(facts: Facts) -> str:
    return f"""<section>
<h2>Chargeback by team and workflow</h2>
<p class="why">A dash is no usage, or usage whose price is not known; the last column says which.</p>
<div class="card">{tables.chargeback(facts)}</div>
</section>"""


def _models(facts: Facts, colours: dict[str, str], *, hidden: int) -> str:
    key = [Series(name, colour, ()) for name, colour in colours.items()]
    left = f'<p class="none">{hidden} more models cost less.</p>' if hidden > 0 else ""
    return f"""<section>
<h2>Cost by model and provider</h2>
<div class="grid two top">
<div class="card"><h3>List cost by model</h3>{_key(key)}{_figure("models", "List cost by model")}{left}</div>
<div class="card"><h3>No price known</h3>
<p class="why">These calls are in every count of calls and tokens and in no cost: unknown is not zero.</p>
{tables.unpriced(facts.models)}</div>
</div>
</section>"""


def _tasks(facts: Facts) -> str:
    told: list[tuple[str, str]] = [("calls", "By how the calls ended")]
    if any(each.name is not None for each in facts.task_groups if each.kind == "outcome"):
        told.insert(0, ("outcome", "By outcome, as callers told it"))
    groups = [
        f'<div class="card"><h3>{title}</h3>'
        f"{tables.task_groups([each for each in facts.task_groups if each.kind == kind], title)}</div>"
        for kind, title in told
    ]
    return f"""<section>
<h2>What tasks cost</h2>
<p class="why">A failed call keeps its cost, and so does the retry that follows it.</p>
<div class="grid">{"".join(groups)}
<div class="card"><h3>The {len(facts.tasks)} most expensive tasks</h3>{tables.tasks(facts)}</div></div>
</section>"""


def _balance(facts: Facts) -> str:
    verdict = '<span class="badge yes">balanced</span>' if facts.is_balanced else '<span class="badge no">open</span>'
    return f"""<section>
<h2>Ledger balance {verdict}</h2>
<p class="why">Every hand-over from the Kafka offset to the last table: what went in, what came out. An amount
set aside (a reject, a duplicate, a superseded telling, a call without a task) is counted where it leaves the way. A
difference of one token, or of a millionth of a millionth of a dollar, fails the build.</p>
{tables.records(facts.records)}
<div class="card">{tables.balance(facts.hand_overs)}</div>
</section>"""


def _footer(facts: Facts) -> str:
    made = facts.publication
    return f"""<footer>
<p>Calls of {_range(facts)}. Book version <code>{tables.escape(made.version)}</code>, lake commit {made.built_commit},
made {made.built_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC.</p>
<p>Costs are list costs; nothing here has been invoiced. The page holds all its data and reaches for no network.</p>
</footer>"""


def _range(facts: Facts) -> str:
    if not facts.days:
        return "no day yet"
    first, last = facts.days[0][0], facts.days[-1][0]
    return wording.day(first) if first == last else f"{wording.day(first)} to {wording.day(last)}"


def _said(change: str | None, against: str) -> str:
    return "" if change is None else f"{change}{against}"


def _figure(name: str, label: str) -> str:
    return (
        f'<figure><div class="chart" id="chart-{name}" role="img" aria-label="{tables.escape(label)}"></div></figure>'
    )


def _key(series: Sequence[Series]) -> str:
    items = "".join(f'<li><i style="background:{each.colour}"></i>{tables.name(each.name)}</li>' for each in series)
    return f'<ul class="key">{items}</ul>'
