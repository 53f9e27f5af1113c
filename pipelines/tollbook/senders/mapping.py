"""Mapping files: how the columns of any CSV or JSON-lines file become events.

The shape is `schemas/documents/mapping.schema.json`, whose descriptions are the manual. Types are not written
down: each value takes the type of its event field. Examples are in `schemas/examples/mappings/`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import yaml

from tollbook.contracts import shipped_folder, usage_event
from tollbook.errors import MisuseError
from tollbook.senders.expressions import Columns, Getter, compile_expression

KINDS = ("column", "constant", "template", "difference", "choose", "seconds_after", "milliseconds_after")


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(f"expected a mapping file at {path}: {error}") from error
    try:
        document = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 # a SafeLoader with less
    except yaml.YAMLError as error:
        raise MisuseError(f"expected {path} to be YAML: {error}") from error
    errors = sorted(_explain(error) for error in _validator().iter_errors(document))
    if errors:
        raise MisuseError("\n".join(f"{path}: {error}" for error in errors))
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


class _StrictLoader(yaml.SafeLoader):
    """YAML in which times stay text, only true and false are truth values, and no key may stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a dict, refusing a key that stands twice."""
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                problem = f"the key {key!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":bool"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


@lru_cache(maxsize=1)
def _validator() -> Any:
    path = shipped_folder("schemas") / "documents" / "mapping.schema.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text(encoding="utf-8")))


def _explain(error: jsonschema.ValidationError) -> str:
    where = ".".join(map(str, error.absolute_path)) or "the document"
    if error.validator == "oneOf" and isinstance(error.instance, dict):
        came = [kind for kind in KINDS if kind in error.instance]
        return f"`{where}`: expected exactly one of {', '.join(KINDS)}, got {', '.join(came) or 'none of them'}"
    return f"`{where}`: {error.message}"


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
