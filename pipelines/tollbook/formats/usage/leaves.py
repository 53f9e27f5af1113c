"""What one usage object holds: its numbers and texts by path, as the table of usage fields names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Any, Final

MAX_DEPTH: Final = 8
MAX_NAME: Final = 128
Texts = str | bool
# Sums of hostile exponents become infinite or no number, which no count is, and raise nothing.
_CALM: Final = Context(prec=40, traps=[])


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
    leaves = Leaves()
    for path, value in _walk({name: value for name, value in usage.items() if name != leave_out}, "", keyed, 0):
        if isinstance(value, (str, bool)):
            leaves.texts[path] = value
        elif isinstance(value, (Mapping, list)):
            leaves.deep.add(path)
        else:
            number = _as_decimal(value)
            leaves.numbers[path] = _CALM.add(leaves.numbers[path], number) if path in leaves.numbers else number
    return leaves


def short_name(path: str) -> str:
    """Return a path as the name of a raw count: at most `MAX_NAME` characters, and text that UTF-8 can hold."""
    return path.encode("utf-8", "replace").decode("utf-8")[:MAX_NAME]


def _as_decimal(value: Any) -> Decimal:
    """Return a JSON number exactly, or not a number where its exponent is beyond all sense."""
    return Decimal(value) if isinstance(value, (int, Decimal)) else Decimal(str(value), _CALM)


def _walk(value: Any, path: str, keyed: Mapping[str, str], depth: int) -> Iterator[tuple[str, Any]]:
    if value is None:
        return
    if not isinstance(value, (Mapping, list)) or depth > MAX_DEPTH:
        yield path, value
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield from _walk(child, f"{path}.{name}" if path else name, keyed, depth + 1)
    else:
        key = keyed.get(path)
        for entry in value:
            named = entry.get(key) if key is not None and isinstance(entry, Mapping) else None
            if isinstance(named, str):
                rest = {name: child for name, child in entry.items() if name != key}
                yield from _walk(rest, f"{path}[{key}={named}]", keyed, depth + 1)
            else:
                yield from _walk(entry, f"{path}[]", keyed, depth + 1)
