"""On a plan of 200 USD somebody uses what costs 35,000 USD at API prices: 175 to 1.

Persons have seats that cover all usage; each uses a share of what the one before does. The marts must tell what the
plan is worth to each, how usage is spread, and which of the plans on offer would be cheapest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any, Final

from tollbook.simulate.organisation import Team
from tollbook.simulate.prices import PICO_USD_PER_USD
from tollbook.simulate.scenarios.parameters import amount, count
from tollbook.simulate.scenarios.spend import PICO_USD_PER_UNIT, RATES, Bought, bought, units_of
from tollbook.simulate.scenarios.story import (
    Document,
    Expected,
    Findings,
    PricedModel,
    Scenario,
    Setting,
    Story,
    Task,
    entry,
    prices_of,
    ratio,
    usd,
)
from tollbook.simulate.scenarios.work import Worker, starts

NAME: Final = "flat-plan"
TEAM: Final = Team(NAME, "CC-9400", "Scenarios")
WORKFLOW: Final = "flat-plan-assistant"
VENDOR: Final = "Example AI"
METERED, COVERED, FLAT = "flat-plan-1-metered", "flat-plan-2-covered", "flat-plan-3-flat"
"""Plans on offer: API prices alone, a fee that covers some usage, and the plan itself."""
_MODEL: Final = PricedModel(f"{NAME}-model", ((None, RATES),))

PARAMETERS: Final = (
    amount("fee_usd", "200", "0.01", "100000", "fee of a seat a month"),
    amount("multiple", "175", "0.01", "100000", "what who uses most uses at API prices, for one dollar of the fee"),
    count("persons", 20, 1, 2_000, "persons with a seat"),
    amount("next_percent", "70", "0", "100", "usage of each person, of that of the one before"),
    count("unused_seats", 2, 0, 10_000, "seats that are paid for and nobody uses"),
    amount("call_usd", "17.50", "0.01", "1000", "what a call costs at API prices, about"),
    amount("covered_fee_usd", "20", "0", "100000", "fee of a plan on offer that covers some usage"),
    amount("covered_usd", "25", "0", "1000000", "what it covers, at API prices"),
)


@dataclass(frozen=True, slots=True)
class _Person:
    """Who uses the plan in a month. Units: pico-USD."""

    name: str
    use: Bought
    fee: int

    @property
    def cost(self) -> int:
        """What the usage costs at API prices."""
        return self.use.units * PICO_USD_PER_UNIT


def make(setting: Setting) -> Story:
    """Return the story of a setting."""
    persons = _persons(setting)
    worker = Worker(setting.chance, TEAM.name, WORKFLOW, prices_of((_MODEL,)))

    def tasks() -> Iterator[Task]:
        calls = [(person.name, used) for person in persons for used in person.use.calls()]
        # So that each person works through the whole month.
        setting.chance.shuffle(calls)
        for month in setting.months:
            for start_us, (name, used) in zip(starts(month, len(calls)), calls, strict=True):
                told = {"principal_id": name, "subscription_id": NAME, "task_id": worker.task_id()}
                yield Task(start_us, [worker.call(_MODEL, start_us, used, **told)])

    def findings() -> Findings:
        largest = persons[0]
        figures = {
            "list_cost_of_the_largest_usd": usd(largest.cost),
            "multiple_of_the_largest": ratio(largest.cost, largest.fee),
        }
        return Findings(figures, (_subsidies(setting, persons), _mixes(setting, persons)))

    planned = len(setting.months) * sum(person.use.count for person in persons)
    return Story(TEAM, (WORKFLOW,), (_MODEL,), _documents(setting), tasks(), findings, planned)


def _persons(setting: Setting) -> list[_Person]:
    """Return those who use the plan, the largest first; a share too small for a token is none."""
    fee = setting.values["fee_usd"]
    found, usage = [], Fraction(fee * setting.values["multiple"])
    for number in range(1, setting.whole("persons") + 1):
        units = units_of(usage)
        if not units:
            break
        use = bought(units, setting.values["call_usd"])
        found.append(_Person(f"flat-plan-person-{number:04d}", use, _pico(fee)))
        usage = usage * Fraction(setting.values["next_percent"]) / 100
    return found


def _documents(setting: Setting) -> dict[str, Document]:
    values = setting.values
    fee = f"{values['fee_usd']:f}"
    common = {"vendor": VENDOR, "currency": "USD", "per": "month"}
    dates = {"valid_from": setting.months[0].first_day, "valid_to": setting.months[-1].end.date().isoformat()}
    seats = {"purchased": _seats(setting), "fee": fee}
    plan = entry(NAME, subscription_id=NAME, plan="Flat", **common, seats=seats, included={"unit": "all"}, **dates)
    covers = {"unit": "spend", "quantity": f"{values['covered_usd']:f}"}
    told: Sequence[tuple[str, str, dict[str, Any]]] = (
        (METERED, "0", {}),
        (COVERED, f"{values['covered_fee_usd']:f}", {"included": covers}),
        (FLAT, fee, {"included": {"unit": "all"}}),
    )
    offers = [
        entry(name, plan_id=name, **common, fee=price, replaces=[NAME], **covered, valid_from=dates["valid_from"])
        for name, price, covered in told
    ]
    return {
        "subscriptions": {"subscriptions": 1, "name": NAME, "entries": [plan]},
        "plan_offers": {"plan_offers": 1, "name": NAME, "entries": offers},
    }


def _seats(setting: Setting) -> int:
    return setting.whole("persons") + setting.whole("unused_seats")


def _offer_costs(setting: Setting, person: _Person) -> dict[str, int]:
    """Return what a person would cost on each plan on offer, in the order in which equals are taken. Unit: pico-USD."""
    covered_fee, covered = (_pico(setting.values[name]) for name in ("covered_fee_usd", "covered_usd"))
    return {METERED: person.cost, COVERED: covered_fee + max(0, person.cost - covered), FLAT: person.fee}


def _cheapest(costs: dict[str, int]) -> str:
    return min(costs, key=lambda name: (costs[name], name))


def _subsidies(setting: Setting, persons: Sequence[_Person]) -> Expected:
    rows = []
    costs = [person.cost for person in persons]
    whole, count_, seats = sum(costs), len(persons), _seats(setting)
    fee, unused = persons[0].fee, seats - count_
    of_plan: dict[str, Any] = {
        "persons": count_,
        "seats": usd(seats * PICO_USD_PER_USD),
        "unused_seats": usd(unused * PICO_USD_PER_USD),
        "plan_list_cost": usd(whole),
        "plan_fee_cost": usd(seats * fee),
        "plan_multiple": ratio(whole, seats * fee),
        "gini": ratio(
            sum((count_ + 1 - 2 * place) * each for place, each in enumerate(costs, start=1)), count_ * whole
        ),
        "top_1_percent_share": ratio(sum(costs[: -(-count_ // 100)]), whole),
        "top_10_percent_share": ratio(sum(costs[: -(-count_ // 10)]), whole),
    }
    sums = list(accumulate(reversed(costs)))
    for month in setting.months:
        of_month = of_plan | {"billing_period_start": month.first_day}
        for rank, person in enumerate(persons, start=1):
            offers = _offer_costs(setting, person)
            cheapest = _cheapest(offers)
            place = count_ - rank + 1
            rows.append(
                of_month
                | {
                    "usage_rank": rank,
                    "calls": person.use.count,
                    "total_tokens": person.use.tokens,
                    "list_cost": usd(person.cost),
                    "fee_cost": usd(person.fee),
                    "own_terms_cost": usd(person.fee),
                    "subsidy_multiple": ratio(person.cost, person.fee),
                    "usage_share": ratio(person.cost, whole),
                    "lorenz_persons": ratio(place, count_),
                    "lorenz_usage": ratio(sums[place - 1], whole),
                    "cheapest_plan": cheapest,
                    "cheapest_cost": usd(offers[cheapest]),
                }
            )
        if unused:
            free = dict.fromkeys(("fee_cost", "own_terms_cost"), usd(unused * fee))
            rows.append(of_month | {"usage_rank": None, "calls": 0, "total_tokens": 0} | free)
    return Expected("insight.fct_subsidies", {"subscription_id": NAME}, ("billing_period_start", "usage_rank"), rows)


def _mixes(setting: Setting, persons: Sequence[_Person]) -> Expected:
    costs = [_offer_costs(setting, person) for person in persons]
    chosen = [_cheapest(each) for each in costs]
    rows = [
        {
            "billing_period_start": month.first_day,
            "offer_id": offer,
            "offer_persons": chosen.count(offer),
            "offer_seats": chosen.count(offer),
            "offer_mix_cost": usd(sum(each[offer] for each, plan in zip(costs, chosen, strict=True) if plan == offer)),
            "offer_uniform_cost": usd(sum(each[offer] for each in costs)),
        }
        for month in setting.months
        for offer in (METERED, COVERED, FLAT)
    ]
    return Expected("insight.fct_plan_mixes", {"subscription_id": NAME}, ("billing_period_start", "offer_id"), rows)


def _pico(usd_amount: Decimal) -> int:
    return int(usd_amount * PICO_USD_PER_USD)


SCENARIO: Final = Scenario(
    NAME, "A seat of 200 USD is used for 35,000 USD at API prices, 175 to 1", PARAMETERS, 1, make
)
