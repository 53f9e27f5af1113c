"""`tollbook lake`: what it shows and does, as a script sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from typer.testing import CliRunner

from tollbook.cli import build_app
from tollbook.errors import ExpiredCommitError, MisuseError

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder


def run(lake: LakeBuilder, *arguments: str) -> str:
    """Run a command well and return what it printed on stdout."""
    told = ["lake", *arguments, "--home", str(lake.settings.home)]
    ran = CliRunner().invoke(build_app(), told, catch_exceptions=False)
    assert ran.exit_code == 0
    return ran.stdout


def test_compact_status_files_and_expiry(lake: LakeBuilder, event: Any) -> None:
    """One command an hour keeps a lake small; what it was before can be read until it expires."""
    for name in "abc":
        lake.commit([event(name)], rejects=1)
    before = json.loads(run(lake, "status", "--json"))
    assert {each["table"]: (each["files"], each["small_files"], each["rows"]) for each in before["tables"]} == {
        "usage": (3, 3, 3),
        "usage_minute": (3, 3, 3),
        "rejects": (3, 3, 3),
        "unparsed": (0, 0, 0),
    }
    assert (before["commit"], before["oldest_commit"], before["retired_files"], before["due_files"]) == (3, 1, 0, 9)
    assert json.loads(run(lake, "compact", "--now", "--dry-run", "--json"))["files_after"] == 3

    done = json.loads(run(lake, "compact", "--now", "--json"))

    assert (done["files_before"], done["files_after"], done["rows"], done["commits"]) == (9, 3, 9, 1)
    after = json.loads(run(lake, "status", "--json"))
    assert (after["commit"], after["retired_files"], after["due_files"], after["delta_commit"]) == (4, 9, 0, 4)
    assert len(run(lake, "files").splitlines()) == 1
    then = json.loads(run(lake, "files", "--commit", "2", "--json"))
    assert (then["commit"], [each["commit"] for each in then["files"]]) == (2, [1, 2])
    # As the README tells it: the printed paths, quoted, are a list for `read_parquet`.
    paths = ", ".join(f"'{path}'" for path in run(lake, "files", "--as-of", "2026-06-01T12:00:02Z").splitlines())
    assert duckdb.sql(f"select count(*) from read_parquet([{paths}], union_by_name = true)").fetchall() == [(2,)]

    assert json.loads(run(lake, "expire", "--keep-days", "0", "--keep-hours", "0", "--json"))["checkpoint"] == 4
    assert "table" in run(lake, "status")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["files", "--commit", "9"], ExpiredCommitError, "expected a commit up to 1 of"),
        (["files", "--as-of", "2020-01-01"], ExpiredCommitError, "up to 2020-01-01T00:00:00\\+00:00, but none is kept"),
        (["files", "--as-of", "noon"], MisuseError, "an RFC 3339 time, got 'noon'"),
        (["files", "--commit", "1", "--as-of", "2020-01-01"], MisuseError, "got both"),
        (["files", "--table", "x"], MisuseError, "one of usage, usage_minute, rejects, unparsed, got 'x'"),
        (["compact", "--now", "--until", "2020-01-01"], MisuseError, "got both"),
    ],
)
def test_misuse_is_told_in_words(
    lake: LakeBuilder, event: Any, arguments: list[str], error: type[Exception], message: str
) -> None:
    """A commit that is gone and a time that is none are different faults, and both say what was expected."""
    lake.commit([event("a")])

    with pytest.raises(error, match=message):
        run(lake, *arguments)
