"""The demo organisation's reference data beside its owner rules: what it shares, buys by the seat, and plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import yaml

from tollbook.simulate.organisation import RENUMBERED, Team
from tollbook.simulate.prices import UNPRICED_MODELS

_SINCE: Final = "2020-01-01"
_KNOWN: Final = "2020-01-01T00:00:00Z"
_SEATS: Final = 40
_SEATS_LATER: Final = 46
_SEAT_FEE: Final = Decimal("30.00")
_ANNUAL_FEE: Final = "3650.00"
_GATEWAY: Final = (("servers", "180.00"), ("on-call", "240.00"))
_SERVERS_CORRECTED: Final = "212.00"
_UNTIL_KNOWN: Final = timedelta(days=45)
_STORE: Final = (("cluster", "95.00"),)
_BUDGET: Final = "250.00"
_MAX: Final = ("max", "45.00", "150.00", 3)
_SHOP_REVENUE: Final = "180.00"
_CUSTOMER_REVENUE: Final = (
    *(("northwind", "220.00"), ("contoso", "190.00"), ("fabrikam", "150.00")),
    *(("initech", "120.00"), ("umbrella", "60.00"), ("globex", "35.00")),
)
_SERVER: Final = {
    "purchase_price": "24000.00",
    "useful_life_months": 48,
    "residual_value": "2400.00",
    "running": [{"component": "power", "amount": "110.00"}, {"component": "space", "amount": "60.00"}],
}

Entry = dict[str, Any]


def reference_documents(
    teams: Sequence[Team], months: Sequence[datetime], end: datetime, *, corrected: bool = False
) -> dict[str, str]:
    """Return reference files by kind, YAML under `schemas/documents/<kind>.schema.json`, in an order to load them in.

    In the last month a team's cost centre changes, and in the middle of the second one seats are bought. Seats of the
    months before the last are invoiced, so the last is accrued. One provider's prices are agreed by contract.

    Args:
        teams: The teams that take part.
        months: First moment of each month, in order, in UTC.
        end: End of the last month, exclusive.
        corrected: Whether it is known by now that the gateway's servers cost more than was told first.
    """
    first, beyond = months[0].date(), end.date()
    made = {
        "hierarchy": list(_hierarchy(teams, months[-1].date())),
        "budgets": list(_budgets(teams, first, beyond)),
        "shared_platforms": list(_platforms(first, beyond, corrected=corrected)),
        "subscriptions": list(_subscriptions(teams, months, beyond)),
        "allocation_rules": list(_rules(first)),
        "legal_entities": list(_entities(teams)),
        "gl_accounts": list(_accounts()),
        "vendor_invoices": list(_invoices(months)),
        "price_estimates": list(_estimates(first)),
        "plan_offers": list(_offers()),
        "product_revenue": list(_revenue(months)),
        "inference_paths": list(_paths(first)),
        "forecast_scenarios": list(_scenarios(beyond)),
    }
    contract = _contract(first, beyond)
    return {"contract": "# Shape: schemas/documents/contract.schema.json\n" + contract} | {
        kind: f"# Shape: schemas/documents/{kind}.schema.json\n"
        + yaml.safe_dump({kind: 1, "entries": entries}, sort_keys=False)
        for kind, entries in made.items()
        if entries
    }


def _entry(entry_id: str, valid_from: date | str | None, valid_to: date | None = None, /, **told: Any) -> Entry:
    dates = {"valid_from": valid_from, "valid_to": valid_to}
    common = {"known_from": _KNOWN, "author": "finance@example.com", "reason": "Simulated"}
    return common | {"entry_id": entry_id, **told, **{key: str(day) for key, day in dates.items() if day is not None}}


def _hierarchy(teams: Sequence[Team], renumbered_on: date) -> Iterator[Entry]:
    for unit in sorted({team.business_unit for team in teams}):
        yield _entry(f"unit-{unit.lower()}", _SINCE, unit="business_unit", name=unit)
    centers = {team.cost_center: team.business_unit for team in teams}
    centers[RENUMBERED[1]] = next(team.business_unit for team in teams if team.name == RENUMBERED[0])
    for center, unit in sorted(centers.items()):
        yield _entry(center.lower(), _SINCE, unit="cost_center", name=center, parent=unit)
    for team in teams:
        told = {"unit": "team", "name": team.name}
        if team.name == RENUMBERED[0]:
            yield _entry(team.name, _SINCE, renumbered_on, **told, parent=team.cost_center)
            yield _entry(f"{team.name}-2", renumbered_on, **told, parent=RENUMBERED[1])
        else:
            yield _entry(team.name, _SINCE, **told, parent=team.cost_center)


def _budgets(teams: Sequence[Team], first: date, beyond: date) -> Iterator[Entry]:
    for team in teams:
        told = {"budget_id": team.name, "scope": {"team": team.name}, "amount": _BUDGET, "currency": "USD"}
        yield _entry(f"budget-{team.name}", first, beyond, **told, per="billing_period")


def _contract(first: date, beyond: date) -> str:
    """Return a contract with a discount on everything and a credit that was bought below its worth."""
    terms: list[Entry] = [
        {"term_id": "everything", "discount": {"percent": "5"}},
        {
            "term_id": "credit",
            "prepaid_credit": {
                "amount": "300.00",
                "price": "285.00",
                "purchased_on": str(first),
                "expires_on": str(beyond),
            },
        },
    ]
    told: Entry = {
        "contract": 1,
        "contract_id": "anthropic-agreement",
        "provider": "anthropic",
        "currency": "USD",
        "valid_from": str(first),
        "valid_to": str(beyond),
        "known_from": _KNOWN,
        "author": "procurement@example.com",
        "reason": "Simulated",
        "terms": terms,
    }
    return yaml.safe_dump(told, sort_keys=False)


def _platforms(first: date, beyond: date, *, corrected: bool) -> Iterator[Entry]:
    for name, vendor, costs in (("gateway", None, _GATEWAY), ("vector-store", "example-db", _STORE)):
        told: Entry = {"platform_id": name, "currency": "USD"}
        told |= {} if vendor is None else {"vendor": vendor}
        yield _entry(name, first, beyond, **told, costs=[{"component": c, "amount": amount} for c, amount in costs])
        if corrected and name == "gateway":
            costs = ((costs[0][0], _SERVERS_CORRECTED), *costs[1:])
            told |= {"supersedes": [name], "known_from": f"{first + _UNTIL_KNOWN}T00:00:00Z"}
            told |= {"costs": [{"component": c, "amount": amount} for c, amount in costs]}
            yield _entry("gateway-corrected", first, beyond, **told)


def _subscriptions(teams: Sequence[Team], months: Sequence[datetime], beyond: date) -> Iterator[Entry]:
    first = months[0].date()
    bought = _bought_on(months)
    common: Entry = {"vendor": "anthropic", "plan": "Team", "currency": "USD"}
    # Two seats are nobody's yet.
    assigned = [{"team": team.name, "seats": (_SEATS - 2) // len(teams)} for team in teams]
    for name, purchased, since, until in (
        ("assistant", _SEATS, first, bought),
        ("assistant-later", _SEATS_LATER, bought, beyond),
    ):
        seats = {"purchased": purchased, "fee": str(_SEAT_FEE), "assigned": assigned}
        yield _entry(name, since, until, subscription_id="assistant", **common, per="month", seats=seats)
    yearly: Entry = {"vendor": "example-eval", "plan": "Annual", "currency": "USD", "per": "year", "fee": _ANNUAL_FEE}
    yield _entry("evaluation", first, beyond, subscription_id="evaluation", **yearly)


def _scenarios(beyond: date) -> Iterator[Entry]:
    """Yield what could come after the last month: tasks grow by a quarter a month, or prices fall by half."""
    for scenario, assumed in (
        ("agents-grow", {"tasks": {"factor_per_month": "1.25"}}),
        ("prices-halve", {"price": {"factor": "0.5"}}),
    ):
        yield _entry(scenario, _SINCE, scenario=scenario, assumptions=[{"from": str(beyond), **assumed}])


def _offers() -> Iterator[Entry]:
    """Yield what those who have seats could be on instead: API prices alone, and two plans that cover some usage."""
    common: Entry = {"vendor": "anthropic", "currency": "USD", "per": "month", "replaces": ["assistant"]}
    for plan_id, fee, covered, seats in (("metered", "0", None, 1), ("pro", "17.00", "25.00", 1), _MAX):
        told: Entry = {} if covered is None else {"included": {"unit": "spend", "quantity": covered}}
        told |= {} if seats == 1 else {"minimum_seats": seats}
        yield _entry(plan_id, _SINCE, plan_id=plan_id, **common, fee=fee, **told)


def _paths(first: date) -> Iterator[Entry]:
    """Yield ways to run inference elsewhere, how fast they are, and what could run there: examples, nobody's prices."""
    told: Entry = {"source": "An example, no price or measurement of anybody's", "observed_on": str(first)}
    large = {"accelerator": "example-80gb", "accelerators": 1, "currency": "USD", **told}
    for name, path, terms in (
        ("example-hyperscaler", "hyperscaler", {"rented": {"hourly_rate": "6.90"}}),
        ("example-neo-cloud", "neo_cloud", {"rented": {"hourly_rate": "2.90"}}),
        ("example-server", "on_prem", {"owned": _SERVER}),
    ):
        yield _entry(name, _SINCE, offer={"offer_id": name, "path": path, "vendor": name, **large, **terms})
    for model, output, read in (("example-open-large", "900", "12000"), ("example-open-small", "4000", "40000")):
        speed = {"output_tokens_per_second": output, "input_tokens_per_second": read, "basis": "estimate", **told}
        on = {"model": model, "accelerator": "example-80gb", "accelerators": 1}
        yield _entry(model, _SINCE, throughput={"figure_id": model, **on, **speed})
    yield _entry("coding", _SINCE, workload={"workload": "code-assistant", "model": "example-open-large"})
    small = {"workload": "customer-talk", "workflows": ["support-chat", "ticket-summaries"]}
    yield _entry("customer-talk", _SINCE, workload={**small, "model": "example-open-small"})
    yield _entry("contracts", _SINCE, workload={"workload": "contract-review", "hostable": False})
    assumed = {"utilisation": "0.35", "api_price_decline_per_year": "0.50", "hardware_life_months": 36}
    yield _entry("assumed", _SINCE, assumptions=assumed)


