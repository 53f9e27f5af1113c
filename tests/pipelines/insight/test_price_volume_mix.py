"""Why small bills changed, worked by hand.

Logarithms are written out: ln 1.2 = 0.182321556794, ln 2 = 0.693147180560, ln 5 = 1.609437912434, ln 7.5 =
2.014903020542, ln 10 = 2.302585092994.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.pipelines.insight.bill_rows import JULY, JUNE, MAY, CellEffects, Row, bills, by_cell, driven, listed, usage

from tollbook.contracts import shipped_folder
from tollbook.insight.bills import Bills
from tollbook.insight.effects import EFFECTS
from tollbook.insight.price_volume_mix import every_pair, price_volume_mix

ANSWERS = ("search", "answers")


def explained(told: Bills) -> dict[str, Decimal | None]:
    """Return the effects from May to June of the one workflow that there is."""
    cells = by_cell(price_volume_mix(told, [(MAY, JUNE)]))
    assert set(cells) <= {ANSWERS}
    return cells.get(ANSWERS, {})


def of_cells(told: Bills) -> CellEffects:
    """Return the effects from May to June by team and workflow."""
    return by_cell(price_volume_mix(told, [(MAY, JUNE)]))


def test_prices_fall_by_three_quarters_and_the_bill_rises() -> None:
    """A task went from 2 calls of 1,000 tokens to 10 of 5,000: from 2,000 to 50,000 tokens. Tasks: 1,000, then 1,200.

    A million tokens cost 10 USD, then 2.50:

        May    1,000 tasks x  2,000 tokens =  2,000,000 at 10    =  20 USD
        June   1,200 tasks x 50,000 tokens = 60,000,000 at  2.50 = 150 USD

    The logarithmic mean is 130 / ln 7.5 = 64.519234263202.

        task_volume      64.519234263202 x ln 1.2   =   11.763247234021
        calls_per_task   64.519234263202 x ln 5     =  103.839701704415, less a unit of the last place
        tokens_per_call  64.519234263202 x ln 5     =  103.839701704415
        price            64.519234263202 x -2 ln 2  =  -89.442650642850
                                                       130
    """
    told = bills(
        [
            usage(MAY, "20", calls=2_000, tokens=(2_000_000, 0, 0, 0)),
            usage(JUNE, "150", calls=12_000, tokens=(60_000_000, 0, 0, 0)),
        ],
        [driven(MAY, 1_000), driven(JUNE, 1_200)],
    )

    effects = explained(told)

    assert effects == {
        "task_volume": Decimal("11.763247234021"),
        "calls_per_task": Decimal("103.839701704414"),
        "tokens_per_call": Decimal("103.839701704415"),
        "price": Decimal("-89.442650642850"),
    }
    assert sum(amount or 0 for amount in effects.values()) == 130


def test_a_workflow_that_changes_its_model_still_tells_what_its_tasks_did() -> None:
    """Ten times the tasks, on a model at half the price: 20 USD become 100.

    The mean is 80 / ln 5; tasks made 80 x ln 10 / ln 5 = 114.454124645871 of it, and the cheaper model
    80 x -ln 2 / ln 5 = -34.454124645871. Taken model by model, all of one would have gone and all of the other come.
    """
    told = bills(
        [
            usage(MAY, "20", calls=2_000, tokens=(2_000_000, 0, 0, 0)),
            usage(JUNE, "100", calls=20_000, tokens=(20_000_000, 0, 0, 0), model="beta"),
        ],
        [driven(MAY, 1_000), driven(JUNE, 10_000)],
    )

    assert explained(told) == {
        "task_volume": Decimal("114.454124645871"),
        "model_mix": Decimal("-34.454124645871"),
    }


def test_tokens_that_are_read_from_a_cache_are_cache_mix_and_no_price() -> None:
    """A thousand tokens at 10 and 1 by the list: half of them come from the cache, and 10,000 become 5,500."""
    prices = [listed(period, "uncached_input_tokens", "10000") for period in (MAY, JUNE)]
    prices += [listed(period, "cache_read_tokens", "1000") for period in (MAY, JUNE)]
    told = bills(
        [
            usage(MAY, "10000", calls=10, tokens=(1_000, 0, 0, 0)),
            usage(JUNE, "5500", calls=10, tokens=(500, 500, 0, 0)),
        ],
        [driven(MAY, 5), driven(JUNE, 5)],
        prices,
    )

    assert explained(told) == {"cache_mix": Decimal(-4_500)}


def test_more_output_for_the_same_tokens_is_input_output_mix() -> None:
    """Output costs five times as much: 900 x 1 + 100 x 5 = 1,400, then 500 x 1 + 500 x 5 = 3,000, no price changed."""
    prices = [listed(period, "uncached_input_tokens", "1") for period in (MAY, JUNE)]
    prices += [listed(period, "output_tokens", "5") for period in (MAY, JUNE)]
    told = bills(
        [
            usage(MAY, "1400", calls=10, tokens=(900, 0, 0, 100)),
            usage(JUNE, "3000", calls=10, tokens=(500, 0, 0, 500)),
        ],
        [driven(MAY, 5), driven(JUNE, 5)],
        prices,
    )

    assert explained(told) == {"input_output_mix": Decimal(1_600)}


def test_a_move_to_another_service_tier_is_its_own_mix() -> None:
    """All calls go to the batch tier at half the price, of one model."""
    told = bills(
        [
            usage(MAY, "8", calls=10, tokens=(100, 0, 0, 10)),
            usage(JUNE, "4", calls=10, tokens=(100, 0, 0, 10), tier="batch"),
        ],
        [driven(MAY, 5), driven(JUNE, 5)],
    )

    assert explained(told) == {"service_tier_mix": Decimal(-4)}


def test_what_was_free_and_costs_something_now_is_price() -> None:
    """The price was zero, so the whole change is its: nothing else could have made a cost of nothing."""
    told = bills(
        [
            usage(MAY, "0", calls=10, tokens=(100, 0, 0, 0)),
            usage(JUNE, "6", calls=20, tokens=(400, 0, 0, 0)),
        ],
        [driven(MAY, 5), driven(JUNE, 10)],
    )

    assert explained(told) == {"price": Decimal(6)}


@pytest.mark.parametrize(("before", "after", "change"), [(None, "7", 7), ("7", None, -7)])
def test_a_price_that_is_known_on_one_side_only_is_no_change_of_price(
    before: str | None, after: str | None, change: int
) -> None:
    """The same usage had no known price: it was never free, and nothing says that it became dearer."""
    told = bills(
        [usage(MAY, before, calls=10, tokens=(100, 0, 0, 0)), usage(JUNE, after, calls=10, tokens=(100, 0, 0, 0))],
        [driven(MAY, 5), driven(JUNE, 5)],
    )

    assert explained(told) == {"unknown_price": Decimal(change)}


def test_a_model_whose_price_became_known_leaves_the_others_as_they_were() -> None:
    """Beta's 9 USD are new to the bill, and alpha, which did not change, has no part in it."""
    alpha = [usage(month, "20", calls=10, tokens=(100, 0, 0, 0)) for month in (MAY, JUNE)]
    told = bills(
        [
            *alpha,
            usage(MAY, None, calls=30, tokens=(5, 0, 0, 700), model="beta"),
            usage(JUNE, "9", calls=30, tokens=(5, 0, 0, 700), model="beta"),
        ],
        [driven(MAY, 5), driven(JUNE, 5)],
    )

    assert explained(told) == {"unknown_price": Decimal(9)}


