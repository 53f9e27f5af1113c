"""A book that is meant to break analyses: every odd thing that usage can be, drawn with a fixed seed.

What a mart should hold is computed here from the drawn calls, in plain Python, by nothing of the product.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

ZONE: Final = ZoneInfo("Asia/Tokyo")
FIRST: Final = datetime(2026, 5, 31, 14, 0, tzinfo=UTC)
"""An hour before June begins in Tokyo."""
DAYS: Final = 92
HUGE: Final = 10**15

Call = dict[str, Any]
MakeRow = Callable[..., dict[str, Any]]

_TEAMS: Final = ("search", "legal", "unallocated", "süd/ost")
_WORKFLOWS: Final = ("answers", "index", "unknown", "all", "review")
_MODELS: Final = (("openai", "gpt-5"), ("openai", "gpt-5-mini"), ("anthropic", "claude-sonnet-4-5"), ("own", "llama"))
_PURPOSES: Final = (None, "generation", "retrieval", "embedding", "evaluation", "guardrail", "retry", "context")
_PRODUCTS: Final = (None, "chat", "all", "unallocated", "draft")
_CUSTOMERS: Final = (None, "acme", "beta", "unknown", "all")
_STATUSES: Final = ("ok", "ok", "ok", "error", "timeout", "cancelled")
_OUTCOMES: Final = (None, None, "success", "failure", "abandoned")


@dataclass
class AdversarialBook:
    """Rows to be committed, and the calls that stand among them.

    Attributes:
        rows: What is told, in order.
        calls: What stands, each with its `period`, first day of its month in Tokyo, and `cost` or None.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def total(self, *names: str, of: Iterable[Call] | None = None) -> dict[tuple[Any, ...], Decimal | None]:
        """Return the known cost by some fields, None where none of a group is known."""
        sums: dict[tuple[Any, ...], Decimal | None] = {}
        for call in self.calls if of is None else of:
            key = tuple(call[name] for name in names)
            sums.setdefault(key, None)
            if call["cost"] is not None:
                sums[key] = (sums[key] or Decimal(0)) + call["cost"]
        return sums

    def grouped(self, *names: str) -> Mapping[tuple[Any, ...], list[Call]]:
        """Return the calls by some fields."""
        groups: defaultdict[tuple[Any, ...], list[Call]] = defaultdict(list)
        for call in self.calls:
            groups[tuple(call[name] for name in names)].append(call)
        return groups


def adversarial_book(usage: MakeRow, void: MakeRow, seed: int, tasks: int = 150) -> AdversarialBook:
    """Return a book of tasks that cross midnight and months, with odd trees, voided and told again, free and huge.

    Args:
        usage: Makes a row of the lake.
        void: Makes one that voids a call.
        seed: Seed of all that is drawn.
        tasks: How many tasks there are; every tenth call is of none.
    """
    drawn = random.Random(seed)
    book = AdversarialBook()
    for place in range(tasks):
        begun = FIRST + timedelta(seconds=drawn.randrange(DAYS * 86_400))
        common = {
            "team": drawn.choice(_TEAMS),
            "workflow": drawn.choice(_WORKFLOWS),
            "product": drawn.choice(_PRODUCTS),
            "customer_id": drawn.choice(_CUSTOMERS),
            "outcome": drawn.choice(_OUTCOMES),
        }
        calls = drawn.randrange(1, 9)
        ids = [f"t{place}-c{number // 2 if drawn.random() < 0.1 else number}" for number in range(calls)]
        for number in range(calls):
            told = common | {
                "call_id": ids[number],
                "parent_call_id": drawn.choice([None, None, "nobody", *ids]),
                "task_id": None if drawn.random() < 0.1 else f"task-{place}",
                "agent": drawn.choice(["planner", "coder", "critic", None]),
            }
            if drawn.random() < 0.1:
                told["team"] = drawn.choice(_TEAMS)
            at = begun + timedelta(seconds=number * drawn.choice([1, 600, 7200, 43_200]))
            _add(book, usage, void, drawn, f"e{place}-{number}", at, told)
    return book


