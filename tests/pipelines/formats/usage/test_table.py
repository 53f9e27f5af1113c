"""The table of usage fields itself: what a file of it may not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tollbook.contracts import shipped_folder, usage_event
from tollbook.errors import ReferenceDataError
from tollbook.formats.buckets import INPUT_BUCKETS, OUTPUT_BUCKETS
from tollbook.formats.reasons import FLAGS
from tollbook.formats.usage import UsageTable
from tollbook.formats.usage.one import COST_ROUNDED, SPLIT_ASSUMED, TOTAL_DIFFERS, UNKNOWN_FIELD
from tollbook.formats.usage.table import read_table

SMALL: dict[str, Any] = {
    "flavours": {
        "some.chat": {
            "root": ["usage"],
            "told_by": ["usage.in"],
            "fields": {
                "in": {"counts": "uncached_input_tokens", "required": True},
                "cached": {"counts": "cache_read_tokens", "within": ["in"]},
            },
        }
    },
    "providers": {"*": {"chat": "some.chat"}},
}


def changed(change: dict[str, Any], *place: str) -> dict[str, Any]:
    """Return the small table with `change` put in at a place."""
    document: dict[str, Any] = json.loads(json.dumps(SMALL))
    at = document
    for step in place:
        at = at[step]
    at.update(change)
    return document


TOOLS = ("otel.", "anthropic.spans", "openclaw.", "claude_code.", "codex.", "openmeter.", "litellm.")
"""Flavours that tools tell of calls in, whoever answered them."""


def test_the_shipped_table_keeps_its_schema_and_holds_together(table: UsageTable) -> None:
    """Each bucket of an event is filled by some API, and every code that reading raises is in the closed list."""
    filled = {count.unit.name for flavour in table.flavours.values() for count in flavour.counts}
    assert set(INPUT_BUCKETS) | set(OUTPUT_BUCKETS) <= filled
    assert {SPLIT_ASSUMED, TOTAL_DIFFERS, UNKNOWN_FIELD, COST_ROUNDED} <= FLAGS.keys()
    named = {telling.field for flavour in table.flavours.values() for telling in (*flavour.body, *flavour.tells)}
    assert named <= set(usage_event().names)
    used = {flavour.name for apis in table.providers.values() for flavour in apis.values()}
    providers_own = {name for name in set(table.flavours) - used if not name.startswith(TOOLS)}
    assert providers_own == {"openai.usage_report", "openai.usage_report_2025", "anthropic.usage_report"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (changed({"tokns": {"known": "why"}}), "tokns"),
        (changed({"rooot": []}, "flavours", "some.chat"), "rooot"),
        (
            changed({"x": {"counts": "cache_read_tokens", "wihtin": ["in"]}}, "flavours", "some.chat", "fields"),
            "wihtin",
        ),
        (changed({"x": {"counts": "smell_tokens"}}, "flavours", "some.chat", "fields"), "smell_tokens"),
        (
            changed({"x": {"counts": "cache_read_tokens", "within": ["out"]}}, "flavours", "some.chat", "fields"),
            "'out'",
        ),
        (
            changed(
                {"in": {"counts": "uncached_input_tokens", "within": ["cached"]}}, "flavours", "some.chat", "fields"
            ),
            "no field within itself",
        ),
        (
            changed({"x": {"counts": "cache_read_tokens", "also": ["cached"]}}, "flavours", "some.chat", "fields"),
            "one meaning of a name",
        ),
        (changed({"some.more": {"extends": "some.less", "fields": {}}}, "flavours"), "some.less"),
        (changed({"some.more": {"extends": "some.more", "fields": {}}}, "flavours"), "some.more"),
        (changed({"some.more": {"fields": {}}}, "flavours"), "a `root`"),
        (changed({"chat": "some.other"}, "providers", "*"), "some.other"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(document: dict[str, Any], said: str, tmp_path: Path) -> None:
    """A misspelt keyword or a field within itself would miscount every call in silence."""
    path = tmp_path / "usage_fields.yml"
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    with pytest.raises(ReferenceDataError, match=r"usage_fields\.yml") as refused:
        read_table(path)
    assert said in str(refused.value)


def test_a_flavour_takes_over_what_it_does_not_say(tmp_path: Path) -> None:
    """A copy of an API differs in a field or two; null takes a field away."""
    more = {"some.more": {"extends": "some.chat", "total": "all", "fields": {"cached": None, "ms": {"aside": "time"}}}}
    path = tmp_path / "usage_fields.yml"
    path.write_text(yaml.safe_dump(changed(more, "flavours"), sort_keys=False), encoding="utf-8")
    flavour = read_table(path).flavours["some.more"]
    assert [count.name for count in flavour.counts] == ["in"]
    assert (flavour.root, flavour.total, flavour.is_unknown("ms"), flavour.is_unknown("cached")) == (
        ("usage",),
        "all",
        False,
        True,
    )


def test_every_keyword_of_the_table_is_explained_at_its_top() -> None:
    """Who adds an API reads the file, not the code."""
    text = (shipped_folder("schemas") / "usage_fields.yml").read_text(encoding="utf-8")
    explained = text[: text.index("\nflavours:")]
    schema = json.loads(
        (shipped_folder("schemas") / "documents" / "usage_fields.schema.json").read_text(encoding="utf-8")
    )
    kinds = ("flavour", "counts", "costs", "tells", "known", "aside")
    keywords = {keyword for kind in kinds for keyword in schema["$defs"][kind]["properties"]} - {"fields"}
    assert {
        keyword for keyword in keywords if f" {keyword} " not in explained and f"`{keyword}`" not in explained
    } == set()
