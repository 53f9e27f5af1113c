"""What plans are worth and what AI takes of margins, from reference data and the lake to the commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.errors import MisuseError
from tollbook.lake.erasures import pseudonyms
from tollbook.rating.periods.calendar import UTC_CALENDAR
from tollbook.reference.kinds import load_file
from tollbook.settings import Settings
from tollbook.warehouse.build import build
from tollbook.warehouse.chargeback import shared_inputs

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

NOW = datetime(2026, 8, 15, tzinfo=UTC)
TOLD = "known_from: 2026-05-01T00:00:00Z, author: a, reason: r"
JUNE, JULY = date(2026, 6, 1), date(2026, 7, 1)
DOCUMENTS = {
    # Four seats of 30 that cover 20 each; and the published 200 a month that cover all.
    "subscriptions": f"""
subscriptions: 1
entries:
  - {{entry_id: team, subscription_id: assistant, vendor: anthropic, plan: Team, currency: USD, per: month,
     seats: {{purchased: 4, fee: "30"}}, included: {{unit: spend, quantity: "20", per: seat}},
     valid_from: 2026-06-01, valid_to: 2026-07-01, {TOLD}}}
  - {{entry_id: max, subscription_id: max, vendor: anthropic, plan: Max, currency: USD, per: month, fee: "200",
     included: {{unit: all}}, valid_from: 2026-06-01, valid_to: 2026-07-01, {TOLD}}}
""",
    "plan_offers": f"""
plan_offers: 1
entries:
  - {{entry_id: metered, plan_id: metered, vendor: anthropic, currency: USD, per: month, fee: "0",
     valid_from: 2026-01-01, {TOLD}}}
  - {{entry_id: seat, plan_id: seat, vendor: anthropic, currency: USD, per: month, fee: "25", replaces: [assistant],
     included: {{unit: spend, quantity: "50"}}, valid_from: 2026-01-01, {TOLD}}}
  - {{entry_id: swiss, plan_id: swiss, vendor: anthropic, currency: CHF, per: month, fee: "1",
     included: {{unit: all}}, valid_from: 2026-01-01, {TOLD}}}
""",
    "exchange_rates": """
exchange_rates: 1
rates:
  - {currency: EUR, usd: "1.10", valid_from: 2026-01-01T00:00:00Z, source: treasury}
""",
    "product_revenue": f"""
product_revenue: 1
entries:
  - {{entry_id: chat-6, product: chat, billing_period: 2026-06, amount: "1000", currency: USD, {TOLD}}}
  - {{entry_id: chat-7, product: chat, billing_period: 2026-07, amount: "500", currency: EUR, {TOLD}}}
  - {{entry_id: acme-6, product: draft, customer_id: acme, billing_period: 2026-06,
     amount: "40000", currency: USD, {TOLD}}}
  - {{entry_id: beta-6, product: draft, customer_id: beta, billing_period: 2026-06,
     amount: "1000", currency: USD, {TOLD}}}
  - {{entry_id: tool-6, product: tool, billing_period: 2026-06, amount: "9", currency: CHF, {TOLD}}}