def _add(
    book: AdversarialBook,
    usage: MakeRow,
    void: MakeRow,
    drawn: random.Random,
    event_id: str,
    at: datetime,
    told: dict[str, Any],
) -> None:
    local = at.astimezone(ZONE)
    provider, model = drawn.choice(_MODELS)
    tokens = _tokens(drawn)
    # The own model has no price before August, and the small one has none from August on.
    unpriced = (model == "llama" and local.month < 8) or (model == "gpt-5-mini" and local.month >= 8)
    cost = None if unpriced else _cost(drawn, tokens)
    team = told["team"]
    fields = told | {
        "occurred_at": at,
        "provider": provider,
        "model": model,
        "service_tier": drawn.choice([None, "default", "priority", "batch"]),
        "purpose": drawn.choice(_PURPOSES),
        "status": drawn.choice(_STATUSES),
        "attempt": drawn.choice([None, 1, 2]),
        "list_cost": cost,
        "owner_team": None if team == "unallocated" else team,
        "owner_cost_center": None if team == "unallocated" else f"cc-{team}",
        "input_tokens": None if tokens["input"] is None else tokens["input"],
        "cache_read_tokens": tokens["read"],
        "cache_write_5m_tokens": tokens["written"],
        "output_tokens": tokens["output"],
    }
    day = at.date().isoformat()
    fate = drawn.random()
    if fate < 0.06:  # Told once too little, then whole.
        less = fields | {"output_tokens": 0, "list_cost": None if cost is None else Decimal(0), "revision": 0}
        book.rows += [usage(event_id, day, **less), usage(event_id, day, **fields, revision=1)]
    else:
        book.rows.append(usage(event_id, day, **fields))
        if fate > 0.95:
            book.rows.append(void(event_id, day, revision=9, occurred_at=at))
            return
        if fate > 0.9:
            book.rows.append(usage(event_id, day, **fields, stream_repeat=True))
    book.calls.append(_standing(event_id, at, fields, tokens, cost))


def _standing(
    event_id: str, at: datetime, fields: dict[str, Any], tokens: dict[str, Any], cost: Decimal | None
) -> Call:
    total = None if tokens["input"] is None else tokens["input"] + tokens["output"]
    return {
        **fields,
        "event_id": event_id,
        "cost": cost,
        "period": at.astimezone(ZONE).date().replace(day=1),
        "usage_date": at.astimezone(UTC).date(),
        "team": fields["team"],
        "agent": fields["agent"] or "unknown",
        "product": fields["product"] or "unknown",
        "customer_id": fields["customer_id"] or "unknown",
        "total_tokens": total,
        "is_retry": fields["purpose"] == "retry" or fields["attempt"] == 2,
    }


def _tokens(drawn: random.Random) -> dict[str, Any]:
    kind = drawn.random()
    if kind < 0.06:  # Tool calls and accelerator seconds cost without tokens.
        return {"input": None, "read": None, "written": None, "output": None}
    if kind < 0.1:
        return {"input": 0, "read": 0, "written": 0, "output": 0}
    most = HUGE if kind < 0.12 else 10_000
    read, written, fresh = (drawn.randrange(most) if drawn.random() < 0.5 else 0 for _ in range(3))
    return {"input": read + written + fresh, "read": read, "written": written, "output": drawn.randrange(most)}


def _cost(drawn: random.Random, tokens: dict[str, Any]) -> Decimal:
    if drawn.random() < 0.05:
        return Decimal(drawn.choice(["0", "0.000000000001", "99999.999999999999"]))
    counted = tokens["output"] if tokens["output"] is not None else 1
    return (Decimal(counted % 10_000 + 1) * Decimal(drawn.randrange(1, 10**7))).scaleb(-12)


def agents_above(calls: Iterable[Call]) -> list[tuple[Call, set[str]]]:
    """Return each call of one task and UTC day with its agent and those above it.

    Of calls that share an id the smallest parent and agent stand for the place in the tree. A parent that is not there
    ends the way up, and who is in or below a circle has nobody above: such a call is its agent's own.
    """
    held = list(calls)
    places: dict[str, tuple[list[str], list[str]]] = {}
    for call in held:
        agents, parents = places.setdefault(call["call_id"], ([], []))
        agents.append(call["agent"])
        parents += [call["parent_call_id"]] if call["parent_call_id"] is not None else []

    def above(name: str) -> set[str]:
        seen: list[str] = []
        place: str | None = name
        while place is not None and place in places:
            if place in seen:
                return set()
            seen.append(place)
            place = min(places[place][1], default=None)
        return {min(places[each][0]) for each in seen}

    return [(call, above(call["call_id"]) | {call["agent"]}) for call in held]
