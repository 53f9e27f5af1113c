"""Owners: one for each event, by dated rules."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollbook.contracts import usage_event
from tollbook.errors import ReferenceDataError
from tollbook.reference.owners import OwnerRule, Owners, load_owners, owners_of, read_owners

START = datetime(2026, 1, 1, tzinfo=UTC)


def _events(rows: list[dict[str, object]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(rows, schema=usage_event().arrow_schema)


def _rule(
    rule_id: str, dimension: str, value: str, team: str, start: datetime = START, end: datetime | None = None
) -> OwnerRule:
    return OwnerRule(rule_id, dimension, value, team, f"cc-{team}", None, start, end)


def test_the_owner_in_force_at_the_event_decides_to_the_microsecond() -> None:
    """A workflow handed over at noon is the old team's until noon and the new team's from it."""
    noon = datetime(2026, 6, 15, 12, tzinfo=UTC)
    owners = Owners((_rule("a", "workflow", "w", "old", START, noon), _rule("b", "workflow", "w", "new", noon)))
    before = datetime(2026, 6, 15, 11, 59, 59, 999999, tzinfo=UTC)
    too_early = datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)
    found = owners.assign(_events([{"workflow": "w", "occurred_at": t} for t in (too_early, before, noon)]))
    assert found["owner_team"].to_pylist() == [None, "old", "new"]
    assert found["owner_rule"].to_pylist() == [None, "a", "b"]
    assert found["owner_cost_center"].to_pylist() == [None, "cc-old", "cc-new"]


def test_the_first_dimension_that_matches_decides() -> None:
    """An event has one owner, whatever its other dimensions say (litellm#21894)."""
    owners = Owners((_rule("t", "team", "x", "by-team"), _rule("w", "workflow", "w", "by-workflow")))
    rows: list[dict[str, object]] = [
        {"workflow": "w", "team": "x", "occurred_at": START},
        {"workflow": "other", "team": "x", "occurred_at": START},
        {"workflow": None, "team": None, "occurred_at": START},
    ]
    assert owners.assign(_events(rows))["owner_team"].to_pylist() == ["by-workflow", "by-team", None]


def test_where_no_rule_matches_the_team_that_the_event_names_owns_it() -> None:
    """A newcomer without rules sees teams; an organisation with rules can say that nobody's word counts."""
    rows: list[dict[str, object]] = [
        {"workflow": "w", "team": "told", "occurred_at": START},
        {"workflow": "x", "team": "told", "occurred_at": START},
        {"workflow": "x", "team": None, "occurred_at": START},
        {"workflow": "x", "team": "", "occurred_at": START},
        {"workflow": "x", "team": " \t", "occurred_at": START},
    ]
    rules = (_rule("r", "workflow", "w", "ruled"),)
    trusting = Owners(rules).assign(_events(rows))
    assert trusting["owner_team"].to_pylist() == ["ruled", "told", None, None, None]
    assert trusting["owner_cost_center"].to_pylist() == ["cc-ruled", None, None, None, None]
    assert trusting["owner_rule"].to_pylist() == ["r", "as told", None, None, None]
    strict = Owners(rules, unmatched="unallocated").assign(_events(rows))
    assert strict["owner_team"].to_pylist() == ["ruled", None, None, None, None]


def test_a_tag_can_own_and_never_multiplies_rows() -> None:
    """Tags are dimensions like others."""
    owners = Owners((_rule("g", "tag:feature", "triage", "support"),), order=("tag:feature",))
    rows: list[dict[str, object]] = [
        {"tags": [("feature", "triage"), ("sdk", "x")], "occurred_at": START},
        {"tags": None, "occurred_at": START},
    ]
    assert owners.assign(_events(rows))["owner_team"].to_pylist() == ["support", None]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 40)), max_size=30), st.integers(1, 39))
def test_looking_up_a_batch_equals_looking_up_each_event(queries: list[tuple[str, int]], cut: int) -> None:
    """The batch look-up sorts rules and events together; the answer must not depend on the company."""

    def at(days: int) -> datetime:
        return datetime.fromordinal(START.toordinal() + days).replace(tzinfo=UTC)

    rules = (
        _rule("a1", "workflow", "a", "one", at(0), at(cut)),
        _rule("a2", "workflow", "a", "two", at(cut), at(40)),
        _rule("b1", "workflow", "b", "three", at(10)),
        _rule("c1", "workflow", "c", "four", at(5), at(6)),
    )
    owners = Owners(rules)
    rows: list[dict[str, object]] = [{"workflow": value, "occurred_at": at(day)} for value, day in queries]
    plain = [
        next(
            (
                r.team
                for r in rules
                if r.value == v and r.valid_from <= at(d) and (r.valid_to is None or at(d) < r.valid_to)
            ),
            None,
        )
        for v, d in queries
    ]
    assert owners.assign(_events(rows))["owner_team"].to_pylist() == plain


VALID = """
rules:
  - {rule_id: a, match: {workflow: w}, team: t, cost_center: c, business_unit: b, valid_from: 2026-01-01T00:00:00Z}
"""


def test_a_file_is_read_and_its_version_follows_its_content(tmp_path: Path) -> None:
    """Manifests name the version that assigned their events."""
    path = tmp_path / "owners.yml"
    path.write_text(VALID)
    first = read_owners(path)
    path.write_text(VALID + "# a comment\n")
    assert read_owners(path).version == first.version
    path.write_text(VALID.replace("team: t", "team: u"))
    assert read_owners(path).version != first.version


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules:\n  - {rule_id: a, match: {workflow: w}, team: t}", "valid_from"),
        (VALID.replace("team: t", "taem: t"), "taem"),
        (VALID.replace("workflow: w", "colour: red"), "colour"),
        (VALID.replace("workflow: w", "workflow: 5"), r"owners\.yml:3: rules/0/match/workflow: expected text, got 5"),
        (VALID.replace("2026-01-01T00:00:00Z", "2026-01-01"), "a time with a zone"),
        (VALID + VALID.replace("rules:\n", ""), "rule_id once"),
        (
            VALID + VALID.replace("rules:\n", "").replace("rule_id: a", "rule_id: z"),
            "one owner of workflow 'w' at a time",
        ),
        (VALID.replace("valid_from", "valid_to: 2025-01-01T00:00:00Z, valid_from"), "valid_to after valid_from"),
        ("rules: [", "YAML"),
    ],
)
def test_a_file_that_is_wrong_says_what_and_where(tmp_path: Path, text: str, message: str) -> None:
    """Owners decide who pays; a misspelt key would pay no one."""
    path = tmp_path / "owners.yml"
    path.write_text(text)
    with pytest.raises(ReferenceDataError, match=message):
        read_owners(path)


def test_a_wrong_file_does_not_replace_the_rules_in_use(tmp_path: Path) -> None:
    """Loading is all or nothing."""
    source, target = tmp_path / "new.yml", tmp_path / "home" / "owners.yml"
    source.write_text(VALID)
    load_owners(source, target)
    source.write_text("rules: 5")
    with pytest.raises(ReferenceDataError):
        load_owners(source, target)
    assert len(owners_of(target).rules) == 1


def test_without_a_file_only_the_told_team_owns(tmp_path: Path) -> None:
    """The unallocated is visible, not an error."""
    owners = owners_of(tmp_path / "absent.yml")
    assert owners.version == "none"
    assert owners.assign(_events([{"workflow": "w", "occurred_at": START}]))["owner_team"].to_pylist() == [None]