def test_growth_of_unknown_cost_shows_as_such() -> None:
    """Tasks and calls double by a model without a price: 10 x ln 2 is what they would have cost, and is not known."""
    told = bills(
        [
            usage(MAY, "10", calls=4, tokens=(100, 0, 0, 0)),
            usage(JUNE, "10", calls=4, tokens=(100, 0, 0, 0)),
            usage(JUNE, None, calls=4, tokens=(900, 0, 0, 0), model="beta"),
        ],
        [driven(MAY, 2), driven(JUNE, 4)],
    )

    assert explained(told) == {
        "task_volume": Decimal("6.931471805599"),
        "unknown_price": Decimal("-6.931471805599"),
    }


def test_half_of_a_models_calls_without_a_price_halve_what_is_known() -> None:
    """Half of the same tokens have no known cost: the 10 USD that are missing are unknown, and not saved."""
    june = with_unpriced(usage(JUNE, "10", calls=5, tokens=(50, 0, 0, 0)), 5, 50)
    told = bills(
        [usage(MAY, "20", calls=10, tokens=(100, 0, 0, 0)), june],
        [driven(MAY, 5), driven(JUNE, 5)],
    )

    assert explained(told) == {"unknown_price": Decimal(-10)}


def with_unpriced(row: Row, calls: int, tokens: int) -> Row:
    """Return a row with calls of unknown cost and their uncached input beside those of known cost."""
    return row | {
        "calls": row["calls"] + calls,
        "uncached_input_tokens": row["uncached_input_tokens"] + tokens,
    }


def test_a_bill_of_which_nothing_is_known_has_an_unknown_change() -> None:
    """Zero would say that nothing changed."""
    told = bills(
        [usage(MAY, None, calls=1, tokens=(1, 0, 0, 0)), usage(JUNE, None, calls=90, tokens=(1, 0, 0, 0))],
        [driven(MAY, 1), driven(JUNE, 1)],
    )

    assert explained(told) == {"unknown_price": None}


def test_an_estimate_stands_for_a_price_that_is_not_known() -> None:
    """A month was closed at an approved estimate of 3 USD, and the next has a price."""
    told = bills(
        [usage(MAY, None, calls=1, tokens=(1, 0, 0, 0)), usage(JUNE, "5", calls=1, tokens=(1, 0, 0, 0))],
        [driven(MAY, 1, estimate="3"), driven(JUNE, 1)],
    )

    assert explained(told) == {"unknown_price": Decimal(2)}


