"""Token counts made disjoint: whole and parts agree, or the record is rejected.

Cached, audio, image and reasoning tokens are parts of a whole, and counting a part beside its whole is the defect
that metering tools are best known for. So every token stands in exactly one bucket, and the wholes are their sums.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tollbook.formats.check import Faults

INPUT_WHOLE, OUTPUT_WHOLE = "input_tokens", "output_tokens"
INPUT_REST, OUTPUT_REST = "uncached_input_tokens", "text_output_tokens"
INPUT_PARTS = (
    "cache_read_tokens",
    "cache_read_audio_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "image_input_tokens",
    "video_input_tokens",
)
OUTPUT_PARTS = ("reasoning_tokens", "audio_output_tokens", "image_output_tokens")
INPUT_BUCKETS = (INPUT_REST, *INPUT_PARTS)
OUTPUT_BUCKETS = (OUTPUT_REST, *OUTPUT_PARTS)


def make_disjoint(columns: dict[str, pa.Array], rows: int, faults: Faults) -> None:
    """Derive what follows from what was told, in place, and note wholes that their parts contradict.

    Where the whole is told and the rest bucket is not, the rest is the whole less the other parts. Where no whole is
    told, it is the sum of the parts. A count that nothing tells stays null.

    Args:
        columns: Field to column, each int64 of shape (n_events,); absent fields are null in every event.
        rows: n_events.
        faults: Where contradictions are noted.
    """
    _settle(columns, rows, faults, INPUT_WHOLE, INPUT_REST, INPUT_PARTS)
    _settle(columns, rows, faults, OUTPUT_WHOLE, OUTPUT_REST, OUTPUT_PARTS)


def _settle(
    columns: dict[str, pa.Array],
    rows: int,
    faults: Faults,
    whole_name: str,
    rest_name: str,
    part_names: tuple[str, ...],
) -> None:
    whole, whole_told = _split(columns, whole_name, rows)
    rest, rest_told = _split(columns, rest_name, rows)
    parts = np.zeros(rows, np.int64)
    parts_told = np.zeros(rows, bool)
    for name in part_names:
        count, told = _split(columns, name, rows)
        parts += count
        parts_told |= told
    total = parts + rest

    faults.note(whole_told & (total > whole), "part_exceeds_whole", whole_name, "at least the sum of its parts")
    faults.note(whole_told & rest_told & (total < whole), "parts_below_whole", whole_name, "the sum of its parts")
    derived_rest = np.where(rest_told, rest, whole - parts)
    derived_whole = np.where(whole_told, whole, total)
    columns[rest_name] = _joined(derived_rest, rest_told | whole_told)
    columns[whole_name] = _joined(derived_whole, whole_told | rest_told | parts_told)


def _split(columns: dict[str, pa.Array], name: str, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's counts, zero where untold, and where they are told. Each of shape (n_events,)."""
    column = columns.get(name)
    if column is None:
        return np.zeros(rows, np.int64), np.zeros(rows, bool)
    if not column.null_count:
        return column.to_numpy(), np.ones(rows, bool)
    told: np.ndarray = column.is_valid().to_numpy(zero_copy_only=False)
    return column.fill_null(0).to_numpy(), told


def _joined(counts: np.ndarray, told: np.ndarray) -> pa.Array:
    return pa.array(counts, pa.int64(), mask=None if told.all() else ~told)
