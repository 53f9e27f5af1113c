"""Names of lanes that Flink spreads evenly over the tasks of a step.

Flink finds the task of a key by a hash of it. Of few keys that are just numbers one task gets several and another none;
so names are tried until each task has one lane. Where a later Flink hashes otherwise the lanes are merely uneven.

Source: `KeyGroupRangeAssignment` and `MathUtils.murmurHash` of Flink 1.19. Beam hands keys over as
`java.nio.ByteBuffer`.
"""

from __future__ import annotations

from itertools import count
from typing import Final

_FEWEST_GROUPS: Final = 128
_MOST_GROUPS: Final = 32_768
_WORD: Final = 0xFFFF_FFFF
_SIGN: Final = 0x8000_0000


def lane_names(lanes: int) -> tuple[str, ...]:
    """Return names of so many lanes, of which Flink gives each to another task of a step that has as many."""
    names: list[str] = []
    for lane in range(lanes):
        tried = (f"lane-{lane}-{number}" for number in count())
        names.append(next(name for name in tried if _tasks(name.encode("ascii"), lanes) == {lane}))
    return tuple(names)


def _tasks(name: bytes, lanes: int) -> set[int]:
    """Return the tasks that a key may go to, encoded as it is or with its length before it."""
    groups = min(max(1 << (lanes + lanes // 2 - 1).bit_length(), _FEWEST_GROUPS), _MOST_GROUPS)
    return {_murmur(_buffer_hash(key)) % groups * lanes // groups for key in (name, bytes([len(name)]) + name)}


def _buffer_hash(key: bytes) -> int:
    """Return the hash of a `java.nio.ByteBuffer` of ASCII, as 32 bits."""
    code = 1
    for byte in reversed(key):
        code = (31 * code + byte) & _WORD
    return code


def _murmur(code: int) -> int:
    """Return Flink's hash of a hash, from 0 to 2**31 - 1."""
    code = code * 0xCC9E2D51 & _WORD
    code = _rotated(code, 15)
    code = code * 0x1B873593 & _WORD
    code = _rotated(code, 13)
    code = (code * 5 + 0xE6546B64) & _WORD
    code ^= 4
    code = (code ^ code >> 16) * 0x85EBCA6B & _WORD
    code = (code ^ code >> 13) * 0xC2B2AE35 & _WORD
    code ^= code >> 16
    if code < _SIGN:
        return code
    return 0 if code == _SIGN else (1 << 32) - code


def _rotated(code: int, bits: int) -> int:
    return (code << bits | code >> (32 - bits)) & _WORD
