"""The closed lists of why a record is rejected and of what is noticed about one that is accepted."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "empty_value": "the record has no bytes, or only white space",
    "record_too_large": "the record is larger than the limit",
    "invalid_utf8": "the bytes are not UTF-8",
    "invalid_json": "the text is not one JSON document",
    "not_an_object": "the JSON document is not an object",
    "duplicate_field": "a field stands in the object more than once",
    "missing_field": "a required field is absent, null or empty",
    "wrong_type": "a field has another type than the contract's",
    "out_of_range": "a number is negative or beyond the limit",
    "too_long": "a text or a map is longer than the limit",
    "invalid_value": "a value is not one that the contract allows",
    "invalid_time": "a time is not RFC 3339 with a zone",
    "time_out_of_range": "a time is before 2015 or more than a day ahead of the clock",
    "part_exceeds_whole": "the parts of a token count add up to more than the whole",
    "parts_below_whole": "all parts of a token count are given and add up to less than the whole",
    "unknown_format": "the record's header names a format that is not known",
    "invalid_encoding": "the bytes are not compressed as the record's header says",
    "invalid_protobuf": "the bytes are not the protobuf message of the format",
    "unknown_shape": "the document is of no shape that the format has",
    "unsupported_schema_version": "the record was written against a version of the contract that is not known",
}
"""Code to meaning. A rejected record carries one of these codes."""

FLAGS: dict[str, str] = {
    "unknown_fields": "the record carried fields that the contract does not name; they were left out",
    "provider_cost_rounded": "`provider_cost` had more than 12 decimal places and was rounded half-even",
    "sampled": "`sampling_rate` is below 1: the reporter's events are a sample, not a ledger",
    "unknown_usage_field": "the provider's usage object told a number of no known meaning; `raw_usage` has it by name",
    "usage_total_differs": "the provider's own total of tokens is not the sum of its counts: some may be missing",
    "label_left_out": "a label told a dimension what it cannot be, or too long a text; the label was left out",
    "one_kind_of_token": "the record counts one kind of a call's tokens; others may come in records of their own",
    "usage_split_assumed": "cached tokens and others overlap by an untold number; the least possible was assumed",
}
"""Code to meaning. An accepted event carries any of these."""

UNPARSED_REASONS = frozenset(
    {"empty_value", "record_too_large", "invalid_utf8", "invalid_json", "not_an_object", "duplicate_field"}
    | {"unknown_format", "invalid_encoding", "invalid_protobuf"}
)
"""Reasons under which the bytes could not be read as fields, so that content cannot be told from counts."""
