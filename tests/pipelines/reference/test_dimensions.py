"""Dimension rules: which word of a tool becomes a team or a workflow, at which time, and what may not."""

from __future__ import annotations

import copy
import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tollbook.errors import ReferenceDataError
from tollbook.reference.dimensions import Dimensions, default_dimensions, dimensions_of, read_dimensions

DAY = "2026-06-01T00:00:00Z"
ALONE = "dimensions: 1\nextends_default: false\nrules:\n"


def _rules(tmp_path: Path, text: str, *, alone: bool = True) -> Dimensions:
    path = tmp_path / "dimensions.yml"
    path.write_text((ALONE if alone else "dimensions: 1\nrules:\n") + text, "utf-8")
    return read_dimensions(path)


def _apply(rules: Dimensions, told: dict[str, list[str | None]], **labels: list[str | None]) -> dict[str, list[object]]:
    """Return the fields after the rules; labels are written `origin__key`."""
    columns = {name: pa.array(values, pa.string()) for name, values in told.items()}
    named = {name.replace("__", ":"): pa.array(values, pa.string()) for name, values in labels.items()}
    rules.apply(columns, named, len(next(iter(labels.values()))))
    return {name: column.to_pylist() for name, column in columns.items()}


def test_of_the_sources_of_a_rule_the_first_that_is_not_empty_decides(tmp_path: Path) -> None:
    """An empty label tells nothing; the next one does."""
    rules = _rules(tmp_path, "  - {field: team, from: ['attribute:team', 'resource:team']}\n")
    told = _apply(rules, {}, attribute__team=["a", None, "", None], resource__team=["x", "b", "c", None])
    assert told == {"team": ["a", "b", "c", None]}


def test_of_the_rules_of_a_field_the_first_that_tells_something_decides(tmp_path: Path) -> None:
    """Order is precedence."""
    rules = _rules(tmp_path, "  - {field: team, from: ['tag:t']}\n  - {field: team, from: ['resource:t']}\n")
    assert _apply(rules, {}, resource__t=["r", "r"], tag__t=["t", None]) == {"team": ["t", "r"]}


def test_what_a_record_tells_in_the_field_itself_stands(tmp_path: Path) -> None:
    """Rules fill what is untold."""
    rules = _rules(tmp_path, "  - {field: team, from: ['tag:t']}\n")
    assert _apply(rules, {"team": ["own", None]}, tag__t=["t", "t"]) == {"team": ["own", "t"]}


def test_a_rule_holds_from_its_first_instant_to_before_its_last(tmp_path: Path) -> None:
    """Half-open: at every instant one rule of a chain holds, at none two; in whatever zone the time is written."""
    rules = _rules(
        tmp_path,
        "  - {field: team, from: ['tag:t'], values: {k: old}, valid_to: 2026-06-01T00:00:00Z}\n"
        "  - {field: team, from: ['tag:t'], values: {k: new}, valid_from: 2026-06-01T00:00:00Z,"
        " valid_to: 2026-07-01T02:00:00+02:00}\n",
    )
    times = [
        "2026-05-31T23:59:59.999999Z",
        "2026-06-01T00:00:00Z",
        "2026-06-01T01:59:59+02:00",
        "2026-06-30T23:59:59.999999Z",
        "2026-07-01T00:00:00Z",
        "not a time",
        None,
    ]
    told = _apply(rules, {"occurred_at": times}, tag__t=["k"] * len(times))
    assert told["team"] == ["old", "new", "old", "new", None, None, None]


def test_dated_rules_read_times_that_are_columns_of_instants(tmp_path: Path) -> None:
    """Adapters may tell times as timestamps."""
    rules = _rules(tmp_path, "  - {field: team, from: ['tag:t'], valid_from: 2026-06-01T00:00:00Z}\n")
    told = {"occurred_at": pa.array([datetime(2026, 5, 31, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)])}
    rules.apply(told, {"tag:t": pa.array(["a", "a"])}, 2)
    assert told["team"].to_pylist() == [None, "a"]


def test_values_are_translated_and_others_stay_as_they_are(tmp_path: Path) -> None:
    """`7f3` of a gateway is `search` here; who is not listed keeps his name."""
    rules = _rules(tmp_path, "  - {field: team, from: ['metadata:id'], values: {7f3: search}}\n")
    assert _apply(rules, {}, metadata__id=["7f3", "9aa", None]) == {"team": ["search", "9aa", None]}


