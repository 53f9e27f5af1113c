"""Ratings that a rerate laid over the usage reach the marts, and the book balances with them.

Every call has 100 input tokens. It was metered at 0.001 USD; a price of 20 USD a million makes it 0.002, and one of 30
makes it 0.003.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tollbook.errors import BookUnbalancedError, GateFailedError, WarehouseStateError
from tollbook.lake.log import entry_path, newest_number
from tollbook.lake.parquet import write_parquet
from tollbook.lake.ratings import RatingEntry, ratings_after, ratings_log
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.reprice import Choice
from tollbook.rating.rerate import Rerated, rerate
from tollbook.warehouse.build import build
from tollbook.warehouse.state import WarehouseFolder
from tollbook.warehouse.status import warehouse_status

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder

COSTS = "select usage_date::varchar, sum(list_cost) from engineering.fct_usage_daily group by all order by all"


def rerate_at(lake: LakeBuilder, usd_per_million: int, model: str = "gpt-5", **options: Any) -> Rerated:
    """Rerate June by a book in which one model has a price for input."""
    price = Price(
        provider="openai", model=model, rates={"input_tokens": Fraction(usd_per_million) * 10**6, "output_tokens": 0}
    )
    book = PriceBook.of(Catalogue.from_rows([price], version=f"at-{usd_per_million}"))
    told: dict[str, Any] = {"first_date": date(2026, 6, 1), "end_date": date(2026, 7, 1), "choice": Choice(model=model)}
    return rerate(lake.settings, load_book=lambda _: book, **(told | options))


def entries(lake: LakeBuilder) -> list[RatingEntry]:
    """Return the log of ratings."""
    return list(ratings_after(lake.settings.lake, 0))


def test_rerate_reaches_the_marts_on_its_dates_alone(lake: LakeBuilder, event: Any) -> None:
    """Pain 5: after a price fix the past is right in every table, and the lake's usage is untouched."""
    lake.commit([event("a", "2026-06-01"), event("b", "2026-06-02"), event("c", "2026-06-03", model="other")])
    build(lake.settings)
    done = rerate_at(lake, 20)

    result = build(lake.settings)

    assert done.sequence == 1
    assert (result.built_rating, result.event_dates, result.full_refresh) == (1, 2, False)
    assert lake.query(COSTS) == [
        ("2026-06-01", Decimal("0.002")),
        ("2026-06-02", Decimal("0.002")),
        ("2026-06-03", Decimal("0.001")),
    ]
    assert lake.total() == (3, 300, 30, Decimal("0.005"))
    assert lake.query("select sum(list_cost) from engineering.fct_tasks") == [(Decimal("0.005"),)]
    # Metered 0.003, two calls dearer by 0.001 each.
    assert lake.query(
        "select amount_in, amount_out from audit.fct_ledger_balance "
        "where hand_over = 'ratings' and scope = 'all' and measure = 'list_cost'"
    ) == [(Decimal("0.005"), Decimal("0.005"))]
    assert lake.query(
        "select amount_out from audit.fct_ledger_balance "
        "where hand_over = 'files_to_tellings' and scope = 'all' and measure = 'list_cost'"
    ) == [(Decimal("0.003"),)]


@pytest.mark.slow
def test_audit_tells_by_which_prices_a_date_is_rated(lake: LakeBuilder, event: Any) -> None:
    """An amount leads back to a price book, and to the rerate that used it."""
    lake.commit([event("a"), event("b", model="other"), event("late", "2026-06-02")])
    rerate_at(lake, 20)

    build(lake.settings)

    rows = lake.query(
        "select event_date::varchar, catalogue_version like 'at-20%', rating_sequence, calls, list_cost, "
        "metered_list_cost from audit.fct_ratings_daily order by all"
    )
    assert rows == [
        ("2026-06-01", False, 0, 1, Decimal("0.001"), Decimal("0.001")),
        ("2026-06-01", True, 1, 1, Decimal("0.002"), Decimal("0.001")),
        ("2026-06-02", True, 1, 1, Decimal("0.002"), Decimal("0.001")),
    ]


def test_highest_sequence_holds_in_whatever_builds_it_arrives(lake: LakeBuilder, event: Any) -> None:
    """A fix of a fix, taken at once or one by one, comes to the same book."""
    lake.commit([event("a"), event("b", "2026-06-02")])
    rerate_at(lake, 20)
    rerate_at(lake, 30, first_date=date(2026, 6, 2))
    build(lake.settings)
    at_once = lake.query(COSTS)
    rerate_at(lake, 20)
    build(lake.settings)

    assert at_once == [("2026-06-01", Decimal("0.002")), ("2026-06-02", Decimal("0.003"))]
    assert lake.query(COSTS) == [("2026-06-01", Decimal("0.002")), ("2026-06-02", Decimal("0.002"))]
    assert newest_number(ratings_log(lake.settings.lake)) == 3


