"""The tables, as HTML. Every value is escaped: names come from events, and events can say anything."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from decimal import Decimal

from tollbook.report import wording
from tollbook.report.facts import Charge, Cost, Facts, HandOver, ModelUse, TaskGroup, known_sum

MOST_ROWS = 200
_MEASURES = (("records", "Records"), ("input_tokens", "Input tokens"), ("output_tokens", "Output tokens"))
_GROUP_NAMES = {
    ("calls", "none failed"): "No call failed",
    ("calls", "some failed"): "At least one call failed",
    ("outcome", None): "Outcome not told",
}


def escape(text: object) -> str:
    """Return text that a browser shows as it stands."""
    return html.escape(str(text), quote=True)


def name(text: str) -> str:
    """Return a name out of the events, kept apart from what stands around it, whatever way it is written."""
    return f"<bdi>{escape(text)}</bdi>"


def chargeback(facts: Facts) -> str:
    """Return cost by team and workflow, a group of rows for each team, the most expensive first."""
    charges = facts.by_workflow
    heads = ["Team, workflow", *(f"#{wording.month_label(month)}" for month in facts.months)]
    heads += ["#List cost", "#Share", "#Calls", "#Tokens", "#Unpriced calls"]
    lines = []
    of_all = facts.whole.list_cost
    shown = 0
    for team, rows in _by_team(charges):
        if shown >= MOST_ROWS:
            break
        if len(rows) == 1:
            only = f'{name(team)} <span class="soft">{name(rows[0].names[1])}</span>'
            lines.append(_charge_line(only, rows[0], of_all, "team"))
        else:
            lines.append(_charge_line(name(team), _together(team, rows), of_all, "team"))
            lines += [_charge_line(name(row.names[1]), row, of_all, "part") for row in rows[: MOST_ROWS - shown]]
        shown += len(rows)
    foot = _charge_line("All teams", facts.whole, of_all, "")
    return _table("Chargeback by team and workflow", heads, lines, foot=foot) + _left_out(len(charges))


def tasks(facts: Facts) -> str:
    """Return the most expensive tasks."""
    heads = ["Task", "Workflow", "Team", "Began, UTC", "#Calls", "#Agents", "#Tokens", "#List cost"]
    lines = [
        _line(
            f'<td class="name mono id">{name(each.task_id)}</td>',
            f'<td class="name">{name(each.workflow)}</td>',
            f'<td class="name">{name(each.team)}</td>',
            f'<td class="time">{each.started_at:%Y-%m-%d %H:%M}</td>',
            _number(wording.whole(each.calls)),
            _number(wording.whole(each.agents)),
            _number(wording.tokens(each.total_tokens)),
            _number(wording.usd(each.list_cost), "sum"),
        )
        for each in facts.tasks
    ]
    return _table("Most expensive tasks", heads, lines)


def task_groups(groups: Sequence[TaskGroup], title: str) -> str:
    """Return what tasks cost by how they ended."""
    heads = ["Tasks", "#Count", "#Calls per task", "#Tokens per task", "#Cost per task", "#List cost"]
    lines = [
        _line(
            f'<th scope="row">{name(_GROUP_NAMES.get((each.kind, each.name), (each.name or "").capitalize()))}</th>',
            _number(wording.whole(each.tasks)),
            _number(f"{Decimal(each.calls) / each.tasks:.1f}"),
            _number(wording.tokens(each.total_tokens // each.tasks)),
            _number(wording.price(_each(each.list_cost, each.tasks)), "sum"),
            _number(wording.usd(each.list_cost)),
        )
        for each in groups
    ]
    return _table(title, heads, lines)


def unpriced(models: Iterable[ModelUse]) -> str:
    """Return the models that have calls without a known price; nothing when there are none."""
    lines = [
        _line(
            f'<th scope="row" class="name">{name(each.model)}</th>',
            f'<td class="name">{name(each.providers)}</td>',
            _number(wording.whole(each.unpriced_calls)),
            _number(wording.whole(each.calls)),
            _number(wording.tokens(each.total_tokens)),
        )
        for each in models
        if each.unpriced_calls
    ]
    if not lines:
        return '<p class="none">Every call has a known price.</p>'
    heads = ["Model", "Provider", "#Unpriced calls", "#Calls", "#Tokens"]
    return _table("Models with unpriced calls", heads, lines[:MOST_ROWS]) + _left_out(len(lines))


def balance(hand_overs: Sequence[HandOver]) -> str:
    """Return the ledger balance: every hand-over, what went in, what came out, what of it was set aside."""
    ranks = {each: rank for rank, each in enumerate(wording.HAND_OVERS)}
    lines = []
    for each in sorted(hand_overs, key=lambda one: (ranks.get(one.name, len(ranks)), one.name)):
        first = (
            f'<th scope="row" rowspan="{len(each.amounts)}">{escape(wording.HAND_OVERS.get(each.name, each.name))}</th>'
        )
        measures = [*_MEASURES, ("list_cost", "List cost, USD")]
        for measure, label in [one for one in measures if one[0] in each.amounts]:
            amount_in, amount_out, listed = each.amounts[measure]
            show = wording.exact if measure == "list_cost" else wording.whole
            verdict = '<span class="yes">equal</span>' if not each.differences else '<span class="no">differs</span>'
            lines.append(
                _line(
                    first,
                    f'<td class="measure">{label}</td>',
                    _number(show(amount_in)),
                    _number(show(amount_out - listed)),
                    _number(show(listed) if listed else "–", "soft"),
                    f"<td>{verdict}</td>",
                )
            )
            first = ""
    return _table("Ledger balance", ["Hand-over", "Measure", "#In", "#Out", "#Set aside, listed", "Verdict"], lines)


def records(counts: dict[str, int]) -> str:
    """Return how the records read divide, as an equation."""
    told = [
        ("accepted", "accepted", sum(counts.get(state, 0) for state in ("standing", "superseded", "voided"))),
        ("duplicate", "duplicates", counts.get("duplicate", 0)),
        ("rejected", "rejected", counts.get("rejected", 0)),
        ("conflict", "conflicts", counts.get("conflict", 0)),
    ]
    parts = [f"<li><div><b>{wording.whole(counts.get('read', 0))}</b><span>records read</span></div></li>"]
    for position, (_, label, count) in enumerate(told):
        sign = "+" if position else "="
        parts.append(f"<li>{sign}<div><b>{wording.whole(count)}</b><span>{label}</span></div></li>")
    return f'<ul class="equation">{"".join(parts)}</ul>'


def _by_team(charges: Sequence[Charge]) -> list[tuple[str, list[Charge]]]:
    teams: dict[str, list[Charge]] = {}
    for charge in charges:
        teams.setdefault(charge.names[0], []).append(charge)
    return sorted(teams.items(), key=lambda item: -(_together(*item).list_cost or Decimal(0)))


def _together(team: str, rows: Sequence[Charge]) -> Charge:
    return Charge(
        (team, ""),
        tuple(known_sum(costs) for costs in zip(*(row.costs for row in rows), strict=True)),
        known_sum(row.list_cost for row in rows),
        sum(row.calls for row in rows),
        sum(row.unpriced_calls for row in rows),
        sum(row.total_tokens for row in rows),
    )


def _charge_line(first: str, charge: Charge, of_all: Cost, row_class: str) -> str:
    part = Decimal(0) if not of_all or charge.list_cost is None else charge.list_cost / of_all
    part_text = wording.share(charge.list_cost, of_all) if charge.list_cost and of_all else "–"
    bar = f'<i class="weight"><i style="width:{part * 100:.1f}%"></i></i>'
    cells = [
        f'<th scope="row" class="name">{first}</th>',
        *(_number(wording.usd(cost) if cost is not None else "–") for cost in charge.costs),
        _number(wording.usd(charge.list_cost), "sum"),
        f'<td class="n"><div class="share">{bar}<span>{escape(part_text)}</span></div></td>',
        _number(wording.whole(charge.calls)),
        _number(wording.tokens(charge.total_tokens)),
        _number(wording.whole(charge.unpriced_calls) if charge.unpriced_calls else "–"),
    ]
    return f'<tr class="{row_class}">{"".join(cells)}</tr>' if row_class else _line(*cells)


def _each(cost: Cost, count: int) -> Cost:
    return None if cost is None else cost / count


def _number(text: str, more: str = "") -> str:
    return f'<td class="{f"n {more}".strip()}">{escape(text)}</td>'


def _line(*cells: str) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _table(title: str, heads: Sequence[str], lines: Sequence[str], *, foot: str = "") -> str:
    """Return a table that scrolls by itself where the screen is narrow. Heads that begin with `#` are of numbers."""
    if not lines:
        return '<p class="none">There are none.</p>'
    numbers = [head.startswith("#") for head in heads]
    head = "".join(
        f'<th scope="col"{" class=n" if number else ""}>{escape(text.removeprefix("#"))}</th>'
        for text, number in zip(heads, numbers, strict=True)
    )
    body = "".join(lines)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>{f'<tfoot>{foot}</tfoot>' if foot else ''}</table></div>"
    )


def _left_out(rows: int) -> str:
    if rows <= MOST_ROWS:
        return ""
    return f'<p class="none">{rows - MOST_ROWS} more rows are in the book.</p>'
