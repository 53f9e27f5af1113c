"""The gate: Great Expectations judges the measures of new files before any mart sees them.

Great Expectations is heavy to import, so it is imported only when there is something to judge.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tollbook.errors import GateFailedError
from tollbook.lake.layout import USAGE
from tollbook.lake.ratings import RATINGS
from tollbook.warehouse.measures import FileMeasures, Told

_MAX_FINDINGS = 20
_ALWAYS_ZERO = {
    "rows_without_identity": "every row has source, event_id and occurred_at",
    "rows_without_place": "every row has topic, partition, offset and ingested_at",
    "rows_without_model": "every row but a void has provider and model",
    "rows_out_of_place": "every row is of the partition and offsets that the file is of",
    "rows_with_a_place_taken": "no two rows have the same topic, partition and offset",
    "rows_of_other_commits": "every row of a file that was made of others came with one of the commits that it tells",
    "rows_under_a_wrong_date": "every row occurred on the date of its folder, in UTC",
    "rows_with_negative_tokens": "no token count is negative",
    "rows_whose_parts_miss_the_whole": "token buckets add up to their whole, and to no more",
    "rows_with_negative_cost": "no cost is negative",
    "rows_whose_cost_belies_its_basis": "cost is null if and only if the row is unpriced or a void, with a reason",
    "rows_whose_contracted_cost_belies_its_contract": (
        "contracted cost is null exactly where list cost is, differs from it only by a contract, and our own figure "
        "stands beside the provider's alone"
    ),
}
"""Measure to the expectation that it is zero."""

_RATING_ALWAYS_ZERO = {
    "rows_without_a_telling": "every row rates a telling that the usage of its date holds, and no void",
    "rows_with_a_place_taken": _ALWAYS_ZERO["rows_with_a_place_taken"],
    "rows_of_another_sequence": "every row is of the sequence of its entry",
    "rows_without_a_version": "every row names the price book that rated it",
    "rows_with_negative_cost": _ALWAYS_ZERO["rows_with_negative_cost"],
    "rows_whose_cost_belies_its_basis": "cost is null if and only if the row is unpriced, with a reason",
    "rows_whose_contracted_cost_belies_its_contract": _ALWAYS_ZERO["rows_whose_contracted_cost_belies_its_contract"],
}
"""The same for ratings."""

_TOLD = {
    "rows": "rows are those that the manifest tells",
    "input_tokens": "input tokens are those that the manifest tells",
    "output_tokens": "output tokens are those that the manifest tells",
    "list_cost_pico_usd": "list cost is that which the manifest tells",
    "contracted_cost_pico_usd": "contracted cost is that which the manifest tells",
    "unpriced_events": "unpriced rows are those that the manifest tells",
    "stream_repeats": "stream repeats are those that the manifest tells",
    "list_cost_difference_pico_usd": "list cost differs from the one before by what the entry tells",
    "contracted_cost_difference_pico_usd": "contracted cost differs from the one before by what the entry tells",
    "unpriced_difference": "unpriced rows differ from those before by what the entry tells",
}
"""Measure to the expectation that it equals the manifest's."""

_HELD = {
    "input_tokens": "held_input_tokens",
    "output_tokens": "held_output_tokens",
    "list_cost_pico_usd": "held_list_cost",
    "contracted_cost_pico_usd": "held_contracted_cost",
    "unpriced_events": "held_unpriced",
    "stream_repeats": "held_stream_repeats",
}

_RATING_HELD = {
    "list_cost_difference_pico_usd": "held_list_cost_difference",
    "contracted_cost_difference_pico_usd": "held_contracted_cost_difference",
    "unpriced_difference": "held_unpriced_difference",
}

_SUITES = {"usage_rows": (_ALWAYS_ZERO, _HELD), "rating_rows": (_RATING_ALWAYS_ZERO, _RATING_HELD)}
"""Suite of the content of files to what is always zero in it, and what the log tells."""


def judge(files: Sequence[FileMeasures[Told]], report: Path) -> None:
    """Let new files pass, or refuse them all. Data Docs of the verdict are in the folder `report` either way.

    Args:
        files: Measures of the new files.
        report: Folder for the pages, made anew.

    Raises:
        GateFailedError: A file is not what its manifest says. The facts name file, expectation, what was expected
            and what came.
    """
    if not files:
        return
    frames = {"new_files": [_whole_row(file) for file in files]}
    if all(file.is_whole for file in files):
        for suite, table in (("usage_rows", USAGE), ("rating_rows", RATINGS)):
            frames[suite] = [_content_row(file, suite) for file in files if file.told.table == table]
    faults = {file.told.path: file.fault for file in files}
    findings = _validate({name: rows for name, rows in frames.items() if rows}, report, faults)
    if findings:
        shown = findings[:_MAX_FINDINGS]
        if len(findings) > len(shown):
            shown.append(f"and {len(findings) - len(shown)} more")
        raise GateFailedError(tuple(shown), str(report / "index.html"))