def _revenue(months: Sequence[datetime]) -> Iterator[Entry]:
    """Yield what two products earn: one as a whole, one by customer. What the third earns is not told."""
    for month in months:
        period = f"{month:%Y-%m}"
        told: Entry = {"billing_period": period, "currency": "USD"}
        yield _entry(f"shop-{period}", None, product="shop", **told, amount=_SHOP_REVENUE)
        for customer, amount in _CUSTOMER_REVENUE:
            name = f"research-desk-{customer}-{period}"
            yield _entry(name, None, product="research-desk", customer_id=customer, **told, amount=amount)


def _rules(first: date) -> Iterator[Entry]:
    shares = [{"platform": "vector-store", "ratio": "0.25"}, {"team": "platform-engineering", "ratio": "0.75"}]
    yield _entry("gateway", first, pool={"platform": "gateway"}, method="fixed", shares=shares)
    pool = {"platform": "vector-store"}
    yield _entry("vector-store", first, pool=pool, method="proportional", driver="calls")
    yield _entry("evaluation", first, pool={"subscription": "evaluation"}, method="even")


def _entities(teams: Sequence[Team]) -> Iterator[Entry]:
    centers = sorted({team.cost_center for team in teams} | {RENUMBERED[1]})
    told = {"entity_id": "example-corp", "title": "Example Corporation", "currency": "USD", "country": "US"}
    yield _entry("example-corp", _SINCE, **told, cost_centers=centers)


