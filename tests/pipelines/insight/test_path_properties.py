"""What holds of break-even and of paths, whatever things cost."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st
from tests.pipelines.insight.path_inputs import MONTH, figure, known, offer, part, rows

from tollbook.insight.path_offers import Residency, Workload
from tollbook.insight.path_running import Owned, Running, price_left

AMOUNTS = st.fractions(Fraction(1, 1000), Fraction(10**6), max_denominator=1000)
SHARES = st.fractions(Fraction(1, 1000), Fraction(1), max_denominator=1000)
PRICES = st.fractions(Fraction(1, 10**9), Fraction(1, 10), max_denominator=10**9)
RUNNINGS = st.builds(
    Running,
    instance_cost=AMOUNTS,
    instance_seconds=AMOUNTS,
    tokens=st.integers(1, 10**12),
    period_seconds=st.just(MONTH),
    covered_seconds=st.integers(1, int(MONTH)).map(Fraction),
    planned_utilisation=SHARES,
    minimum_instances=st.integers(1, 5),
)


def of(running: Running, tokens: int) -> Running:
    """Return another number of the same tokens in a whole month."""
    seconds = running.instance_seconds * tokens / running.tokens
    return replace(running, tokens=tokens, instance_seconds=seconds, covered_seconds=running.period_seconds)


@given(RUNNINGS, PRICES)
def test_at_break_even_both_cost_the_same(running: Running, price: Fraction) -> None:
    """So many tokens cost no less at the API, one less costs less; the difference is below the price of a token.

    Of one instance the share of its time that they need is the break-even utilisation.
    """
    tokens = running.break_even_tokens(price)
    utilisation = running.break_even_utilisation(price)
    assert utilisation is not None
    assert (tokens is None) == (utilisation > running.planned_utilisation)
    if tokens is None:
        return
    least = running.minimum_instances * running.instance_cost
    assert (tokens - 1) * price < least <= tokens * price
    if tokens * price == least:
        exact = of(running, tokens)
        assert exact.instances == running.minimum_instances
        assert exact.cost == tokens * price
        assert exact.utilisation == utilisation


@given(RUNNINGS, SHARES)
def test_more_use_of_instances_costs_no_more(running: Running, share: Fraction) -> None:
    """Instances are whole, enough, and never one more than the least that are."""
    assert running.utilisation <= running.planned_utilisation
    fuller = replace(running, planned_utilisation=max(share, running.planned_utilisation))
    assert fuller.cost <= running.cost
    if running.instances > running.minimum_instances:
        one_less = (running.instances - 1) * running.covered_seconds * running.planned_utilisation
        assert one_less < running.instance_seconds


@given(RUNNINGS, PRICES, SHARES)
def test_lower_prices_need_more_tokens(running: Running, price: Fraction, left: Fraction) -> None:
    """Break-even moves away as an API gets cheaper, by the same factor."""
    now, then = running.break_even_utilisation(price), running.break_even_utilisation(price * left)
    assert now is not None
    assert then == now / left
    before, after = running.break_even_tokens(price), running.break_even_tokens(price * left)
    assert after is None or (before is not None and before <= after)


@given(SHARES.filter(lambda share: share < 1), st.integers(1, 120))
def test_what_is_left_of_a_price_lies_between_the_first_and_the_last_year(decline: Fraction, months: int) -> None:
    """Nothing falls within the first year, and nothing where nothing declines."""
    left = price_left(decline, months)
    assert (1 - decline) ** ((months - 1) // 12) <= left <= 1
    assert (left == 1) == (months <= 12)
    assert price_left(Fraction(0), months) == 1


@given(RUNNINGS, PRICES, AMOUNTS, AMOUNTS)
def test_payback_is_the_first_month_in_which_the_price_is_saved(
    running: Running, price: Fraction, purchase: Fraction, monthly: Fraction
) -> None:
    """A month earlier something is left to earn."""
    months = Owned(purchase, Fraction(0), 12, monthly).payback_months(running, price)
    saved = price * running.tokens * running.period_seconds / running.covered_seconds
    saved -= running.instances * monthly
    if months is None:
        assert saved * 1200 < running.instances * purchase
    else:
        assert (months - 1) * saved < running.instances * purchase <= months * saved


@given(
    st.tuples(AMOUNTS, AMOUNTS, AMOUNTS),
    st.tuples(SHARES, SHARES),
    st.integers(1, 10**9),
    st.integers(0, 10**9),
    st.sets(st.sampled_from(["model_api", "hyperscaler", "neo_cloud", "on_prem"]), min_size=1),
)
def test_the_cheapest_path_is_never_one_that_is_excluded(
    hourly: tuple[Fraction, ...], shares: tuple[Fraction, Fraction], output: int, prompt: int, allowed: set[str]
) -> None:
    """Exactly one allowed path is the cheapest, none costs less; those that a rule forbids have no cost at all."""
    offers = [
        offer(path, path, rented={"hourly_rate": "1"}, usd=usd)
        for path, usd in zip(("hyperscaler", "neo_cloud", "on_prem"), hourly, strict=True)
    ]
    told = known(
        *offers,
        workloads={"answers": Workload("answers", model="open-m", utilisation=shares[0])},
        figures=[figure("fast", "1000", input_tokens_per_second="5000")],
        rules=[Residency("personal", frozenset(allowed))],
        covered_seconds=MONTH * shares[1],
    )
    found = rows(told, part(data_class="personal", input_tokens=prompt, output_tokens=output))
    assert {path for path, row in found.items() if row["path_cost"] is not None} == allowed
    assert {row["excluded_reason"] for path, row in found.items() if path not in allowed} <= {"residency"}
    (least,) = [row for row in found.values() if row["is_cheapest"]]
    assert least["path_cost"] == min(found[path]["path_cost"] for path in allowed)
    for row in found.values():
        if row["instances"] is not None:
            assert row["utilisation"] <= row["planned_utilisation"]
            assert row["accelerators"] == row["instances"]
