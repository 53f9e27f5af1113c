"""What the page shows is what the published file holds."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import pytest

from tollbook.errors import NothingPublishedError
from tollbook.report import wording
from tollbook.report.facts import Facts, known_sum, published_file, read_facts

if TYPE_CHECKING:
    from tests.pipelines.conftest import Book


def facts_of(book: Book) -> Facts:
    """Publish a book and read it."""
    return read_facts(book.publish())


def test_months_have_their_bill_their_price_and_their_tasks(two_months: Book) -> None:
    """4.00 USD for 2 M tokens are 2.00 a million; 6.00 for the 6 M tokens with a price are 1.00, whatever the rest."""
    august, september = facts_of(two_months).months

    assert (august.start, august.is_whole, august.list_cost) == (date(2026, 8, 1), True, Decimal("4.00"))
    assert (august.price_of_million, august.cost_of_task) == (Decimal(2), Decimal(2))
    assert (august.tokens_per_task, september.tokens_per_task) == (1_000_000, 6_500_000)
    assert (september.is_whole, september.last_day) == (False, date(2026, 9, 3))
    assert (september.price_of_million, september.cost_of_task) == (Decimal(1), Decimal(6))
    assert (september.calls, september.unpriced_calls, september.unpriced_tokens) == (5, 2, 500_000)


def test_the_story_is_told_from_the_first_month_to_the_last(two_months: Book) -> None:
    """Price 2 to 1, tokens per task 1.0 M to 6.5 M, bill 4 to 6."""
    assert wording.story(facts_of(two_months)) == (
        "From August to September, the average price of a million tokens fell by 50 %, "
        "tokens per task rose to 6.5 times what they were and the monthly bill rose by 50 %."
    )


def test_charges_stand_side_by_side_by_month_the_dearest_first(two_months: Book) -> None:
    """Search paid 1.00 and 6.00, legal 3.00 and nothing; the calls without a price are in the calls alone."""
    facts = facts_of(two_months)

    first, second = facts.by_workflow
    assert first.names == ("search", "answers")
    assert first.costs == (Decimal("1.00"), Decimal("6.00"))
    assert (first.list_cost, first.calls, first.unpriced_calls) == (Decimal("7.00"), 6, 2)
    assert first.total_tokens == 7_000_000
    assert (second.names, second.costs) == (("legal", "review"), (Decimal("3.00"), None))
    assert facts.whole.list_cost == Decimal("10.00")
    assert [charge.names for charge in facts.by_team] == [("search", "cc-10"), ("legal", "cc-10")]


def test_days_without_a_known_cost_are_unknown_not_zero(two_months: Book) -> None:
    """From 1 August to 3 September, every day once."""
    days = dict(facts_of(two_months).days)

    assert len(days) == 34
    assert days[date(2026, 8, 31)] == Decimal("3.00")
    assert days[date(2026, 8, 2)] is None
    assert days[date(2026, 9, 3)] is None


def test_models_without_a_price_come_last_with_their_tokens(two_months: Book) -> None:
    """They cost something; how much is unknown."""
    facts = facts_of(two_months)

    assert [(each.model, each.list_cost) for each in facts.models] == [("gpt-5", Decimal("10.00")), ("own-model", None)]
    assert (facts.models[1].unpriced_calls, facts.models[1].total_tokens) == (2, 500_000)


def test_tasks_are_grouped_by_outcome_and_by_failed_calls(two_months: Book) -> None:
    """One success, one failure, one that told nothing; one of the three had a failed call."""
    groups = {(each.kind, each.name): each for each in facts_of(two_months).task_groups}

    assert {name for kind, name in groups if kind == "outcome"} == {"success", "failure", None}
    assert groups["outcome", "failure"].list_cost == Decimal("6.00")
    assert groups["calls", "none failed"].tasks == 2
    assert groups["calls", "none failed"].list_cost == Decimal("4.00")


def test_the_balance_is_open_when_one_amount_differs(two_months: Book) -> None:
    """A pico-dollar is enough."""
    assert facts_of(two_months).is_balanced
    two_months.hand_over("files_to_tellings", "list_cost", "1", "event_date", "2026-08-02", difference="0.000000000001")
    assert not facts_of(two_months).is_balanced


def test_a_hand_over_that_is_compared_by_date_and_as_a_whole_is_shown_once(two_months: Book) -> None:
    """Adding both would show twice the cost: 4 and 6.000000000001 USD are 10.000000000001, 5 and 7 records are 12."""
    facts = facts_of(two_months)
    amounts = {each.name: each.amounts for each in facts.hand_overs}

    assert amounts["kafka_to_records"] == {"records": (Decimal(12), Decimal(12), Decimal(0))}
    cost = Decimal("10.000000000001")
    assert amounts["files_to_tellings"] == {"list_cost": (cost, cost, Decimal("0.000000000002"))}
    assert facts.compared == 5


def test_a_sum_of_unknown_costs_is_unknown() -> None:
    """And one of known and unknown ones is the known part, beside which the unpriced calls stand."""
    assert known_sum([None, None]) is None
    assert known_sum([None, Decimal(2)]) == 2
    assert known_sum([]) is None


def test_the_version_is_the_file_that_the_link_names_now(two_months: Book) -> None:
    """A reader that keeps the link's path open would see an older file after a publish."""
    settings = two_months.publish()

    assert published_file(settings) == (settings.serve / two_months.version).resolve()
    assert read_facts(settings).publication.version == two_months.version
    with duckdb.connect(published_file(settings), read_only=True):
        assert read_facts(settings).publication.built_commit == 42


def test_without_a_published_file_the_message_says_what_to_run(book: Book) -> None:
    """Whoever comes first has built nothing yet."""
    with pytest.raises(NothingPublishedError, match="tollbook warehouse build"):
        read_facts(book.settings)