def call(month: date, cost: str, *, team: str = "search", workflow: str = "answers") -> Row:
    """Return one call of one token."""
    return usage(month, cost, calls=1, tokens=(1, 0, 0, 0), team=team, workflow=workflow)


def test_workflows_come_go_and_move_between_teams() -> None:
    """Review goes from legal to search, answers ends and triage begins.

    A name that two teams share is no move, and calls that tell no workflow are of none that could move.
    """
    told = bills(
        [
            call(MAY, "1"),
            call(MAY, "4", team="legal", workflow="review"),
            call(JUNE, "6", workflow="review"),
            call(JUNE, "9", workflow="triage"),
            call(MAY, "2", team="legal", workflow="chat"),
            call(JUNE, "2", team="legal", workflow="chat"),
            call(JUNE, "3", workflow="chat"),
            call(MAY, "7", team="legal", workflow="unknown"),
            call(JUNE, "8", workflow="unknown"),
        ]
    )

    assert of_cells(told) == {
        ("legal", "review"): {"moved_workflow": Decimal(-4)},
        ("legal", "unknown"): {"retired_workflow": Decimal(-7)},
        ("search", "answers"): {"retired_workflow": Decimal(-1)},
        ("search", "chat"): {"new_workflow": Decimal(3)},
        ("search", "review"): {"moved_workflow": Decimal(6)},
        ("search", "triage"): {"new_workflow": Decimal(9)},
        ("search", "unknown"): {"new_workflow": Decimal(8)},
    }


def test_what_no_call_bears_and_corrections_stand_apart() -> None:
    """A platform's share rises from 2 to 5, and June corrects May by -1.5."""
    told = bills([], [driven(MAY, 0, period_charge="2"), driven(JUNE, 0, period_charge="5", correction="-1.5")])

    assert explained(told) == {"period_charge": Decimal(3), "correction": Decimal("-1.5")}


def test_calls_without_a_task_count_for_a_task_each() -> None:
    """4 calls in no task and 1 task of 4 calls are 5 tasks: 5, then 10, with 8 calls, then 16."""
    told = bills(
        [usage(MAY, "10", calls=8, tokens=(80, 0, 0, 0)), usage(JUNE, "20", calls=16, tokens=(160, 0, 0, 0))],
        [driven(MAY, 1, without=4), driven(JUNE, 2, without=8)],
    )

    assert explained(told) == {"task_volume": Decimal(10)}


def test_calls_stand_for_tasks_where_those_of_a_side_are_not_known() -> None:
    """A month was signed for a team whose calls are another's now: nobody says how many tasks it had."""
    told = bills(
        [usage(MAY, "10", calls=8, tokens=(80, 0, 0, 0)), usage(JUNE, "20", calls=16, tokens=(160, 0, 0, 0))],
        [driven(MAY, None, without=None), driven(JUNE, 3)],
    )

    assert explained(told) == {"task_volume": Decimal(10)}


def test_what_is_bought_by_the_piece_has_an_effect_of_its_own() -> None:
    """Images of a model that tells no tokens: 3 of 4 USD, then 5; the tokens beside them did not change."""
    alpha = [usage(month, "20", calls=10, tokens=(100, 0, 0, 0)) for month in (MAY, JUNE)]
    told = bills(
        [
            *alpha,
            usage(MAY, "4", calls=10, tokens=(0, 0, 0, 0), model="painter"),
            usage(JUNE, "5", calls=10, tokens=(0, 0, 0, 0), model="painter"),
        ],
        [driven(MAY, 5), driven(JUNE, 5)],
    )

    assert explained(told) == {"other_units": Decimal(1)}


def test_a_cost_below_zero_is_explained_by_its_price() -> None:
    """A provider paid back more than it took: no logarithm says by what."""
    told = bills(
        [usage(MAY, "-2", calls=1, tokens=(1, 0, 0, 0)), usage(JUNE, "3", calls=9, tokens=(7, 0, 0, 0))],
        [driven(MAY, 1), driven(JUNE, 3)],
    )

    assert explained(told) == {"price": Decimal(5)}


def test_pairs_of_periods_are_each_two_and_the_earlier_comes_first() -> None:
    """Three months have three pairs."""
    assert every_pair([JULY, MAY, JUNE]) == [(MAY, JUNE), (MAY, JULY), (JUNE, JULY)]


def test_amounts_beyond_64_bits_are_exact() -> None:
    """Ten million USD in pico-USD do not fit an int64."""
    told = bills([], [driven(MAY, 0), driven(JUNE, 0, period_charge="10000000.000000000001")])

    assert explained(told) == {"period_charge": Decimal("10000000.000000000001")}


def test_every_effect_is_described_where_analysts_look() -> None:
    """An effect that the mart's description does not name would be a riddle."""
    text = (shipped_folder("dbt_project") / "models" / "marts" / "insight" / "_bridge__columns.md").read_text("utf-8")

    assert [effect for effect in EFFECTS if f"`{effect}`" not in text] == []
