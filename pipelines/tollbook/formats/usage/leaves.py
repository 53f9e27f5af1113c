"""What one usage object holds: its numbers and texts by path, as the table of usage fields names them.

A key may hold the signs of a path itself: `gen_ai.usage.input_tokens` is a name as some tools write it, and its path is
the name. Where an object tells one path in two ways, as such a key and as keys within keys, the keys within keys count,
and the other is shown under its spelling, the key in quotes: the same count told twice is not twice the count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, Final

MAX_DEPTH: Final = 8
MAX_NAME: Final = 128
Texts = str | bool
# Sums of hostile exponents become infinite or no number, which no count is, and raise nothing.
_CALM: Final = Context(prec=40, traps=[])
_SIGNS: Final = re.compile(r'[.\[\]"]|^$')


@dataclass(frozen=True, slots=True)
class Path:
    """Where a value stands.

    Attributes:
        name: Its path, as the table of usage fields writes it.
        spelling: The same with keys in quotes that hold the signs of a path: no two places share one.
    """

    name: str
    spelling: str

    @classmethod
    def of(cls, key: str) -> Path:
        """Return the path of a key of the usage object itself."""
        return cls(_named(key), _quoted(key))

    def key(self, key: str) -> Path:
        """Return the path of a key of the object here."""
        return Path(f"{self.name}.{_named(key)}", f"{self.spelling}.{_quoted(key)}")

    def entry(self, key: str | None = None, named: str = "") -> Path:
        """Return the path of entries of the list here: of those that one of their fields names, or of the others."""
        if key is None:
            return Path(f"{self.name}[]", f"{self.spelling}[]")
        return Path(f"{self.name}[{key}={_named(named)}]", f"{self.spelling}[{key}={_quoted(named)}]")


def by_rank(paths: Iterable[Path]) -> list[Path]:
    """Return paths, of those that share a name the one that counts first: the one without quotes."""
    return sorted(paths, key=lambda path: (path.spelling != path.name, path.spelling))


@dataclass(slots=True)
class Leaves:
    """The values of a usage object.

    Attributes:
        numbers: Path to number; entries of one list that share a path are added up.
        texts: Path to a text or a truth value.
        deep: Paths below which nothing was read, because objects lie too deep.
    """

    numbers: dict[str, Decimal] = field(default_factory=dict)
    texts: dict[str, Texts] = field(default_factory=dict)
    deep: set[str] = field(default_factory=set)


def read_leaves(usage: Mapping[str, Any], keyed: Mapping[str, str], *, leave_out: str | None = None) -> Leaves:
    """Return the values in a usage object. Null is not told, and leaves nothing.

    Args:
        usage: The object, parsed; numbers may be int, float, Decimal, or print as one.
        keyed: List to the field of its entries that names them.
        leave_out: Field of the object that is read elsewhere.
    """
    numbers: dict[Path, Decimal] = {}
    texts: dict[Path, Texts] = {}
    deep: set[Path] = set()
    for key, below in usage.items():
        for path, value in _walk(below, Path.of(key), keyed, 1) if key != leave_out else ():
            if isinstance(value, (str, bool)):
                texts[path] = value
            elif isinstance(value, (Mapping, list)):
                deep.add(path)
            else:
                number = _as_decimal(value)
                numbers[path] = _CALM.add(numbers[path], number) if path in numbers else number
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in by_rank({*numbers, *texts, *deep}):
        names[path] = path.spelling if path.name in taken else path.name
        taken.add(path.name)
    return Leaves(
        {names[path]: number for path, number in numbers.items()},
        {names[path]: text for path, text in texts.items()},
        {names[path] for path in deep},
    )


def short_name(path: str) -> str:
    """Return a path as the name of a raw count: at most `MAX_NAME` characters, and text that UTF-8 can hold."""
    return path.encode("utf-8", "replace").decode("utf-8")[:MAX_NAME]


def _as_decimal(value: Any) -> Decimal:
    """Return a JSON number exactly, or not a number where its exponent is beyond all sense."""
    return Decimal(value) if isinstance(value, (int, Decimal)) else Decimal(str(value), _CALM)


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False) if _SIGNS.search(key) else key


def _named(key: str) -> str:
    """Return a key as it stands in a path: quotes are for spellings, so a key that holds some is quoted itself."""
    return _quoted(key) if '"' in key else key


def _walk(value: Any, path: Path, keyed: Mapping[str, str], depth: int) -> Iterator[tuple[Path, Any]]:
    if value is None:
        return
    if not isinstance(value, (Mapping, list)) or depth > MAX_DEPTH:
        yield path, value
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _walk(child, path.key(name), keyed, depth + 1)
    else:
        key = keyed.get(path.name)
        for entry in value:
            named = entry.get(key) if key is not None and isinstance(entry, Mapping) else None
            if isinstance(named, str):
                rest = {name: child for name, child in entry.items() if name != key}
                yield from _walk(rest, path.entry(key, named), keyed, depth + 1)
            else:
                yield from _walk(entry, path.entry(), keyed, depth + 1)