def test_unpriced_call_becomes_priced(lake: LakeBuilder, event: Any) -> None:
    """What was unknown stops being listed as unknown, everywhere."""
    lake.commit([event("a", model="new", list_cost=None), event("b", model="new", list_cost=None, workflow="other")])
    build(lake.settings)
    assert lake.query("select sum(unpriced_calls) from audit.fct_unpriced_usage") == [(2,)]
    rerate_at(lake, 30, model="new")

    build(lake.settings)

    assert lake.query("select count(*) from audit.fct_unpriced_usage") == [(0,)]
    sql = "select sum(list_cost), sum(contracted_cost), sum(unpriced_calls) from finance.fct_chargeback_by_workflow"
    assert lake.query(sql) == [(Decimal("0.006"), Decimal("0.006"), 0)]


@pytest.mark.slow
def test_repeats_and_superseded_tellings_are_rated_and_count_once(lake: LakeBuilder, event: Any, void: Any) -> None:
    """Every stored telling is rated, and the balance knows which of them go no further."""
    lake.commit([event("a"), event("a"), event("b"), event("b", revision=1), event("c"), void("c")])
    rerate_at(lake, 20)

    build(lake.settings)

    assert lake.total() == (2, 200, 20, Decimal("0.004"))
    states = dict(lake.query("select telling_state, list_cost from audit.fct_tellings_daily"))
    assert states["duplicate"] == states["superseded"] / 2 == Decimal("0.002")


@pytest.mark.slow
def test_conflict_with_a_call_of_another_date_shows_what_that_costs_now(lake: LakeBuilder, event: Any) -> None:
    """A conflict lists the cost of the telling that stands; when that is rated anew the list must not lag."""
    lake.commit([event("a", "2026-06-01"), event("z", "2026-06-09")])
    lake.commit([event("a", "2026-06-02", input_tokens=7)])
    build(lake.settings)
    rerate_at(lake, 20, end_date=date(2026, 6, 2))

    result = build(lake.settings)

    assert result.event_dates == 2
    assert lake.query("select accepted_list_cost from audit.fct_conflicts") == [(Decimal("0.002"),)]
    incremental = lake.everything()
    build(lake.settings, full_refresh=True)
    assert lake.everything() == incremental


@pytest.mark.slow
def test_full_refresh_gives_the_same_book_as_builds_one_by_one(lake: LakeBuilder, event: Any, void: Any) -> None:
    """A book that depends on how it was made is no book."""
    lake.commit([event("a", "2026-06-01"), event("b", "2026-06-02"), event("d", "2026-06-30")])
    build(lake.settings)
    rerate_at(lake, 20)
    build(lake.settings)
    lake.commit([event("b", "2026-06-02"), void("a", "2026-06-01"), event("e", "2026-06-02")])
    rerate_at(lake, 30, end_date=date(2026, 6, 10))
    build(lake.settings)
    lake.commit([event("f", "2026-06-02")], partition=1)
    rerate_at(lake, 20)
    build(lake.settings)
    one_by_one = lake.everything()

    build(lake.settings, full_refresh=True)

    assert lake.everything() == one_by_one
    assert lake.total() == (4, 400, 40, Decimal("0.008"))


@pytest.mark.slow
def test_status_says_how_far_ratings_are_taken(lake: LakeBuilder, event: Any) -> None:
    """Who reruns prices wants to know whether readers see them yet."""
    lake.commit([event("a")])
    build(lake.settings)
    rerate_at(lake, 20)
    behind = warehouse_status(lake.settings)
    assert (behind.lake_rating, behind.built_rating, behind.published_rating, behind.current) == (1, 0, 0, False)

    build(lake.settings)

    well = warehouse_status(lake.settings)
    assert (well.lake_rating, well.built_rating, well.published_rating, well.is_well) == (1, 1, 1, True)
    assert build(lake.settings).event_dates == 0


