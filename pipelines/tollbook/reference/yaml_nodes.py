"""YAML as nodes, and nodes as plain values, read as people mean it.

Times and dates stay text, only `true` and `false` are truth values, `010` and `16:30` are no numbers. Neither depth nor
anchors make a small file a large one: what is too deep, or too much once its anchors are written out, is refused before
any of it is read.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tollbook.errors import DocumentFault, ReferenceDataError

MAX_DEPTH: Final = 64
MAX_REPEATED_NODES: Final = 100_000
_TAG: Final = "tag:yaml.org,2002:"
STR, INT, FLOAT, BOOL, NULL, MERGE = (_TAG + name for name in ("str", "int", "float", "bool", "null", "merge"))
_MAP, _SEQ = _TAG + "map", _TAG + "seq"
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER: Final = 400
_WORDS: Final = {"true": BOOL, "false": BOOL, "null": NULL, "~": NULL, "": NULL, "<<": MERGE}
# Of control characters only the tab and the ends of lines are text; half a surrogate pair is none in UTF-8.
_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet.

    Attributes:
        node: The node; the children of a mapping stand in pairs once it ends.
        children: Its children so far, keys and values in turn.
        anchor: Its anchor, where it has one.
        size: Nodes in it so far, with those that anchors repeat.
    """

    node: yaml.CollectionNode
    children: list[yaml.Node]
    anchor: str | None
    size: int = 1


def compose(path: Path, text: str) -> yaml.Node | None:
    """Return the one document of the text of a file as nodes; None where there is none.

    Raises:
        yaml.YAMLError: It is no YAML.
        ReferenceDataError: It holds two documents, nests deeper than `MAX_DEPTH`, repeats more than
            `MAX_REPEATED_NODES` nodes by its anchors, or an anchor is not there, stands twice or holds itself.
    """
    return _Composer(path).compose(text)


class _Composer:
    """Makes nodes of the parser's events, one after another: depth costs no stack."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open: list[_Open] = []
        self._roots: list[yaml.Node] = []
        self._anchors: dict[str, yaml.Node] = {}
        self._sizes: dict[str, int] = {}
        self._repeated = 0

    def compose(self, text: str) -> yaml.Node | None:
        """Return the root."""
        # libyaml's parser where it is there.
        events: Iterator[Any] = yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and self._roots:
                raise self._refusal(event, "expected one YAML document in the file, got another")
            if isinstance(event, yaml.AliasEvent):
                self._repeat(event)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._begin(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end(event)
        return self._roots[0] if self._roots else None

    def _scalar(self, event: Any) -> None:
        node = yaml.ScalarNode(_scalar_tag(event), event.value, event.start_mark, event.end_mark)
        self._name(event, node)
        self._close(node, event.anchor, 1)

    def _begin(self, event: Any) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self._refusal(event, f"expected at most {MAX_DEPTH} levels")
        sequence = isinstance(event, yaml.SequenceStartEvent)
        kind, tag = (yaml.SequenceNode, _SEQ) if sequence else (yaml.MappingNode, _MAP)
        node = kind(tag if event.tag in {None, "!"} else event.tag, [], event.start_mark, event.end_mark)
        self._name(event, node)
        self._open.append(_Open(node, [], event.anchor))

    def _end(self, event: Any) -> None:
        done = self._open.pop()
        children = iter(done.children)
        in_pairs = isinstance(done.node, yaml.MappingNode)
        done.node.value = list(zip(children, children, strict=True)) if in_pairs else done.children
        done.node.end_mark = event.end_mark
        self._close(done.node, done.anchor, done.size)

    def _repeat(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self._refusal(event, f"expected the anchor {event.anchor!r} before what repeats it, got none")
        if event.anchor not in self._sizes:
            raise self._refusal(event, "expected no anchor that holds itself")
        size = self._sizes[event.anchor]
        self._repeated += size
        if self._repeated > MAX_REPEATED_NODES:
            raise self._refusal(event, f"expected anchors to repeat at most {MAX_REPEATED_NODES:,} values")
        self._close(self._anchors[event.anchor], None, size)

    def _name(self, event: Any, node: yaml.Node) -> None:
        if event.anchor is None:
            return
        if event.anchor in self._anchors:
            raise self._refusal(event, f"expected each anchor once, but the anchor {event.anchor!r} stands twice")
        self._anchors[event.anchor] = node

    def _close(self, node: yaml.Node, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self._sizes[anchor] = size
        if self._open:
            self._open[-1].children.append(node)
            self._open[-1].size += size
        else:
            self._roots.append(node)

    def _refusal(self, event: Any, rule: str) -> ReferenceDataError:
        return ReferenceDataError.of_faults([DocumentFault(str(self._path), event.start_mark.line + 1, "", None, rule)])


class Reader:
    """Turns nodes into plain values and notes what they may not be."""

    def __init__(self, path: Path, faults: list[DocumentFault]) -> None:
        self._path, self._faults = path, faults
        self._done: dict[int, Any] = {}

    def value(self, node: yaml.Node) -> Any:
        """Return what a node says. A node that is meant twice is read once."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        key = id(node)
        if key not in self._done:
            if isinstance(node, yaml.MappingNode):
                self._done[key] = self._mapping(node)
            else:
                self._done[key] = [self.value(each) for each in node.value]
        return self._done[key]

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if node.tag == STR:
            wrong = _NO_TEXT.search(text)
            if wrong is not None:
                self._note(node, f"expected text without control characters, got {wrong[0]!r} in it")
            return text
        try:
            if node.tag == INT:
                return int(text)
            if node.tag == FLOAT:
                return float(text)
        except ValueError:
            self._note(node, f"expected what its tag says, got {text!r}")
            return None
        if node.tag == BOOL:
            return text == "true"
        if node.tag == MERGE:
            return text
        if node.tag != NULL:
            self._note(node, f"expected no tag of YAML's, got {node.tag!r}")
        return None

    def _mapping(self, node: yaml.MappingNode) -> dict[Hashable, Any]:
        mapping: dict[Hashable, Any] = {}
        merged: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == MERGE:
                for each in merged_nodes(value_node):
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


def merged_nodes(node: yaml.Node) -> list[yaml.Node]:
    """Return the nodes that the value of a merge key names."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, int] | None:
    """Return the node that a key or a position leads to, and its line, counted from 0."""
    if isinstance(node, yaml.SequenceNode):
        inside = isinstance(step, int) and step < len(node.value)
        return (node.value[step], node.value[step].start_mark.line) if inside else None
    if not isinstance(node, yaml.MappingNode):
        return None
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == str(step) and key.tag != MERGE:
            return value, key.start_mark.line
    candidates = (found for found in _merged_children(node, step) if found is not None)
    return next(candidates, None)


def _merged_children(node: yaml.MappingNode, step: str | int) -> Iterator[tuple[yaml.Node, int] | None]:
    for key, value in node.value:
        if key.tag == MERGE:
            yield from (child(each, step) for each in merged_nodes(value))


def _scalar_tag(event: Any) -> str:
    """Return the tag of a scalar: its own, or what a plain one looks like."""
    if event.tag not in {None, "!"}:
        return str(event.tag)
    value: str = event.value
    if not event.implicit[0]:
        return STR
    word = _WORDS.get(value)
    if word is not None:
        return word
    if value[0] in "+-.0123456789" and len(value) < _LONGEST_NUMBER:
        if _INTEGER.fullmatch(value):
            return INT
        if _NUMBER.fullmatch(value):
            # A zero in front is how identifiers and times are written, not numbers.
            return STR if re.match(r"[-+]?0[0-9]", value) else FLOAT
    return STR
