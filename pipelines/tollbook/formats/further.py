"""Calls within calls, such as an advisor's, as tellings of their own beside the call that they stand in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.formats.check import Faults
from tollbook.formats.decoder import Mask, Rows, Tellings
from tollbook.formats.usage import UsageColumns

TOLD_BY_USAGE = ("service_tier", "region")
"""Texts that a usage object may tell: its word goes before what stands around it."""


def told_calls(
    told: Mapping[str, pa.Array],
    usage: UsageColumns,
    rows: Rows,
    faults: Faults,
    labels: Mapping[str, pa.Array],
    *,
    revisions: bool = False,
) -> Iterator[Tellings]:
    """Yield calls with what they used, then the further calls that stand in them.

    A further call has the `event_id` of its call, a number sign, its kind, a point and its place in the list: so it is
    the same event whoever tells it. It is led to its call by `parent_call_id`, and is told only where its call's usage
    could be read.

    Args:
        told: Fields of the calls but for their usage, each of shape (n,).
        usage: What they used.
        rows: Record of each, ascending, shape (n,).
        faults: What was found wrong with each, shape (n,).
        labels: What records tell beside, by `origin:key`, texts of shape (n,).
        revisions: Whether the revision of a telling is the output tokens that it tells.
    """
    main = {**told, **_used(told, usage.columns)}
    if revisions:
        main["revision"] = _revision(main, len(rows))
    flags: dict[str, Mask] = dict(usage.flags)
    items = np.zeros(len(rows), np.int64)
    yield Tellings(main, rows, items, flags, faults, dict(labels))
    further = usage.further
    if further is None:
        return
    sound = np.flatnonzero(faults.first[further.rows] < 0)
    if not len(sound):
        return
    places = further.rows[sound]
    chosen, among = pa.array(places), pa.array(sound)
    event_ids = told["event_id"].take(chosen)
    suffix = pc.binary_join_element_wise(further.kinds, pa.array(further.places).cast(pa.string()), ".").take(among)
    own = {name: column.take(among) for name, column in further.usage.columns.items()}
    inner = {name: column.take(chosen) for name, column in told.items()}
    inner |= _used(inner, own) | {"event_id": pc.binary_join_element_wise(event_ids, suffix, "#")}
    called = pc.coalesce(inner["call_id"], event_ids) if "call_id" in inner else event_ids
    inner |= {"response_id": event_ids, "parent_call_id": called}
    inner.pop("call_id", None)
    if "model" in own:
        inner["model"] = pc.coalesce(own["model"], told["model"].take(chosen))
    if revisions:
        inner["revision"] = _revision(inner, len(sound))
    yield Tellings(
        inner,
        rows[places],
        1 + _place_in_run(places),
        {code: where[sound] for code, where in further.usage.flags.items()},
        None,
        {name: column.take(chosen) for name, column in labels.items()},
    )


def _used(told: Mapping[str, pa.Array], columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    both = {name: pc.coalesce(columns[name], told[name]) for name in TOLD_BY_USAGE if name in columns and name in told}
    return {**columns, **both}


def _revision(columns: Mapping[str, pa.Array], rows: int) -> pa.Array:
    told = columns.get("output_tokens")
    return pa.array(np.zeros(rows, np.int64)) if told is None else told.fill_null(0)


def _place_in_run(values: Rows) -> Rows:
    """Return the place of each of ascending values among its equals, from 0."""
    places: Rows = np.arange(len(values)) - np.searchsorted(values, values)
    return places
