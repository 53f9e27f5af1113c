"""The second pass as a whole: the order of terms, what was looked at, and that neither order nor grouping matters."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tollbook.rating.catalogue import Catalogue
from tollbook.rating.contract_terms import (
    GRADUATED,
    SPEND,
    TOKENS,
    WHOLE_VOLUME,
    CommittedUse,
    Discount,
    PrepaidCredit,
    Reach,
    SpendCommitment,
    Step,
    Term,
    VolumeTiers,
)
from tollbook.rating.periods.charges import Scope
from tollbook.rating.prices import Price

if TYPE_CHECKING:
    from tests.pipelines.rating.periods.conftest import Desk

TIERS = VolumeTiers(TOKENS, GRADUATED, (Step(Fraction(0)), Step(Fraction(1000), share=Fraction(1, 3))))
USE = CommittedUse(Fraction(1), 500, Fraction("0.000003"))
PROMISE = SpendCommitment(
    Fraction("0.01"), "billing_period", (Step(Fraction(0)), Step(Fraction(1), share=Fraction(1, 7)))
)
CREDIT = PrepaidCredit(Fraction("0.002"), Fraction("0.001"), date(2026, 6, 2), date(2026, 6, 20), 0)


def test_terms_apply_in_one_order_whatever_the_file_s(desk: Desk) -> None:
    """Tiers first, then included usage, promises, and credits on what is left.

    2,000 input tokens at 1,000,000 picos. A third off beyond 1,000 leaves 1,666,666,666.67 picos. 500 tokens, a
    quarter, are included: 1,250,000,000 are left, and beyond at 3 a million 1,500 tokens cost 4,500,000,000. The
    promise of 0.01 is short by 0.0055. Credit pays 0.002 of the 0.0045.
    """
    reach = Reach(rate_keys=frozenset({"input_tokens"}))
    terms = [
        desk.term(CREDIT, "credit"),
        desk.term(SpendCommitment(Fraction("0.01"), "billing_period", ()), "promise"),
        desk.term(USE, "use", reach=reach),
        desk.term(TIERS, "tiers", reach=reach),
    ]
    charges = desk.charge(desk.contract(*terms), desk.usage("2026-06-10", input=2000), now="2026-07-01")
    june = [charge for charge in charges if charge["month"] == 6]
    assert desk.columns(june, "term_id", "charge_kind", "contracted_cost") == [
        ("tiers", "volume_tier", Decimal("-0.000333333333")),
        ("use", "commitment_fee", Decimal(1)),
        ("use", "included_usage", Decimal("-0.000416666667")),
        ("use", "overage", Decimal("0.00325")),
        ("promise", "commitment_shortfall", Decimal("0.0055")),
        ("credit", "prepaid_purchase", Decimal("0.001")),
        ("credit", "prepaid_drawdown", Decimal("-0.002")),
    ]
    # Each line is rounded once, and the thirds meet again: 0.0045 + 1 + 0.0055 + 0.001 - 0.002.
    assert Decimal("0.002") + sum(charge["contracted_cost"] for charge in june) == Decimal("1.009")


def test_everything_that_was_looked_at_is_told(desk: Desk) -> None:
    """A term without charges in a period must clear what an earlier computation left there; prices have no period."""
    terms = [desk.term(TIERS, "tiers"), Term("off", Discount(Fraction(1, 2)), date(2026, 6, 1))]
    assessment = desk.assess(desk.contract(*terms), now="2026-07-31")
    assert assessment.charges.num_rows == 0
    assert assessment.scopes == (
        Scope("acme", "tiers", datetime(2026, 6, 1, tzinfo=UTC)),
        Scope("acme", "tiers", datetime(2026, 7, 1, tzinfo=UTC)),
    )


@given(
    st.lists(st.tuples(st.integers(1, 25), st.integers(0, 2000), st.integers(0, 500)), max_size=10),
    st.randoms(use_true_random=False),
)
def test_neither_the_order_nor_the_split_of_rows_changes_a_charge(
    desk: Desk, days: list[tuple[int, int, int]], chance: random.Random
) -> None:
    """Files and threads deliver in any order, and a day's calls may come in several rows."""
    reach = Reach(rate_keys=frozenset({"input_tokens"}))
    terms = [desk.term(TIERS, "tiers", reach=reach), desk.term(USE, "use"), desk.term(PROMISE, "promise")]
    agreed = desk.contract(*terms, desk.term(CREDIT, "credit"))
    whole = [desk.usage(f"2026-06-{day:02}", input=a, output=b) for day, a, b in days]
    split = [
        desk.usage(f"2026-06-{day:02}", input=part_in, output=part_out)
        for day, a, b in days
        for part_in, part_out in ((a // 3, b), (a - a // 3, 0))
    ]
    chance.shuffle(split)
    assert desk.charge(agreed, *whole) == desk.charge(agreed, *split)


def test_a_price_that_was_edited_or_dropped_changes_no_charge_of_usage_before(desk: Desk) -> None:
    """5,000,000 tokens were charged 5.00 USD. A fee includes them: 5.00 is off, not the 10.00 they would cost now.

    Half off the input beyond 6 USD stays out of reach, though now 10.00 would be beyond it; where the price is gone the
    promise of 40 USD for input is still short by 35.
    """
    reach = Reach(rate_keys=frozenset({"input_tokens"}))
    june: dict[str, Any] = {"valid_to": date(2026, 7, 1)}
    half = VolumeTiers(SPEND, WHOLE_VOLUME, (Step(Fraction(0)), Step(Fraction(6), share=Fraction(1, 2))))
    promise = SpendCommitment(Fraction(40), "billing_period", ())
    spend = desk.contract(desk.term(half, "tiers", reach, **june), desk.term(promise, "promise", reach, **june))
    fee = desk.contract(desk.term(CommittedUse(Fraction(1), 5_000_000, None), "fee", **june))
    row = desk.usage("2026-06-02", input=5_000_000)
    edited = Price("openai", "gpt", {"input_tokens": 2_000_000, "output_tokens": 8_000_000})
    assert edited.sku_price_id == row["sku_price_id"]
    gone = Price("openai", "gpt", {"input_tokens": 1_000_000}, valid_from=datetime(2026, 7, 1, tzinfo=UTC))
    for price in (edited, gone):
        now = Catalogue.from_rows([price], version="list")
        included = desk.charge(fee, row, catalogue=now)
        assert desk.columns(included, "charge_kind", "contracted_cost") == [
            ("commitment_fee", 1),
            ("included_usage", -5),
        ]
        short = desk.charge(spend, row, catalogue=now)
        assert desk.columns(short, "charge_kind", "contracted_cost") == [("commitment_shortfall", 35)]


def test_a_promise_for_input_is_not_short_by_what_nobody_can_cut(desk: Desk) -> None:
    """50 USD were spent by a price that was never recorded: how much of it was input is unknown, and so is the rest."""
    promise = SpendCommitment(Fraction(40), "billing_period", ())
    reach = Reach(rate_keys=frozenset({"input_tokens"}))
    agreed = desk.contract(desk.term(promise, reach=reach, valid_to=date(2026, 7, 1)))
    row = desk.usage("2026-06-02", input=50_000_000, catalogue_version="never-recorded")
    (charge,) = desk.charge(agreed, row)
    assert (charge["contracted_cost"], charge["unpriced_calls"], charge["unpriced_tokens"]) == (None, 0, 50_000_000)
