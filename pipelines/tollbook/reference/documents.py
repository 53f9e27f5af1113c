"""Our own YAML documents, held against their JSON Schema: every fault with its file, line, field, value and rule.

YAML is read as people mean it: times and dates stay text, only `true` and `false` are truth values, `010` and `16:30`
are no numbers, and a key that stands twice is a fault. Nothing of a document with a fault is used.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import jsonschema
import yaml

from tollbook.contracts import shipped_folder
from tollbook.errors import DocumentFault, ReferenceDataError
from tollbook.reference.rules import rule_of

Step = str | int
_TAG: Final = "tag:yaml.org,2002:"
_STR, _INT, _FLOAT, _BOOL, _NULL, _MERGE = (_TAG + name for name in ("str", "int", "float", "bool", "null", "merge"))
_MAP, _SEQ = _TAG + "map", _TAG + "seq"
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER: Final = 400
_LONGEST_TOLD: Final = 80
_WORDS: Final = {"true": _BOOL, "false": _BOOL, "null": _NULL, "~": _NULL, "": _NULL, "<<": _MERGE}
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]{0,29})(\.[0-9]{1,30})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME_OF_DAY: Final = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


@dataclass(frozen=True, eq=False)
class Document:
    """A document without a fault so far.

    Attributes:
        path: Where it lies.
        content: What it says, as plain Python values.
    """

    path: Path
    content: Any
    _root: yaml.Node

    def line(self, field: Sequence[Step] = ()) -> int:
        """Return the line, from 1, on which a field stands; for one that is absent, that of what should hold it."""
        node, line = self._root, self._root.start_mark.line
        for step in field:
            found = _child(node, step)
            if found is None:
                break
            node, line = found
        return int(line) + 1

    def fault(self, field: Sequence[Step], rule: str, *, came: str | None = None) -> DocumentFault:
        """Return a fault of one field.

        Args:
            field: Keys and positions that lead to it.
            rule: What was expected, as a sentence that begins with `expected`.
            came: What came; by default what the field holds, as it is written; empty where the rule tells it.
        """
        value = self.written(field) if came is None else came or None
        return DocumentFault(str(self.path), self.line(field), "/".join(map(str, field)), value, rule)

    def written(self, field: Sequence[Step] = ()) -> str | None:
        """Return what a field holds as it is written, texts in quotes; None where it is absent."""
        node: yaml.Node | None = self._root
        for step in field:
            found = None if node is None else _child(node, step)
            node = None if found is None else found[0]
        if node is None:
            return None
        if isinstance(node, yaml.ScalarNode):
            return _quoted(node.value) if node.tag == _STR else str(node.value) or "nothing"
        return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def read_document(path: Path, schema_name: str) -> Document:
    """Return the document at `path`, which keeps `schemas/documents/<schema_name>.schema.json`.

    Raises:
        ReferenceDataError: It is absent, no YAML, or breaks its schema. All faults of the schema are listed.
    """
    document = read_yaml(path)
    check(document, schema_name)
    return document


def check(document: Document, schema_name: str) -> None:
    """Hold a document against a schema.

    Raises:
        ReferenceDataError: It breaks it; every fault is listed.
    """
    faults = [
        document.fault([*error.absolute_path, *more], rule, came=came)
        for error in _validator(schema_name).iter_errors(document.content)
        for more, rule, came in rule_of(error, document.written(error.absolute_path))
    ]
    refuse(faults)


def refuse(faults: Iterable[DocumentFault]) -> None:
    """Raise when there are faults.

    Raises:
        ReferenceDataError: It lists them by file and line.
    """
    found = list(faults)
    if found:
        raise ReferenceDataError.of_faults(found)


def read_yaml(path: Path) -> Document:
    """Return the one YAML document of a file, by no schema.

    Raises:
        ReferenceDataError: It is absent or no YAML, or a key stands twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ReferenceDataError(f"expected a document at {path}, found nothing") from None
    except (OSError, UnicodeDecodeError) as broken:
        raise ReferenceDataError(f"expected YAML in UTF-8 at {path}, got: {broken}") from broken
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark or broken.context_mark
        line = 1 if mark is None else mark.line + 1
        problem = " ".join(filter(None, (broken.context, broken.problem)))
        fault = DocumentFault(str(path), line, "", None, f"expected YAML, got: {problem}")
        raise ReferenceDataError.of_faults([fault]) from broken
    except yaml.YAMLError as broken:
        raise ReferenceDataError(f"expected YAML at {path}, got: {broken}") from broken
    if root is None:
        raise ReferenceDataError(f"expected a document at {path}, got an empty file")
    faults: list[DocumentFault] = []
    content = _Reader(path, faults).value(root)
    refuse(faults)
    return Document(path, content, root)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml's where it is there
    """Composes nodes; plain scalars mean what they look like."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: Any) -> str:
        """Return the tag of a node that names none."""
        if kind is not yaml.ScalarNode:
            return _SEQ if kind is yaml.SequenceNode else _MAP
        if not implicit[0] or value is None:
            return _STR
        word = _WORDS.get(value)
        if word is not None:
            return word
        if value[0] in "+-.0123456789" and len(value) < _LONGEST_NUMBER:
            if _INTEGER.fullmatch(value):
                return _INT
            if _NUMBER.fullmatch(value):
                # A zero in front is how identifiers and times are written, not numbers.
                return _STR if re.match(r"[-+]?0[0-9]", value) else _FLOAT
        return _STR


class _Reader:
    """Turns nodes into plain values and notes what they may not be."""

    def __init__(self, path: Path, faults: list[DocumentFault]) -> None:
        self._path, self._faults = path, faults
        self._done: dict[int, Any] = {}
        self._within: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        """Return what a node says. A node that is meant twice is read once."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        key = id(node)
        if key in self._within:
            self._note(node, "expected no anchor that holds itself")
            return None
        if key not in self._done:
            self._within.add(key)
            if isinstance(node, yaml.MappingNode):
                self._done[key] = self._mapping(node)
            else:
                self._done[key] = [self.value(each) for each in node.value]
            self._within.discard(key)
        return self._done[key]

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag == _STR:
            return text
        try:
            if node.tag == _INT:
                return int(text)
            if node.tag == _FLOAT:
                return float(text)
        except ValueError:
            self._note(node, f"expected what its tag says, got {text!r}")
            return None
        if node.tag == _BOOL:
            return text == "true"
        if node.tag == _MERGE:
            return text
        if node.tag != _NULL:
            self._note(node, f"expected no tag of YAML's, got {node.tag!r}")
        return None

    def _mapping(self, node: yaml.MappingNode) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        merged: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for each in _merged(value_node):
                    body = self.value(each)
                    merged = {**body, **merged} if isinstance(body, dict) else merged
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(key_node, "expected a key that is text")
                continue
            key = self._scalar(key_node)
            if key in mapping:
                self._note(key_node, f"expected each key once, but the key {key!r} stands twice")
            mapping[key] = self.value(value_node)
        return {**mapping, **{key: value for key, value in merged.items() if key not in mapping}}

    def _note(self, node: yaml.Node, rule: str) -> None:
        self._faults.append(DocumentFault(str(self._path), node.start_mark.line + 1, "", None, rule))


