"""Bad reference data is refused whole, and the fault is named by file, row, field and rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tollbook.contracts import shipped_folder
from tollbook.errors import ReferenceDataError
from tollbook.reference.dated.kinds import KINDS
from tollbook.reference.dated.use import check_entries, load_entries, read_reference
from tollbook.reference.kinds import check_file

if TYPE_CHECKING:
    from tests.pipelines.reference.dated.conftest import Changed

EXAMPLES = shipped_folder("schemas") / "examples" / "dated"

SECOND_ENTITY = """    reason: r
  - {entry_id: b, entity_id: b, title: B, currency: EUR, cost_centers: [CC-2200], valid_from: 2026-03-01,
     known_from: 2026-01-01T00:00:00Z, author: a, reason: r}
"""

ALONE = {
    "two entries hold at one time": (
        "hierarchy",
        ("    supersedes: [customer-care]\n", ""),
        "39: entries/4/valid_from: expected one entry about team customer-care at a time, but customer-care",
    ),
    "an entry ends before it begins": (
        "hierarchy",
        ("valid_to: 2026-06-16", "valid_to: 2026-01-01"),
        "41: entries/4/valid_to: expected a day after valid_from, got '2026-01-01'",
    ),
    "a team below nothing": (
        "hierarchy",
        ("    name: search\n    parent: CC-2100\n", "    name: search\n"),
        "53: entries/6: expected the key 'parent' beside a team, got none",
    ),
    "an orphan": (
        "hierarchy",
        ("    name: search\n    parent: CC-2100", "    name: search\n    parent: CC-2900"),
        "56: entries/6/parent: expected a cost centre of the hierarchy for as long as its team",
    ),
    "a parent that ends before its child": (
        "hierarchy",
        (
            "    name: CC-2200\n    parent: Operations\n",
            "    name: CC-2200\n    parent: Operations\n    valid_to: 2026-09-01\n",
        ),
        "and there is none on 2026-09-01, got 'CC-2200'",
    ),
    "a team below a business unit": (
        "hierarchy",
        (
            "    name: search\n    parent: CC-2100",
            "    name: search\n    parent: Operations\n    parent_unit: business_unit",
        ),
        "57: entries/6/parent_unit: expected a team below a cost centre, got 'business_unit'",
    ),
    "a cycle of cost centres": (
        "hierarchy",
        (
            "    name: CC-2100\n    parent: Operations",
            "    name: CC-2100\n    parent: CC-2100\n    parent_unit: cost_center",
        ),
        "14: entries/1/parent: expected no unit below itself, got CC-2100 below CC-2100 on 2026-01-01",
    ),
    "it supersedes nothing": (
        "hierarchy",
        ("supersedes: [customer-care]", "supersedes: [customer-car]"),
        "36: entries/4/supersedes/0: expected the entry_id of another entry of this kind, found none",
    ),
    "it supersedes another unit": (
        "hierarchy",
        ("supersedes: [customer-care]", "supersedes: [search]"),
        "36: entries/4/supersedes/0: expected an entry about team customer-care, that one is about another",
    ),
    "it supersedes what was known later": (
        "hierarchy",
        ("known_from: 2026-06-10T09:00:00Z", "known_from: 2025-12-01T09:00:00Z"),
        "36: entries/4/supersedes/0: expected an entry that was known before this one",
    ),
    "an entry_id twice": (
        "hierarchy",
        ("entry_id: cc-2200", "entry_id: cc-2100"),
        "19: entries/2/entry_id: expected each entry_id once, got 'cc-2100'",
    ),
    "a budget for a time without an end": (
        "budgets",
        (
            "per: billing_period\n    valid_from: 2026-01-01\n    valid_to: 2027-01-01",
            "per: validity\n    valid_from: 2026-01-01",
        ),
        "9: entries/0/per: expected valid_to beside it",
    ),
    "more seats given out than paid for": (
        "subscriptions",
        ("{team: search, seats: 3}", "{team: search, seats: 5}"),
        "13: entries/0/seats/assigned: expected at most the 10 seats that are paid for, got 11",
    ),
    "seats of a team twice": (
        "subscriptions",
        ("{team: search, seats: 3}", "{team: customer-care, seats: 3}"),
        "15: entries/0/seats/assigned/1/team: expected each team and workflow once, got 'customer-care'",
    ),
    "credits without their value": (
        "subscriptions",
        ("unit: spend", "unit: credits"),
        "16: entries/0/included: expected credit_value beside credits",
    ),
    "all usage with a quantity": (
        "subscriptions",
        ("unit: spend", "unit: all"),
        "16: entries/0/included: expected no other key beside the unit all",
    ),
    "included usage of no quantity": (
        "subscriptions",
        (', quantity: "20.00"', ""),
        "16: entries/0/included: expected the key 'quantity' beside the unit spend, got none",
    ),
    "overage of nothing": (
        "subscriptions",
        ('included: {unit: spend, quantity: "20.00", per: seat}', 'overage: {price: "1"}'),
        "16: entries/0/overage: expected it beside included usage of a quantity alone",
    ),
    "a cost below zero": (
        "shared_platforms",
        ('amount: "900.00"', 'amount: "-900.00"'),
        "8: entries/0/costs/0/amount: expected zero or more, of at most 12 decimals, got '-900.00'",
    ),
    "a component twice": (
        "shared_platforms",
        ("component: licence", "component: servers"),
        "9: entries/0/costs/1/component: expected each component once in an entry, got 'servers'",
    ),
    "more left than was paid": (
        "fleets",
        ('residual_value: "24000.00"', 'residual_value: "240000.01"'),
        "12: entries/0/owned/residual_value: expected no more than the purchase price",
    ),
    "tokens without a capacity": (
        "fleets",
        ("    capacity_tokens: 30000000000\n", ""),
        "29: entries/1/measure: expected capacity_tokens beside the measure tokens",
    ),
    "ratios that miss 1": (
        "allocation_rules",
        ('ratio: "0.3"', 'ratio: "0.29"'),
        "7: entries/0/shares: expected ratios that add up to 1, got 0.99",
    ),
    "a cycle of platforms": (
        "allocation_rules",
        (
            "method: proportional\n    driver: calls",
            "method: fixed\n    shares: [{platform: gateway, ratio: '1'}]",
        ),
        "expected an order without a cycle, got gateway to vector-store to gateway on 2026-01-01",
    ),
    "a method without its driver": (
        "allocation_rules",
        ("    driver: calls\n", ""),
        "15: entries/1: expected the key 'driver' beside the method proportional, got none",
    ),
    "a driver that the method does not read": (
        "allocation_rules",
        ("method: proportional", "method: even"),
        "18: entries/1/driver: expected no driver beside the method even",
    ),
    "tiers that do not grow": (
        "allocation_rules",
        ('{from: "1000", weight', '{from: "0", weight'),
        "29: entries/2/tiers/1/from: expected tiers that begin at growing quantities",
    ),
    "an invoice that does not add up": (
        "vendor_invoices",
        ('total: "392.70"', 'total: "392.71"'),
        "10: entries/0/total: expected the sum of the lines, 392.7, got '392.71'",
    ),
    "a credit note of nothing": (
        "vendor_invoices",
        ("credit_note_for: INV-2026-0042", "credit_note_for: INV-2026-0041"),
        "23: entries/1/credit_note_for: expected the number of an invoice of the vendor, found none",
    ),
    "a credit note in another currency": (
        "vendor_invoices",
        (
            "invoice_id: CN-2026-0043\n    vendor: anthropic\n    currency: USD",
            "invoice_id: CN-2026-0043\n    vendor: anthropic\n    currency: EUR",
        ),
        "20: entries/1/currency: expected USD, as the invoice that it credits, got 'EUR'",
    ),
    "a credit note that asks for money": (
        "vendor_invoices",
        ('category: Credit, amount: "-30.00"', 'category: Credit, amount: "30.00"'),
        "26: entries/1/lines/0/amount: expected zero or less in a credit note, got '30.00'",
    ),
    "a cost centre of two entities": (
        "legal_entities",
        (
            "    reason: Commercial register\n",
            SECOND_ENTITY,
        ),
        "14: entries/1/cost_centers/0: expected a cost centre of one entity at a time, but example-gmbh has it too",
    ),
    "two rules of one match": (
        "gl_accounts",
        ("match: {charge_kind: subscription_seats}", "match: {}"),
        "expected one entry about match {} at a time, but usage",
    ),
    "revenue below zero": (
        "product_revenue",
        ('amount: "18200.00"', 'amount: "-1"'),
        "7: entries/0/amount: expected zero or more",
    ),
    "a tier that ends below the one before": (
        "plan_offers",
        ('{price: "0.90"}', '{up_to: "100.00", price: "0.90"}\n        - {price: "0.80"}'),
        "expected more than in the tier before, got '100.00'",
    ),
    "a last tier that ends": (
        "plan_offers",
        ('{price: "0.90"}', '{up_to: "500.00", price: "0.90"}'),
        "expected it in every tier but the last",
    ),
    "tiers beside a price": (
        "plan_offers",
        ("      tiers:", '      price: "1"\n      tiers:'),
        "expected ",
    ),
    "credits without their worth": (
        "plan_offers",
        (', credit_value: "0.04"', ""),
        "expected credit_value beside credits, and beside them alone",
    ),
    "included spend of no quantity": (
        "plan_offers",
        ('{unit: spend, quantity: "20.00"}', "{unit: spend}"),
        "expected the key 'quantity' beside the unit spend, got none",
    ),
    "a plan whose fee is below zero": (
        "plan_offers",
        ('fee: "30.00"', 'fee: "-30.00"'),
        "19: entries/1/fee: expected zero or more",
    ),
    "a scenario of a name that is taken": (
        "forecast_scenarios",
        ("scenario: agents-grow", "scenario: expected"),
        "5: entries/0/scenario: expected another name than expected and flat_prices, got 'expected'",
    ),
    "two forms of a scenario at one time": (
        "forecast_scenarios",
        ("scenario: small-models", "scenario: agents-grow"),
        "expected one entry about scenario agents-grow at a time, but agents-grow-2026",
    ),
    "an assumption that ends before it begins": (
        "forecast_scenarios",
        ("{from: 2026-07-01, tokens", "{from: 2026-07-01, until: 2026-07-01, tokens"),
        "8: entries/0/assumptions/1/until: expected a day after from, got '2026-07-01'",
    ),
    "a factor below zero": (
        "forecast_scenarios",
        ('factor: "1.5"', 'factor: "-1.5"'),
        "8: entries/0/assumptions/1/tokens_per_task/factor: expected zero or more",
    ),
    "a factor beside a factor a month": (
        "forecast_scenarios",
        ('factor: "1.5"', 'factor: "1.5", factor_per_month: "1.1"'),
        "8: entries/0/assumptions/1/tokens_per_task: expected ",
    ),
    "two things assumed at once": (
        "forecast_scenarios",
        ('tokens_per_task: {factor: "1.5"}', 'tokens_per_task: {factor: "1.5"}, price: {factor: "2"}'),
        "8: entries/0/assumptions/1: expected ",
    ),
    "tasks of a model": (
        "forecast_scenarios",
        ("team: search, workflow: index", "provider: openai"),
        "21: entries/1/assumptions/2/provider: expected none beside tasks, which are of no model",
    ),
    "more than all of it is moved": (
        "forecast_scenarios",
        ('share: "0.5"', 'share: "1.5"'),
        "19: entries/1/assumptions/0/moved/share: expected a share above 0 and at most 1, got '1.5'",
    ),
    "new usage of nobody": (
        "forecast_scenarios",
        ("        team: tax\n", ""),
        "24: entries/1/assumptions/3/new: expected the key 'team' beside it, got none",
    ),
    "an offer in no currency": (
        "inference_paths",
        ("      accelerators: 8\n      currency: USD\n", "      accelerators: 8\n"),
        "5: entries/0/offer: expected the key 'currency' beside rented, got none",
    ),
    "an instance of no accelerators": (
        "inference_paths",
        ("      accelerators: 8\n", ""),
        "5: entries/0/offer: expected the key 'accelerators' beside rented, got none",
    ),
    "a model API by the hour": (
        "inference_paths",
        ("path: hyperscaler", "path: model_api"),
        "7: entries/0/offer/path: expected another path than model_api, which is priced by the token, got 'model_api'",
    ),
    "an hour below zero": (
        "inference_paths",
        ('hourly_rate: "55.04"', 'hourly_rate: "-55.04"'),
        "14: entries/0/offer/rented/hourly_rate: expected zero or more, of at most 12 decimals, got '-55.04'",
    ),
    "an offer by the hour and by the token": (
        "inference_paths",
        ('rented: {hourly_rate: "55.04"}', 'rented: {hourly_rate: "55.04"}\n      fleet: rack-1'),
        "5: entries/0/offer: expected ",
    ),
    "hardware that is worth more in the end": (
        "inference_paths",
        ('residual_value: "24000.00"', 'residual_value: "288000.01"'),
        "49: entries/2/offer/owned/residual_value: expected no more than the purchase price, got '288000.01'",
    ),
    "no tokens in a second": (
        "inference_paths",
        ('output_tokens_per_second: "5200"', 'output_tokens_per_second: "0"'),
        "94: entries/5/throughput/output_tokens_per_second: expected more than nothing, got '0'",
    ),
    "more use than there is": (
        "inference_paths",
        ('utilisation: "0.35"', 'utilisation: "1.01"'),
        "108: entries/6/workload/utilisation: expected a share above 0 and at most 1, got '1.01'",
    ),
    "prices that fall to nothing": (
        "inference_paths",
        ('api_price_decline_per_year: "0.50"', 'api_price_decline_per_year: "1"'),
        "expected a share of 0 or more and below 1, got '1'",
    ),
    "a workflow of two workloads": (
        "inference_paths",
        ("{workload: deep-research,", "{workload: deep-research, workflows: [answer-mail],"),
        "expected each workflow in one workload at a time, but answers-placed has 'answer-mail' too",
    ),
    "a month that is none": (
        "product_revenue",
        ("billing_period: 2026-06", "billing_period: 2026-13"),
        "6: entries/0/billing_period: expected a billing period such as 2026-06, got '2026-13'",
    ),
}


@pytest.mark.parametrize(("kind", "replacement", "told"), ALONE.values(), ids=ALONE)
def test_a_fault_is_named_by_file_line_field_and_rule(
    changed: Changed, kind: str, replacement: tuple[str, str], told: str
) -> None:
    """Whoever mends the file must not have to search for what is meant."""
    path = changed(kind, replacement)
    with pytest.raises(ReferenceDataError) as refused:
        check_file(path)
    message = str(refused.value)
    assert str(path) in message
    assert told in message
    assert all(fault.line >= 1 and fault.rule.startswith("expected ") for fault in refused.value.faults)


BESIDE = {
    "a budget of a team that is not there": (
        "budgets",
        ("scope: {team: customer-care}", "scope: {team: custommer-care}"),
        "6: entries/0/scope/team: expected a team of the hierarchy, found none, got 'custommer-care'",
    ),
    "a share of a team that is not there": (
        "allocation_rules",
        ("{team: search, ratio", "{team: serch, ratio"),
        "entries/0/shares/2/team: expected a team of the hierarchy, found none, got 'serch'",
    ),
    "a rule for a platform that is not there": (
        "allocation_rules",
        ("pool: {platform: vector-store}", "pool: {platform: vectors}"),
        "expected a platform in use, found none",
    ),
    "an invoice in another currency than what it bills": (
        "vendor_invoices",
        ("for: {subscription: assistant}", "for: {platform: gateway}"),
        "7: entries/0/currency: expected EUR, the currency of the platform gateway that a line bills, got 'USD'",
    ),
    "an account of a cost centre that is not there": (
        "gl_accounts",
        ("match: {charge_kind: subscription_seats}", "match: {cost_center: CC-1}"),
        "entries/1/match/cost_center: expected a cost centre of the hierarchy, found none, got 'CC-1'",
    ),
    "a part of a fleet that is not there": (
        "inference_paths",
        ("fleet: rack-1", "fleet: rack-9"),
        "entries/3/offer/fleet: expected a fleet in use, found none, got 'rack-9'",
    ),
}


@pytest.mark.parametrize(("kind", "replacement", "told"), BESIDE.values(), ids=BESIDE)
def test_a_file_is_held_against_those_in_use(
    changed: Changed, tmp_path: Path, kind: str, replacement: tuple[str, str], told: str
) -> None:
    """A name that nobody defines would leave its cost with nobody; what is in use stays as it was."""
    from tests.pipelines.reference.dated.conftest import NOW

    folder = tmp_path / "reference"
    for name in KINDS:
        if name != kind:
            load_entries(EXAMPLES / f"{name}.yml", KINDS[name], folder, now=NOW)
    path = changed(kind, replacement)
    check_entries(path, KINDS[kind])
    with pytest.raises(ReferenceDataError, match=r"expected (documents|a|EUR)"):
        check_entries(path, KINDS[kind], folder)
    with pytest.raises(ReferenceDataError) as refused:
        load_entries(path, KINDS[kind], folder, now=NOW)
    assert told in str(refused.value)
    assert not (folder / kind).exists()
    assert set(read_reference(folder).files) == set(KINDS) - {kind}


@pytest.mark.parametrize("name", KINDS)
def test_the_example_of_each_kind_is_sound_and_a_key_that_is_none_is_refused(changed: Changed, name: str) -> None:
    """Examples are what people copy; a misspelt key guards nothing."""
    assert check_file(EXAMPLES / f"{name}.yml").kind == name
    with pytest.raises(ReferenceDataError, match=r"entries/0/autor: expected one of the keys"):
        check_file(changed(name, ("    author:", "    autor: x\n    author:")))


@pytest.mark.parametrize("name", KINDS)
def test_every_mapping_of_a_schema_is_closed_and_every_field_described(name: str) -> None:
    """The schema is the manual; `accounts` and the like take no key that it does not name."""

    def held(schema: object, place: str) -> None:
        if isinstance(schema, list):
            for number, each in enumerate(schema):
                held(each, f"{place}/{number}")
        if not isinstance(schema, dict):
            return
        if "properties" in schema:
            assert schema.get("additionalProperties") is False, place
            for key, each in schema["properties"].items():
                assert each.get("description") or "$ref" in each, f"{place}/{key}"
        for key, each in schema.items():
            held(each, f"{place}/{key}")

    held(json.loads((shipped_folder("schemas") / "documents" / f"{name}.schema.json").read_text("utf-8")), name)


def test_no_example_is_unused() -> None:
    """A file that no kind reads is a file that rots."""
    assert {path.stem for path in EXAMPLES.iterdir()} == set(KINDS)
    assert all(next(iter(yaml.safe_load((EXAMPLES / f"{name}.yml").read_text("utf-8")))) == name for name in KINDS)
