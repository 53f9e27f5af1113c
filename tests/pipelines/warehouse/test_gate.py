"""The gate: no mart sees a file that is not what its manifest says."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tollbook.contracts import usage_record_schema
from tollbook.errors import BookUnbalancedError, GateFailedError
from tollbook.lake.manifest import FileEntry, Manifest, manifest_path
from tollbook.lake.snapshot import LiveFile
from tollbook.warehouse.build import build
from tollbook.warehouse.gate import judge
from tollbook.warehouse.measures import measure_files
from tollbook.warehouse.state import WarehouseFolder

if TYPE_CHECKING:
    from tests.pipelines.warehouse.conftest import LakeBuilder


def refused(lake: LakeBuilder, manifest: Manifest) -> tuple[str, ...]:
    """Return what the gate finds in the files of one commit."""
    folder = WarehouseFolder.of(lake.settings)
    folder.root.mkdir(parents=True, exist_ok=True)
    measured = measure_files(folder, lake.settings.lake, live_files(manifest))
    with pytest.raises(GateFailedError) as refusal:
        judge(measured, folder.gate)
    return refusal.value.findings


def live_files(manifest: Manifest) -> list[LiveFile]:
    """Return the files that one commit added."""
    return [LiveFile(commit=manifest.commit, entry=entry) for entry in manifest.files]


def retell(lake: LakeBuilder, manifest: Manifest, **told: Any) -> Manifest:
    """Return the commit with another word about its usage files."""
    files = [msgspec.structs.replace(file, **told) if file.table == "usage" else file for file in manifest.files]
    return msgspec.structs.replace(manifest, files=files)


def rewrite(lake: LakeBuilder, manifest: Manifest, rows: pa.Table) -> Manifest:
    """Write the commit's usage file anew, and tell its new size."""
    path = lake.path(manifest)
    pq.write_table(rows, path, store_decimal_as_integer=True)
    return retell(lake, manifest, bytes=path.stat().st_size)


def test_sound_files_pass_and_leave_a_report(lake: LakeBuilder, event: Any, void: Any) -> None:
    """Every kind of row that the meter writes passes: priced, unpriced, void, with and without buckets."""
    lake.commit([event("a", cache_read_tokens=7), event("b", list_cost=None), void("c")], rejects=1)

    build(lake.settings)

    assert (WarehouseFolder.of(lake.settings).gate / "index.html").is_file()


def test_refused_file_stops_the_build_and_leaves_the_marts_as_they_were(lake: LakeBuilder, event: Any) -> None:
    """Write, audit, publish: what fails the audit is never seen, and passes once it is made good."""
    lake.commit([event("a")])
    build(lake.settings)
    before = lake.everything()
    path = lake.path(lake.commit([event("b")]))
    sound = path.read_bytes()
    path.write_bytes(sound[:-100])

    with pytest.raises(GateFailedError) as refusal:
        build(lake.settings)

    assert "usage/event_date=2026-06-01/llm.usage-0-" in str(refusal.value)
    assert "the file can be read as Parquet: readable 1, came 0" in str(refusal.value)
    assert refusal.value.exit_code == 1
    assert lake.everything() == before
    path.write_bytes(sound)
    build(lake.settings)
    assert lake.total() == (2, 200, 20, Decimal("0.002"))


@pytest.mark.slow
def test_absent_file_is_named(lake: LakeBuilder, event: Any) -> None:
    """A file that a manifest names and the disk does not hold is a loss, whoever deleted it."""
    manifest = lake.commit([event("a")])
    lake.path(manifest).unlink()

    findings = refused(lake, manifest)

    assert len(findings) == 1
    assert "No such file" in findings[0]


@pytest.mark.slow
def test_damaged_page_is_found_though_the_footer_is_whole(lake: LakeBuilder, event: Any) -> None:
    """A flipped byte in the data leaves size and footer as they were."""
    manifest = lake.commit([event(f"id-{number:04d}", event_note="x" * 50) for number in range(200)])
    path = lake.path(manifest)
    content = bytearray(path.read_bytes())
    content[200:600] = bytes(400)
    path.write_bytes(content)

    findings = refused(lake, manifest)

    assert all(lake.path(manifest).name in finding for finding in findings)


