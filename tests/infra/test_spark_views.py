"""Spark has no models of its own: what it reads is made of dbt's, and says so when one cannot be."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from sqlglot.errors import UnsupportedError

ROOT = Path(__file__).parents[2]
SPARK = ROOT / "infra" / "spark"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"spark_{name}", SPARK / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_views = _module("make_views")
chargeback = _module("chargeback")


def test_views_are_those_that_the_models_make() -> None:
    """A changed model changes them too, or both would be kept, and one of them forgotten."""
    assert make_views.made_views() == (SPARK / "views.sql").read_text(encoding="utf-8"), (
        "run `python infra/spark/make_views.py` and look at what changed"
    )


def test_the_job_shows_views_that_are_made() -> None:
    """A view that views.sql does not have could be asked for."""
    views = re.findall(r"^create or replace temporary view (\w+) as$", chargeback.VIEWS.read_text(), re.MULTILINE)

    assert set(chargeback.SHOWN) == {*make_views.GROUPINGS, make_views.DAYS}
    assert set(chargeback.SHOWN) <= set(views)


@pytest.mark.parametrize(
    ("duckdb", "spark"),
    [
        # A hash of 32 bits, and of nulls that are left out, would call different content the same.
        ("select hash(a, b) as content from lake.main.calls", "SELECT STRUCT(a, b) AS content FROM calls"),
        (
            "select calls.* replace (a + 1 as a), b from lake.main.calls as calls",
            "SELECT calls.* EXCEPT (a), a + 1 AS a, b FROM calls AS calls",
        ),
        (
            "select count(*) filter (where gap > 35) over (partition by a) as n from lake.main.calls",
            "SELECT COUNT(CASE WHEN gap > 35 THEN 1 END) OVER (PARTITION BY a) AS n FROM calls",
        ),
        (
            "select event_date - lag(event_date) over (order by b) as gap from lake.main.calls",
            "SELECT DATEDIFF(event_date, LAG(event_date) OVER (ORDER BY b NULLS LAST)) AS gap FROM calls",
        ),
    ],
)
def test_what_spark_would_refuse_or_mean_otherwise_is_translated(duckdb: str, spark: str) -> None:
    """Each of these is an error in Spark, or another amount, as sqlglot alone writes it."""
    written = make_views.translated(duckdb, {"lake.main.calls": "calls"})

    assert " ".join(written.split()).replace("( ", "(").replace(" )", ")") == spark


def test_a_relation_without_a_view_is_named() -> None:
    """A new source of the models must be given to Spark too."""
    with pytest.raises(KeyError, match=r"lake\.main\.invoices"):
        make_views.translated("select * from lake.main.invoices", {"lake.main.calls": "calls"})


def test_what_spark_is_known_to_lack_is_refused() -> None:
    """Better no view than one that leaves something out."""
    with pytest.raises(UnsupportedError, match="RegexpExtract"):
        make_views.translated("select regexp_extract(a, 'x', 0, 'i') from lake.main.calls", {"lake.main.calls": "c"})


def test_delta_is_the_one_that_is_made_for_this_spark() -> None:
    """Delta 4.0 is built against Spark 4.0; another pair fails at the first read with a missing class."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    spark = re.fullmatch(r"pyspark==(\d+\.\d+)\.\d+", groups["spark"][0])
    pinned = re.findall(
        r"^io\.delta:[^:]+:(\d+\.\d+)\.\d+ [0-9a-f]{64}$", (SPARK / "jars.txt").read_text(), re.MULTILINE
    )

    assert spark is not None
    assert pinned == [spark[1]] * 2
