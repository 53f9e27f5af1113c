"""Publishing: a version of its own, swapped in one step, while others read."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import duckdb
import pytest

from tollbook.errors import WarehouseStateError
from tollbook.warehouse.build import build, publish_build
from tollbook.warehouse.publish import CURRENT, PUBLISHED
from tollbook.warehouse.status import warehouse_status

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder


def test_nothing_is_published_before_a_build_ended_well(lake: LakeBuilder) -> None:
    """An empty file under the name that readers open would look like a month without cost."""
    with pytest.raises(WarehouseStateError, match="tollbook warehouse build"):
        publish_build(lake.settings)

    assert not (lake.settings.serve / PUBLISHED).exists()


def test_pointer_and_link_name_the_version(lake: LakeBuilder, event: Any) -> None:
    """Object storage has no links and people have no patience: both ways lead to the same file."""
    lake.commit([event("a")])

    result = build(lake.settings)

    assert result.version == "tollbook-0000000001-c000000000001.duckdb"
    assert (lake.settings.serve / CURRENT).read_text() == f"{result.version}\n"
    assert (lake.settings.serve / PUBLISHED).readlink() == Path(result.version)


def test_published_file_holds_marts_with_their_descriptions_and_nothing_else(lake: LakeBuilder, event: Any) -> None:
    """Who opens the file in a BI tool sees what a table and a column mean, in a version that older clients read."""
    lake.commit([event("a")])
    build(lake.settings)

    schemas = lake.query("select distinct schema_name from duckdb_tables() where not temporary order by all")
    assert schemas == [("audit",), ("engineering",), ("finance",), ("insight",)]
    ((comment,),) = lake.query("select comment from duckdb_tables() where table_name = 'fct_chargeback_by_team'")
    assert comment.startswith("One row per billing period, cost centre, team and currency.")
    bare = "select table_name, column_name from duckdb_columns() where comment is null and not internal"
    assert lake.query(f"{bare} and table_name <> 'publication'") == []
    ((version,),) = lake.query(
        "select tags['storage_version'] from duckdb_databases() where database_name like 'tollbook%'"
    )
    assert version == "v1.2.0+"


@pytest.mark.slow
def test_readers_see_whole_versions_during_publishes(lake: LakeBuilder, event: Any) -> None:
    """Builds never break reads: each read sees one version, whole, and never an error."""
    lake.commit([event("a")])
    build(lake.settings)
    seen: list[Any] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.append(lake.total()[0])
            except Exception as fault:  # noqa: BLE001 - whatever a reader meets is the finding
                seen.append(fault)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(20):
        publish_build(lake.settings)
    lake.commit([event("b")])
    build(lake.settings)
    stop.set()
    for reader in readers:
        reader.join()

    assert set(seen) <= {1, 2}
    assert seen


@pytest.mark.slow
def test_reader_of_an_old_version_goes_on_reading_it(
    lake: LakeBuilder, event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old versions are removed after a while; whoever has one open keeps it."""
    monkeypatch.setattr("tollbook.warehouse.publish._KEPT_VERSIONS", 1)
    lake.commit([event("a")])
    build(lake.settings)
    old = (lake.settings.serve / PUBLISHED).resolve()
    with duckdb.connect(old, read_only=True) as reader:
        lake.commit([event("b")])
        build(lake.settings)
        assert not old.exists()
        assert reader.execute("select sum(calls)::bigint from finance.fct_chargeback_by_team").fetchall() == [(1,)]

    assert [path.name for path in lake.settings.serve.glob("tollbook-*")] == [
        "tollbook-0000000002-c000000000002.duckdb"
    ]


@pytest.mark.slow
def test_publish_that_dies_at_any_step_is_made_good(
    lake: LakeBuilder, event: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two steps the old version or the new one is whole, and the next build finishes the job."""
    lake.commit([event("a")])
    build(lake.settings)
    lake.commit([event("b")])
    build(lake.settings, publish=False)

    class PowerCut(BaseException):
        """Ends the publish as a kill would."""

    def die(*_: object) -> NoReturn:
        raise PowerCut

    whole_replace = Path.replace
    for last_name in (None, "tollbook-0000000002-c000000000002.duckdb", CURRENT, PUBLISHED):

        def replace(path: Path, target: Path, last_name: str | None = last_name) -> Path:
            return die() if Path(target).name == last_name else whole_replace(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", replace)
            if last_name is None:
                patched.setattr("tollbook.warehouse.publish._sync", die)
            with pytest.raises(PowerCut):
                build(lake.settings)
        assert lake.total()[0] == 1

    build(lake.settings)

    assert lake.total()[0] == 2
    assert not list(lake.settings.serve.glob(".new-*"))


@pytest.mark.slow
def test_status_tells_what_the_lake_the_marts_and_readers_hold(lake: LakeBuilder, event: Any) -> None:
    """`is it current, and does it balance?` in one look."""
    nothing = warehouse_status(lake.settings)
    assert (nothing.lake_commit, nothing.published_version, nothing.is_well) == (0, None, False)

    lake.commit([event("a")])
    build(lake.settings)
    well = warehouse_status(lake.settings)
    assert (well.lake_commit, well.built_commit, well.published_commit) == (1, 1, 1)
    assert (well.current, well.balanced, well.is_well, well.building) == (True, True, True, None)

    lake.commit([event("b")])
    behind = warehouse_status(lake.settings)
    assert (behind.lake_commit, behind.published_commit, behind.is_well) == (2, 1, False)

    build(lake.settings, publish=False)
    unpublished = warehouse_status(lake.settings)
    assert (unpublished.built_commit, unpublished.published_commit, unpublished.current) == (2, 1, False)