def _whole_row(file: FileMeasures[Told]) -> dict[str, Any]:
    row = {"path": file.told.path, "readable": file.readable, "told_readable": 1}
    # Of a file that cannot be read nothing else is known, and one finding is enough.
    row["bytes"] = file.bytes if file.readable else file.told.bytes
    row["rows"] = file.rows if file.readable else file.told.rows
    row |= {"told_bytes": file.told.bytes, "told_rows": file.told.rows}
    return row | {"columns_off": file.columns_off, "told_columns_off": 0}


def _content_row(file: FileMeasures[Told], suite: str) -> dict[str, Any]:
    zeros, held = _SUITES[suite]
    row: dict[str, Any] = {"path": file.told.path}
    row |= {name: file.counts.get(name) for name in zeros}
    row |= {f"told_{name}": 0 for name in zeros}
    row |= {name: file.sums.get(measure) for name, measure in held.items()}
    return row | {f"told_{name}": getattr(file.told, name) for name in held}


def _validate(frames: dict[str, list[dict[str, Any]]], report: Path, faults: dict[str, str]) -> list[str]:
    # Read by Great Expectations when it is imported: it would report its use over the network.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations as gx
    import pandas as pd
    from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    shutil.rmtree(report, ignore_errors=True)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    context.delete_data_docs_site("local_site")
    context.add_data_docs_site(
        "gate",
        {
            "class_name": "SiteBuilder",
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(report)},
        },
    )
    source = context.data_sources.add_pandas("lake")
    findings: list[str] = []
    for name, rows in frames.items():
        asset = source.add_dataframe_asset(name)
        batch = asset.add_batch_definition_whole_dataframe("measures")
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=_expectations(name)))
        definition = gx.ValidationDefinition(name=name, data=batch, suite=suite)
        checkpoint = gx.Checkpoint(
            name=name,
            validation_definitions=[context.validation_definitions.add(definition)],
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["path"]},
        )
        frame = pd.DataFrame(rows).astype({key: "object" for key in rows[0] if "cost" in key})
        result = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": frame})
        told = {row["path"]: row for row in rows}
        for run in result.run_results.values():
            for verdict in run.results:
                if not verdict.success:
                    findings += _findings(verdict, told, faults)
    # Once for all suites: an action of each checkpoint would make every page again.
    context.build_data_docs(site_names=["gate"])
    return findings


def _expectations(name: str) -> list[Any]:
    from great_expectations import expectations as gxe

    # Zeros are told as well: a pair is equal only when both are there, where a range lets a null pass, and one
    # expectation costs half of two.
    def as_told(column: str, meaning: str) -> Any:
        return gxe.ExpectColumnPairValuesToBeEqual(
            column_A=column, column_B=f"told_{column}", meta={"meaning": meaning}
        )

    if name == "new_files":
        return [
            as_told("readable", "the file can be read as Parquet"),
            as_told("bytes", "the file has the size that the manifest tells"),
            as_told("rows", _TOLD["rows"]),
            as_told("columns_off", "columns and types are those of the contract"),
        ]
    always_zero, held = _SUITES[name]
    zeros = [as_told(column, meaning) for column, meaning in always_zero.items()]
    return zeros + [as_told(column, _TOLD[column]) for column in held]


def _findings(verdict: Any, rows: dict[str, dict[str, Any]], faults: dict[str, str]) -> list[str]:
    """Return what one expectation found: file, expectation, what was expected and what came."""
    arguments = verdict.expectation_config.kwargs
    column = arguments["column_A"]
    meaning = verdict.expectation_config.meta["meaning"]
    found = []
    for unexpected in verdict.result["unexpected_index_list"]:
        path = unexpected["path"]
        expected = rows[path][f"told_{column}"]
        text = f"{path}: expected that {meaning}: {column} {expected}, came {rows[path][column]}"
        found.append(f"{text} ({faults[path]})" if column in {"readable", "columns_off"} else text)
    return found
