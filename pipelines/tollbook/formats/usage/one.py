"""One usage object made into the disjoint counts of an event, or refused with the reason.

It decides what a usage object means; `columns` does the same for many at once, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal
from typing import Any, Final

from tollbook.errors import RejectedRecordError
from tollbook.formats.buckets import INPUT_BUCKETS, INPUT_WHOLE, OUTPUT_BUCKETS, OUTPUT_WHOLE
from tollbook.formats.usage.leaves import Leaves, read_leaves, short_name
from tollbook.formats.usage.table import Flavour, Telling

UNKNOWN_FIELD: Final = "unknown_usage_field"
TOTAL_DIFFERS: Final = "usage_total_differs"
SPLIT_ASSUMED: Final = "usage_split_assumed"
COST_ROUNDED: Final = "provider_cost_rounded"
MOST_COUNTED: Final = 1_000_000_000
MOST_RAW: Final = 64
COST_PLACES: Final = 12
_LARGEST_COST: Final = Decimal(10) ** 26
_WIDE: Final = Context(prec=76)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call used, in the fields of an event.

    Attributes:
        fields: Field of `usage_event/v1` to value: `input_tokens`, `output_tokens` and their disjoint buckets,
            `tool_calls`, `other_units`, `raw_usage` (sorted by name), `provider_cost` with its currency, and the
            texts that the body tells. What was not told is left out.
        flags: Codes of `tollbook.formats.reasons.FLAGS`, sorted.
        unknown: Names of numbers that the table has no meaning for, sorted.
        further: Calls of their own that the usage object tells beside.
    """

    fields: dict[str, Any]
    flags: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    further: tuple[FurtherCall, ...] = ()


@dataclass(frozen=True, slots=True)
class FurtherCall:
    """A call within a call, such as an advisor's: it is billed beside, and may be of another model.

    Attributes:
        kind: Kind of the entry, as the provider names it.
        place: Place of the entry in its list, from 0.
        usage: What it used; `model` stands in its fields only where it is not the body's.
    """

    kind: str
    place: int
    usage: Usage


def read_body(body: Mapping[str, Any], flavour: Flavour) -> Usage:
    """Return what a response body tells of its usage, its model and its service tier.

    Raises:
        RejectedRecordError: There is no usage object, or it is wrong.
    """
    usage = _at(body, *flavour.root)
    if usage is None:
        raise RejectedRecordError("missing_field", ".".join(flavour.root), "a usage object", "nothing")
    told = _texts(flavour.body, {telling.name: _at(body, telling.name) for telling in flavour.body})
    read = normalise(usage, flavour)
    return Usage({**told, **read.fields}, read.flags, read.unknown, read.further)


def normalise(usage: Any, flavour: Flavour) -> Usage:
    """Return what a usage object tells, every token in exactly one bucket.

    Args:
        usage: The object, parsed. Null and absent mean not told; 0 is 0.
        flavour: What its fields mean.

    Raises:
        RejectedRecordError: A count is no whole number, is out of range, is absent though required, contradicts its
            other name, or is less than its parts.
    """
    if not isinstance(usage, Mapping):
        raise RejectedRecordError("wrong_type", ".".join(flavour.root) or None, "a usage object", _kind_of(usage))
    leaves = read_leaves(usage, flavour.keyed, leave_out=flavour.further_list)
    told = _counts(leaves, flavour)
    remainders, shared = _remainders(told, flavour)
    flags = {SPLIT_ASSUMED} if shared else set()
    fields = _event_counts(remainders, flavour)
    fields |= _texts(flavour.tells, leaves.texts)
    fields |= _cost(leaves, flavour, flags)
    further, unknown = _further(usage, flavour)
    unknown |= {short_name(name) for name in (*leaves.numbers, *leaves.deep) if flavour.is_unknown(name)}
    if unknown:
        flags.add(UNKNOWN_FIELD)
    raw = _raw(leaves, flavour)
    if raw:
        fields["raw_usage"] = raw
    if flavour.total is not None:
        total = _whole(leaves, flavour.total)
        counted = [value for place, value in remainders.items() if flavour.counts[place].unit.consumed_unit == "Tokens"]
        if total is not None and total != sum(counted):
            flags.add(TOTAL_DIFFERS)
    return Usage(fields, tuple(sorted(flags)), tuple(sorted(unknown)), further)