def _accounts() -> Iterator[Entry]:
    common = {"clearing": "2150", "prepayment": "1310", "accrual": "2160", "payable": "2100", "tax": "2210"}
    yield _entry("every-charge", _SINCE, match={}, accounts={"expense": "6420", **common})
    match = {"charge_kind": "subscription_seats"}
    yield _entry("seats", _SINCE, match=match, accounts={"expense": "6430", **common})


def _estimates(first: date) -> Iterator[Entry]:
    provider, model = UNPRICED_MODELS[0]
    told = {"provider": provider, "model": model, "usd_per_million_tokens": "3.00"}
    yield _entry("unpriced-model", first, **told, approved_by="controller@example.com")


def _invoices(months: Sequence[datetime]) -> Iterator[Entry]:
    bought = _bought_on(months)
    for number, (month, following) in enumerate(pairwise(months), start=1):
        start, end = month.date(), following.date()
        days = (end - start).days
        later = max(0, (end - max(start, bought)).days)
        seats = _SEAT_FEE * (_SEATS * (days - later) + _SEATS_LATER * later)
        amount = (seats / days).quantize(Decimal("0.01"))
        seat_line = {
            "line_id": "seats",
            "description": "Team seats",
            "category": "Purchase",
            "amount": str(amount),
            "for": {"subscription": "assistant"},
        }
        tax = (amount * Decimal("0.07")).quantize(Decimal("0.01"))
        tax_line = {"line_id": "tax", "description": "Sales tax", "category": "Tax", "amount": str(tax)}
        yield _entry(
            f"invoice-{number}",
            None,
            invoice_id=f"SEATS-{start:%Y-%m}",
            vendor="anthropic",
            currency="USD",
            issued_on=str(end + timedelta(days=2)),
            billing_period=f"{start:%Y-%m}",
            total=str(amount + tax),
            lines=[seat_line, tax_line],
        )


def _bought_on(months: Sequence[datetime]) -> date:
    """Return the day on which more seats are bought: in the middle of the second month."""
    return months[min(1, len(months) - 1)].date() + timedelta(days=15)
