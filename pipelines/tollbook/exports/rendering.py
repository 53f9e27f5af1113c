"""Statements in every format: CSV and Parquet for programs, XLSX, HTML and PDF for people; many, side by side."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from tollbook.contracts import contract
from tollbook.exports.people import Statement, for_people
from tollbook.exports.tables import csv_bytes, parquet_bytes

_ALONE: Final = 3_000
_BATCH: Final = 1_500
_MOST_PROCESSES: Final = 4


def rendered(statements: Sequence[Statement]) -> dict[str, bytes]:
    """Return the files of statements by path, the same bytes however many processes make them.

    Where they are many, other processes make what people read, and this one what programs read.
    """
    processes = min(_MOST_PROCESSES, os.cpu_count() or 1)
    if processes == 1 or sum(len(each.rows) for each in statements) < _ALONE:
        return _for_programs(statements) | for_people(statements)
    # Threads of DuckDB and Arrow are alive here, so processes begin anew rather than as copies of this one.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        made = [pool.submit(for_people, batch) for batch in _batches(statements)]
        files = _for_programs(statements)
        for each in made:
            files |= each.result()
    return files


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
    for each in statements:
        shape = contract(each.record)
        files[f"{each.path}.csv"] = csv_bytes(shape, each.rows)
        files[f"{each.path}.parquet"] = parquet_bytes(shape, each.rows)
    return files