def test_tags_are_added_beside_those_that_a_record_has(tmp_path: Path) -> None:
    """A record's own tag of a name stands; no tag multiplies rows."""
    rules = _rules(tmp_path, "  - {field: tags.service, from: ['resource:s']}\n  - {field: tags.b, from: ['tag:b']}\n")
    tags = pa.array([[("service", "own")], None, [("z", "1")], []], pa.map_(pa.string(), pa.string()))
    told = {"tags": tags}
    labels = {"resource:s": pa.array(["x", "x", None, None]), "tag:b": pa.array(["1", None, "2", None])}
    assert rules.apply(told, labels, 4) is None
    assert told["tags"].to_pylist() == [
        [("b", "1"), ("service", "own")],
        [("service", "x")],
        [("b", "2"), ("z", "1")],
        [],
    ]


def test_a_label_that_does_not_fit_its_field_is_left_out_and_said(tmp_path: Path) -> None:
    """A tag `purpose:lunch` must not turn a paid call away; 64 tags are the most that an event holds."""
    rules = _rules(
        tmp_path,
        "  - {field: purpose, from: ['tag:p']}\n  - {field: team, from: ['tag:t']}\n"
        "  - {field: tags.more, from: ['tag:m']}\n",
    )
    full = [(f"k{n:02}", "v") for n in range(64)]
    told = {"tags": pa.array([None, None, None, full, None], pa.map_(pa.string(), pa.string()))}
    labels = {
        "tag:p": pa.array(["lunch", "retry", None, None, None]),
        "tag:t": pa.array([None, None, "x" * 513, None, "x" * 512]),
        "tag:m": pa.array([None, None, None, "m", "y" * 1025]),
    }
    left_out = rules.apply(told, labels, 5)
    assert left_out is not None
    assert left_out.tolist() == [True, False, True, True, True]
    assert told["purpose"].to_pylist() == [None, "retry", None, None, None]
    assert told["team"].to_pylist() == [None, None, None, None, "x" * 512]
    assert told["tags"].to_pylist() == [None, None, None, full, None]


def test_shipped_rules_hold_behind_those_of_an_organisation_unless_it_says_otherwise(tmp_path: Path) -> None:
    """One rule of one's own must not cost all that tools are known to say."""
    own = "  - {field: team, from: ['attribute:squad']}\n"
    behind = _rules(tmp_path, own, alone=False)
    assert _apply(behind, {}, attribute__squad=["a", None], attribute__team=["b", "c"]) == {"team": ["a", "c"]}
    alone = _rules(tmp_path, own)
    assert _apply(alone, {}, attribute__squad=["a", None], attribute__team=["b", "c"]) == {"team": ["a", None]}
    assert alone.wanted("resource") == frozenset()
    assert alone.wanted("attribute") == {"squad"}
    assert len({alone.version, behind.version, default_dimensions().version}) == 3


def test_rules_can_be_copied_and_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """Beam sends them to workers, which read the file when it has changed."""
    path = tmp_path / "dimensions.yml"
    path.write_text(ALONE + "  - {field: team, from: ['tag:a']}\n")
    first = dimensions_of(path)
    assert dimensions_of(path) is first
    assert copy.deepcopy(first).rules == first.rules
    path.write_text(ALONE + "  - {field: team, from: ['tag:bb']}\n")
    os.utime(path, ns=(1, 1))
    assert dimensions_of(path).wanted("tag") == {"bb"}
    assert dimensions_of(None) is default_dimensions()
    assert dimensions_of(tmp_path / "none.yml") is default_dimensions()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("  - {field: teem, from: ['tag:a']}\n", 4, "rules/0/field"),
        ("  - {field: team, from: ['span:a']}\n", 4, "rules/0/from/0"),
        ("  - {field: team, from: []}\n", 4, "rules/0/from"),
        ("  - {field: team, from: ['tag:a'], form: x}\n", 4, "form"),
        ("  - field: team\n    from: ['tag:a']\n    valid_from: last week\n", 6, "valid_from"),
        (
            f"  - field: team\n    from: ['tag:a']\n    valid_from: {DAY}\n    valid_to: {DAY}",
            7,
            "instant after valid_from",
        ),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    """A misspelt keyword guards nothing, and whoever wrote it looks for the line."""
    with pytest.raises(ReferenceDataError) as raised:
        _rules(tmp_path, text)
    (fault,) = raised.value.faults
    assert fault.line == line
    assert said in str(fault)
