"""Usage and its cost by Spark, from the Delta table of a lake: the models that DuckDB runs, as views.sql has them.

`spark-submit infra/spark/chargeback.py --home ~/tollbook --view usage_by_team` prints JSON lines; see README.md.

The driver needs Tollbook installed, since it reads the logs of ratings and the billing calendar; executors do not.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tollbook.contracts import contract
from tollbook.lake.delta import delta_path
from tollbook.lake.ratings import RATINGS, ratings_after
from tollbook.rating.periods.calendar import BillingPeriod
from tollbook.reference.billing_calendar import billing_calendar
from tollbook.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

VIEWS: Final = Path(__file__).with_name("views.sql")
SHOWN: Final = ("usage_by_team", "usage_by_workflow", "int_usage_days_summed")
OPTIONS: Final = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
}
"""What the session must have. In ANSI mode a sum that leaves its type is an error; else it would be null."""

_VIEW: Final = re.compile(r"^create or replace temporary view (\w+) as\n(.+?);$", re.MULTILINE | re.DOTALL)
_BILLING_DAYS: Final = (
    "event_date date, billing_date date, billing_period_start date, begins_at timestamp, ends_at timestamp"
)


def register_views(spark: SparkSession, settings: Settings, *, usage: str | None = None) -> None:
    """Make every view of views.sql in the session. Nothing is written, and only the dates of the table are read.

    Args:
        spark: A session with `OPTIONS`, and with Delta's jars.
        settings: The book: its ratings and its billing calendar.
        usage: Where Spark finds the Delta table, a folder or a URL; by default that of the lake on disk.
    """
    for option, wanted in OPTIONS.items():
        if (found := spark.conf.get(option, None)) != wanted:
            raise SystemExit(f"expected a Spark session with {option}={wanted}, got {found}")
    table = spark.read.format("delta").load(usage or str(delta_path(settings.lake)))
    table.createOrReplaceTempView("usage_delta")
    _ratings(spark, settings.lake).createOrReplaceTempView("lake_ratings")
    _billing_days(spark, settings, table).createOrReplaceTempView("plan_billing_days")
    # A view that is made of a frame keeps its plan; one that is made by SQL is parsed anew wherever it is named, and
    # these name each other a hundred times.
    for name, query in _VIEW.findall(VIEWS.read_text(encoding="utf-8")):
        spark.sql(query).createOrReplaceTempView(name)


def _ratings(spark: SparkSession, lake: Path) -> DataFrame:
    """Return what re-rates laid over the usage: the files that the log of ratings names, and no others."""
    files = [str(lake / file.path) for entry in ratings_after(lake, 0) for file in entry.files if file.table == RATINGS]
    shape = _rating_shape()
    if not files:
        return spark.createDataFrame([], shape)
    return spark.read.schema(shape).option("basePath", str(lake / RATINGS)).parquet(*files)


def _rating_shape() -> StructType:
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import DateType

    return from_arrow_schema(contract("rating", 1).arrow_schema).add("event_date", DateType())


def _billing_days(spark: SparkSession, settings: Settings, table: DataFrame) -> DataFrame:
    """Return to which billing day and period the instants of the table's dates belong. No other column is read."""
    dates: list[date] = [row.event_date for row in table.select("event_date").distinct().collect()]
    rows = [
        (day.event_date, day.billing_date, BillingPeriod.of(day.billing_date).start, day.begins_at, day.ends_at)
        for day in billing_calendar(settings).days_of(sorted(dates))
    ]
    return spark.createDataFrame(rows, _BILLING_DAYS)


def _as_json(value: object) -> Any:
    """Amounts go as text, so that no reader makes floats of them."""
    return value.isoformat() if isinstance(value, date | datetime) else str(value)


def main() -> None:
    """Print a view as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="folder of the book; else TOLLBOOK_HOME")
    parser.add_argument("--usage", help="folder or URL of the Delta table; else that of the lake on disk")
    parser.add_argument("--view", choices=SHOWN, default=SHOWN[0])
    arguments = parser.parse_args()
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("tollbook")
    for option, value in OPTIONS.items():
        builder = builder.config(option, value)
    spark = builder.getOrCreate()
    register_views(spark, Settings.load(home=arguments.home), usage=arguments.usage)
    for row in spark.table(arguments.view).toLocalIterator():
        sys.stdout.write(json.dumps(row.asDict(), default=_as_json) + "\n")
    spark.stop()


if __name__ == "__main__":
    main()
