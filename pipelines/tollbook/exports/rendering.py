"""Statements in every format: CSV and Parquet for programs, XLSX, HTML and PDF for people; many, side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context, parent_process
from typing import Final

from tollbook.contracts import contract
from tollbook.exports.people import Statement, for_people
from tollbook.exports.tables import arrow_table, csv_bytes, parquet_of

_ALONE: Final = 3_000
_BATCH: Final = 1_500
_MOST_PROCESSES: Final = 4


def rendered(statements: Sequence[Statement]) -> dict[str, bytes]:
    """Return the files of statements by path, the same bytes however many processes make them.

    Where they are many, other processes make what people read, and this one what programs read. They begin with the
    first export that needs them, wait for the next one, and end with this process. A process that another one began to
    share work with makes all by itself.
    """
    others = 0 if parent_process() else min(_MOST_PROCESSES, os.cpu_count() or 1) - 1
    if not others or sum(len(each.rows) for each in statements) < _ALONE:
        return _for_programs(statements) | for_people(statements)
    try:
        made = [_others(others).submit(for_people, batch) for batch in _batches(statements)]
        files = _for_programs(statements)
        for each in made:
            files |= each.result()
    except BrokenProcessPool:
        _others.cache_clear()
        raise
    return files


@cache
def _others(processes: int) -> ProcessPoolExecutor:
    # Threads of DuckDB and Arrow are alive here, so processes begin anew rather than as copies of this one.
    return ProcessPoolExecutor(processes, mp_context=get_context("spawn"))


def _batches(statements: Iterable[Statement]) -> list[list[Statement]]:
    batches: list[list[Statement]] = [[]]
    held = 0
    for each in statements:
        if held >= _BATCH:
            batches.append([])
            held = 0
        batches[-1].append(each)
        held += len(each.rows)
    return batches


def _for_programs(statements: Iterable[Statement]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    by_record: dict[str, list[Statement]] = {}
    for each in statements:
        by_record.setdefault(each.record, []).append(each)
    for record, held in by_record.items():
        shape, first = contract(record), 0
        # One table for all of them: each statement is a slice of it.
        table = arrow_table(shape, [row for each in held for row in each.rows])
        for each in held:
            files[f"{each.path}.csv"] = csv_bytes(shape, each.rows)
            files[f"{each.path}.parquet"] = parquet_of(table.slice(first, len(each.rows)))
            first += len(each.rows)
    return files
