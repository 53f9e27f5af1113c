"""Our own YAML documents, held against their JSON Schema: every fault with its file, line, field, value and rule.

YAML is read as people mean it, by `yaml_nodes`. Nothing of a document with a fault is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import yaml

from tollbook.errors import DocumentFault, ReferenceDataError
from tollbook.reference.formats import validator
from tollbook.reference.rules import rule_of
from tollbook.reference.yaml_nodes import STR, Reader, child, compose

Step = str | int
_LONGEST_TOLD: Final = 80


@dataclass(frozen=True, eq=False)
class Document:
    """A document without a fault so far.

    Attributes:
        path: Where it lies.
        content: What it says, as plain Python values.
        source: The bytes that say it.
    """

    path: Path
    content: Any
    source: bytes
    _root: yaml.Node

    def line(self, field: Sequence[Step] = ()) -> int:
        """Return the line, from 1, on which a field stands; for one that is absent, that of what should hold it."""
        node, line = self._root, self._root.start_mark.line
        for step in field:
            found = child(node, step)
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
            found = None if node is None else child(node, step)
            node = None if found is None else found[0]
        if node is None:
            return None
        if isinstance(node, yaml.ScalarNode):
            return _quoted(node.value) if node.tag == STR else str(node.value) or "nothing"
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
        for error in validator(schema_name).iter_errors(document.content)
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
        ReferenceDataError: It is absent or no YAML, nests or repeats itself beyond all sense, or a key stands twice.
    """
    try:
        source = path.read_bytes()
        text = source.decode("utf-8-sig")
    except FileNotFoundError:
        raise ReferenceDataError(f"expected a document at {path}, found nothing") from None
    except (OSError, UnicodeDecodeError) as broken:
        raise ReferenceDataError(f"expected YAML in UTF-8 at {path}, got: {broken}") from broken
    try:
        root = compose(path, text)
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
    content = Reader(path, faults).value(root)
    refuse(faults)
    return Document(path, content, source, root)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_TOLD else f"{text[:_LONGEST_TOLD]}...")


def decimal_text(text: str) -> Decimal:
    """Return the number of a text of format `decimal`, exact."""
    return Decimal(text)
