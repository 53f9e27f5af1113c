"""Owners: which team, cost centre and business unit an event belongs to, by rules with effective dates."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tollbook.errors import ReferenceDataError
from tollbook.lake.log import write_synced
from tollbook.reference.documents import Document, read_document, refuse

DEFAULT_ORDER = ("workflow", "credential_id", "project_id", "team")
NO_OWNERS = "none"
TOLD_TEAM, UNALLOCATED = "told_team", "unallocated"
AS_TOLD = "as told"
OWNER_COLUMNS = ("owner_team", "owner_cost_center", "owner_business_unit", "owner_rule")
_OPEN_END = np.iinfo(np.int64).max
_TAG = "tag:"


@dataclass(frozen=True, slots=True)
class OwnerRule:
    """One dated rule: events whose `dimension` is `value` belong to `team` in `[valid_from, valid_to)`."""

    rule_id: str
    dimension: str
    value: str
    team: str
    cost_center: str | None
    business_unit: str | None
    valid_from: datetime
    valid_to: datetime | None


class Owners:
    """Owner rules, checked, ready to be looked up for whole batches.

    Attributes:
        version: Digest of the rules, or `none` when there are none.
        rules: The rules, in the order of the file.
    """

    def __init__(
        self,
        rules: tuple[OwnerRule, ...],
        order: tuple[str, ...] = DEFAULT_ORDER,
        version: str = NO_OWNERS,
        unmatched: str = TOLD_TEAM,
    ) -> None:
        self.rules = rules
        self.version = version
        self._order = order
        self._takes_told_team = unmatched == TOLD_TEAM
        by_dimension: dict[str, list[int]] = defaultdict(list)
        for index, rule in enumerate(rules):
            by_dimension[rule.dimension].append(index)
        self._dimensions = {
            name: _DatedLookup([rules[i] for i in members], members) for name, members in by_dimension.items()
        }
        _refuse_overlaps(rules)
        self._columns = [
            pa.array([rule.team for rule in rules], pa.string()),
            pa.array([rule.cost_center for rule in rules], pa.string()),
            pa.array([rule.business_unit for rule in rules], pa.string()),
            pa.array([rule.rule_id for rule in rules], pa.string()),
        ]

    def assign(self, events: pa.RecordBatch) -> dict[str, pa.Array]:
        """Return the owner of each event at its `occurred_at`.

        Args:
            events: `usage_event/v1`, shape (n_events,).

        Returns:
            `owner_team`, `owner_cost_center`, `owner_business_unit` and `owner_rule`, each of shape (n_events,). Where
            no rule in force matches, the team is the one the event names, under the rule `as told`, unless the rules
            say otherwise; where it names none, all are null.
        """
        chosen = np.full(events.num_rows, -1, np.int64)
        times = events.column("occurred_at").cast(pa.int64()).to_numpy()
        for dimension in self._order:
            lookup = self._dimensions.get(dimension)
            if lookup is None or (chosen >= 0).all():
                continue
            found = lookup.find(_values(events, dimension), times)
            chosen = np.where(chosen >= 0, chosen, found)
        index = pa.array(chosen, mask=chosen < 0)
        owners = {name: column.take(index) for name, column in zip(OWNER_COLUMNS, self._columns, strict=True)}
        if self._takes_told_team:
            unmatched = pa.array(chosen < 0)
            told = _without_blanks(events.column("team"))
            by_word = pc.if_else(pc.and_(unmatched, told.is_valid()), AS_TOLD, pa.scalar(None, pa.string()))
            owners["owner_team"] = pc.if_else(unmatched, told, owners["owner_team"])
            owners["owner_rule"] = pc.coalesce(owners["owner_rule"], by_word)
        return owners


class _DatedLookup:
    """The rules of one dimension, sorted so that a whole column is looked up at once."""

    def __init__(self, rules: list[OwnerRule], indices: list[int]) -> None:
        self._values = pa.array(sorted({rule.value for rule in rules}), pa.string())
        code = {value: number for number, value in enumerate(self._values.to_pylist())}
        entries = sorted(
            (code[r.value], _microseconds(r.valid_from), _end(r), i) for r, i in zip(rules, indices, strict=True)
        )
        self._codes = np.array([entry[0] for entry in entries], np.int64)
        self._starts = np.array([entry[1] for entry in entries], np.int64)
        self._ends = np.array([entry[2] for entry in entries], np.int64)
        self._rules = np.array([entry[3] for entry in entries], np.int64)

    def find(self, values: pa.Array, times: np.ndarray) -> np.ndarray:
        """Return the index of the rule in force for each value and time, -1 where none is. Shape (n,)."""
        codes = pc.index_in(values, value_set=self._values, skip_nulls=True)
        known = codes.fill_null(-1).to_numpy().astype(np.int64)
        found = np.full(len(known), -1, np.int64)
        rows = np.flatnonzero(known >= 0)
        if not rows.size:
            return found
        position = self._last_started(known[rows], times[rows])
        started = position >= 0
        position = np.maximum(position, 0)
        in_force = started & (self._codes[position] == known[rows]) & (times[rows] < self._ends[position])
        found[rows[in_force]] = self._rules[position[in_force]]
        return found

    def _last_started(self, codes: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Return the last entry at or before each (code, time), by sorting entries and queries together."""
        entries = len(self._codes)
        all_codes = np.concatenate([self._codes, codes])
        all_times = np.concatenate([self._starts, times])
        is_query = np.concatenate([np.zeros(entries, np.int8), np.ones(len(codes), np.int8)])
        order = np.lexsort((is_query, all_times, all_codes))
        latest = np.maximum.accumulate(np.where(order < entries, order, -1))
        position = np.empty(len(order), np.int64)
        position[order] = latest
        return position[entries:]


