"""The shapes that cross a boundary, loaded from `schemas/`.

Each record and version is written once, as JSON Schema with `x-arrow-type` and `x-unit` on every field. Arrow schemas,
the decoder's types and dbt's source columns derive from it here, or are held against it by a test.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from tollbook.errors import ContractNotFoundError

_PACKAGE = Path(__file__).resolve().parent
_PLAIN_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "binary": pa.binary(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "timestamp[us, tz=UTC]": pa.timestamp("us", "UTC"),
    "date32": pa.date32(),
    "list<string>": pa.list_(pa.string()),
    "map<string, string>": pa.map_(pa.string(), pa.string()),
    "map<string, int64>": pa.map_(pa.string(), pa.int64()),
    "map<string, binary>": pa.map_(pa.string(), pa.binary()),
}
_DECIMAL = re.compile(r"decimal128\((\d+), (\d+)\)")


@dataclass(frozen=True, slots=True)
class MapLimits:
    """How large a map field may be.

    Attributes:
        entries: Most entries.
        key_length: Longest key. Unit: characters.
        item_length: Longest text value, None for numbers. Unit: characters.
        item_maximum: Largest number, None for texts.
    """

    entries: int
    key_length: int
    item_length: int | None
    item_maximum: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a record.

    Attributes:
        name: Name in JSON, Arrow and SQL.
        arrow_type: Its Arrow type.
        description: One sentence for people.
        unit: Unit of the quantity, or None.
        required: Whether every record has it.
        enum: Allowed values without null, or None when free.
        minimum: Smallest allowed number, or None.
        maximum: Largest allowed number, or None.
        max_length: Longest allowed text in characters, or None.
        pattern: Regular expression that a text must match, or None.
        default: Value that an absent field stands for, or None.
        map_limits: Limits of a map field, None for others.
    """

    name: str
    arrow_type: pa.DataType
    description: str
    unit: str | None
    required: bool
    enum: tuple[Any, ...] | None
    minimum: int | None
    maximum: int | None
    max_length: int | None
    pattern: str | None
    default: Any
    map_limits: MapLimits | None


@dataclass(frozen=True, slots=True)
class Contract:
    """One record at one version.

    Attributes:
        record: Name of the record, such as `usage_event`.
        version: Version of the contract, from 1.
        fields: Its fields, in the order of the schema.
        arrow_schema: The same as an Arrow schema.
        json_schema: The document it came from.
    """

    record: str
    version: int
    fields: tuple[Field, ...]
    arrow_schema: pa.Schema
    json_schema: dict[str, Any]

    def field(self, name: str) -> Field:
        """Return the field called `name`; KeyError when the contract has none."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(candidate.name for candidate in self.fields)


def shipped_folder(name: str) -> Path:
    """Return a folder that ships with the package: `_<name>` in a wheel, `<name>/` in a checkout.

    Raises:
        ContractNotFoundError: Neither is there.
    """
    candidates = (_PACKAGE / f"_{name}", _PACKAGE.parent.parent / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ContractNotFoundError(f"expected the folder {name}/ at {candidates[0]} or {candidates[1]}, found neither")


def arrow_type(text: str) -> pa.DataType:
    """Return the Arrow type that an `x-arrow-type` names; ValueError when it names none."""
    if text in _PLAIN_TYPES:
        return _PLAIN_TYPES[text]
    decimal = _DECIMAL.fullmatch(text)
    if decimal is None:
        raise ValueError(f"expected an Arrow type of {sorted(_PLAIN_TYPES)} or decimal128(p, s), got {text!r}")
    return pa.decimal128(int(decimal[1]), int(decimal[2]))


@lru_cache(maxsize=32)
def contract(record: str, version: int = 1, *, folder: Path | None = None) -> Contract:
    """Return the contract of `record` at `version`, its base record's fields first.

    Args:
        record: Folder below `schemas/`, such as `usage_event`.
        version: Version of the contract, from 1.
        folder: Where schemas are; by default the shipped ones.

    Raises:
        ContractNotFoundError: There is no such schema.
    """
    path = (folder or shipped_folder("schemas")) / record / f"v{version}.schema.json"
    if not path.is_file():
        raise ContractNotFoundError(f"expected the schema of {record} version {version} at {path}, found nothing")
    document = json.loads(path.read_text(encoding="utf-8"))
    fields = _fields(document)
    base = document.get("x-extends")
    if base is not None:
        base_record, base_version = base.split("/v")
        own = {each.name: each for each in fields}
        inherited = contract(base_record, int(base_version), folder=folder).fields
        fields = (
            *(own.get(each.name, each) for each in inherited),
            *(each for each in fields if each.name not in {base_field.name for base_field in inherited}),
        )
    schema = pa.schema([pa.field(each.name, each.arrow_type) for each in fields])
    return Contract(record, version, fields, schema, document)


def usage_event(version: int = 1) -> Contract:
    """Return the contract of a usage event, the product's front door."""
    return contract("usage_event", version)


def usage_record_schema(version: int = 1) -> pa.Schema:
    """Return the Arrow schema of the lake's usage files: the event, its place, its owner and its cost."""
    return contract("usage_record", version).arrow_schema


def _fields(document: dict[str, Any]) -> tuple[Field, ...]:
    required = set(document.get("required", ()))
    return tuple(_field(name, body, name in required) for name, body in document["properties"].items())


def _field(name: str, body: dict[str, Any], required: bool) -> Field:
    enum = body.get("enum")
    return Field(
        name=name,
        arrow_type=arrow_type(body["x-arrow-type"]),
        description=body["description"],
        unit=body.get("x-unit"),
        required=required,
        enum=tuple(value for value in enum if value is not None) if enum else None,
        minimum=body.get("minimum"),
        maximum=body.get("maximum"),
        max_length=body.get("maxLength"),
        pattern=body.get("pattern") if body["x-arrow-type"] == "string" else None,
        default=body.get("default"),
        map_limits=_map_limits(body) if body["x-arrow-type"].startswith("map<") and "maxProperties" in body else None,
    )


def _map_limits(body: dict[str, Any]) -> MapLimits:
    items = body["additionalProperties"]
    return MapLimits(
        entries=body["maxProperties"],
        key_length=body["propertyNames"]["maxLength"],
        item_length=items.get("maxLength"),
        item_maximum=items.get("maximum"),
    )
