"""Mapping files: how the columns of any CSV or JSON-lines file become events.

The shape is `schemas/documents/mapping.schema.json`, whose descriptions are the manual. Types are not written
down: each value takes the type of its event field. Examples are in `schemas/examples/mappings/`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from tollbook.contracts import usage_event
from tollbook.errors import MisuseError, ReferenceDataError
from tollbook.reference.documents import read_document
from tollbook.senders.expressions import Columns, Getter, compile_expression


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """A mapping file, checked.

    Attributes:
        path: Where it came from.
        form: `csv` or `jsonl`.
        delimiter: Delimiter of CSV.
        columns: Names of the columns of a CSV file without a header line, or None.
        nulls: Texts that stand for null in every column.
        fields: Event field, or `field.key` for a map, to its expression.
    """

    path: Path
    form: str
    delimiter: str
    columns: tuple[str, ...] | None
    nulls: frozenset[str]
    fields: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CompiledField:
    """One event field and how it is had.

    Attributes:
        name: Name of the event field.
        key: Key within it, for a map; else None.
        required: Whether an event must have it.
        is_time: Whether its values are times.
        get: Its getter.
    """

    name: str
    key: str | None
    required: bool
    is_time: bool
    get: Getter


def load_mapping(path: Path) -> FieldMapping:
    """Return the mapping of a file.

    Raises:
        MisuseError: It cannot be read, is no YAML, breaks its schema, or names a field that events lack.
    """
    try:
        document = read_document(path, "mapping").content
    except ReferenceDataError as broken:
        raise MisuseError(broken.message) from broken
    _check_fields(path, document["fields"])
    form = document["input"]
    return FieldMapping(
        path=path,
        form=form["format"],
        delimiter=form.get("delimiter", ","),
        columns=tuple(form["columns"]) if "columns" in form else None,
        nulls=frozenset(form.get("nulls", [""] if form["format"] == "csv" else [])),
        fields=document["fields"],
    )


def compile_mapping(mapping: FieldMapping, columns: Columns) -> list[CompiledField]:
    """Return the event fields of a mapping as functions of a row.

    Args:
        mapping: The mapping.
        columns: Finds the getter of a column of the input.

    Raises:
        MisuseError: The input lacks a column, or an expression cannot work.
    """
    contract = usage_event()
    compiled = []
    for path, document in mapping.fields.items():
        name, _, key = path.partition(".")
        field = contract.field(name)
        target = field.arrow_type.item_type if key else field.arrow_type
        try:
            getter = compile_expression(path, document, target, columns)
        except MisuseError as error:
            raise MisuseError(f"{mapping.path}: `{path}`: {error.message}") from error
        compiled.append(CompiledField(name, key or None, field.required, pa.types.is_timestamp(target), getter))
    return compiled


def _check_fields(path: Path, fields: Mapping[str, Any]) -> None:
    contract = usage_event()
    maps = {field.name for field in contract.fields if pa.types.is_map(field.arrow_type)}
    for told in fields:
        name, dot, key = told.partition(".")
        if name not in contract.names:
            near = difflib.get_close_matches(name, contract.names, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else ""
            raise MisuseError(f"{path}: expected fields of usage_event/v1, got `{told}`{hint}")
        if (name in maps) != bool(dot and key):
            shape = f"`{name}.<key>`, for it is a map" if name in maps else f"`{name}`, which has no keys"
            raise MisuseError(f"{path}: expected {shape}, got `{told}`")
    absent = [field.name for field in contract.fields if field.required and field.name not in fields]
    if absent:
        raise MisuseError(f"{path}: expected `fields` to have {', '.join(absent)}, which every event needs")
