"""Dimensions: which of the things that tools tell of a call become its team, workflow and task, by dated rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.contracts import MapLimits, shipped_folder, usage_event
from tollbook.reference.documents import read_document, refuse

ORIGINS: Final = ("resource", "attribute", "metadata", "tag", "header")
DOCUMENT: Final = "dimensions"
_TAGS: Final = "tags."

Mask = npt.NDArray[np.bool_]
_UTC_MICROSECONDS: Final = pa.timestamp("us", "UTC")


@dataclass(frozen=True, slots=True)
class DimensionRule:
    """One dated rule: `field` is what the first told of `sources` says, in `[valid_from, valid_to)`."""

    field: str
    sources: tuple[str, ...]
    values: Mapping[str, str]
    valid_from: datetime | None
    valid_to: datetime | None


class Dimensions:
    """Dimension rules, ready for whole batches. They pickle.

    Attributes:
        rules: The rules, the first that tells something decides.
        version: Digest of the rules.
    """

    def __init__(self, rules: tuple[DimensionRule, ...], version: str) -> None:
        self.rules, self.version = rules, version
        self._wanted = {
            origin: frozenset(
                source.partition(":")[2]
                for rule in rules
                for source in rule.sources
                if source.partition(":")[0] == origin
            )
            for origin in ORIGINS
        }

    def wanted(self, origin: str) -> frozenset[str]:
        """Return the keys of an origin, such as `resource`, that any rule asks for: adapters read no others."""
        return self._wanted[origin]

    def apply(self, told: dict[str, pa.Array], labels: Mapping[str, pa.Array], rows: int) -> Mask | None:
        """Fill the fields that the rules tell and the records do not, in place.

        What a label says must fit the field: a purpose that is none, or a text longer than the contract's, is left
        out, since a word beside a call is no reason to refuse its tokens.

        Args:
            told: Field to column, shape (n_tellings,); `occurred_at` dates the rules.
            labels: What records tell beside, by `origin:key`, texts of shape (n_tellings,).
            rows: n_tellings.

        Returns:
            Where a label was left out, shape (n_tellings,); None for nowhere.
        """
        if not labels:
            return None
        tags: dict[str, pa.Array] = {}
        left_out = np.zeros(rows, bool)
        for rule in self.rules:
            found = [_not_empty(labels[source]) for source in rule.sources if source in labels]
            if not found:
                continue
            text = _translated(pc.coalesce(*found) if len(found) > 1 else found[0], rule.values)
            text = _in_force(text, rule, told.get("occurred_at"))
            fits = _fits(text, rule.field)
            if fits is not None:
                left_out |= ~fits
                text = pc.if_else(pa.array(fits), text, pa.scalar(None, pa.string()))
            into, name = (tags, rule.field.removeprefix(_TAGS)) if rule.field.startswith(_TAGS) else (told, rule.field)
            before = into.get(name)
            into[name] = text if before is None else pc.coalesce(before, text)
        if any(column.null_count < rows for column in tags.values()):
            told["tags"] = _with_tags(told.get("tags"), tags, rows, left_out)
        return left_out if left_out.any() else None


def read_dimensions(path: Path) -> Dimensions:
    """Return the rules of a YAML document `dimensions: 1`, with the shipped ones behind unless it says otherwise.

    Raises:
        ReferenceDataError: It breaks its schema, or a rule ends before it begins.
    """
    document = read_document(path, DOCUMENT)
    told = document.content
    rules = tuple(_rule(body) for body in told["rules"])
    refuse(
        [
            document.fault(["rules", place, "valid_to"], "expected an instant after valid_from")
            for place, rule in enumerate(rules)
            if rule.valid_from is not None and rule.valid_to is not None and rule.valid_to <= rule.valid_from
        ]
    )
    version = _digest(json.dumps(told, sort_keys=True))
    if told.get("extends_default", True) and path != _shipped():
        behind = default_dimensions()
        rules, version = rules + behind.rules, _digest(version + behind.version)
    return Dimensions(rules, version)


@lru_cache(maxsize=1)
def default_dimensions() -> Dimensions:
    """Return the rules that Tollbook ships, `schemas/dimensions.yml`."""
    return read_dimensions(_shipped())


def dimensions_of(path: Path | None) -> Dimensions:
    """Return the rules in use, read once a process for each state of the file; the shipped ones without a file."""
    if path is None or not path.exists():
        return default_dimensions()
    return _cached(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _cached(path: Path, _modified_ns: int) -> Dimensions:
    return read_dimensions(path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _shipped() -> Path:
    return shipped_folder("schemas") / "dimensions.yml"


def _rule(body: Mapping[str, Any]) -> DimensionRule:
    return DimensionRule(
        body["field"],
        tuple(body["from"]),
        body.get("values", {}),
        _instant(body, "valid_from"),
        _instant(body, "valid_to"),
    )


def _instant(body: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(body[name]).astimezone(UTC) if name in body else None


def _not_empty(text: pa.Array) -> pa.Array:
    """Return a text, null where it is empty: an empty label tells nothing."""
    empty = pc.equal(pc.binary_length(text), 0).fill_null(False)
    return pc.if_else(empty, pa.scalar(None, pa.string()), text) if pc.any(empty).as_py() else text


def _fits(text: pa.Array, name: str) -> Mask | None:
    """Return where a text may stand in a field or tag, null ones too; None where all may."""
    if name.startswith(_TAGS):
        longest, allowed = _tag_limits().item_length, None
    else:
        field = usage_event().field(name)
        longest, allowed = field.max_length, field.enum
    fits = np.ones(len(text), bool)
    if longest is not None:
        fits &= pc.less_equal(pc.utf8_length(text), longest).fill_null(True).to_numpy(zero_copy_only=False)
    if allowed is not None:
        fits &= pc.is_in(text, pa.array([*allowed, None], pa.string())).to_numpy(zero_copy_only=False)
    return None if fits.all() else fits


def _tag_limits() -> MapLimits:
    limits = usage_event().field("tags").map_limits
    if limits is None:
        raise TypeError("expected the contract to limit tags, got no limits")
    return limits


def _translated(text: pa.Array, values: Mapping[str, str]) -> pa.Array:
    if not values:
        return text
    words = pc.dictionary_encode(text)
    meant = pa.array([values.get(word, word) for word in words.dictionary.to_pylist()], pa.string())
    return meant.take(words.indices)


def _in_force(text: pa.Array, rule: DimensionRule, occurred_at: pa.Array | None) -> pa.Array:
    """Return a text, null where the rule was not in force or the time is not known."""
    if rule.valid_from is None and rule.valid_to is None:
        return text
    if occurred_at is None:
        return pa.nulls(len(text), pa.string())
    times = _times(occurred_at)
    holds = times.is_valid()
    if rule.valid_from is not None:
        holds = pc.and_(holds, pc.greater_equal(times, pa.scalar(rule.valid_from, _UTC_MICROSECONDS)).fill_null(False))
    if rule.valid_to is not None:
        holds = pc.and_(holds, pc.less(times, pa.scalar(rule.valid_to, _UTC_MICROSECONDS)).fill_null(False))
    return pc.if_else(holds, text, pa.scalar(None, pa.string()))


def _times(occurred_at: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(occurred_at.type):
        return occurred_at.cast(_UTC_MICROSECONDS)
    try:
        return occurred_at.cast(_UTC_MICROSECONDS)
    except pa.ArrowInvalid:
        return pa.array([_time(text) for text in occurred_at.to_pylist()], _UTC_MICROSECONDS)


def _time(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment.astimezone(UTC)


def _with_tags(before: pa.Array | None, tags: Mapping[str, pa.Array], rows: int, left_out: Mask) -> pa.Array:
    """Return a map column with more entries; what stands in it stays, and what is beyond the limit is left out."""
    most = _tag_limits().entries
    held = [None] * rows if before is None else before.to_pylist()
    columns = {name: column.to_pylist() for name, column in sorted(tags.items())}
    merged = []
    for row in range(rows):
        entries = dict(held[row] or ())
        for name, column in columns.items():
            if column[row] is None or name in entries:
                continue
            if len(entries) < most:
                entries[name] = column[row]
            else:
                left_out[row] = True
        merged.append(sorted(entries.items()) if entries or held[row] is not None else None)
    return pa.array(merged, pa.map_(pa.string(), pa.string()))