def _at(value: Any, *steps: str) -> Any:
    """Return what stands at a path of objects, None where nothing does."""
    for step in ".".join(steps).split(".") if steps else ():
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _counts(leaves: Leaves, flavour: Flavour) -> dict[int, int]:
    """Return the counts that were told, by place."""
    told: dict[int, int] = {}
    for place, count in enumerate(flavour.counts):
        found = [
            (name, value)
            for name in count.names
            if (value := _checked(leaves, name, rounds_up=count.rounds_up)) is not None
        ]
        if len({value for _, value in found}) > 1:
            name, value = found[-1]
            raise RejectedRecordError("invalid_value", name, f"equal to {found[0][0]}, {found[0][1]}", str(value))
        if found:
            told[place] = found[0][1]
        elif count.required:
            raise RejectedRecordError("missing_field", count.name, "present", "nothing")
    return told


def _checked(leaves: Leaves, name: str, *, rounds_up: bool) -> int | None:
    if name in leaves.texts:
        raise RejectedRecordError("wrong_type", name, "a whole number", _kind_of(leaves.texts[name]))
    number = leaves.numbers.get(name)
    if number is None:
        return None
    if not number.is_finite() or not (rounds_up or _is_whole(number)):
        raise RejectedRecordError("wrong_type", name, "a whole number", str(number)[:20])
    if not 0 <= number <= MOST_COUNTED:
        raise RejectedRecordError("out_of_range", name, f"0 to {MOST_COUNTED}", str(number)[:20])
    return int(number.to_integral_value(ROUND_CEILING))


def _remainders(told: Mapping[int, int], flavour: Flavour) -> tuple[dict[int, int], bool]:
    """Return each told count less what is inside it, and whether tokens had to be taken for shared."""
    remainders: dict[int, int] = {}
    assumed = False
    for place in flavour.order:
        if place not in told:
            continue
        count = flavour.counts[place]
        rest = told[place] - sum(remainders.get(part, 0) for part in count.inside)
        for part in count.inside if rest < 0 else ():
            shared, crossings = flavour.counts[part].shared_with, flavour.counts[part].crossings
            if shared is None or not {part, shared} <= told.keys() or told.keys() & set(crossings):
                continue
            given = min(-rest, remainders[part], remainders[shared])
            remainders[part] -= given
            rest += given
            assumed |= given > 0
        if rest < 0:
            got = str(told[place])
            raise RejectedRecordError("part_exceeds_whole", count.name, "at least the sum of its parts", got)
        remainders[place] = rest
    return remainders, assumed


def _event_counts(remainders: Mapping[int, int], flavour: Flavour) -> dict[str, Any]:
    """Return the buckets, the wholes and the unit maps."""
    fields: dict[str, Any] = {}
    maps: dict[str, dict[str, int]] = {}
    for place, value in remainders.items():
        unit = flavour.counts[place].unit
        into = fields if unit.counted_in == "event" else maps.setdefault(unit.counted_in, {})
        into[unit.name] = into.get(unit.name, 0) + value
    for whole, buckets in ((INPUT_WHOLE, INPUT_BUCKETS), (OUTPUT_WHOLE, OUTPUT_BUCKETS)):
        given = [fields[name] for name in buckets if name in fields]
        if given:
            fields[whole] = sum(given)
    return fields | {name: dict(sorted(entries.items())) for name, entries in maps.items()}