@pytest.mark.slow
def test_difference_from_the_manifest_names_measure_expected_and_came(lake: LakeBuilder, event: Any) -> None:
    """Rows, tokens and cost in the file are those that were committed, to the pico-dollar."""
    manifest = lake.commit([event("a"), event("b", list_cost=None)])

    findings = refused(
        lake,
        retell(lake, manifest, input_tokens=201, list_cost_pico_usd=999_999_999, unpriced_events=0, stream_repeats=1),
    ) + refused(lake, retell(lake, manifest, contracted_cost_pico_usd=1_000_000_001))

    assert sorted(finding.split(": ", 2)[2] for finding in findings) == [
        "contracted_cost_pico_usd 1000000001, came 1000000000",
        "input_tokens 201, came 200",
        "list_cost_pico_usd 999999999, came 1000000000",
        "stream_repeats 1, came 0",
        "unpriced_events 0, came 1",
    ]


@pytest.mark.slow
def test_count_of_rows_differs(lake: LakeBuilder, event: Any) -> None:
    """A file that lost a row is refused before any row of it is looked at."""
    (finding,) = refused(lake, retell(lake, manifest := lake.commit([event("a")]), rows=2))

    assert manifest.files[0].path in finding
    assert finding.endswith("rows 2, came 1")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "measure"),
    [
        ({"event_id": ""}, "rows_without_identity"),
        ({"source": None}, "rows_without_identity"),
        ({"ingested_at": None}, "rows_without_place"),
        ({"model": None}, "rows_without_model"),
        ({"offset": 17}, "rows_out_of_place"),
        ({"topic": "llm.usage.other"}, "rows_out_of_place"),
        ({"occurred_at": "2026-06-02T00:00:00+00:00"}, "rows_under_a_wrong_date"),
        ({"cache_read_tokens": -1, "uncached_input_tokens": 101}, "rows_with_negative_tokens"),
        ({"cache_read_tokens": 150}, "rows_whose_parts_miss_the_whole"),
        ({"uncached_input_tokens": 90}, "rows_whose_parts_miss_the_whole"),
        ({"text_output_tokens": None, "reasoning_tokens": 11}, "rows_whose_parts_miss_the_whole"),
        ({"list_cost": Decimal("-0.001")}, "rows_with_negative_cost"),
        ({"cost_basis": "unpriced"}, "rows_whose_cost_belies_its_basis"),
        ({"cost_basis": None}, "rows_whose_cost_belies_its_basis"),
        ({"list_cost": None}, "rows_whose_cost_belies_its_basis"),
        ({"contracted_cost": Decimal("-0.001"), "contract_id": "c"}, "rows_with_negative_cost"),
        ({"contracted_cost": None}, "rows_whose_contracted_cost_belies_its_contract"),
        ({"contracted_cost": Decimal("0.0009")}, "rows_whose_contracted_cost_belies_its_contract"),
        ({"rated_list_cost": Decimal("0.001")}, "rows_whose_contracted_cost_belies_its_contract"),
    ],
)
def test_wrong_row_is_counted_under_its_measure(
    lake: LakeBuilder, event: Any, fields: dict[str, Any], measure: str
) -> None:
    """Each rule of the suite is seen to fail once."""
    manifest = lake.commit([event("a"), event("b")])
    rows = pq.read_table(lake.path(manifest), partitioning=None).to_pylist()
    for name, value in fields.items():
        rows[1][name] = datetime.fromisoformat(value) if name == "occurred_at" else value

    findings = refused(lake, rewrite(lake, manifest, pa.Table.from_pylist(rows, schema=usage_record_schema())))

    assert [finding for finding in findings if finding.endswith(f"{measure} 0, came 1")], findings


