"""Mapping files: what is refused, and why."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tollbook.contracts import shipped_folder
from tollbook.errors import MisuseError
from tollbook.senders.mapping import load_mapping

EXAMPLES = sorted((shipped_folder("schemas") / "examples" / "mappings").glob("*.mapping.yml"))

GOOD: dict[str, Any] = {
    "mapping": 1,
    "input": {"format": "csv"},
    "fields": {
        "source": {"constant": "s"},
        "event_id": {"column": "id"},
        "occurred_at": {"column": "at"},
        "team": {"choose": {"by": "id", "among": ["a", "b"]}},
        "latency_ms": {"column": "s", "timestamp": {"format": "epoch_seconds"}},
        "trace_id": {"seconds_after": {"column": "t", "start": "2026-06-01T00:00:00Z"}},
    },
}
OBJECTS = [
    (),
    ("input",),
    ("fields", "event_id"),
    ("fields", "team", "choose"),
    ("fields", "latency_ms", "timestamp"),
    ("fields", "trace_id", "seconds_after"),
]


def refused(tmp_path: Path, document: Any) -> str:
    """Return why a mapping is refused."""
    path = tmp_path / "m.yml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(MisuseError) as caught:
        load_mapping(path)
    return caught.value.message


@pytest.mark.parametrize("path", OBJECTS, ids=".".join)
def test_an_unknown_key_is_refused_wherever_it_stands(path: tuple[str, ...], tmp_path: Path) -> None:
    """A misspelt keyword guards nothing: `colunm` would otherwise leave a field out of every event."""
    document = copy.deepcopy(GOOD)
    at: Any = document
    for key in path:
        at = at[key]
    at["colunm"] = "x"
    told = refused(tmp_path, document)
    assert "expected one of the keys" in told
    assert "got the key 'colunm'" in told


def test_a_good_mapping_is_taken(tmp_path: Path) -> None:
    """The one above, before a key was added to it."""
    path = tmp_path / "m.yml"
    path.write_text(yaml.safe_dump(GOOD), encoding="utf-8")
    mapping = load_mapping(path)
    assert mapping.form == "csv"
    assert mapping.nulls == {""}
    assert list(mapping.fields) == sorted(GOOD["fields"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"event_id": {}}, "fields/event_id: expected exactly one of column, constant"),
        ({"event_id": {"column": "a", "constant": 1}}, "got column, constant"),
        ({"input_token": {"column": "a"}}, "got `input_token`; did you mean `input_tokens`?"),
        ({"tags": {"column": "a"}}, "expected `tags.<key>`, for it is a map, got `tags`"),
        ({"team.name": {"column": "a"}}, "expected `team`, which has no keys, got `team.name`"),
        ({"model": {"column": "a", "others": "keep"}}, "'values' is a dependency of 'others'"),
        ({"model": {"constant": "a", "timestamp": {"zone": "UTC"}}}, "'column' is a dependency of 'timestamp'"),
        ({"model": {"difference": ["a"]}}, "fields/model/difference: expected a list of 2 or more, got a list"),
    ],
)
def test_a_field_that_cannot_be_is_told_with_its_name(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    """A mapping is written once and by hand; what is wrong with it must be plain."""
    assert message in refused(tmp_path, GOOD | {"fields": GOOD["fields"] | change})


def test_an_event_needs_an_identity_and_a_time(tmp_path: Path) -> None:
    """Without them nothing that the mapping makes would be accepted."""
    assert "expected `fields` to have source, event_id, occurred_at" in refused(
        tmp_path, GOOD | {"fields": {"model": {"constant": "m"}}}
    )


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """YAML's own reader would take the last one, silently."""
    assert "the key 'event_id' stands twice" in refused(
        tmp_path, "mapping: 1\ninput: {format: csv}\nfields:\n  event_id: {column: a}\n  event_id: {column: b}\n"
    )


def test_times_and_words_of_yaml_stay_what_they_look_like(tmp_path: Path) -> None:
    """YAML reads 2026-06-01 as a date and `no` as false."""
    path = tmp_path / "m.yml"
    path.write_text(
        "mapping: 1\ninput: {format: jsonl}\nfields:\n"
        "  source: {constant: no}\n  event_id: {column: on, values: {yes: off, true: false}}\n"
        "  occurred_at: {seconds_after: {column: t, start: 2026-06-01T00:00:00Z}}\n",
        encoding="utf-8",
    )
    fields = load_mapping(path).fields
    assert fields["source"] == {"constant": "no"}
    assert fields["event_id"] == {"column": "on", "values": {"yes": "off", True: False}}
    assert fields["occurred_at"]["seconds_after"]["start"] == "2026-06-01T00:00:00Z"


@pytest.mark.parametrize("text", ["", "[]", "mapping: 1", "a: [", "\x00"])
def test_what_is_no_mapping_is_misuse(text: str, tmp_path: Path) -> None:
    """It ends with exit code 2 and no traceback."""
    assert "m.yml" in refused(tmp_path, text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["mapping", "input", "fields", "column"]), inner)
        ),
    )
)
def test_no_document_gets_past_the_schema_with_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, document: Any
) -> None:
    """Whatever the file holds, the answer is a mapping or a message."""
    path = tmp_path_factory.mktemp("m") / "m.yml"
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(MisuseError):
        load_mapping(path)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_loads_and_says_what_it_assumes(path: Path) -> None:
    """Examples are copied; a broken one is copied too."""
    assert load_mapping(path).fields
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Shape: schemas/documents/mapping.schema.json\n")
    assert len(yaml.safe_load(text)["description"]) > 80


def test_there_are_the_three_examples() -> None:
    """An empty folder would let the test above pass."""
    assert [path.name.partition(".")[0] for path in EXAMPLES] == ["azure-llm-2023", "bench", "claude-code-sessions"]
