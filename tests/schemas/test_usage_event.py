"""The usage event's contract: what it holds, that a released version never changes, and that its examples are true."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest

from tollbook.contracts import contract, shipped_folder, usage_event, usage_record_schema
from tollbook.errors import ContractNotFoundError
from tollbook.formats.native import NativeDecoder
from tollbook.formats.reasons import REASONS

SCHEMAS = shipped_folder("schemas")
EXAMPLES = sorted((SCHEMAS / "usage_event" / "examples" / "v1").glob("*.json"))
NOW = datetime(2026, 11, 24, tzinfo=UTC)
RELEASED = {
    "usage_event/v1": "f021cd94fc07972c03025b3471f27949eb207ad5522e007dfe07720c35b63ed8",
}
# These are judged by the decoder: JSON Schema cannot add up fields or know the time.
BEYOND_JSON_SCHEMA = {"part_exceeds_whole", "parts_below_whole", "time_out_of_range"}


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_version_never_changes(name: str) -> None:
    """Lakes hold files of it; a change is a new version beside it."""
    content = (SCHEMAS / f"{name}.schema.json").read_bytes()
    assert hashlib.sha256(content).hexdigest() == RELEASED[name]


def test_the_schema_is_json_schema_with_a_type_and_description_on_each_field() -> None:
    """People and programs read the fields from here alone."""
    document = usage_event().json_schema
    jsonschema.Draft202012Validator.check_schema(document)
    for each in usage_event().fields:
        assert each.description.endswith("."), each.name
        assert pa.types.is_decimal(each.arrow_type) or not pa.types.is_floating(each.arrow_type) or each.unit == "Ratio"
        if each.name.endswith("_tokens"):
            assert each.unit == "Tokens"


def test_money_is_never_a_float() -> None:
    """A float loses pico-USD."""
    for each in (*usage_event().fields, *contract("usage_record").fields):
        if "cost" in each.name and each.name not in {"cost_basis", "provider_cost_currency", "owner_cost_center"}:
            assert pa.types.is_decimal(each.arrow_type), each.name


def _reason(path: Path) -> str:
    return path.stem.removeprefix("invalid-").split("--")[0]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_decodes_or_is_rejected_as_its_name_says(path: Path) -> None:
    """The examples are the documentation senders copy from."""
    value = json.dumps(json.loads(path.read_text())).encode()
    # Once alone, on the strict path, and once among 64 sound neighbours, on the fast path.
    sound = json.dumps(json.loads((path.parent / "valid-smallest.json").read_text())).encode()
    for values in ([value], [sound] * 32 + [value] + [sound] * 32):
        decoded = NativeDecoder().decode(pa.array(values, pa.binary()), now=NOW)
        if path.stem.startswith("valid-"):
            assert [each.error.message for each in decoded.rejected] == []
            assert len(decoded.events) == len(values)
        else:
            assert [each.error.reason for each in decoded.rejected] == [_reason(path)]
            assert len(decoded.events) == len(values) - 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_json_schema_agrees_with_the_decoder(path: Path) -> None:
    """A sender may check with any JSON Schema library before it sends."""
    errors = list(jsonschema.Draft202012Validator(usage_event().json_schema).iter_errors(json.loads(path.read_text())))
    if path.stem.startswith("valid-"):
        assert errors == []
    elif _reason(path) not in BEYOND_JSON_SCHEMA | {"invalid_time"}:
        assert errors, path.stem


def test_every_example_is_named_for_a_reason_that_exists() -> None:
    """A misspelt name would test nothing."""
    assert {_reason(path) for path in EXAMPLES if path.stem.startswith("invalid-")} <= REASONS.keys()
    assert all(path.stem.startswith(("valid-", "invalid-")) for path in EXAMPLES)


def test_the_lake_record_is_the_event_and_what_was_found_out_about_it() -> None:
    """The event's columns come first and unchanged, so v1 files are read by the event's contract alone."""
    names = usage_record_schema().names
    assert tuple(names[: len(usage_event().names)]) == usage_event().names
    assert {"topic", "partition", "offset", "list_cost", "owner_team"} <= set(names)


def test_an_unknown_contract_says_where_it_was_looked_for() -> None:
    """A wheel without its schemas must say so."""
    with pytest.raises(ContractNotFoundError, match="usage_event version 99"):
        contract("usage_event", 99)