def _merged(node: yaml.Node) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _child(node: yaml.Node, step: Step) -> tuple[yaml.Node, int] | None:
    """Return the node that a key or a position leads to, and its line, counted from 0."""
    if isinstance(node, yaml.SequenceNode):
        inside = isinstance(step, int) and step < len(node.value)
        return (node.value[step], node.value[step].start_mark.line) if inside else None
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == str(step) and key.tag != _MERGE:
            return value, key.start_mark.line
    candidates = (found for found in _merged_children(node, step) if found is not None)
    return next(candidates, None)


def _merged_children(node: yaml.MappingNode, step: Step) -> Iterator[tuple[yaml.Node, int] | None]:
    for key, value in node.value:
        if key.tag == _MERGE:
            yield from (_child(each, step) for each in _merged(value))


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}...")


@lru_cache(maxsize=16)
def _validator(schema_name: str) -> Any:
    path = shipped_folder("schemas") / "documents" / f"{schema_name}.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema, format_checker=_formats())


def _formats() -> jsonschema.FormatChecker:
    checker = jsonschema.FormatChecker(formats=())
    for name, is_one in (
        ("decimal", lambda text: _DECIMAL.fullmatch(text) is not None),
        ("date-time", lambda text: datetime.fromisoformat(text).tzinfo is not None),
        ("date", lambda text: _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))),
        ("time", lambda text: _TIME_OF_DAY.fullmatch(text) is not None and time.fromisoformat(text) is not None),
    ):
        checker.checks(name, raises=ValueError)(_of_texts(is_one))
    return checker


def _of_texts(is_one: Any) -> Any:
    """Return a check that leaves what is no text to the schema's `type`."""
    return lambda value: not isinstance(value, str) or is_one(value)


def decimal_text(text: str) -> Decimal:
    """Return the number of a text of format `decimal`, exact."""
    return Decimal(text)