@pytest.mark.slow
def test_same_place_twice_is_refused(lake: LakeBuilder, event: Any) -> None:
    """One Kafka record is one row; two rows of one offset would count it twice."""
    manifest = lake.commit([event("a"), event("b")])
    rows = pq.read_table(lake.path(manifest), partitioning=None).to_pylist()
    rows[1]["offset"] = rows[0]["offset"]

    findings = refused(lake, rewrite(lake, manifest, pa.Table.from_pylist(rows, schema=usage_record_schema())))

    assert findings[0].endswith("rows_with_a_place_taken 0, came 1")


@pytest.mark.slow
def test_file_of_another_shape_is_refused_with_the_columns_named(lake: LakeBuilder, event: Any) -> None:
    """A schema inferred from a batch changes with the batch; the contract's does not."""
    manifest = lake.commit([event("a")])
    table = pq.read_table(lake.path(manifest), partitioning=None)
    floats = table.set_column(
        table.schema.get_field_index("list_cost"), "list_cost", table["list_cost"].cast(pa.float64())
    ).append_column("surprise", pa.array([1]))

    (finding,) = refused(lake, rewrite(lake, manifest, floats))

    assert finding.endswith("columns_off 0, came 2 (list_cost: double, surprise: int64)")


@pytest.mark.slow
def test_many_findings_are_shortened(lake: LakeBuilder, event: Any) -> None:
    """A thousand broken files must not scroll the first one away."""
    manifest = lake.commit([event(f"e{day}", f"2026-06-{day:02d}") for day in range(1, 26)])

    findings = refused(lake, retell(lake, manifest, rows=5))

    assert len(findings) == 21
    assert findings[-1] == "and 5 more"


@pytest.mark.slow
def test_manifest_that_promises_other_totals_fails_the_balance(lake: LakeBuilder, event: Any) -> None:
    """Files may agree with their entries while the running totals do not: the hand-over between them is named."""
    lake.commit([event("a")])
    path = manifest_path(lake.settings.lake, 1)
    document = json.loads(path.read_text())
    document["totals"]["llm.usage"]["0"]["input_tokens"] = 90
    path.write_text(json.dumps(document))

    with pytest.raises(BookUnbalancedError) as unbalanced:
        build(lake.settings)

    assert unbalanced.value.differences == (
        "usage_to_commits, scope llm.usage/0, input_tokens: in 90, out 100, difference -10",
    )
    assert not (lake.settings.serve / "CURRENT").exists()


def test_entry_knows_its_table() -> None:
    """Tables that the warehouse does not take, such as bytes that expire, are passed by."""
    entry = FileEntry(table="unparsed", path="unparsed/x.parquet", event_date="2026-06-01", rows=1, bytes=1)
    manifest = msgspec.json.decode(
        json.dumps(
            {
                "commit": 1,
                "epoch": 1,
                "writer": "t",
                "committed_at": "2026-06-01T00:00:00Z",
                "schema_versions": {},
                "catalogue_version": "t",
                "reference_version": "t",
                "files": [msgspec.to_builtins(entry)],
                "offsets": {},
                "totals": {},
            }
        ),
        type=Manifest,
    )

    assert measure_files(WarehouseFolder(Path("unused")), Path("unused"), live_files(manifest)) == []


def test_what_was_not_measured_does_not_pass_for_zero(lake: LakeBuilder, event: Any) -> None:
    """A measure that a query forgot would let every file through."""
    manifest = lake.commit([event("a")])
    folder = WarehouseFolder.of(lake.settings)
    folder.root.mkdir(parents=True, exist_ok=True)
    measured = measure_files(folder, lake.settings.lake, live_files(manifest))
    (usage,) = [file for file in measured if file.told.table == "usage"]
    del usage.counts["rows_with_negative_cost"]

    with pytest.raises(GateFailedError) as refusal:
        judge(measured, folder.gate)

    (finding,) = refusal.value.findings
    assert finding.endswith("expected that no cost is negative: rows_with_negative_cost 0, came None")
