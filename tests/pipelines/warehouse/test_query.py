"""Questions to the published file, from Python and from the command line."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tollbook.cli import main
from tollbook.errors import NothingPublishedError, QueryError
from tollbook.settings import Settings
from tollbook.warehouse.publish import PUBLISHED
from tollbook.warehouse.query import ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipelines.warehouse.conftest import LakeBuilder


@pytest.fixture
def published(tmp_path: Path) -> Settings:
    """A published file with one table."""
    settings = Settings(home=tmp_path)
    settings.serve.mkdir()
    with duckdb.connect(settings.serve / PUBLISHED) as file:
        file.execute(
            """
            create table amounts as
            select
                'a' as team,
                1.000000000001::decimal(38, 12) as cost,
                9007199254740993::bigint as tokens,
                timestamptz '2026-06-01 12:00:00+00' as at,
                date '2026-06-01' as day,
                [0.5::decimal(2, 1)] as parts,
                null::varchar as nothing
            """
        )
    return settings


def test_json_keeps_every_digit(published: Settings) -> None:
    """A pico-dollar survives: decimals are text, whole numbers are numbers, unknown is null."""
    assert ask(published, "from amounts").as_records() == [
        {
            "team": "a",
            "cost": "1.000000000001",
            "tokens": 9007199254740993,
            "at": "2026-06-01T12:00:00+00:00",
            "day": "2026-06-01",
            "parts": ["0.5"],
            "nothing": None,
        }
    ]


def test_file_is_opened_read_only(published: Settings) -> None:
    """A question must not change the book."""
    with pytest.raises(QueryError, match="read-only"):
        ask(published, "delete from amounts")


def test_wrong_question_tells_what_is_wrong(published: Settings) -> None:
    """DuckDB's own words say what it expected, and the exit code that it was misuse."""
    with pytest.raises(QueryError, match="Table with name nothing_here does not exist") as wrong:
        ask(published, "from nothing_here")

    assert wrong.value.exit_code == 2


def test_question_before_the_first_build_says_what_to_run(tmp_path: Path) -> None:
    """The first thing a newcomer may try is the last thing that works."""
    with pytest.raises(NothingPublishedError, match="run `tollbook warehouse build`"):
        ask(Settings(home=tmp_path), "select 1")


def test_command_prints_whole_rows_and_json(published: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Data are on stdout, complete whatever the width of the terminal."""
    home = ["--home", str(published.home)]
    assert main(["sql", "select team, cost, nothing, repeat('x', 300) as wide from amounts", *home]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["team", "cost", "nothing", "wide"]
    assert lines[2].split() == ["a", "1.000000000001", "-", "x" * 300]

    assert main(["sql", "select cost from amounts", "--json", *home]) == 0
    assert json.loads(capsys.readouterr().out) == [{"cost": "1.000000000001"}]

    assert main(["sql", "selec", *home]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "syntax error" in captured.err


def test_commands_of_the_warehouse_exit_as_promised(
    lake: LakeBuilder, event: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 is well, 1 a finding; data on stdout, what happens on stderr."""
    home = ["--home", str(lake.settings.home)]
    assert main(["warehouse", "status", *home]) == 1
    assert main(["warehouse", "publish", *home]) == 1
    capsys.readouterr()
    manifest = lake.commit([event("a")])

    assert main(["warehouse", "build", "--no-publish", "--json", *home]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["version"] is None
    assert "gate: 2 new files" in captured.err
    assert main(["warehouse", "publish", *home]) == 0
    assert capsys.readouterr().out == "tollbook-0000000001-c000000000001.duckdb\n"
    assert main(["warehouse", "status", "--json", *home]) == 0
    assert json.loads(capsys.readouterr().out)["balanced"] is True
    assert lake.total() == (1, 100, 10, Decimal("0.001"))

    lake.path(lake.commit([event("b")])).unlink()
    assert main(["warehouse", "build", *home]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "the gate refused new files" in captured.err
    assert manifest.commit == 1
