"""The names by which the events of a batch find their prices, each combination once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.rating.catalogue import Catalogue

KEY_COLUMNS: Final = ("provider", "model", "service_tier", "region", "billing_account_id")
_DENSE_COMBINATIONS: Final = 1 << 16

Places = npt.NDArray[np.int64]
Names = tuple[str | None, str | None, str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class EventKeys:
    """Which names stand in which events.

    Attributes:
        distinct: Combinations of `KEY_COLUMNS`, None for a name that no catalogue asks for.
        place: Place in `distinct` of each event's names, shape (n_events,).
    """

    distinct: tuple[Names, ...]
    place: Places

    def groups(self, catalogue: Catalogue) -> tuple[Places, npt.NDArray[np.uint8]]:
        """Return the group of each event, 0 where it has none, and the reason for that. Shapes (n_events,)."""
        region, account = catalogue.needs_region, catalogue.needs_account
        asked = [(*names[:3], names[3] if region else None, names[4] if account else None) for names in self.distinct]
        found = np.array([catalogue.group(*names) for names in asked] or [0], np.int64)
        return np.maximum(found, 0)[self.place], np.maximum(-found, 0).astype(np.uint8)[self.place]

    def billed_by(self, catalogue: Catalogue) -> list[tuple[str, ...]]:
        """Return who bills each combination, and the gateways that passed it on, as a catalogue names them."""
        return [catalogue.billed_by(*names[:2]) for names in self.distinct]


def read_keys(batch: pa.RecordBatch, *catalogues: Catalogue) -> EventKeys:
    """Return the names of a batch that any of some catalogues asks for."""
    asked = (
        *(True, True, True),
        any(catalogue.needs_region for catalogue in catalogues),
        any(catalogue.needs_account for catalogue in catalogues),
    )
    encoded = [
        _encoded(batch.column(name)) if is_asked else None for name, is_asked in zip(KEY_COLUMNS, asked, strict=True)
    ]
    combined = np.zeros(batch.num_rows, np.int64)
    size = 1
    for column in encoded:
        if column is not None:
            values, codes = column
            if size * len(values) > _DENSE_COMBINATIONS:
                present, combined = np.unique(combined, return_inverse=True)
                size = len(present)
            combined, size = combined * len(values) + codes, size * len(values)
    place, rows = _numbered(combined, size)
    names = (
        [None] * len(rows) if column is None else [column[0][code] for code in column[1][rows].tolist()]
        for column in encoded
    )
    distinct = tuple(zip(*names, strict=True))
    return EventKeys(distinct, place)


def _numbered(combined: Places, size: int) -> tuple[Places, Places]:
    """Return the number of each event's combination, and for each number a row that has it."""
    if size > _DENSE_COMBINATIONS:
        _, rows, place = np.unique(combined, return_index=True, return_inverse=True)
        return place, rows
    row_of = np.full(size, -1, np.int64)
    row_of[combined] = np.arange(len(combined))
    present = np.flatnonzero(row_of >= 0)
    number = np.zeros(size, np.int64)
    number[present] = np.arange(len(present))
    return number[combined], row_of[present]


def _encoded(column: pa.Array) -> tuple[list[str | None], Places]:
    """Return the distinct values of a column, null last, and the place of each row's among them."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    values: list[str | None] = [*column.dictionary.to_pylist(), None]
    return values, column.indices.fill_null(len(values) - 1).to_numpy().astype(np.int64)
