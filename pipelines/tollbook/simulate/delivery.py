"""How the calls of a simulation are told: in which lines, and when each line arrives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tollbook.simulate.calls import MICROSECONDS_PER_SECOND, Call, counts_of, event_of, time_text
from tollbook.simulate.poison import poisoned
from tollbook.simulate.prices import Quantities
from tollbook.simulate.randomness import Chance
from tollbook.simulate.truth import Truth

_HOUR_US = 3_600 * MICROSECONDS_PER_SECOND
_STREAMED_IN_PARTS_MILLIONTHS = 30_000
_VOIDED_MILLIONTHS = 500
_OTHER_REPORTER_MILLIONTHS = 250_000

Line = tuple[int, bytes]
"""When a line arrives, in microseconds since 1970-01-01T00:00:00Z, and its bytes."""


@dataclass(frozen=True, slots=True)
class Shares:
    """How often delivery goes wrong. Unit: Millionths of the lines.

    Attributes:
        duplicates: Told once more.
        late: Told hours or days late.
        poison: Followed by a line that is no event.
        conflicts: Told once more with other counts.
        corrected: Calls whose counts a later telling replaces by others.
    """

    duplicates: int = 20_000
    late: int = 10_000
    poison: int = 1_000
    conflicts: int = 200
    corrected: int = 500


@dataclass(slots=True)
class _Telling:
    event: dict[str, Any]
    earliest_us: int


class Delivery:
    """Makes the lines of calls, and counts in the truth what must become of each."""

    def __init__(self, seed: int, shares: Shares, truth: Truth, *, name: str = "delivery") -> None:
        """Begin.

        Args:
            seed: The same seed lets the same go wrong.
            shares: How often it does.
            truth: Counts the lines.
            name: Name of its stream of chance.
        """
        self._chance = Chance(seed, name)
        self._shares = shares
        self._truth = truth
        self._encode = msgspec.json.Encoder().encode

    def lines(self, call: Call) -> tuple[list[Line], bool]:
        """Return the lines of one call, none of which arrives before it, and whether the call counts."""
        event = event_of(call)
        tellings = self._in_parts(call, event)
        used: Quantities | None = call.used
        told_last = tellings[-1]
        if self._chance.happens(_VOIDED_MILLIONTHS):
            tellings.append(self._void(call, told_last))
            used = None
        elif self._chance.happens(self._shares.corrected) and call.used.output:
            used = replace(call.used, output=call.used.output + self._chance.between(1, 50))
            tellings.append(self._correct(call, told_last, used))
        conflicts = len(tellings) == 1 and self._chance.happens(self._shares.conflicts)
        lines = [line for telling in tellings for line in self._told(telling, conflicts=conflicts)]
        self._truth.lines += len(lines)
        self._truth.superseded += len(tellings) - 1
        if used is None:
            self._truth.voids += 1
        else:
            self._truth.stand(call, used)
        return lines, used is not None

    def _in_parts(self, call: Call, event: dict[str, Any]) -> list[_Telling]:
        """Return the tellings of a call: of a few streamed ones first the parts that were known as it went on."""
        whole = _Telling(event, call.occurred_us)
        streams = call.streamed and call.dimensions["status"] == "ok" and call.used.output > 1
        if not streams or not self._chance.happens(_STREAMED_IN_PARTS_MILLIONTHS):
            return [whole]
        parts = self._chance.between(1, 3)
        tellings = []
        for part in range(parts):
            share = replace(call.used, output=call.used.output * (part + 1) // (parts + 1), web_searches=0)
            reasoning = call.reasoning * (part + 1) // (parts + 1)
            told_us = call.occurred_us - (parts - part) * MICROSECONDS_PER_SECOND // 10
            partial = {name: value for name, value in event.items() if name not in _KNOWN_AT_THE_END}
            partial |= counts_of(share, min(reasoning, share.output), reports_parts=call.reports_parts)
            partial |= {"revision": part, "occurred_at": time_text(told_us), "usage_basis": "estimated"}
            tellings.append(_Telling(partial, call.occurred_us))
        return [*tellings, _Telling(event | {"revision": parts}, call.occurred_us)]

    def _void(self, call: Call, told_last: _Telling) -> _Telling:
        event = {
            "source": call.provider,
            "event_id": call.event_id,
            "revision": told_last.event.get("revision", 0) + 1,
            "action": "void",
            "action_reason": "credited by the provider",
            "reporter": "finance",
            "occurred_at": time_text(call.occurred_us),
        }
        if call.task_id is not None:
            event["task_id"] = call.task_id
        return _Telling(event, call.occurred_us + self._chance.between(1, 12) * _HOUR_US)

    def _correct(self, call: Call, told_last: _Telling, used: Quantities) -> _Telling:
        event = told_last.event | counts_of(used, call.reasoning, reports_parts=call.reports_parts)
        event["revision"] = told_last.event.get("revision", 0) + 1
        event |= {"action": "replace", "action_reason": "counts corrected by the provider"}
        return _Telling(event, call.occurred_us + self._chance.between(1, 12) * _HOUR_US)

    def _told(self, telling: _Telling, *, conflicts: bool) -> Iterator[Line]:
        """Yield the line of a telling and those that follow from it."""
        chance = self._chance
        line = self._encode(telling.event)
        arrives_us = telling.earliest_us + chance.between(50_000, 5 * MICROSECONDS_PER_SECOND)
        if chance.happens(self._shares.late):
            arrives_us += chance.between(_HOUR_US, 72 * _HOUR_US)
        yield arrives_us, line
        if chance.happens(self._shares.duplicates):
            self._truth.duplicates += 1
            yield arrives_us + self._again_us(), self._again(telling.event, line)
        if conflicts:
            self._truth.conflicts += 1
            other = telling.event | {"output_tokens": telling.event["output_tokens"] + 1}
            yield arrives_us + chance.between(1, 3_600) * MICROSECONDS_PER_SECOND, self._encode(other)
        if chance.happens(self._shares.poison) and "action" not in telling.event:
            reason, bad = poisoned(telling.event, chance)
            self._truth.reject(reason)
            yield arrives_us + 1_000, bad

    def _again(self, event: dict[str, Any], line: bytes) -> bytes:
        """Return the same telling once more: the same bytes, or what the caller's own library saw of it."""
        if "latency_ms" not in event or not self._chance.happens(_OTHER_REPORTER_MILLIONTHS):
            return line
        return self._encode(event | {"reporter": "sdk", "latency_ms": event["latency_ms"] + 7})

    def _again_us(self) -> int:
        """Return after how long: mostly seconds, sometimes days. Unit: Microseconds."""
        seconds = self._chance.weighted(((120, 80), (6 * 3_600, 15), (3 * 86_400, 5)))
        return self._chance.between(1, seconds) * MICROSECONDS_PER_SECOND


_KNOWN_AT_THE_END = frozenset({"status", "finish_reason", "latency_ms", "tool_calls"})