""",
}


@pytest.fixture(scope="module")
def published(
    tmp_path_factory: pytest.TempPathFactory,
    new_lake: Callable[[Settings], LakeBuilder],
    usage: Callable[..., dict[str, Any]],
) -> LakeBuilder:
    """Two months of usage under two plans, by products and customers, built once."""
    folder = tmp_path_factory.mktemp("plans")
    lake = new_lake(Settings(home=folder / "home"))
    for kind, text in DOCUMENTS.items():
        path = folder / f"{kind}.yml"
        path.write_text(text, encoding="utf-8")
        before = shared_inputs(lake.settings, UTC_CALENDAR, NOW)
        load_file(path, lake.settings, now=NOW)
        # A build that finds no new usage runs for each of them.
        assert shared_inputs(lake.settings, UTC_CALENDAR, NOW) != before or kind == "exchange_rates"

    def call(name: str, cost: str, day: str = "2026-06-10", **told: Any) -> dict[str, Any]:
        return usage(name, day, list_cost=Decimal(cost), task_id=None, **told)

    seat, flat = {"subscription_id": "assistant", "product": "chat"}, {"subscription_id": "max", "product": "draft"}
    lake.commit(
        [
            call("anna-1", "50", principal_id="u-anna", customer_id="acme", **seat),
            call("anna-2", "30", "2026-06-30", principal_id="u-anna", customer_id="beta", **seat),
            call("bert", "40", principal_id="u-bert", customer_id="gamma", **seat),
            call("nobody", "40", **seat),
            call("dora", "35000", principal_id="u-dora", customer_id="acme", **flat),
            call("tool", "5", product="tool"),
            call("nothing", "7"),
            call("chat-july", "143", "2026-07-31", product="chat", principal_id="u-anna"),
        ]
    )
    build(lake.settings, clock=lambda: NOW)
    return lake


def test_usage_of_persons_is_held_against_seats_and_plans(published: LakeBuilder) -> None:
    """Seats: 120 for four, two of them nobody's. 160 were used, 80 covered, 80 beyond: 40, 20 and 20 by usage.

    On offer a seat of 25 covers 50: anna's 80 are 25 + 30, bert's 40 are 25, and metered they are 80 and 40.
    """
    name = pseudonyms(published.settings.lake).of
    rows = published.query(
        "select subscription_id, person, calls, list_cost, fee_cost, subsidy_multiple, own_terms_cost, cheapest_plan, "
        "cheapest_cost, usage_rank from insight.fct_subsidies"
    )
    assert sorted(rows, key=str) == sorted(
        [
            ("assistant", name("u-anna"), 2, 80, 30, Decimal("2.666666666667"), 70, "seat", 55, 1),
            ("assistant", name("u-bert"), 1, 40, 30, Decimal("1.333333333333"), 50, "seat", 25, 2),
            ("assistant", "unknown", 1, 40, 0, None, 20, None, None, None),
            ("assistant", "unallocated", 0, None, 60, None, 60, None, None, None),
            ("max", name("u-dora"), 1, 35_000, 200, 175, 200, "metered", 35_000, 1),
        ],
        key=str,
    )
    assert published.query(
        "select distinct subscription_id, persons, seats, unused_seats, plan_list_cost, plan_fee_cost, plan_multiple, "
        "gini, top_10_percent_share from insight.fct_subsidies order by all"
    ) == [
        # 80 and 40: (80 - 40) / (2 x 120).
        (
            "assistant",
            2,
            4,
            2,
            160,
            120,
            Decimal("1.333333333333"),
            Decimal("0.166666666667"),
            Decimal("0.666666666667"),
        ),
        ("max", 1, None, None, 35_000, 200, 175, 0, 1),
    ]
    assert published.query(
        "select subscription_id, offer_id, offer_persons, offer_seats, offer_mix_cost, offer_uniform_cost "
        "from insight.fct_plan_mixes order by all"
    ) == [
        ("assistant", "metered", 0, 0, 0, 120),
        ("assistant", "seat", 2, 2, 80, 80),
        ("max", "metered", 1, 1, 35_000, 35_000),
    ]


def test_margins_have_points_or_a_reason(published: LakeBuilder) -> None:
    """Chat: 160 of 1,000 are 16 points; in July 143 of 500 EUR at 1.10 are 26, ten more. Acme: 35,000 of 40,000.

    No call bears seats and plans: 120 + 200, less what they cover, 80 and 35,000.
    """
    rows = published.query(
        "select billing_period_start, product, margin_level, customer_id, ai_cost, revenue, points_lost, "
        "points_lost_change, unknown_reason from insight.fct_margins order by all"
    )
    assert rows == [
        (JUNE, "chat", "product", "all", 160, 1_000, 16, None, None),
        (JUNE, "draft", "customer", "acme", 35_000, 40_000, Decimal("87.5"), None, None),
        (JUNE, "draft", "customer", "beta", 0, 1_000, 0, None, None),
        (JUNE, "tool", "product", "all", 5, None, None, None, "no_exchange_rate"),
        (JUNE, "unallocated", "period_charges", "all", -34_760, None, None, None, "no_product_of_its_own"),
        (JUNE, "unknown", "product", "all", 7, None, None, None, "no_product_told"),
        (JULY, "chat", "product", "all", 143, 550, 26, 10, None),
    ]


def test_usage_is_spread_over_customers(published: LakeBuilder) -> None:
    """Chat: 50, 40 and 30 of 120, and 40 of nobody: (2 x 50 - 2 x 30) / 360. Of all, acme has 35,050 of 35,120."""
    names = "quantity, unknown_quantity, gini, largest_share, customers_with_half, customers_with_90_percent"
    rows = published.query(
        f"select product, customers, {names} from insight.fct_customer_concentration "
        f"where billing_period_start = date '{JUNE}' and measure = 'list_cost' order by all"
    )
    assert rows == [
        # 40 of chat, 5 and 7 are of nobody; (2 x 35,050 - 2 x 30) / (3 x 35,120).
        ("all", 3, 35_120, 52, Decimal("0.664768413060"), Decimal("0.998006833713"), 1, 1),
        ("chat", 3, 120, 40, Decimal("0.111111111111"), Decimal("0.416666666667"), 2, 3),
        ("draft", 1, 35_000, None, 0, 1, 1, 1),
    ]
    measures = "select measure, quantity from insight.fct_customer_concentration where product = 'chat' order by all"
    assert published.query(measures) == [("calls", 3), ("list_cost", 120), ("total_tokens", 330)]
    # Of 30, 40 and 50 the smaller half, one and a half customers, has 30 and half of 40.
    curve = (
        "select len(lorenz_shares), lorenz_shares[1], lorenz_shares[51], lorenz_shares[101] "
        "from insight.fct_customer_concentration where product = 'chat' and measure = 'list_cost'"
    )
    assert published.query(curve) == [(101, 0, Decimal("0.416666666667"), 1)]


def test_identifiers_of_persons_are_in_no_table(published: LakeBuilder) -> None:
    """What counts by person keeps a pseudonym: the warehouse and what readers open hold no identifier."""
    for path in (*Path(published.settings.warehouse).glob("*.duckdb"), *published.settings.serve.glob("*.duckdb")):
        assert b"u-anna" not in path.read_bytes(), path


def run(lake: LakeBuilder, *arguments: str) -> str:
    """Return what a command prints."""
    ran = CliRunner().invoke(
        build_app(), ["insight", *arguments, "--home", str(lake.settings.home)], catch_exceptions=False
    )
    assert ran.exit_code == 0
    return ran.stdout


def lines(text: str) -> list[list[str]]:
    """Return the lines that are not empty, in words."""
    return [line.split() for line in text.splitlines() if line]


def test_command_shows_subsidies(published: LakeBuilder) -> None:
    """The newest month that was used under a plan is shown; JSON has every digit."""
    shown = lines(run(published, "subsidies", "--subscription", "max"))
    assert shown[0] == ["2026-06"]
    assert ["plan", "anthropic", "Max"] in shown
    assert ["multiple", "175.00"] in shown
    assert ["metered", "1", "1", "35,000.00", "35,000.00"] in shown
    person = pseudonyms(published.settings.lake).of("u-dora")
    assert [person, "1", "35,000.00", "200.00", "175.00", "200.00", "35,000.00", "metered"] in shown

    facts = json.loads(run(published, "subsidies", "--period", "2026-06", "--json"))
    assert [each["subscription_id"] for each in facts["subscriptions"]] == ["assistant", "max"]
    assert Decimal(facts["subscriptions"][0]["cheapest_mix_cost"]) == 80
    assert [row["usage_rank"] for row in facts["subscriptions"][0]["rows"]] == [1, 2, None, None]
    with pytest.raises(MisuseError, match=r"expected a billing period .*\(2026-06\), got '2026-07'"):
        run(published, "subsidies", "--period", "2026-07")
    with pytest.raises(MisuseError, match="used or paid for in 2026-06, got 'none'"):
        run(published, "subsidies", "--subscription", "none")


def test_command_shows_margins(published: LakeBuilder) -> None:
    """The newest month is shown, with what changed since the one before."""
    period, _headings, *shown = lines(run(published, "margins"))
    assert period == ["2026-07"]
    assert shown == [["chat", "all", "1", "143.00", "550.00", "26.00", "+10.00", "26.00", "+10.00", "-"]]
    facts = json.loads(run(published, "margins", "--period", "2026-06", "--product", "tool", "--json"))
    assert [(row["revenue"], row["unknown_reason"]) for row in facts["rows"]] == [(None, "no_exchange_rate")]
    # Draft as a whole: 35,000 of 41,000.
    drafts = json.loads(run(published, "margins", "--period", "2026-06", "--product", "draft", "--json"))["rows"]
    assert [row["product_points_lost"] for row in drafts] == ["85.365854"] * 2
    with pytest.raises(MisuseError, match="expected a product with calls or revenue in 2026-07, got 'draft'"):
        run(published, "margins", "--product", "draft")