def read_owners(path: Path) -> Owners:
    """Return the owner rules of a YAML or JSON file.

    Raises:
        ReferenceDataError: The file breaks its schema, or two rules hold for one value at one time.
    """
    document = read_document(path, "owners")
    told = document.content
    version = hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8")).hexdigest()[:16]
    rules = tuple(_rule(body) for body in told["rules"])
    _refuse_empty_periods(document, rules)
    order = tuple(told.get("order", DEFAULT_ORDER))
    try:
        return Owners(rules, order, version, told.get("unmatched", TOLD_TEAM))
    except ReferenceDataError as broken:
        raise ReferenceDataError(f"{path}: {broken.message}") from broken


def load_owners(source: Path, target: Path) -> Owners:
    """Check the rules of `source` and put them at `target`, whole or not at all; return them.

    Raises:
        ReferenceDataError: The file breaks its schema, or two rules hold for one value at one time.
    """
    owners = read_owners(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.tmp")
    write_synced(temporary, source.read_bytes())
    temporary.replace(target)
    return owners


@lru_cache(maxsize=4)
def _cached_owners(path: Path, _modified_ns: int) -> Owners:
    """Return the rules of `path`, read once a process for each state of the file."""
    return read_owners(path)


def owners_of(path: Path | None) -> Owners:
    """Return the rules of `path`, or no rules when there is no such file."""
    if path is None or not path.exists():
        return Owners(())
    return _cached_owners(path, path.stat().st_mtime_ns)


def _values(events: pa.RecordBatch, dimension: str) -> pa.Array:
    if not dimension.startswith(_TAG):
        return events.column(dimension)
    return pc.map_lookup(events.column("tags"), dimension.removeprefix(_TAG), "first")


def _without_blanks(told: pa.Array) -> pa.Array:
    """Return told teams, null where the text is empty or white space."""
    return pc.if_else(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(told)), 0), pa.scalar(None, pa.string()), told)


def _rule(body: dict[str, Any]) -> OwnerRule:
    ((dimension, value),) = body["match"].items()
    end = body.get("valid_to")
    return OwnerRule(
        rule_id=body["rule_id"],
        dimension=dimension,
        value=value,
        team=body["team"],
        cost_center=body.get("cost_center"),
        business_unit=body.get("business_unit"),
        valid_from=_time(body["valid_from"]),
        valid_to=_time(end) if end is not None else None,
    )


def _refuse_empty_periods(document: Document, rules: tuple[OwnerRule, ...]) -> None:
    refuse(
        [
            document.fault(("rules", place, "valid_to"), f"expected valid_to after valid_from of rule {rule.rule_id}")
            for place, rule in enumerate(rules)
            if rule.valid_to is not None and rule.valid_to <= rule.valid_from
        ]
    )


def _refuse_overlaps(rules: tuple[OwnerRule, ...]) -> None:
    names = [rule.rule_id for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ReferenceDataError(f"expected each rule_id once, got {twice[0]} more than once")
    groups: dict[tuple[str, str], list[OwnerRule]] = defaultdict(list)
    for rule in rules:
        groups[rule.dimension, rule.value].append(rule)
    for (dimension, value), members in groups.items():
        members.sort(key=lambda rule: rule.valid_from)
        for earlier, later in pairwise(members):
            if earlier.valid_to is None or earlier.valid_to > later.valid_from:
                raise ReferenceDataError(
                    f"expected one owner of {dimension} {value!r} at a time, but rules {earlier.rule_id} and "
                    f"{later.rule_id} both hold at {later.valid_from.isoformat()}"
                )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _microseconds(time: datetime) -> int:
    delta = time - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def _end(rule: OwnerRule) -> int:
    return int(_OPEN_END) if rule.valid_to is None else _microseconds(rule.valid_to)