def rewrite(lake: LakeBuilder, **columns: list[Any]) -> None:
    """Write the only rating file anew with other values, and tell its new size."""
    (entry,) = entries(lake)
    (file,) = entry.files
    table = pq.read_table(lake.settings.lake / file.path, partitioning=None)
    for name, values in columns.items():
        table = table.set_column(table.schema.names.index(name), name, pa.array(values, table.schema.field(name).type))
    size = write_parquet(lake.settings.lake, file.path, table)
    told = msgspec.structs.replace(entry, files=[msgspec.structs.replace(file, bytes=size)])
    entry_path(ratings_log(lake.settings.lake), 1).write_bytes(msgspec.json.encode(told))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "measure"),
    [
        ({"offset": [7]}, "rows_without_a_telling 0, came 1"),
        ({"topic": ["elsewhere"]}, "rows_without_a_telling 0, came 1"),
        ({"rating_sequence": [2]}, "rows_of_another_sequence 0, came 1"),
        ({"list_cost": [Decimal(-1)]}, "rows_with_negative_cost 0, came 1"),
        ({"list_cost": [None]}, "rows_whose_cost_belies_its_basis 0, came 1"),
        ({"unpriced_reason": ["unknown_model"]}, "rows_whose_cost_belies_its_basis 0, came 1"),
        ({"contracted_cost": [None]}, "rows_whose_contracted_cost_belies_its_contract 0, came 1"),
        ({"catalogue_version": [None]}, "rows_without_a_version 0, came 1"),
        ({"list_cost": [Decimal("0.004")]}, "list_cost_difference_pico_usd 1000000000, came 3000000000"),
    ],
)
def test_gate_refuses_ratings_that_are_not_what_their_entry_tells(
    lake: LakeBuilder, event: Any, columns: dict[str, list[Any]], measure: str
) -> None:
    """Ratings are money: each must rate a telling that is there, once, with a cost or a reason."""
    lake.commit([event("a")])
    build(lake.settings)
    before = lake.everything()
    rerate_at(lake, 20)
    rewrite(lake, **columns)

    with pytest.raises(GateFailedError) as refused:
        build(lake.settings)

    assert any(finding.endswith(measure) for finding in refused.value.findings), refused.value.findings
    assert (WarehouseFolder.of(lake.settings).rating_gate / "index.html").is_file()
    assert lake.everything() == before


@pytest.mark.slow
def test_same_telling_rated_twice_by_one_entry_is_refused(lake: LakeBuilder, event: Any) -> None:
    """Which of the two should hold?"""
    lake.commit([event("a"), event("b")])
    rerate_at(lake, 20)
    rewrite(lake, offset=[1, 1])

    with pytest.raises(GateFailedError, match="rows_with_a_place_taken 0, came 1"):
        build(lake.settings)


@pytest.mark.slow
def test_absent_rating_file_is_named(lake: LakeBuilder, event: Any) -> None:
    """Someone tidied up the lake."""
    lake.commit([event("a")])
    rerate_at(lake, 20)
    (lake.settings.lake / entries(lake)[0].files[0].path).unlink()

    with pytest.raises(GateFailedError, match=r"rerate-00000000000000000001\.parquet: expected that the file can be"):
        build(lake.settings)


@pytest.mark.slow
def test_ratings_that_are_gone_are_noticed(lake: LakeBuilder, event: Any) -> None:
    """A restored lake without its ratings would silently go back to the old prices."""
    lake.commit([event("a")])
    rerate_at(lake, 20)
    build(lake.settings)
    entry_path(ratings_log(lake.settings.lake), 1).unlink()

    with pytest.raises(WarehouseStateError, match="to hold rating 1"):
        build(lake.settings)


def test_rating_lost_on_the_way_to_the_marts_fails_the_balance(lake: LakeBuilder, event: Any) -> None:
    """The lake's list cost and the differences of the rerates are what the marts must come to."""
    lake.commit([event("a"), event("b", "2026-06-02")])
    rerate_at(lake, 20)
    build(lake.settings)
    with duckdb.connect(WarehouseFolder.of(lake.settings).ledger) as ledger:
        ledger.execute("update book.rating_files set told_list_cost_difference = 1 where event_date = '2026-06-02'")
    lake.commit([event("c", "2026-06-05")])

    with pytest.raises(BookUnbalancedError) as unbalanced:
        build(lake.settings)

    assert unbalanced.value.differences == ("ratings, scope all, list_cost: in 1.004, out 0.005, difference 0.999",)


@pytest.mark.slow
def test_ledger_of_an_earlier_version_is_begun_anew(lake: LakeBuilder, event: Any) -> None:
    """An upgrade must not need a manual: all of the book comes from the lake."""
    lake.commit([event("a")])
    build(lake.settings)
    with duckdb.connect(WarehouseFolder.of(lake.settings).ledger) as ledger:
        ledger.execute("drop table book.rating_files")
        ledger.execute("alter table book.progress drop column taken_rating")
        ledger.execute("alter table book.progress drop column built_rating")
    rerate_at(lake, 20)

    result = build(lake.settings)

    assert (result.full_refresh, result.built_commit, result.built_rating) == (True, 1, 1)
    assert result.version is not None
    assert result.version.startswith("tollbook-0000000002-")
    assert lake.total() == (1, 100, 10, Decimal("0.002"))