def _texts(tellings: Iterable[Telling], texts: Mapping[str, Any]) -> dict[str, str]:
    told: dict[str, str] = {}
    for telling in tellings:
        text = texts.get(telling.name)
        meant = telling.values.get(text, text) if isinstance(text, str) else None
        if meant is not None:
            told[telling.field] = meant
    return told


def _cost(leaves: Leaves, flavour: Flavour, flags: set[str]) -> dict[str, Any]:
    for cost in flavour.costs:
        number = leaves.numbers.get(cost.name)
        if number is None:
            continue
        amount, rounded = read_cost(number, cost.name, cost.decimals)
        if rounded:
            flags.add(COST_ROUNDED)
        return {"provider_cost": amount, "provider_cost_currency": cost.currency}
    return {}


def read_cost(number: Decimal, name: str, decimals: int) -> tuple[Decimal, bool]:
    """Return a provider's own cost to twelve places, half-even, and whether digits were lost.

    Raises:
        RejectedRecordError: It is below zero or beyond the contract.
    """
    if not number.is_finite() or not 0 <= number or number.adjusted() - decimals >= _LARGEST_COST.adjusted():
        raise RejectedRecordError("out_of_range", name, f"0 to {_LARGEST_COST:e}", str(number)[:20])
    if number.adjusted() - decimals < -COST_PLACES - 1:
        return Decimal(0).scaleb(-COST_PLACES), bool(number)
    exact = number.scaleb(-decimals, _WIDE)
    amount = exact.quantize(Decimal(1).scaleb(-COST_PLACES), rounding=ROUND_HALF_EVEN, context=_WIDE)
    return amount, amount != exact


def _raw(leaves: Leaves, flavour: Flavour) -> dict[str, int]:
    """Return the counts by the provider's own names, those that the table knows first when there are too many."""
    kept = {
        short_name(name): value
        for name in leaves.numbers
        if (name in flavour.counted or flavour.is_unknown(name)) and (value := _whole(leaves, name)) is not None
    }
    names = sorted(kept, key=lambda name: (name not in flavour.counted, name))[:MOST_RAW]
    return {name: kept[name] for name in sorted(names)}


def _whole(leaves: Leaves, name: str) -> int | None:
    """Return a number that is a count within the contract's range, or None."""
    number = leaves.numbers.get(name)
    if number is None or not number.is_finite() or not _is_whole(number) or not 0 <= number <= MOST_COUNTED:
        return None
    return int(number)


def _is_whole(number: Decimal) -> bool:
    return number == number.to_integral_value()


def _further(usage: Mapping[str, Any], flavour: Flavour) -> tuple[tuple[FurtherCall, ...], set[str]]:
    """Return the calls within the call, and names of kinds that the table does not know."""
    rule = flavour.further
    entries = usage.get(rule.list) if rule is not None else None
    if rule is None or not isinstance(entries, list):
        return (), set()
    calls: list[FurtherCall] = []
    unknown: set[str] = set()
    for place, entry in enumerate(entries):
        kind = entry.get(rule.key) if isinstance(entry, Mapping) else None
        if kind in rule.inside:
            continue
        if kind not in rule.beside:
            unknown.add(short_name(f"{rule.list}[{rule.key}={kind}]" if isinstance(kind, str) else f"{rule.list}[]"))
            continue
        try:
            read = normalise({**entry, rule.list: None}, flavour)
        except RejectedRecordError as wrong:
            raise RejectedRecordError(wrong.reason, f"{rule.list}[].{wrong.field}", wrong.expected, wrong.got) from None
        model = entry.get(rule.model)
        fields = {**read.fields, **({"model": model} if isinstance(model, str) else {})}
        calls.append(FurtherCall(kind, place, Usage(fields, read.flags, read.unknown)))
    return tuple(calls), unknown


def _kind_of(value: Any) -> str:
    """Return the kind of a value for a message, never the value: a text may be content."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    kinds = {dict: "an object", list: "a list", bool: "a truth value", type(None): "nothing"}
    return kinds.get(type(value), "a number")
