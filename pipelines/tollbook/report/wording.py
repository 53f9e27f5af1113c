"""Numbers and sentences for people: rounded to be read, never to be reckoned with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from tollbook.report.facts import Cost, Facts, Month

UNKNOWN = "unknown"
_CENT = Decimal("0.01")
_SCALES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
_FOLD_FROM = Decimal(3)

HAND_OVERS = {
    "kafka_to_records": "Kafka offsets → records",
    "records_to_usage": "Records → usage rows",
    "rejects_to_files": "Rejects → files",
    "usage_to_commits": "Usage rows → commits",
    "commits_to_files": "Commits → Parquet files",
    "usage_to_minutes": "Usage rows → minute sums",
    "files_to_tellings": "Files → tellings",
    "ratings": "Tellings as metered → as rated since",
    "tellings_to_calls": "Tellings → calls",
    "calls_to_task_days": "Calls → task days",
    "task_days_to_tasks": "Task days → tasks",
    "calls_to_usage_daily": "Calls → daily usage",
    "calls_to_account_days": "Calls → days by account",
    "charge_log_to_charges": "Charges → their table",
    "calls_to_charges": "Calls → charges",
    "period_charges_to_origins": "Charges of rating → charges to allocate",
    "origins_to_charges": "Charges to allocate → charges",
    "invoices_to_charges": "Invoices → charges",
    "restated_to_charges": "Charges as known now → closed ones and corrections",
    "restated_to_charge_origins": "Charges to allocate as known now → closed ones and corrections",
    "restated_to_invoice_lines": "Invoices as known now → booked lines",
    "closes_to_charges": "Closes → charges",
    "calls_to_cost_basis_daily": "Calls → cost by basis",
    "usage_charges_to_chargeback_by_team": "Usage charges → chargeback by team",
    "usage_charges_to_chargeback_by_workflow": "Usage charges → chargeback by workflow",
    "charges_to_chargeback_by_team": "Charges → chargeback by team",
    "charges_to_chargeback_by_workflow": "Charges → chargeback by workflow",
}
"""Hand-over to what the page calls it, in the order of the way; a name that is not here is shown as it is."""


def usd(cost: Cost) -> str:
    """Return a cost with two decimals; what is above zero and below a cent is said to be so."""
    if cost is None:
        return UNKNOWN
    if 0 < cost < _CENT / 2:
        return "<$0.01"
    return f"${cost.quantize(_CENT, ROUND_HALF_EVEN):,}"


def price(cost: Cost) -> str:
    """Return the price of a million tokens: two decimals, or two figures where it is below ten cents."""
    if cost is None or cost >= Decimal("0.1") or cost == 0:
        return usd(cost)
    return f"${cost.quantize(Decimal(10) ** (cost.adjusted() - 1), ROUND_HALF_EVEN):f}"


def exact(amount: Decimal) -> str:
    """Return an amount with every digit it has."""
    return f"{amount:,f}"


def whole(amount: Decimal | int) -> str:
    """Return a count with its thousands apart."""
    return f"{int(amount):,}"


def tokens(count: int | None) -> str:
    """Return a count of tokens in three figures: `4.43 B`, `186 k`, `912`."""
    if count is None:
        return UNKNOWN
    for scale, letter in _SCALES:
        if count >= scale:
            scaled = Decimal(count) / scale
            places = max(0, 2 - scaled.adjusted())
            return f"{scaled.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)} {letter}"
    return str(count)


def share(part: int | Decimal, of: int | Decimal) -> str:
    """Return a part in percent."""
    if not of:
        return UNKNOWN
    percent = Decimal(part) * 100 / Decimal(of)
    if 0 < percent < _CENT:
        return "<0.01 %"
    places = 0 if percent >= 10 or percent == 0 else 2
    return f"{percent.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)} %"


def change(now: Decimal | int | None, before: Decimal | int | None) -> str | None:
    """Return by how much something changed, `+44 %` or `−56 %`; None where it cannot be said."""
    if now is None or not before:
        return None
    percent = ((Decimal(now) / Decimal(before) - 1) * 100).quantize(Decimal(1), ROUND_HALF_EVEN)
    return "±0 %" if percent == 0 else f"{'+' if percent > 0 else '−'}{abs(percent):,} %"


def month(start: date) -> str:
    """Return a month, `Aug 2026`."""
    return f"{start:%b}\N{NO-BREAK SPACE}{start:%Y}"


def day(moment: date) -> str:
    """Return a day, `31 Oct 2026`."""
    return f"{moment.day} {moment:%b %Y}"


def span(months: Sequence[Month]) -> str:
    """Return from when to when the months are, `August to October 2026`."""
    if not months:
        return "no usage yet"
    first, last = months[0].start, months[-1].start
    if first == last:
        return f"{first:%B %Y}"
    return f"{first:%B} to {last:%B %Y}" if first.year == last.year else f"{first:%B %Y} to {last:%B %Y}"


def month_label(each: Month) -> str:
    """Return a month and, where its last day has no call, up to when it is known."""
    return month(each.start) if each.is_whole else f"{month(each.start)} (1–{each.last_day.day})"


def story(facts: Facts) -> str:
    """Return in one sentence how price, use and bill went from the first month to the last."""
    if not facts.months:
        return "The book holds no calls yet."
    first, last = facts.months[0], facts.months[-1]
    if first is last:
        return f"In {span(facts.months)}, {whole(last.calls)} calls used {tokens(last.total_tokens)} tokens."
    parts = [
        _went("the average price of a million tokens", last.price_of_million, first.price_of_million),
        _went("tokens per task", last.tokens_per_task, first.tokens_per_task, plural=True),
        _went("the monthly bill", last.list_cost, first.list_cost),
    ]
    said = [part for part in parts if part is not None]
    if not said:
        return f"From {month(first.start)} to {month(last.start)} no price is known."
    joined = ", ".join(said[:-1]) + (" and " if len(said) > 1 else "") + said[-1]
    return f"From {first.start:%B} to {last.start:%B}, {joined}."


def _went(what: str, now: Decimal | int | None, before: Decimal | int | None, *, plural: bool = False) -> str | None:
    if now is None or not before:
        return None
    ratio = Decimal(now) / Decimal(before)
    if ratio >= _FOLD_FROM:
        times = ratio.quantize(Decimal("0.1"), ROUND_HALF_EVEN)
        return f"{what} rose to {times} times what {'they were' if plural else 'it was'}"
    percent = (abs(ratio - 1) * 100).quantize(Decimal(1), ROUND_HALF_EVEN)
    if percent == 0:
        return f"{what} stayed level"
    return f"{what} {'rose' if ratio > 1 else 'fell'} by {percent} %"


def daily_means(days: Sequence[tuple[date, Cost]], *, width: int = 7) -> list[Cost]:
    """Return for each day the mean of the known costs of the `width` days that end with it, shape (n_days,)."""
    means: list[Cost] = []
    for position in range(len(days)):
        known = [cost for _, cost in days[max(0, position + 1 - width) : position + 1] if cost is not None]
        means.append(sum(known, Decimal(0)) / len(known) if known else None)
    return means
